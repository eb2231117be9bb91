CREATE INDEX IF NOT EXISTS leases_of_chunk ON leases (tenant, chunk);
