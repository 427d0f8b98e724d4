//! TLS and who we say we are. Secrets come from files or from the caller, and never reach a log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pulsar::authentication::Authentication;
use pulsar::authentication::oauth2::{OAuth2Authentication, OAuth2Params};
use pulsar::error::AuthenticationError;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::failed::{Cause, Failed};
use crate::connect::{Secret, tls};
use crate::error::{Error, Result};
use crate::limits::{PULSAR_CREDENTIALS_MS, PULSAR_TOKEN_BYTES_MAX};

/// How roots are given.
pub(super) const ROOTS: &str = "--pulsar-tls-roots";

/// How a broker knows that we may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// It does not ask.
    #[default]
    None,
    /// A token in a file, read again on each connect and each challenge.
    TokenFile(PathBuf),
    /// A token.
    Token(Secret),
    /// OAuth2 client credentials.
    OAuth2 {
        /// Who gives tokens; its discovery document names the endpoint.
        issuer: String,
        /// For whom the token is.
        audience: Option<String>,
        /// What it is to allow.
        scope: Option<String>,
        /// A JSON file with `client_id` and `client_secret`.
        credentials: PathBuf,
    },
}

/// Who we are, and whom we believe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// What we say.
    pub auth: Auth,
    /// A PEM file of the roots to believe; the system's unless given.
    pub roots: Option<PathBuf>,
    /// PEM files of our certificate with its chain, and of its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Security {
    /// What makes TLS connections.
    pub(super) fn connector(&self) -> Result<TlsConnector> {
        let builder = tls::client(tls::roots(self.roots.as_deref(), ROOTS)?)?;
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                builder.with_client_auth_cert(tls::certificates(certificate)?, private_key(key)?).map_err(|error| {
                    let (certificate, key) = (certificate.display(), key.display());
                    Error::configuration(format!("using the client certificate {certificate} with {key}: {error}"))
                })?
            }
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        Error::configuration(format!("reading the key in {}: {error}; allowed is PEM", path.display()))
    })
}

/// What is said in CONNECT and in answer to a challenge; cheap to clone.
#[derive(Clone)]
pub(super) enum Credentials {
    None,
    /// The certificate of the TLS connection, which has come before anything is said.
    Certificate,
    TokenFile(PathBuf),
    Token(Secret),
    OAuth2(Arc<Mutex<OAuth2>>),
}

/// The crate's client for OAuth2, which keeps its token until it is about to expire.
pub(super) struct OAuth2 {
    client: Box<dyn Authentication>,
    begun: bool,
}

impl Credentials {
    /// What goes with a connection of this security; a token goes before a certificate.
    pub(super) fn new(security: &Security) -> Result<Self> {
        Ok(match &security.auth {
            Auth::None if security.client.is_some() => Credentials::Certificate,
            Auth::None => Credentials::None,
            Auth::TokenFile(path) => Credentials::TokenFile(path.clone()),
            Auth::Token(secret) => Credentials::Token(secret.clone()),
            Auth::OAuth2 { issuer, audience, scope, credentials } => {
                let params = OAuth2Params {
                    issuer_url: issuer.clone(),
                    credentials_url: file_url(credentials)?,
                    audience: audience.clone(),
                    scope: scope.clone(),
                };
                let client = OAuth2Authentication::client_credentials(params);
                Credentials::OAuth2(Arc::new(Mutex::new(OAuth2 { client, begun: false })))
            }
        })
    }

    /// The method's name on the wire; none where the broker does not ask.
    pub(super) fn method(&self) -> Option<&'static str> {
        match self {
            Credentials::None => None,
            Credentials::Certificate => Some("tls"),
            Credentials::TokenFile(_) | Credentials::Token(_) | Credentials::OAuth2(_) => Some("token"),
        }
    }

    /// Fresh credentials where they are a token.
    pub(super) async fn token(&self) -> std::result::Result<Option<Vec<u8>>, Failed> {
        if matches!(self, Credentials::Certificate) { Ok(None) } else { self.data().await }
    }

    /// What to do where a broker does not take them.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Credentials::None => {
                "; say who we are: --pulsar-token-file, PULSAR_TOKEN, --pulsar-oauth2-issuer or --pulsar-tls-cert"
            }
            Credentials::Certificate => "; the certificate of --pulsar-tls-cert is not that of a role there",
            Credentials::TokenFile(_) => "; put a valid token into the file of --pulsar-token-file",
            Credentials::Token(_) => "; the token of PULSAR_TOKEN is not valid there: give another",
            Credentials::OAuth2(_) => "; what the issuer of --pulsar-oauth2-issuer gives is not valid there",
        }
    }

    /// Fresh credentials; none where the broker does not ask.
    pub(super) async fn data(&self) -> std::result::Result<Option<Vec<u8>>, Failed> {
        let limit = Duration::from_millis(PULSAR_CREDENTIALS_MS);
        let got = timeout(limit, async {
            match self {
                Credentials::None => Ok(None),
                Credentials::Certificate => Ok(Some(Vec::new())),
                Credentials::Token(secret) => Ok(Some(secret.reveal().as_bytes().to_vec())),
                Credentials::TokenFile(path) => read_token(path.clone()).await.map(Some),
                Credentials::OAuth2(oauth2) => oauth2.lock().await.token().await.map(Some),
            }
        });
        got.await.unwrap_or_else(|_| {
            Err(Failed::new(Cause::TimedOut, format!("getting credentials: nothing in {PULSAR_CREDENTIALS_MS} ms")))
        })
    }
}

