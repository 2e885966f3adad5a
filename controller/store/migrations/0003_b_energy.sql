-- Schema version 3: what integrating over all samples of a chunk gives, and a checksum of its bytes; energies with what the cable takes and the
-- mean voltage; view result again, with milliwatt hours, milliampere hours and prompts per battery behind its other columns.

-- Made when a chunk is stored; NULL where it could not be decoded, or was stored by an older program. In raw units (value = raw * scale) and ns.
ALTER TABLE trace_chunk ADD COLUMN crc32c INTEGER;
ALTER TABLE trace_chunk ADD COLUMN first_raw INTEGER;
ALTER TABLE trace_chunk ADD COLUMN last_raw INTEGER;
ALTER TABLE trace_chunk ADD COLUMN lowest_raw INTEGER;
ALTER TABLE trace_chunk ADD COLUMN highest_raw INTEGER;
ALTER TABLE trace_chunk ADD COLUMN longest_ns INTEGER;
ALTER TABLE trace_chunk ADD COLUMN raw_ns REAL;
ALTER TABLE trace_chunk ADD COLUMN raw2_ns REAL;
ALTER TABLE trace_chunk ADD COLUMN step2_ns2 REAL;
ALTER TABLE trace_chunk ADD COLUMN noise2_ns2 REAL;

ALTER TABLE energy ADD COLUMN cable_u_j REAL;
ALTER TABLE energy ADD COLUMN mean_v REAL;

