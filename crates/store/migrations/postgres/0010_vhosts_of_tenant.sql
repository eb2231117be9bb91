CREATE INDEX IF NOT EXISTS vhosts_of_tenant ON vhosts (tenant);
