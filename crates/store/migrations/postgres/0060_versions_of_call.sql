-- A call that was cut off may still come to be done after it was repeated: then this undoes it.
CREATE UNIQUE INDEX IF NOT EXISTS versions_of_call ON versions (tenant, path, call) WHERE call IS NOT NULL;