DROP VIEW result;
CREATE VIEW result AS
WITH
-- One row per run with the energy of the primary channel, whatever its provenance.
joined AS (
  SELECT
    job.experiment, job.cell, job.workload, job.id AS job_id, run.attempt, job.block, run.run, run.warmup, attempt.device_id, job.model,
    job.model_sha256, job.quant, attempt.engine, attempt.engine_version, job.params,
    -- Wall time by the last snapshot before the run, or the first one after.
    (run.start_ns + coalesce(
      (SELECT s.realtime_ns - s.boottime_ns FROM clock_snapshot AS s
       WHERE s.attempt = run.attempt AND s.source = 0 AND s.boottime_ns <= run.start_ns ORDER BY s.boottime_ns DESC LIMIT 1),
      (SELECT s.realtime_ns - s.boottime_ns FROM clock_snapshot AS s
       WHERE s.attempt = run.attempt AND s.source = 0 ORDER BY s.boottime_ns LIMIT 1))) / 1000000 AS started_wall_ms,
    run.speed_method, run.n_prompt, run.n_gen, attempt.load_ms, attempt.load_state, run.ttft_ms, run.itps, run.otps, run.itl_p50_ms,
    run.itl_p99_ms,
    -- prefill and decode together: the run's own row, or else the sum, whose uncertainties add because they share their causes.
    coalesce(whole.energy_j, prefill.energy_j + decode.energy_j) AS e_j,
    CASE WHEN whole.energy_j IS NOT NULL THEN whole.energy_u_j ELSE prefill.energy_u_j + decode.energy_u_j END AS e_u_j,
    whole.energy_net_j AS e_net_j, whole.energy_net_u_j AS e_net_u_j,
    prefill.energy_j AS p_j, prefill.energy_u_j AS p_u_j, decode.energy_j AS d_j, decode.energy_u_j AS d_u_j,
    nullif(run.n_prompt, 0) AS prompt_tokens, nullif(run.n_gen, 0) AS output_tokens,
    -- bench: the whole generation is timed, so every token lies inside the decode phase. Otherwise the first token ends prefill; NULL as soon
    -- as one request of the run does not know its count.
    CASE run.speed_method WHEN 'bench' THEN nullif(run.n_gen, 0) ELSE
      (SELECT CASE WHEN count(*) = count(q.n_gen) THEN nullif(sum(max(q.n_gen - 1, 0)), 0) END
       FROM request AS q WHERE q.attempt = run.attempt AND q.run = run.run) END AS decode_tokens,
    coalesce(whole.mean_w, whole.energy_j / nullif(whole.duration_s, 0.0)) AS m_w, whole.peak_w AS k_w,
    channel.name AS energy_channel, channel.scope AS energy_scope, channel.provenance, whole.baseline,
    whole.mean_v,
    -- Of the whole device only: what a package or a board draws says nothing about how long its battery lasts.
    CASE WHEN channel.scope IN ('device', 'battery') THEN
      attempt.battery_wh * 3600.0 * (SELECT nullif(count(*), 0) FROM request AS q WHERE q.attempt = run.attempt AND q.run = run.run)
    END AS battery_prompts_j,
    CASE channel.provenance WHEN 'measured' THEN 1 END AS is_measured,
    CASE WHEN channel.provenance IN ('estimated', 'modelled') THEN 1 END AS is_estimated,
    CASE WHEN channel.provenance IN ('simulated', 'replayed') THEN 1 END AS is_simulated,
    run.peak_rss_mib, run.max_temp_c, run.speed_quality, run.energy_quality, run.quality_reasons
  FROM job
  JOIN attempt ON attempt.fence = job.accepted_fence
  JOIN run ON run.attempt = attempt.fence
  LEFT JOIN channel ON channel.attempt = attempt.fence AND channel.is_primary = 1
  LEFT JOIN energy AS whole ON whole.attempt = run.attempt AND whole.run = run.run AND whole.channel = channel.name
    AND whole.source = channel.source AND whole.phase IS NULL AND whole.request IS NULL
  LEFT JOIN energy AS prefill ON prefill.attempt = run.attempt AND prefill.run = run.run AND prefill.channel = channel.name
    AND prefill.source = channel.source AND prefill.phase = 'prefill' AND prefill.request IS NULL
  LEFT JOIN energy AS decode ON decode.attempt = run.attempt AND decode.run = run.run AND decode.channel = channel.name
    AND decode.source = channel.source AND decode.phase = 'decode' AND decode.request IS NULL
)
SELECT
  experiment, cell, workload, job_id, attempt, block, run, warmup, device_id, model, model_sha256, quant, engine, engine_version, params,
  strftime('%Y-%m-%dT%H:%M:%S', started_wall_ms / 1000, 'unixepoch') || printf('.%03dZ', started_wall_ms % 1000) AS started,
  speed_method, n_prompt, n_gen, load_ms, load_state, ttft_ms, itps, otps, itl_p50_ms, itl_p99_ms,

  is_measured * e_j AS energy_j,
  is_measured * e_u_j AS energy_u_j,
  is_measured * e_net_j AS energy_net_j,
  is_measured * e_net_u_j AS energy_net_u_j,
  is_measured * p_j AS prefill_j,
  is_measured * d_j AS decode_j,
  is_measured * p_j / prompt_tokens AS j_per_prompt_token,
  is_measured * p_u_j / prompt_tokens AS j_per_prompt_token_u,
  is_measured * d_j / decode_tokens AS j_per_decode_token,
  is_measured * d_u_j / decode_tokens AS j_per_decode_token_u,
  is_measured * e_j / output_tokens AS j_per_output_token_e2e,
  is_measured * e_u_j / output_tokens AS j_per_output_token_e2e_u,
  is_measured * m_w AS mean_w,
  is_measured * k_w AS peak_w,

  is_estimated * e_j AS energy_est_j,
  is_estimated * e_u_j AS energy_est_u_j,
  is_estimated * e_net_j AS energy_net_est_j,
  is_estimated * e_net_u_j AS energy_net_est_u_j,
  is_estimated * p_j AS prefill_est_j,
  is_estimated * d_j AS decode_est_j,
  is_estimated * p_j / prompt_tokens AS j_per_prompt_token_est,
  is_estimated * p_u_j / prompt_tokens AS j_per_prompt_token_est_u,
  is_estimated * d_j / decode_tokens AS j_per_decode_token_est,
  is_estimated * d_u_j / decode_tokens AS j_per_decode_token_est_u,
  is_estimated * e_j / output_tokens AS j_per_output_token_e2e_est,
  is_estimated * e_u_j / output_tokens AS j_per_output_token_e2e_est_u,
  is_estimated * m_w AS mean_est_w,
  is_estimated * k_w AS peak_est_w,

  is_simulated * e_j AS energy_sim_j,
  is_simulated * e_u_j AS energy_sim_u_j,
  is_simulated * e_net_j AS energy_net_sim_j,
  is_simulated * e_net_u_j AS energy_net_sim_u_j,
  is_simulated * p_j AS prefill_sim_j,
  is_simulated * d_j AS decode_sim_j,
  is_simulated * p_j / prompt_tokens AS j_per_prompt_token_sim,
  is_simulated * p_u_j / prompt_tokens AS j_per_prompt_token_sim_u,
  is_simulated * d_j / decode_tokens AS j_per_decode_token_sim,
  is_simulated * d_u_j / decode_tokens AS j_per_decode_token_sim_u,
  is_simulated * e_j / output_tokens AS j_per_output_token_e2e_sim,
  is_simulated * e_u_j / output_tokens AS j_per_output_token_e2e_sim_u,
  is_simulated * m_w AS mean_sim_w,
  is_simulated * k_w AS peak_sim_w,

  energy_channel, energy_scope, provenance, baseline, peak_rss_mib, max_temp_c, speed_quality, energy_quality, quality_reasons,

  is_measured * e_j / 3.6 AS energy_mwh,
  is_measured * e_j / (3.6 * nullif(mean_v, 0.0)) AS energy_mah,
  is_measured * CASE WHEN e_j > 0 THEN battery_prompts_j / e_j END AS prompts_per_battery,

  is_estimated * e_j / 3.6 AS energy_est_mwh,
  is_estimated * e_j / (3.6 * nullif(mean_v, 0.0)) AS energy_est_mah,
  is_estimated * CASE WHEN e_j > 0 THEN battery_prompts_j / e_j END AS prompts_per_battery_est,

  is_simulated * e_j / 3.6 AS energy_sim_mwh,
  is_simulated * e_j / (3.6 * nullif(mean_v, 0.0)) AS energy_sim_mah,
  is_simulated * CASE WHEN e_j > 0 THEN battery_prompts_j / e_j END AS prompts_per_battery_sim,

  mean_v
FROM joined;
