-- Schema version 2: earlier outputs of the same prompts are looked up when an attempt is finalised.

CREATE INDEX attempt_by_prompts ON attempt (prompts_sha256, fence) WHERE prompts_sha256 IS NOT NULL;
