-- Schema version 3: view result_summary again, with what commands report kept apart from what is measured here, and without intervals below zero
-- of what cannot be; statistics per experiment, workload, cell, device and metric; scopes, provenances and speed methods
-- are never mixed. Everything is computed here, so that the plain sqlite3 shell shows the same numbers. docs/decisions/0003 says how.

DROP VIEW result_summary;
CREATE VIEW result_summary AS
WITH
-- 97.5 % quantiles of Student's t; beyond 30 degrees of freedom the expansion further down is exact to 1e-6.
t_quantile (df, t) AS (
  VALUES (1, 12.7062047362), (2, 4.3026527297), (3, 3.1824463053), (4, 2.7764451052), (5, 2.5705818356), (6, 2.4469118511),
    (7, 2.3646242516), (8, 2.3060041352), (9, 2.2621571628), (10, 2.2281388520), (11, 2.2009851601), (12, 2.1788128297),
    (13, 2.1603686565), (14, 2.1447866879), (15, 2.1314495456), (16, 2.1199052992), (17, 2.1098155778), (18, 2.1009220402),
    (19, 2.0930240544), (20, 2.0859634473), (21, 2.0796138447), (22, 2.0738730679), (23, 2.0686576104), (24, 2.0638985616),
    (25, 2.0595385528), (26, 2.0555294386), (27, 2.0518305165), (28, 2.0484071418), (29, 2.0452296421), (30, 2.0422724563)
),
metric_kind (name, unit, domain) AS (
  VALUES ('ttft_ms', 'ms', 'speed'), ('itps', '1/s', 'speed'), ('otps', '1/s', 'speed'), ('itl_p50_ms', 'ms', 'speed'),
    ('load_ms', 'ms', 'load'), ('peak_rss_mib', 'MiB', 'memory'),
    ('energy', 'J', 'energy'), ('j_per_prompt_token', 'J', 'energy'), ('j_per_decode_token', 'J', 'energy'),
    ('j_per_output_token_e2e', 'J', 'energy')
),
-- Names that stand for what is measured here. A command's number of such a name is called reported_NAME, unless it is the run's speed.
own_name (name) AS (
  VALUES ('ttft_ms'), ('itps'), ('otps'), ('itl_p50_ms'), ('load_ms'), ('peak_rss_mib'), ('energy_j'), ('energy_est_j'), ('energy_sim_j'),
    ('j_per_prompt_token'), ('j_per_prompt_token_est'), ('j_per_prompt_token_sim'),
    ('j_per_decode_token'), ('j_per_decode_token_est'), ('j_per_decode_token_sim'),
    ('j_per_output_token_e2e'), ('j_per_output_token_e2e_est'), ('j_per_output_token_e2e_sim')
),
-- One row per measured run (loading: per attempt, since its runs share one load) and metric.
sample AS (
  SELECT r.experiment, r.workload, r.cell, r.device_id, r.block, r.attempt, r.run, m.unit,
    CASE WHEN m.domain <> 'energy' THEN m.name
         WHEN m.name = 'energy' THEN
           CASE r.provenance WHEN 'measured' THEN 'energy_j' WHEN 'estimated' THEN 'energy_est_j' WHEN 'modelled' THEN 'energy_est_j'
                             ELSE 'energy_sim_j' END
         ELSE m.name || CASE r.provenance WHEN 'measured' THEN '' WHEN 'estimated' THEN '_est' WHEN 'modelled' THEN '_est' ELSE '_sim' END
    END AS metric,
    CASE m.domain WHEN 'speed' THEN r.speed_method END AS speed_method,
    CASE m.domain WHEN 'energy' THEN r.energy_scope END AS energy_scope,
    CASE m.domain WHEN 'energy' THEN r.provenance END AS provenance,
    m.domain = 'load' AS per_load, 1 AS never_negative,
    CASE m.domain WHEN 'speed' THEN r.speed_quality WHEN 'energy' THEN r.energy_quality END AS quality,
    CASE m.name
      WHEN 'ttft_ms' THEN r.ttft_ms WHEN 'itps' THEN r.itps WHEN 'otps' THEN r.otps WHEN 'itl_p50_ms' THEN r.itl_p50_ms
      WHEN 'load_ms' THEN r.load_ms WHEN 'peak_rss_mib' THEN r.peak_rss_mib
      WHEN 'energy' THEN coalesce(r.energy_j, r.energy_est_j, r.energy_sim_j)
      WHEN 'j_per_prompt_token' THEN coalesce(r.j_per_prompt_token, r.j_per_prompt_token_est, r.j_per_prompt_token_sim)
      WHEN 'j_per_decode_token' THEN coalesce(r.j_per_decode_token, r.j_per_decode_token_est, r.j_per_decode_token_sim)
      ELSE coalesce(r.j_per_output_token_e2e, r.j_per_output_token_e2e_est, r.j_per_output_token_e2e_sim)
    END AS value
  FROM result AS r CROSS JOIN metric_kind AS m
  WHERE r.warmup = 0 AND (m.domain <> 'energy' OR r.provenance IS NOT NULL)
    AND (m.domain <> 'load' OR r.run = (SELECT min(f.run) FROM run AS f WHERE f.attempt = r.attempt AND f.warmup = 0))
  UNION ALL
  -- Numbers the workload itself reported for a run; several of one name in one run count once, as their mean.
  SELECT job.experiment, job.workload, job.cell, attempt.device_id, job.block, run.attempt, run.run, max(x.unit),
    CASE WHEN x.name IN (SELECT name FROM own_name) THEN 'reported_' || x.name ELSE x.name END,
    NULL, NULL, NULL, 0, 0, run.speed_quality, avg(x.value)
  FROM job
  JOIN attempt ON attempt.fence = job.accepted_fence
  JOIN run ON run.attempt = attempt.fence AND run.warmup = 0
  JOIN metric AS x ON x.attempt = run.attempt AND x.run = run.run
  WHERE run.speed_method IS NOT 'reported'
    OR CASE x.name WHEN 'ttft_ms' THEN run.ttft_ms WHEN 'itps' THEN run.itps WHEN 'otps' THEN run.otps WHEN 'itl_p50_ms' THEN run.itl_p50_ms END IS NULL
  GROUP BY job.id, run.run, x.name
),
graded AS (
  SELECT *, CASE WHEN quality IS NOT 'INVALID' THEN value END AS valid_value FROM sample
),
counted AS (
  SELECT *, count(*) OVER cell_metric AS n, count(valid_value) OVER cell_metric AS n_valid, count(value) OVER cell_metric AS n_value,
    per_load OR min(CASE WHEN valid_value IS NOT NULL THEN block END) OVER cell_metric
      < max(CASE WHEN valid_value IS NOT NULL THEN block END) OVER cell_metric AS by_block
  FROM graded
  WINDOW cell_metric AS (PARTITION BY experiment, workload, cell, device_id, metric, speed_method, energy_scope, provenance)
),
-- What statistics are over: runs, or the means of blocks where there are several. x is NULL where nothing of the unit is valid.
unit_value AS (
  SELECT experiment, workload, cell, device_id, metric, speed_method, energy_scope, provenance, max(unit) AS unit, n, n_valid,
    coalesce(by_block, 0) AS by_block, max(never_negative) AS never_negative, avg(valid_value) AS x
  FROM counted
  WHERE n_value > 0
  GROUP BY experiment, workload, cell, device_id, metric, speed_method, energy_scope, provenance, n, n_valid,
    CASE WHEN by_block THEN 'b' || block ELSE attempt || '/' || run END
),
ranked AS (
  SELECT *, avg(x) OVER cell_metric AS mean, count(x) OVER cell_metric AS n_unit,
    row_number() OVER (PARTITION BY experiment, workload, cell, device_id, metric, speed_method, energy_scope, provenance
                       ORDER BY x IS NULL, x) AS place
  FROM unit_value
  WINDOW cell_metric AS (PARTITION BY experiment, workload, cell, device_id, metric, speed_method, energy_scope, provenance)
),
statistic AS (
  SELECT experiment, workload, cell, device_id, metric, max(unit) AS unit, speed_method, energy_scope, provenance, n, n_valid, by_block,
    max(never_negative) AS never_negative, n_unit, n_unit - 1 AS df, mean,
    avg(CASE WHEN place IN ((n_unit + 1) / 2, (n_unit + 2) / 2) THEN x END) AS median,
    CASE WHEN n_unit > 1 THEN sqrt(sum((x - mean) * (x - mean)) / (n_unit - 1)) END AS stdev
  FROM ranked
  GROUP BY experiment, workload, cell, device_id, metric, speed_method, energy_scope, provenance, n, n_valid, by_block, n_unit, mean
),
-- The normal quantile 1.95996 and its Cornish-Fisher terms in 1/df.
bounded AS (
  SELECT *, CASE WHEN n_unit >= 3 THEN stdev / sqrt(n_unit) * coalesce(
      (SELECT t_quantile.t FROM t_quantile WHERE t_quantile.df = statistic.df),
      1.959963984540 + (2.372271230299 + (2.822498615740 + (2.555849679508 + 1.589534053393 / df) / df) / df) / df) END AS half
  FROM statistic
)
SELECT experiment, workload, cell, device_id, metric, unit, speed_method, energy_scope, provenance, n, n_valid,
  CASE WHEN by_block THEN 'block' ELSE 'run' END AS stat_unit, n_unit, mean, median, stdev,
  CASE WHEN never_negative AND mean >= 0 THEN max(mean - half, 0.0) ELSE mean - half END AS ci_low, mean + half AS ci_high,
  CASE WHEN half IS NOT NULL THEN 'student_t' END AS ci_method
FROM bounded;
