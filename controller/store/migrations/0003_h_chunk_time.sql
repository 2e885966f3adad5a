-- When the samples of a chunk were, on the clock of the device's host, where another clock stamped
-- them.
CREATE TABLE chunk_time (
  chunk INTEGER PRIMARY KEY REFERENCES trace_chunk (id),
  t0_ns INTEGER NOT NULL,
  t1_ns INTEGER NOT NULL
) STRICT;
