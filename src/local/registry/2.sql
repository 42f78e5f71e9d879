-- Metadata definitions: what properties there are to give, in namespaces.
CREATE TABLE metadef_namespaces (
    number       INTEGER PRIMARY KEY,
    namespace    TEXT NOT NULL UNIQUE,
    display_name TEXT,
    description  TEXT,
    visibility   TEXT NOT NULL,
    protected    INTEGER NOT NULL,
    owner        TEXT,
    created_at   INTEGER NOT NULL, -- microseconds since 1970, UTC, as all times here
    updated_at   INTEGER
) STRICT;

-- What a namespace defines: objects, properties, tags, and the types of
-- resources that it is for. `content` is JSON and is never searched.
CREATE TABLE metadef_items (
    number     INTEGER PRIMARY KEY,
    namespace  INTEGER NOT NULL REFERENCES metadef_namespaces (number) ON DELETE CASCADE,
    kind       TEXT NOT NULL, -- object, property, resource_type, tag
    name       TEXT NOT NULL,
    content    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    UNIQUE (namespace, kind, name)
) STRICT;
CREATE INDEX metadef_items_by_name ON metadef_items (kind, name, namespace);

-- A type of resource stays known when no namespace is for it any more.
CREATE TABLE metadef_resource_types (
    number     INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER
) STRICT;
