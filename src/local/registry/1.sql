-- Images. A deleted one keeps its row, so that its ID is never given again.
CREATE TABLE images (
    id               TEXT PRIMARY KEY,
    status           TEXT NOT NULL,
    name             TEXT,
    visibility       TEXT NOT NULL,
    owner            TEXT,
    disk_format      TEXT,
    container_format TEXT,
    size             INTEGER,
    virtual_size     INTEGER,
    checksum         TEXT,
    os_hash_algo     TEXT,
    os_hash_value    TEXT,
    min_disk         INTEGER NOT NULL,
    min_ram          INTEGER NOT NULL,
    protected        INTEGER NOT NULL,
    os_hidden        INTEGER NOT NULL,
    created_at       INTEGER NOT NULL, -- microseconds since 1970, UTC, as all times here
    updated_at       INTEGER NOT NULL,
    deleted_at       INTEGER
) STRICT, WITHOUT ROWID;

-- A page is found by seeking, whoever asks: one set for who sees all, one for
-- what a project owns, one for what is open to everybody. Each part of a list
-- is of one visibility, so that no row is read that is not in it.
CREATE INDEX images_by_created ON images (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_updated ON images (updated_at, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_name ON images (coalesce(name, ''), created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_size ON images (coalesce(size, -1), created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX owned_by_created ON images (owner, visibility, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX owned_by_updated ON images (owner, visibility, updated_at, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX owned_by_name ON images (owner, visibility, coalesce(name, ''), created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX owned_by_size ON images (owner, visibility, coalesce(size, -1), created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX visible_by_created ON images (visibility, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX visible_by_updated ON images (visibility, updated_at, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX visible_by_name ON images (visibility, coalesce(name, ''), created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX visible_by_size ON images (visibility, coalesce(size, -1), created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE properties (
    image_id TEXT NOT NULL REFERENCES images (id),
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (image_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX properties_by_value ON properties (name, value, image_id);

CREATE TABLE tags (
    image_id TEXT NOT NULL REFERENCES images (id),
    value    TEXT NOT NULL,
    PRIMARY KEY (image_id, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_value ON tags (value, image_id);

CREATE TABLE members (
    image_id   TEXT NOT NULL REFERENCES images (id),
    member     TEXT NOT NULL,
    status     TEXT NOT NULL,
    can_share  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (image_id, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_member ON members (member, status, image_id);

-- Every data file that exists, or may exist, has a row here, written before
-- the file is made and taken away after it is gone: what a crash leaves
-- behind can always be found. `run` is the process at work on it.
CREATE TABLE files (
    number   INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    image_id TEXT NOT NULL REFERENCES images (id),
    store    TEXT NOT NULL,
    state    TEXT NOT NULL, -- incoming, staged, stored, garbage
    run      TEXT NOT NULL,
    size     INTEGER,
    sums     BLOB -- CRC-32 of each block, 4 bytes each, little-endian
) STRICT;
CREATE INDEX files_by_image ON files (image_id, state);
CREATE INDEX files_unsettled ON files (state, run) WHERE state IN ('incoming', 'garbage');
