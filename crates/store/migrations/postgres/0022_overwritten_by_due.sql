CREATE INDEX IF NOT EXISTS overwritten_by_due ON overwritten (due_at);
