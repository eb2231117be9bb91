-- Tenants whose bytes are being brought home: when they were moved, when the walk through their chunks began that is under
-- way, how far it has come, and when it goes on.
CREATE TABLE IF NOT EXISTS moving (
    tenant BYTEA NOT NULL PRIMARY KEY,
    moved_at INT8 NOT NULL,
    begun_at INT8 NOT NULL,
    due_at INT8 NOT NULL,
    after BYTEA
);
