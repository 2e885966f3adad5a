-- Schema version 3: meters leased together with a device, and who sends what they measure.

-- The further sources of an attempt: agents that have a resource of it and are not the device's own.
CREATE TABLE attempt_source (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  source INTEGER NOT NULL,
  agent_id TEXT NOT NULL,
  state TEXT NOT NULL,
  released INTEGER NOT NULL,
  reason TEXT,
  PRIMARY KEY (attempt, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt_resource (
  attempt INTEGER NOT NULL REFERENCES attempt (fence),
  resource_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  source INTEGER NOT NULL,
  channel TEXT,
  PRIMARY KEY (attempt, resource_id)
) STRICT, WITHOUT ROWID;

-- The meter a device is bound to, as a JSON object, and the port it hangs on.
ALTER TABLE device ADD COLUMN meter TEXT;
ALTER TABLE device ADD COLUMN port TEXT;
