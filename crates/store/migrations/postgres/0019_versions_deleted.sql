-- Together with the key behind it: versions of one path go oldest first.
CREATE INDEX IF NOT EXISTS versions_deleted ON versions (deleted_at, tenant, path, version) WHERE deleted_at IS NOT NULL;
