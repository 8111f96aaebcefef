-- The directory of a site: domains, accounts and their names, classes of service, and the log of changes.
-- Common subset of SQLite and PostgreSQL: TEXT, BIGINT, BLOB; times in microseconds since 1970; *_key columns hold
-- the name as it is compared, in lower case.

-- Numbers that only grow. The row of 'change' also orders the writers, so that no change becomes visible before
-- one with a smaller number.
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counters (name, value) VALUES ('account', 0), ('mailbox', 0), ('change', 0);

-- Keys that belong to the site as a whole.
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);

CREATE TABLE domains (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE classes (
    class_key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    users BIGINT NOT NULL,
    created BIGINT NOT NULL
);
INSERT INTO classes (class_key, name, users, created) VALUES ('default', 'default', 0, 0);

-- Attributes that the site has defined besides those that the servers know.
CREATE TABLE attributes (
    attribute_key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    rule TEXT NOT NULL,
    kind TEXT NOT NULL,
    fallback TEXT NOT NULL
);

CREATE TABLE class_values (
    class_key TEXT NOT NULL REFERENCES classes (class_key) ON DELETE CASCADE,
    attribute_key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (class_key, attribute_key)
);
CREATE INDEX class_values_by_attribute ON class_values (attribute_key);

CREATE TABLE accounts (
    id BIGINT PRIMARY KEY,
    domain TEXT NOT NULL REFERENCES domains (name),
    name_key TEXT NOT NULL,
    name TEXT NOT NULL,
    mailbox BIGINT NOT NULL UNIQUE,
    home TEXT NOT NULL,
    password TEXT NOT NULL,
    scram TEXT NOT NULL,
    status TEXT NOT NULL,
    class_key TEXT NOT NULL REFERENCES classes (class_key),
    forwarding SMALLINT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (domain, name_key)
);
CREATE INDEX accounts_by_name ON accounts (name_key);
CREATE INDEX accounts_by_class ON accounts (class_key);

CREATE TABLE login_aliases (
    domain TEXT NOT NULL REFERENCES domains (name),
    name_key TEXT NOT NULL,
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (domain, name_key)
);
CREATE INDEX login_aliases_by_account ON login_aliases (account);

CREATE TABLE addresses (
    domain TEXT NOT NULL REFERENCES domains (name),
    local_key TEXT NOT NULL,
    local_part TEXT NOT NULL,
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    is_primary SMALLINT NOT NULL,
    PRIMARY KEY (domain, local_key)
);
CREATE INDEX addresses_by_account ON addresses (account);

CREATE TABLE overrides (
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    attribute_key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, attribute_key)
);
CREATE INDEX overrides_by_attribute ON overrides (attribute_key);

CREATE TABLE forwards (
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    address_key TEXT NOT NULL,
    address TEXT NOT NULL,
    place TEXT NOT NULL,
    PRIMARY KEY (account, address_key)
);

-- What has changed, in order: written in the transaction of the change, read by whoever holds copies.
CREATE TABLE changes (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    what TEXT NOT NULL,
    entry TEXT NOT NULL,
    request TEXT NOT NULL
);
CREATE INDEX changes_by_time ON changes (at);
CREATE INDEX changes_by_request ON changes (request);
