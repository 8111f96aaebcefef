//! Keys of former releases: what becomes of each when it is found in a tree.
//!
//! A tree that still holds them loads; every find is reported as `ConfParmError`.

/// What the new system makes of the values of an obsolete key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The values are those of another key, after `convert`.
    Translate {
        /// The key that took its place.
        to: &'static str,
        /// How its values are made from the old ones.
        convert: Convert,
    },
    /// They have no effect.
    Ignore,
}

/// How old values become new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convert {
    /// Days become hours.
    DaysToHours,
    /// `true` becomes the word, `false` becomes `off`.
    FlagTo(&'static str),
}

/// One obsolete key.
#[derive(Debug)]
pub struct Obsolete {
    /// Its name.
    pub name: &'static str,
    /// The server under which it was obsolete; `*` where the name is obsolete everywhere.
    pub server: &'static str,
    /// The release that dropped it.
    pub since: &'static str,
    /// What becomes of its values.
    pub disposition: Disposition,
    /// Why, for the finding and the manual.
    pub why: &'static str,
}

impl Obsolete {
    /// The new key and its values; `None` where the key is ignored or the old values cannot be read.
    pub fn translate(&self, values: &[String]) -> Option<(&'static str, Vec<String>)> {
        let Disposition::Translate { to, convert } = self.disposition else { return None };
        let value = values.first()?.trim();
        let new = match convert {
            Convert::DaysToHours => value.parse::<i64>().ok()?.checked_mul(24)?.to_string(),
            Convert::FlagTo(word) => match value.to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => word.to_owned(),
                "false" | "off" | "no" | "0" => "off".to_owned(),
                _ => return None,
            },
        };
        Some((to, vec![new]))
    }
}

/// The row of an entry `/<host>/<server>/<name>`.
pub fn find(server: &str, name: &str) -> Option<&'static Obsolete> {
    ROWS.iter().find(|o| o.name.eq_ignore_ascii_case(name) && (o.server == "*" || o.server == server))
}

const fn ignored(name: &'static str, since: &'static str, why: &'static str) -> Obsolete {
    Obsolete { name, server: "*", since, disposition: Disposition::Ignore, why }
}

const RADIUS: &str = "RADIUS is not part of the product.";
const SINGLE_LOG: &str = "Every shard writes one checksummed log that is always on.";
const NOT_NEEDED: &str = "A work-around for a library or system that is no longer used.";

/// All obsolete keys.
pub const ROWS: &[Obsolete] = &[
    Obsolete {
        name: "maxQueueTimeInDays",
        server: "*",
        since: "4.1",
        disposition: Disposition::Translate { to: "maxQueueTimeInHours", convert: Convert::DaysToHours },
        why: "Counted in hours now.",
    },
    Obsolete {
        name: "rejectInvalidFromAddr",
        server: "*",
        since: "4.1.2",
        disposition: Disposition::Translate {
            to: "rejectSenderBadAddress",
            convert: Convert::FlagTo("syntax"),
        },
        why: "Says now how strictly the sender is judged.",
    },
    Obsolete {
        name: "maxQueueTime",
        server: "imqueueserv",
        since: "4.0.3",
        disposition: Disposition::Ignore,
        why: "The queue follows the MTA's maxQueueTimeInHours.",
    },
    ignored("abortOnNullMutex", "4.1.2", NOT_NEEDED),
    ignored("authorizedGroups", "4.1.2", RADIUS),
    ignored("matchProtocol", "4.1.2", RADIUS),
    ignored("passwordType", "4.1.2", "Each account has its own password type."),
    ignored("radiusAcctDir", "4.1.2", RADIUS),
    ignored("radiusAcctPort", "4.1.2", RADIUS),
    ignored("radiusAcctRelayPort", "4.1.2", RADIUS),
    ignored("radiusAuthPort", "4.1.2", RADIUS),
    ignored("radiusAuthRelayPort", "4.1.2", RADIUS),
    ignored("radiusLogDir", "4.1.2", RADIUS),
    ignored("quotaUpdateTimes", "4.1", "Quota changes in the same commit as the message."),
    ignored("mssBlobDir", "4.0.3", "Bodies lie in the segments of their shard."),
    ignored("messageJournaling", "5.0", SINGLE_LOG),
    ignored("multiJournaling", "5.0", SINGLE_LOG),
    ignored("numJournalsPerServer", "5.0", SINGLE_LOG),
    ignored("bucketizeMtaDefer", "5.0", "The queue is no directory of files."),
    ignored("queueSplitFactor", "5.0", "The queue is no directory of files."),
    ignored("mutexSerialNumbering", "5.0", NOT_NEEDED),
    ignored("sqlSingleThread", "5.0", NOT_NEEDED),
    ignored("serverThreadStackSizeInKB", "5.0", NOT_NEEDED),
    ignored("vxfSpaceReservation", "5.0", NOT_NEEDED),
    ignored("vxfsSpaceReservation", "5.0", NOT_NEEDED),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    fn translated(name: &str, value: &str) -> Option<(&'static str, Vec<String>)> {
        find("mta", name).unwrap().translate(&[value.to_owned()])
    }

    #[test]
    fn old_values_become_new_ones() {
        assert_eq!(translated("maxQueueTimeInDays", "5"), Some(("maxQueueTimeInHours", vec!["120".into()])));
        assert_eq!(
            translated("rejectInvalidFromAddr", "Off"),
            Some(("rejectSenderBadAddress", vec!["off".into()]))
        );
        assert_eq!(translated("maxQueueTimeInDays", "some"), None);
        assert_eq!(translated("radiusLogDir", "/var/radius"), None);
    }

    #[test]
    fn no_key_is_both_current_and_obsolete_and_every_translation_leads_to_a_key() {
        for old in ROWS {
            assert!(keys::rows().all(|r| !r.name.eq_ignore_ascii_case(old.name)), "{}", old.name);
            if let Disposition::Translate { to, .. } = old.disposition {
                assert!(keys::rows().any(|r| r.name == to), "{to}");
            }
        }
    }
}
