-- Schema version 2: what was changed in an experiment's file when it was submitted.

ALTER TABLE experiment ADD COLUMN overrides TEXT;
