-- Schema version 3: clocks of other hosts and of meters, the meters themselves, and what was switched.

ALTER TABLE channel ADD COLUMN clock TEXT;
ALTER TABLE channel ADD COLUMN latency_ns INTEGER;
ALTER TABLE channel ADD COLUMN latency_u_ns INTEGER;
ALTER TABLE channel ADD COLUMN smoothing_ns INTEGER;
ALTER TABLE channel ADD COLUMN stamp_bound_ns INTEGER;
ALTER TABLE channel ADD COLUMN meter TEXT;

ALTER TABLE attempt ADD COLUMN battery_wh REAL;

-- Parts of the bound between the stamps of a source's channel and the clock of the device's host; they add linearly.
CREATE TABLE clock_bound (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  channel TEXT NOT NULL,
  meter_fit_ns INTEGER,
  stamp_ns INTEGER,
  latency_ns INTEGER,
  source_host_ns INTEGER,
  device_host_ns INTEGER,
  phase_ns INTEGER,
  total_ns INTEGER,
  PRIMARY KEY (attempt, source, channel)
) STRICT, WITHOUT ROWID;

CREATE TABLE clock_exchange (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  t1_ns INTEGER NOT NULL,
  t2_ns INTEGER NOT NULL,
  t3_ns INTEGER NOT NULL,
  t4_ns INTEGER NOT NULL,
  peer_boot_id TEXT NOT NULL,
  PRIMARY KEY (attempt, source, seq, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE meter_tick (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  clock TEXT NOT NULL,
  n INTEGER NOT NULL,
  tick_ns INTEGER NOT NULL,
  arrived_ns INTEGER NOT NULL,
  restarted INTEGER NOT NULL,
  PRIMARY KEY (attempt, source, seq, idx, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE meter (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  resource_id TEXT NOT NULL,
  model TEXT NOT NULL,
  serial TEXT,
  firmware TEXT,
  place TEXT,
  agent_id TEXT NOT NULL,
  tare_w REAL,
  tare_at TEXT,
  gain REAL,
  gain_u REAL,
  sense_point TEXT,
  cable_ohm REAL,
  reversed INTEGER NOT NULL,
  -- How it did; NULL until its source has ended.
  samples INTEGER,
  lost INTEGER,
  rejected INTEGER,
  reopened INTEGER,
  distinct_hz REAL,
  half_round_trip_ns INTEGER,
  trouble TEXT,
  PRIMARY KEY (attempt, source, resource_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE port_switch (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  t_ns INTEGER NOT NULL,
  resource_id TEXT NOT NULL,
  switched_on INTEGER NOT NULL,
  verified TEXT,
  PRIMARY KEY (attempt, source, seq, idx)
) STRICT, WITHOUT ROWID;

ALTER TABLE resource ADD COLUMN model TEXT;
ALTER TABLE resource ADD COLUMN serial TEXT;
ALTER TABLE resource ADD COLUMN place TEXT;
ALTER TABLE resource ADD COLUMN channels TEXT;
ALTER TABLE resource ADD COLUMN obstacle TEXT;
