CREATE INDEX IF NOT EXISTS links_of_path ON links (tenant, path, link);
