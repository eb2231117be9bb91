CREATE UNIQUE INDEX IF NOT EXISTS sessions_by_name ON sessions (principal, name) WHERE name IS NOT NULL;
