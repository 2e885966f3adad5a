-- Why a device is not trusted, and the job that failed on it last.
ALTER TABLE device ADD COLUMN health_reason TEXT;
ALTER TABLE device ADD COLUMN failed_job TEXT;
