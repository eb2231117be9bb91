-- How long a tenant keeps old versions: NULL is as the server has it, 0 is for ever. The age is in microseconds.

ALTER TABLE tenants ADD COLUMN keep_versions INTEGER CHECK (keep_versions >= 0);
ALTER TABLE tenants ADD COLUMN keep_versions_for INTEGER CHECK (keep_versions_for >= 0);
