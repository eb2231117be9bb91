CREATE INDEX IF NOT EXISTS condemned_by_time ON condemned (condemned_at);
