//! `imsysmon.ini`: who gets the summary, which events stand in it by name, which servers and disks are looked at.
//!
//! Lines are `Name = values`, or `Name: values`; names in any case, values parted by commas or blanks. A name that stands
//! several times adds to itself, so that every line counts (ITS 45343). Section heads and names that nobody knows, as files
//! of former releases have them, stop nothing: they are named at the end of the summary.

use catalog::event::Severity;
use std::time::Duration;

/// Percent of a file system from which on it is an alarm, where nobody says otherwise.
const SPACE_PERCENT: u8 = 90;
/// Longest time that one summary can be of.
const MAX_HOURS: u64 = 24 * 366;

/// The wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ini {
    /// Which events are named; without any, all from `Erro` on.
    pub filters: Vec<Filter>,
    /// Who gets it.
    pub mail_to: Vec<String>,
    /// From whom it comes.
    pub mail_from: Option<String>,
    /// Servers that are asked, by their logical names; without any, all that are to run.
    pub services: Vec<String>,
    /// Folders whose file systems are looked at; without any, those of the site.
    pub file_systems: Vec<String>,
    /// Percent from which on a file system is an alarm.
    pub space_percent: u8,
    /// How long a time it is of.
    pub period: Duration,
    /// What could not be understood.
    pub notes: Vec<String>,
}

impl Default for Ini {
    fn default() -> Self {
        Self {
            filters: Vec::new(),
            mail_to: Vec::new(),
            mail_from: None,
            services: Vec::new(),
            file_systems: Vec::new(),
            space_percent: SPACE_PERCENT,
            period: Duration::from_secs(86_400),
            notes: Vec::new(),
        }
    }
}

/// One of `LogEventFilters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All events of a severity.
    Severity(Severity),
    /// The event of this name.
    Name(String),
    /// All whose names begin so: `Nio*`.
    Family(String),
}

impl Filter {
    fn parse(text: &str) -> Self {
        let severities = [Severity::Note, Severity::Warn, Severity::Erro, Severity::Urgt, Severity::Fatl];
        match severities.into_iter().find(|s| s.to_string().eq_ignore_ascii_case(text)) {
            Some(severity) => Self::Severity(severity),
            None => match text.strip_suffix('*') {
                Some(family) => Self::Family(family.to_owned()),
                None => Self::Name(text.to_owned()),
            },
        }
    }

    /// Whether it names this event.
    pub fn takes(&self, severity: Severity, event: &str) -> bool {
        match self {
            Self::Severity(wanted) => *wanted == severity,
            Self::Name(name) => name == event,
            Self::Family(begin) => event.starts_with(begin.as_str()),
        }
    }
}

impl Ini {
    /// Reads the text of the file.
    pub fn parse(text: &str) -> Self {
        let mut ini = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Err(why) = ini.line(line) {
                ini.notes.push(format!("line {}: {why}", number + 1));
            }
        }
        ini
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.starts_with('[') {
            return Ok(());
        }
        let (name, values) = line.split_once(['=', ':']).ok_or("it is not of the form Name = values")?;
        let list = || values.split([',', ' ', '\t']).filter(|v| !v.is_empty()).map(str::to_owned);
        let one = values.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "logeventfilters" => self.filters.extend(list().map(|v| Filter::parse(&v))),
            "mailto" => self.mail_to.extend(list()),
            "mailfrom" => self.mail_from = Some(one.to_owned()),
            "services" => self.services.extend(list()),
            "filesystems" => self.file_systems.extend(list()),
            "spacewarnpercent" => {
                let percent = one.parse().ok().filter(|p| (1..=100).contains(p));
                self.space_percent = percent.ok_or_else(|| format!("{one} is no percentage"))?;
            }
            "periodinhours" => {
                let hours = one.parse().ok().filter(|h| (1..=MAX_HOURS).contains(h));
                let hours: u64 = hours.ok_or_else(|| format!("{one} is no number of hours"))?;
                self.period = Duration::from_secs(hours * 3600);
            }
            other => return Err(format!("nobody reads {other}")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_45343_every_log_event_filter_counts() {
        let ini = Ini::parse(
            "; old\n[Log]\nLogEventFilters = Urgt, MtaServerSocketClosed\nlogeventfilters: Nio*\nLogEventFilters=fatl\n",
        );
        assert_eq!(ini.filters.len(), 4);
        let takes = |severity, event| ini.filters.iter().any(|f| f.takes(severity, event));
        assert!(takes(Severity::Urgt, "X") && takes(Severity::Fatl, "X") && !takes(Severity::Erro, "X"));
        assert!(takes(Severity::Note, "NioAcceptFail") && takes(Severity::Warn, "MtaServerSocketClosed"));
        assert!(!takes(Severity::Warn, "MtaServerSocketClosedX") && !takes(Severity::Note, "ConfNio"));
        assert!(ini.notes.is_empty());
    }

    #[test]
    fn what_is_not_understood_is_named_and_stops_nothing() {
        let ini = Ini::parse(
            "Pager = 1\nMailTo = a@b.test c@d.test\nSpaceWarnPercent = 101\nnonsense\nPeriodInHours=12",
        );
        assert_eq!(ini.mail_to, ["a@b.test", "c@d.test"]);
        assert_eq!((ini.space_percent, ini.period.as_secs()), (90, 43_200));
        assert_eq!(
            ini.notes,
            [
                "line 1: nobody reads pager",
                "line 3: 101 is no percentage",
                "line 4: it is not of the form Name = values",
            ]
        );
    }
}