impl OAuth2 {
    async fn token(&mut self) -> std::result::Result<Vec<u8>, Failed> {
        if !self.begun {
            self.client.initialize().await.map_err(not_given)?;
            self.begun = true;
        }
        self.client.auth_data().await.map_err(not_given)
    }
}

/// Why there is no token. The crate tells an issuer that is away from one that says no in words only.
fn not_given(error: AuthenticationError) -> Failed {
    match error {
        AuthenticationError::Custom(words) if !is_away(&words) => Failed::new(Cause::Credentials, words),
        AuthenticationError::Custom(words) | AuthenticationError::Retriable(words) => {
            Failed::new(Cause::Unreachable, words)
                .hint("the issuer of --pulsar-oauth2-issuer must be reached from here")
        }
    }
}

/// Whether these words are about an issuer that cannot answer now: nobody there, a status that passes, or one of OAuth2's own
/// errors that do (RFC 6749, 4.1.2.1).
fn is_away(words: &str) -> bool {
    let passes =
        |status: &str| status.starts_with('5') || ["408", "425", "429"].iter().any(|one| status.starts_with(one));
    words.ends_with("Request failed")
        || words.split("HTTP status code ").skip(1).any(passes)
        || ["temporarily_unavailable", "server_error"].iter().any(|error| words.contains(error))
}

async fn read_token(path: PathBuf) -> std::result::Result<Vec<u8>, Failed> {
    let failed = |why: String| Failed::new(Cause::Credentials, why);
    let read = tokio::task::spawn_blocking(move || {
        let place = path.display();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("reading the token in {place}: {error}"))?;
        let token = text.trim();
        let fits = (1..=PULSAR_TOKEN_BYTES_MAX).contains(&token.len());
        let length = token.len();
        fits.then(|| token.as_bytes().to_vec()).ok_or(format!(
            "reading the token in {place}: found {length} bytes; allowed are 1 to {PULSAR_TOKEN_BYTES_MAX}"
        ))
    });
    match read.await {
        Ok(token) => token.map_err(failed),
        Err(_) => Err(failed("reading the token: the reading thread ended".to_owned())),
    }
}

/// A file as the URL that the crate wants. It opens the URL's path as it is written, so nothing in it may need escaping.
fn file_url(path: &Path) -> Result<String> {
    let whole = std::fs::canonicalize(path)
        .map_err(|error| Error::configuration(format!("finding the OAuth2 credentials {}: {error}", path.display())))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~".contains(c);
    match whole.to_str().filter(|text| text.chars().all(plain)) {
        Some(text) => Ok(format!("file://{text}")),
        None => Err(Error::configuration(format!(
            "the path of the OAuth2 credentials, {}, must be of letters, digits and /._-~ only",
            whole.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_that_is_away_is_told_from_one_that_says_no() {
        let of = |words: &str| not_given(AuthenticationError::Custom(words.to_owned()));
        for words in [
            "issuer [a]: Request failed",
            "Server returned invalid response: HTTP status code 503 Service Unavailable at a",
            "Server returned invalid response: HTTP status code 429 Too Many Requests at a",
            "ServerResponse(StandardErrorResponse { error: temporarily_unavailable })",
        ] {
            assert!(!of(words).lasts(), "{words}");
        }
        for words in [
            "Server returned invalid response: HTTP status code 404 Not Found at a",
            "ServerResponse(StandardErrorResponse { error: invalid_client })",
            "failed to read OAuth2 credentials",
        ] {
            assert!(of(words).lasts(), "{words}");
        }
    }
}
