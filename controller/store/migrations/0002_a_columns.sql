-- Schema version 2: what is recorded with an attempt, runs that the engine timed itself, and phases whose stamps carry a bound.

ALTER TABLE attempt ADD COLUMN power_mode TEXT;
ALTER TABLE attempt ADD COLUMN pinned_cores TEXT;
ALTER TABLE attempt ADD COLUMN power_path TEXT;
ALTER TABLE attempt ADD COLUMN operator TEXT;
ALTER TABLE attempt ADD COLUMN prompts_sha256 TEXT;
ALTER TABLE attempt ADD COLUMN settled TEXT;

ALTER TABLE phase ADD COLUMN bound_ns INTEGER;

ALTER TABLE run ADD COLUMN bench_n_prompt INTEGER;
ALTER TABLE run ADD COLUMN bench_prompt_ns INTEGER;
ALTER TABLE run ADD COLUMN bench_n_gen INTEGER;
ALTER TABLE run ADD COLUMN bench_gen_ns INTEGER;
ALTER TABLE run ADD COLUMN bench_n_depth INTEGER;
