//! What the configuration says of the log.

use super::line::Form;
use super::rotation::{self, Rotation};
use crate::settings::Settings;
use catalog::keys::common::{
    LOG_FILES_KEPT, LOG_FORMAT, LOG_ROLLOVER_HOURS, MAX_LOG_SIZE_IN_KB, OTLP_ENDPOINT, ROLLOVER_TIME_ZERO,
    TRACE_TO_STDERR,
};
use std::time::Duration;

/// How lines look and where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// The form of a line.
    pub form: Form,
    /// Whether lines go to the standard error too.
    pub to_stderr: bool,
    /// When files are put aside.
    pub rotation: Rotation,
    /// Whether events are kept for a receiver of OpenTelemetry; somebody must take them then.
    pub export: bool,
}

impl Options {
    /// As the keys say. A time that cannot be read is midnight; [`Options::bad_time`] finds it.
    pub fn read(settings: &Settings) -> Self {
        let form = if settings.get(LOG_FORMAT) == "json" { Form::Json } else { Form::Text };
        let rotation = Rotation {
            time_zero: rotation::time_of_day(&settings.get(ROLLOVER_TIME_ZERO)).unwrap_or_default(),
            every: Duration::from_secs(settings.get(LOG_ROLLOVER_HOURS).saturating_mul(3600)),
            max_bytes: settings.get(MAX_LOG_SIZE_IN_KB).saturating_mul(1024),
            kept: usize::try_from(settings.get(LOG_FILES_KEPT)).unwrap_or(usize::MAX),
        };
        let export = !settings.get(OTLP_ENDPOINT).is_empty();
        Self { form, to_stderr: settings.get(TRACE_TO_STDERR), rotation, export }
    }

    /// The value of `rolloverTimeZero` where it is no time of day.
    pub fn bad_time(settings: &Settings) -> Option<String> {
        Some(settings.get(ROLLOVER_TIME_ZERO)).filter(|text| rotation::time_of_day(text).is_none())
    }
}
