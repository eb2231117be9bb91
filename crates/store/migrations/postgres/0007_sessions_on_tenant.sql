CREATE INDEX IF NOT EXISTS sessions_on_tenant ON sessions (tenant) WHERE tenant IS NOT NULL;
