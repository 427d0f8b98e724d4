//! Whose fault an answer of S3 is, and what to do about it.

use std::error::Error as Cause;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::client::ROOTS;
use crate::connect::tls;
use crate::error::{Error, Fault};

/// What is being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trying<'a> {
    /// To change something: a lost answer leaves open whether it happened.
    Write(&'a str),
    /// To look at something.
    Read(&'a str),
}

impl<'a> Trying<'a> {
    fn words(self) -> &'a str {
        match self {
            Trying::Write(words) | Trying::Read(words) => words,
        }
    }
}

/// An error with what lies behind it, in words alone.
pub(super) fn causes(error: &dyn Cause) -> String {
    let mut words = error.to_string();
    let mut behind = error.source();
    while let Some(cause) = behind {
        let said = cause.to_string();
        // Some say what lies behind them as well.
        if !words.ends_with(&said) {
            words = format!("{words}: {said}");
        }
        behind = cause.source();
    }
    words
}

/// The status and code of an answer; none where there was no whole one.
pub(super) fn answered<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<(u16, &str)> {
    match error {
        SdkError::ServiceError(answer) => {
            Some((answer.raw().status().as_u16(), answer.err().code().unwrap_or_default()))
        }
        _ => None,
    }
}

/// The error of a request that the SDK has given up.
pub(super) fn failed<E>(trying: Trying, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + Cause + Send + Sync + 'static,
{
    let Some((status, code)) = answered(&error) else {
        if let Some(advice) = distrusted(&error) {
            return Error::configuration(format!("{}: {}; {advice}", trying.words(), causes(&error)));
        }
        return lost(trying, causes(&error));
    };
    let said = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    refused(trying, status, code, said)
}

/// What to do where TLS does not let us go on: no try helps then.
fn distrusted(error: &(dyn Cause + 'static)) -> Option<String> {
    match tls::said(error)? {
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            Some("this port is one without TLS, for http://".to_owned())
        }
        said => tls::advice(said, "the server", ROOTS),
    }
}

/// An error for which there is no answer, or only a part of one.
pub(super) fn lost(trying: Trying, why: String) -> Error {
    let error = Error::outside(trying.words(), why);
    match trying {
        Trying::Write(_) => error.ambiguous(),
        Trying::Read(_) => error,
    }
}

/// The error of an answer with this status and code.
fn refused(trying: Trying, status: u16, code: &str, said: &str) -> Error {
    let (fault, advice) = judge(status, code);
    let error = Error::new(fault, format!("{}: S3 answers {status} {code} ({said}); {advice}", trying.words()));
    match trying {
        Trying::Write(_) if status >= 500 => error.ambiguous(),
        _ => error,
    }
}

/// Whose fault it is, and the way out. What is refused may be allowed again soon: who has seen the store work waits a while
/// ([`crate::connect::Patient::forgiving`]).
fn judge(status: u16, code: &str) -> (Fault, &'static str) {
    let configuration = |advice| (Fault::Configuration, advice);
    match (status, code) {
        (_, "NoSuchBucket") => configuration("create the bucket, or name another"),
        (
            _,
            "InvalidAccessKeyId"
            | "XAdminUserNotFound"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "TokenRefreshRequired",
        ) => configuration("the credentials are not, or no longer, valid there: give others"),
        (_, "RequestTimeTooSkewed") => configuration("set the clock of this machine"),
        (301 | 307 | 308, _) | (_, "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
            configuration("the bucket is in another region: name it with --s3-region")
        }
        (401 | 403, _) => configuration("allow what `minuet snapshot policy` prints"),
        (405 | 501, _) => configuration("the server cannot do what a state needs: use another"),
        (_, code) if code.starts_with("KMS.") => {
            configuration("the key of --s3-encryption cannot be used: name another")
        }
        (408 | 425 | 429 | 500.., _)
        | (
            _,
            "RequestTimeout"
            | "SlowDown"
            | "ConditionalRequestConflict"
            | "OperationAborted"
            | "BadDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch"
            | "IncompleteBody",
        ) => (Fault::Outside, "it may go away by itself: the same again is safe"),
        (409, _) => configuration("something else lies at this prefix: use one of its own for the state"),
        _ => configuration("see what the server says; --s3-endpoint, --s3-path-style and --s3-region must fit it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Happened;

    #[test]
    fn what_may_go_away_is_outside_and_all_else_configuration() {
        for (status, code, fault) in [
            (404, "NoSuchBucket", Fault::Configuration),
            (404, "XAdminUserNotFound", Fault::Configuration),
            (403, "AccessDenied", Fault::Configuration),
            (403, "InvalidAccessKeyId", Fault::Configuration),
            (400, "ExpiredToken", Fault::Configuration),
            (400, "AuthorizationHeaderMalformed", Fault::Configuration),
            (301, "", Fault::Configuration),
            (501, "NotImplemented", Fault::Configuration),
            (400, "KMS.DisabledException", Fault::Configuration),
            (409, "ObjectParentIsFile", Fault::Configuration),
            (418, "", Fault::Configuration),
            (409, "ConditionalRequestConflict", Fault::Outside),
            (400, "RequestTimeout", Fault::Outside),
            (400, "BadDigest", Fault::Outside),
            (429, "", Fault::Outside),
            (500, "InternalError", Fault::Outside),
            (503, "SlowDown", Fault::Outside),
        ] {
            assert_eq!(judge(status, code).0, fault, "{status} {code}");
        }
    }

    #[test]
    fn a_lost_answer_leaves_open_whether_something_was_changed() {
        let happened = |trying, status| refused(trying, status, "", "").happened;
        assert_eq!(happened(Trying::Write("storing"), 503), Happened::Unknown);
        assert_eq!(happened(Trying::Write("storing"), 403), Happened::No);
        assert_eq!(happened(Trying::Read("reading"), 503), Happened::No);
        assert_eq!(lost(Trying::Write("storing"), String::new()).happened, Happened::Unknown);
        assert_eq!(lost(Trying::Read("reading"), String::new()).happened, Happened::No);
        let error = refused(Trying::Write("storing a"), 404, "NoSuchBucket", "no such bucket").to_string();
        assert_eq!(
            error,
            "storing a: S3 answers 404 NoSuchBucket (no such bucket); create the bucket, or name another"
        );
    }
}
