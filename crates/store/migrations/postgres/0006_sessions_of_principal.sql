CREATE INDEX IF NOT EXISTS sessions_of_principal ON sessions (principal, expires_at);
