CREATE INDEX IF NOT EXISTS links_of_principal ON links (tenant, principal, path, link);
