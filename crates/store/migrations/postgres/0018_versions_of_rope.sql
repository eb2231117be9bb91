CREATE INDEX IF NOT EXISTS versions_of_rope ON versions (tenant, rope) WHERE rope IS NOT NULL;
