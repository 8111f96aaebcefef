//! The SQL of the directory, in one place so that a test can look at every plan.

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)+
        /// All of them with their names.
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

macro_rules! account_columns {
    () => {
        "SELECT id, name, domain, mailbox, home, password, scram, status, class_key, forwarding, version FROM accounts "
    };
}

statements! {
    DOMAIN = "SELECT name, kind, target FROM domains WHERE name = ?1";
    DOMAINS_PAGE = "SELECT name, kind, target FROM domains WHERE name > ?1 ORDER BY name LIMIT ?2";
    DOMAIN_INSERT = "INSERT INTO domains (name, kind, target, created) VALUES (?1, ?2, ?3, ?4)";
    DOMAIN_UPDATE = "UPDATE domains SET kind = ?2, target = ?3 WHERE name = ?1";
    DOMAIN_DELETE = "DELETE FROM domains WHERE name = ?1";
    DOMAIN_IN_USE = "SELECT (SELECT name FROM accounts WHERE domain = ?1 LIMIT 1),
        (SELECT local_part FROM addresses WHERE domain = ?1 LIMIT 1),
        (SELECT name_key FROM login_aliases WHERE domain = ?1 LIMIT 1)";

    ACCOUNT_BY_ID = concat!(account_columns!(), "WHERE id = ?1");
    ACCOUNT_BY_LOGIN = concat!(account_columns!(), "WHERE domain = ?1 AND name_key = ?2");
    ACCOUNT_BY_MAILBOX = concat!(account_columns!(), "WHERE mailbox = ?1");
    ACCOUNTS_PAGE = concat!(account_columns!(), "WHERE domain = ?1 AND name_key > ?2 ORDER BY name_key LIMIT ?3");
    ACCOUNTS_AFTER = concat!(account_columns!(), "WHERE id > ?1 ORDER BY id LIMIT ?2");
    ADDRESSES_BETWEEN = "SELECT account, local_part, domain, is_primary FROM addresses
        WHERE account BETWEEN ?1 AND ?2 ORDER BY account, is_primary DESC, domain, local_key";
    LOGIN_ALIASES_BETWEEN = "SELECT account, name_key, domain FROM login_aliases
        WHERE account BETWEEN ?1 AND ?2 ORDER BY account, domain, name_key";
    FORWARDS_BETWEEN = "SELECT account, address, place FROM forwards
        WHERE account BETWEEN ?1 AND ?2 ORDER BY account, address_key";
    OVERRIDES_BETWEEN = "SELECT account, attribute_key, value FROM overrides
        WHERE account BETWEEN ?1 AND ?2 ORDER BY account, attribute_key";
    ACCOUNT_IDS_BY_NAME = "SELECT id FROM accounts WHERE name_key = ?1 LIMIT 2";
    ACCOUNT_ID_BY_LOGIN = "SELECT id FROM accounts WHERE domain = ?1 AND name_key = ?2
        UNION ALL SELECT account FROM login_aliases WHERE domain = ?1 AND name_key = ?2 LIMIT 1";
    ACCOUNT_ID_BY_ADDRESS = "SELECT account FROM addresses WHERE domain = ?1 AND local_key = ?2";
    NEW_ACCOUNT = "SELECT (SELECT id FROM changes WHERE request = ?1 LIMIT 1),
        (SELECT name FROM classes WHERE class_key = ?2), (SELECT kind FROM domains WHERE name = ?3),
        (SELECT id FROM accounts WHERE domain = ?3 AND name_key = ?4),
        (SELECT account FROM login_aliases WHERE domain = ?3 AND name_key = ?4),
        (SELECT account FROM addresses WHERE domain = ?3 AND local_key = ?5),
        (SELECT id FROM accounts WHERE mailbox = ?6)";
    ACCOUNT_INSERT = "INSERT INTO accounts (id, domain, name_key, name, mailbox, home, password, scram, status,
        class_key, forwarding, version, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, 1, ?11)";
    ACCOUNT_UPDATE = "UPDATE accounts SET home = ?2, password = ?3, scram = ?4, status = ?5, class_key = ?6,
        forwarding = ?7, mailbox = ?8, version = version + 1 WHERE id = ?1";
    ACCOUNT_TOUCH = "UPDATE accounts SET version = version + 1 WHERE id = ?1";
    ACCOUNT_DELETE = "DELETE FROM accounts WHERE id = ?1";

    LOGIN_ALIASES = "SELECT name_key, domain FROM login_aliases WHERE account = ?1 ORDER BY domain, name_key";
    LOGIN_ALIAS_INSERT = "INSERT INTO login_aliases (domain, name_key, account) VALUES (?1, ?2, ?3)";
    LOGIN_ALIAS_DELETE = "DELETE FROM login_aliases WHERE domain = ?1 AND name_key = ?2 AND account = ?3";

    ADDRESSES = "SELECT local_part, domain, is_primary FROM addresses WHERE account = ?1
        ORDER BY is_primary DESC, domain, local_key";
    ADDRESS_INSERT = "INSERT INTO addresses (domain, local_key, local_part, account, is_primary)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    ADDRESS_DELETE = "DELETE FROM addresses WHERE domain = ?1 AND local_key = ?2 AND account = ?3";

    FORWARDS = "SELECT address, place FROM forwards WHERE account = ?1 ORDER BY address_key";
    FORWARD_INSERT = "INSERT INTO forwards (account, address_key, address, place) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO NOTHING";
    FORWARD_DELETE = "DELETE FROM forwards WHERE account = ?1 AND address_key = ?2 AND place = ?3";

    CLASS = "SELECT name, users FROM classes WHERE class_key = ?1";
    CLASSES_PAGE = "SELECT name, users FROM classes WHERE class_key > ?1 ORDER BY class_key LIMIT ?2";
    CLASS_INSERT = "INSERT INTO classes (class_key, name, users, created) VALUES (?1, ?2, 0, ?3)";
    CLASS_DELETE = "DELETE FROM classes WHERE class_key = ?1";
    CLASS_COUNT = "UPDATE classes SET users = users + ?2 WHERE class_key = ?1";
    CLASS_VALUES = "SELECT attribute_key, value FROM class_values WHERE class_key = ?1 ORDER BY attribute_key";
    CLASS_VALUE_SET = "INSERT INTO class_values (class_key, attribute_key, value) VALUES (?1, ?2, ?3)
        ON CONFLICT (class_key, attribute_key) DO UPDATE SET value = excluded.value";
    CLASS_VALUE_CLEAR = "DELETE FROM class_values WHERE class_key = ?1 AND attribute_key = ?2";

    OVERRIDES = "SELECT attribute_key, value FROM overrides WHERE account = ?1 ORDER BY attribute_key";
    OVERRIDE_SET = "INSERT INTO overrides (account, attribute_key, value) VALUES (?1, ?2, ?3)
        ON CONFLICT (account, attribute_key) DO UPDATE SET value = excluded.value";
    OVERRIDE_CLEAR = "DELETE FROM overrides WHERE account = ?1 AND attribute_key = ?2";

    ATTRIBUTE = "SELECT name, rule, kind, fallback FROM attributes WHERE attribute_key = ?1";
    ATTRIBUTES_PAGE = "SELECT name, rule, kind, fallback FROM attributes
        WHERE attribute_key > ?1 ORDER BY attribute_key LIMIT ?2";
    ATTRIBUTE_INSERT = "INSERT INTO attributes (attribute_key, name, rule, kind, fallback)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    ATTRIBUTE_DELETE = "DELETE FROM attributes WHERE attribute_key = ?1";
    ATTRIBUTE_IN_USE = "SELECT (SELECT class_key FROM class_values WHERE attribute_key = ?1 LIMIT 1),
        (SELECT account FROM overrides WHERE attribute_key = ?1 LIMIT 1)";

    CHANGE_INSERT = "INSERT INTO changes (id, at, what, entry, request) VALUES (?1, ?2, ?3, ?4, ?5)";
    CHANGES_INSERT = "INSERT INTO changes (id, at, what, entry, request) VALUES
        (?1, ?2, ?3, ?4, ?5), (?6, ?2, ?7, ?8, ?5), (?9, ?2, ?10, ?11, ?5)";
    CHANGES_AFTER = "SELECT id, at, what, entry FROM changes WHERE id > ?1 ORDER BY id LIMIT ?2";
    CHANGES_PURGE = "DELETE FROM changes WHERE at < ?1";
    CHANGE_OLDEST = "SELECT MIN(id) FROM changes";
    CHANGE_OF_REQUEST = "SELECT id FROM changes WHERE request = ?1 LIMIT 1";

    STORES = "SELECT name, owner, incarnation, epoch, expires, folder, successor, successor_folder FROM stores
        WHERE name > ?1 ORDER BY name LIMIT ?2";
    STORE = "SELECT name, owner, incarnation, epoch, expires, folder, successor, successor_folder FROM stores
        WHERE name = ?1";
    STORE_PUT = "INSERT INTO stores (name, owner, incarnation, epoch, expires, folder, successor, successor_folder)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, incarnation = excluded.incarnation,
        epoch = excluded.epoch, expires = excluded.expires, folder = excluded.folder,
        successor = excluded.successor, successor_folder = excluded.successor_folder";
    STORE_DELETE = "DELETE FROM stores WHERE name = ?1";

    SECRET = "SELECT value FROM secrets WHERE name = ?1";
    SECRET_INSERT = "INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
}
