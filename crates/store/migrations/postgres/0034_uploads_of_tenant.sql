CREATE INDEX IF NOT EXISTS uploads_of_tenant ON uploads (tenant);
