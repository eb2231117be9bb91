CREATE INDEX IF NOT EXISTS uploads_finished ON uploads (deadline) WHERE outcome IS NOT NULL;
