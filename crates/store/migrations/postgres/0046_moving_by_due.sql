CREATE INDEX IF NOT EXISTS moving_by_due ON moving (due_at);
