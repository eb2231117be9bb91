CREATE INDEX IF NOT EXISTS links_by_expiry ON links (expires_at) WHERE expires_at IS NOT NULL;
