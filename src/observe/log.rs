//! The log: on standard error, as text or as JSON.

use tracing_subscriber::filter::LevelFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log at a level.
pub fn start_log(level: LevelFilter, format: LogFormat) {
    // A log that nobody can take is lost; the library would say so on standard error, and panic where that is what cannot be written.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    let log = log.with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // A second start (in tests) leaves the first one as it is.
    let _ = match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}
