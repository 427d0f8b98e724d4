//! Why something asked of a broker did not happen.

use std::fmt;
use std::io;

use pulsar::message::proto::ServerError;

use crate::error::{Error, Fault};

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No address, or nobody there.
    Unreachable,
    /// TLS could not be agreed on.
    Insecure,
    /// The credentials could not be read.
    Credentials,
    /// What answers is no Pulsar broker.
    Stranger,
    /// The connection ended.
    Closed,
    /// Nothing was heard for too long.
    Silent,
    /// An answer did not come in time, or what was sent was not taken in time.
    TimedOut,
    /// The broker said no.
    Refused(ServerError),
    /// The broker said what it must not.
    Protocol,
    /// An entry's checksum is wrong.
    Checksum,
}

impl Cause {
    /// A name for metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Unreachable => "unreachable",
            Cause::Insecure => "insecure",
            Cause::Credentials => "credentials",
            Cause::Stranger => "stranger",
            Cause::Closed => "closed",
            Cause::Silent => "silent",
            Cause::TimedOut => "timed_out",
            Cause::Refused(error) => refusal(error),
            Cause::Protocol => "protocol",
            Cause::Checksum => "checksum",
        }
    }
}

fn refusal(error: ServerError) -> &'static str {
    match error {
        ServerError::AuthenticationError => "authentication",
        ServerError::AuthorizationError => "authorization",
        ServerError::ConsumerBusy => "consumer_busy",
        ServerError::ServiceNotReady => "not_ready",
        ServerError::TopicNotFound => "topic_not_found",
        ServerError::IncompatibleSchema => "incompatible_schema",
        ServerError::ProducerBlockedQuotaExceededError | ServerError::ProducerBlockedQuotaExceededException => "quota",
        _ => "refused",
    }
}

/// A failure with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What kind it is.
    pub cause: Cause,
    /// What was tried, with whom, and what came of it.
    pub words: String,
}

impl Failed {
    /// A failure.
    pub fn new(cause: Cause, words: impl Into<String>) -> Self {
        Failed { cause, words: words.into() }
    }

    /// A failure of reading or writing.
    pub(super) fn io(tried: impl fmt::Display, error: &io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::TimedOut => Cause::TimedOut,
            _ => Cause::Closed,
        };
        Failed::new(cause, format!("{tried}: {error}"))
    }

    /// The same, after what was being done when it came.
    pub fn while_doing(mut self, tried: impl fmt::Display) -> Self {
        self.words = format!("{tried}: {}", self.words);
        self
    }

    /// The same, with what may be the reason.
    pub(super) fn hint(mut self, reason: &str) -> Self {
        self.words = format!("{}; {reason}", self.words);
        self
    }

    /// Whether trying again cannot help: somebody has to change something first.
    pub fn lasts(&self) -> bool {
        match self.cause {
            Cause::Insecure | Cause::Credentials | Cause::Stranger => true,
            Cause::Refused(error) => matches!(
                error,
                ServerError::AuthenticationError
                    | ServerError::AuthorizationError
                    | ServerError::UnsupportedVersionError
                    | ServerError::TopicNotFound
                    | ServerError::SubscriptionNotFound
                    | ServerError::TopicTerminatedError
                    | ServerError::InvalidTopicName
                    | ServerError::IncompatibleSchema
                    | ServerError::NotAllowedError
                    | ServerError::ProducerFenced
            ),
            _ => false,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Failed {}

impl From<Failed> for Error {
    /// What lasts is for the operator to change; the rest is the weather.
    fn from(failed: Failed) -> Self {
        let fault = if failed.lasts() { Fault::Configuration } else { Fault::Outside };
        Error::new(fault, failed.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_a_configuration_error() {
        for (cause, lasts) in [
            (Cause::Refused(ServerError::AuthenticationError), true),
            (Cause::Refused(ServerError::TopicNotFound), true),
            (Cause::Stranger, true),
            (Cause::Insecure, true),
            (Cause::Refused(ServerError::ServiceNotReady), false),
            (Cause::Refused(ServerError::ConsumerBusy), false),
            (Cause::Closed, false),
            (Cause::Silent, false),
        ] {
            let failed = Failed::new(cause, "looking up a topic: no");
            assert_eq!(failed.lasts(), lasts, "{cause:?}");
            let error = Error::from(failed.while_doing("beginning"));
            assert_eq!(error.fault == Fault::Configuration, lasts, "{cause:?}");
            assert_eq!(error.to_string(), "beginning: looking up a topic: no");
        }
    }
}
