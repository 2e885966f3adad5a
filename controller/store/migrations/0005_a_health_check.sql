-- The job that decides whether a device is to be trusted.
ALTER TABLE device ADD COLUMN health_check TEXT;
