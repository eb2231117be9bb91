-- Deleted tenants of which there is still something.
CREATE TABLE IF NOT EXISTS gone_tenants (
    tenant BYTEA NOT NULL PRIMARY KEY,
    gone_at INT8 NOT NULL
);
