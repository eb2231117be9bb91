CREATE INDEX IF NOT EXISTS uploads_open ON uploads (deadline) WHERE outcome IS NULL;
