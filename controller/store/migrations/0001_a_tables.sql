-- Schema version 1: tables. docs/schema.md describes every column; keep the two together.
-- Conventions: absent is NULL, never 0 or ''. *_wall_ns: nanoseconds since the Unix epoch. t_ns, start_ns, end_ns and other *_ns stamps of
-- an attempt: CLOCK_BOOTTIME of the host whose agent sent them. States and grades are upper case (SUCCEEDED, VALID), vocabulary words are
-- lower case (measured, decode). attempt is the fence. (source, seq, idx): the frame a row came in and its place in it.

-- The highest numbers handed out, so that none is ever used twice.
CREATE TABLE farm_counter (
  name TEXT PRIMARY KEY,   -- fence, epoch, job, experiment
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE experiment (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  tenant TEXT NOT NULL,
  request_id TEXT UNIQUE,
  sha256 TEXT NOT NULL,
  seed INTEGER NOT NULL,
  submitted_wall_ns INTEGER NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX experiment_by_name ON experiment (name, number);

CREATE TABLE job (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  experiment TEXT NOT NULL REFERENCES experiment (id),
  cell TEXT NOT NULL,
  workload TEXT NOT NULL,
  kind TEXT,
  block INTEGER NOT NULL,
  params TEXT NOT NULL,
  model TEXT,
  model_sha256 TEXT,
  model_size_bytes INTEGER,
  quant TEXT,
  repetitions INTEGER NOT NULL,
  warmup INTEGER NOT NULL,
  device_id TEXT,
  pinned INTEGER NOT NULL,
  selector TEXT,
  priority INTEGER NOT NULL,
  retries_left INTEGER NOT NULL,
  lost_after_ns INTEGER NOT NULL,
  state TEXT NOT NULL,
  failure_class TEXT,
  reason TEXT,
  attempts INTEGER NOT NULL,
  live_fence INTEGER,
  accepted_fence INTEGER,
  submitted_wall_ns INTEGER NOT NULL,
  started_wall_ns INTEGER,
  finished_wall_ns INTEGER,
  spec BLOB NOT NULL
) STRICT;
CREATE INDEX job_by_experiment ON job (experiment, state, number);
CREATE INDEX job_by_device ON job (device_id, number);
CREATE INDEX job_unfinished ON job (number) WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELED', 'EXPIRED');

CREATE TABLE attempt (
  fence INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL REFERENCES job (id),
  device_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  state TEXT NOT NULL,
  link TEXT NOT NULL,
  detail TEXT,
  failure_class TEXT,
  reason TEXT,
  offered_wall_ns INTEGER NOT NULL,
  ended_wall_ns INTEGER,
  finalised INTEGER NOT NULL DEFAULT 0,
  -- As the agent's final and facts said; NULL until they came.
  outcome TEXT,
  started_ns INTEGER,
  ended_ns INTEGER,
  clean INTEGER,
  engine TEXT,
  engine_version TEXT,
  engine_argv TEXT,
  os_version TEXT,
  kernel TEXT,
  governor TEXT,
  background_cpu REAL,
  load_ms REAL,
  load_state TEXT,
  agent_version TEXT,
  shortened TEXT
) STRICT;
CREATE INDEX attempt_by_job ON attempt (job_id, fence);
CREATE INDEX attempt_unfinished ON attempt (fence)
  WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELED', 'REJECTED', 'INTERRUPTED', 'LOST');

CREATE TABLE stream_cursor (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  stream TEXT NOT NULL,
  last_seq INTEGER NOT NULL,
  closed INTEGER NOT NULL DEFAULT 0,
  broken TEXT,
  final BLOB,
  PRIMARY KEY (attempt, source, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  t_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,
  run INTEGER,
  name TEXT,
  text TEXT,
  domain TEXT,
  quality TEXT,
  code TEXT,
  detail TEXT,
  PRIMARY KEY (attempt, source, seq, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  name TEXT NOT NULL,
  quantity TEXT,
  scale REAL NOT NULL,
  nominal_hz REAL NOT NULL,
  parent TEXT,
  scope TEXT,
  provenance TEXT,
  gain_u REAL,
  offset_u REAL,
  refresh_ns INTEGER,
  wrap_raw INTEGER,
  is_primary INTEGER NOT NULL,
  description TEXT,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  PRIMARY KEY (attempt, source, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX channel_primary ON channel (attempt) WHERE is_primary = 1;

CREATE TABLE run (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  run INTEGER NOT NULL,
  warmup INTEGER NOT NULL DEFAULT 0,
  start_ns INTEGER,
  end_ns INTEGER,
  output_sha256 TEXT,
  peak_rss_bytes INTEGER,
  -- Derived when the attempt was finalised.
  speed_method TEXT,
  n_prompt INTEGER,
  n_gen INTEGER,
  ttft_ms REAL,
  itps REAL,
  otps REAL,
  itl_p50_ms REAL,
  itl_p99_ms REAL,
  n_timed INTEGER,
  peak_rss_mib REAL,
  max_temp_c REAL,
  speed_quality TEXT,
  energy_quality TEXT,
  quality_reasons TEXT,
  source INTEGER,
  seq INTEGER,
  idx INTEGER,
  PRIMARY KEY (attempt, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  run INTEGER NOT NULL,
  request INTEGER NOT NULL,
  t_req_ns INTEGER NOT NULL,
  t_first_ns INTEGER,
  t_last_ns INTEGER,
  idx_first INTEGER,
  idx_last INTEGER,
  n_prompt INTEGER,
  n_evaluated INTEGER,
  n_cached INTEGER,
  prompt_ms REAL,
  n_gen INTEGER,
  stop TEXT,
  source INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  PRIMARY KEY (attempt, run, request)
) STRICT, WITHOUT ROWID;

CREATE TABLE phase (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  phase TEXT,
  run INTEGER,
  request INTEGER,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  PRIMARY KEY (attempt, source, seq, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE clock_snapshot (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  boottime_ns INTEGER NOT NULL,
  monotonic_ns INTEGER NOT NULL,
  monotonic_raw_ns INTEGER NOT NULL,
  realtime_ns INTEGER NOT NULL,
  PRIMARY KEY (attempt, source, seq, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  run INTEGER,
  name TEXT NOT NULL,
  value REAL,
  unit TEXT,
  t_ns INTEGER NOT NULL,
  PRIMARY KEY (attempt, source, seq, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_by_name ON metric (name, attempt, run);

CREATE TABLE log (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  t_ns INTEGER NOT NULL,
  origin TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (attempt, source, seq, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE token_time (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  run INTEGER NOT NULL,
  request INTEGER NOT NULL,
  n INTEGER NOT NULL,
  idx INTEGER,
  t_ns INTEGER,
  token_ids TEXT,
  PRIMARY KEY (attempt, run, request, n)
) STRICT, WITHOUT ROWID;

-- A rowid table: its blobs would make a clustered key slow.
CREATE TABLE trace_chunk (
  id INTEGER PRIMARY KEY,
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  channel TEXT NOT NULL,
  t0_ns INTEGER NOT NULL,
  t1_ns INTEGER NOT NULL,
  n INTEGER NOT NULL,
  lost INTEGER NOT NULL,
  gap INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX trace_chunk_by_channel ON trace_chunk (attempt, source, channel, t0_ns);

CREATE TABLE energy (
  id INTEGER PRIMARY KEY,
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  channel TEXT NOT NULL,
  scope TEXT,
  provenance TEXT,
  run INTEGER,
  request INTEGER,
  phase TEXT,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  duration_s REAL NOT NULL,
  energy_j REAL,
  energy_u_j REAL,
  gain_u_j REAL,
  offset_u_j REAL,
  clock_u_j REAL,
  counter_u_j REAL,
  gap_u_j REAL,
  baseline_u_j REAL,
  energy_lo_j REAL,
  energy_hi_j REAL,
  energy_net_j REAL,
  energy_net_u_j REAL,
  baseline TEXT,
  mean_w REAL,
  peak_w REAL,
  quality TEXT,
  reasons TEXT NOT NULL
) STRICT;
CREATE INDEX energy_by_run ON energy (attempt, run, channel);

-- Evidence that came too late to be a result.
CREATE TABLE late_frame (
  attempt INTEGER NOT NULL,
  source INTEGER NOT NULL,
  stream TEXT NOT NULL,
  seq INTEGER NOT NULL,
  received_wall_ns INTEGER NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (attempt, source, stream, seq)
) STRICT;

CREATE TABLE farm_event (
  id INTEGER PRIMARY KEY,
  t_wall_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX farm_event_by_subject ON farm_event (subject, id);

CREATE TABLE device (
  id TEXT PRIMARY KEY,
  agent_id TEXT NOT NULL,
  kind TEXT,
  link TEXT NOT NULL,
  alloc TEXT NOT NULL,
  admin TEXT NOT NULL,
  health TEXT NOT NULL,
  gate_reason TEXT,
  fence INTEGER,
  labels TEXT NOT NULL,
  facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
  id TEXT PRIMARY KEY,
  link TEXT NOT NULL,
  version TEXT,
  boot_id TEXT,
  instance TEXT,
  session_epoch INTEGER NOT NULL,
  last_seen_wall_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Meters, switchable ports and relays: exclusive like devices, with the same columns.
CREATE TABLE resource (
  id TEXT PRIMARY KEY,
  agent_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  link TEXT NOT NULL,
  alloc TEXT NOT NULL,
  admin TEXT NOT NULL,
  health TEXT NOT NULL,
  gate_reason TEXT,
  fence INTEGER,
  labels TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  format TEXT NOT NULL,
  architecture TEXT,
  quant TEXT,
  parameters INTEGER,
  context_length INTEGER,
  pushed_wall_ns INTEGER NOT NULL,
  UNIQUE (name, sha256)
) STRICT;
CREATE INDEX artifact_by_sha256 ON artifact (sha256);
