-- What is done to images while nobody waits for it. `run` is the process that
-- does it.
CREATE TABLE tasks (
    id         TEXT PRIMARY KEY,
    type       TEXT NOT NULL,
    status     TEXT NOT NULL, -- pending, processing, success, failure
    owner      TEXT,
    user_id    TEXT NOT NULL,
    image_id   TEXT NOT NULL REFERENCES images (id),
    request_id TEXT NOT NULL,
    input      TEXT NOT NULL, -- JSON
    result     TEXT, -- JSON
    message    TEXT NOT NULL,
    created_at INTEGER NOT NULL, -- microseconds since 1970, UTC, as all times here
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    run        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_by_created ON tasks (created_at, id);
CREATE INDEX tasks_by_image ON tasks (image_id, created_at);
CREATE INDEX tasks_by_expiry ON tasks (expires_at);
CREATE INDEX tasks_unfinished ON tasks (run) WHERE status IN ('pending', 'processing');
