CREATE INDEX IF NOT EXISTS links_by_last_use ON links (spent_at) WHERE spent_at IS NOT NULL;
