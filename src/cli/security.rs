//! Who we are for a Pulsar broker, and whom we believe. Secrets come from files or the environment: a command line is seen by all.

use std::path::PathBuf;

use crate::connect::Secret;
use crate::connect::pulsar::{Auth, Security};
use crate::error::{Error, Result};

/// The environment variable of a token.
const TOKEN: &str = "PULSAR_TOKEN";

/// Security of a Pulsar topic.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Pulsar: who we are")]
pub struct SecurityArgs {
    /// A file with a token, read again on each connect; without it the token in PULSAR_TOKEN, if there is one.
    #[arg(long, value_name = "FILE", env = "PULSAR_TOKEN_FILE", conflicts_with = "pulsar_oauth2_issuer")]
    pub pulsar_token_file: Option<PathBuf>,
    /// A PEM file of the root certificates to believe with pulsar+ssl://; the system's unless given.
    #[arg(long, value_name = "FILE")]
    pub pulsar_tls_roots: Option<PathBuf>,
    /// A PEM file of our own certificate, with its chain.
    #[arg(long, value_name = "FILE", requires = "pulsar_tls_key")]
    pub pulsar_tls_cert: Option<PathBuf>,
    /// A PEM file of its key.
    #[arg(long, value_name = "FILE", requires = "pulsar_tls_cert")]
    pub pulsar_tls_key: Option<PathBuf>,
    /// OAuth2 client credentials: who gives tokens.
    #[arg(long, value_name = "URL", requires = "pulsar_oauth2_credentials")]
    pub pulsar_oauth2_issuer: Option<String>,
    /// A JSON file with client_id and client_secret.
    #[arg(long, value_name = "FILE", requires = "pulsar_oauth2_issuer")]
    pub pulsar_oauth2_credentials: Option<PathBuf>,
    /// For whom the token is.
    #[arg(long, value_name = "AUDIENCE", requires = "pulsar_oauth2_issuer")]
    pub pulsar_oauth2_audience: Option<String>,
    /// What the token is to allow.
    #[arg(long, value_name = "SCOPE", requires = "pulsar_oauth2_issuer")]
    pub pulsar_oauth2_scope: Option<String>,
}

impl SecurityArgs {
    /// What the flags and the environment say.
    pub(super) fn security(&self) -> Result<Security> {
        let auth = match (&self.pulsar_token_file, &self.pulsar_oauth2_issuer, &self.pulsar_oauth2_credentials) {
            (Some(file), _, _) => Auth::TokenFile(file.clone()),
            (None, Some(issuer), Some(credentials)) => Auth::OAuth2 {
                issuer: issuer.clone(),
                audience: self.pulsar_oauth2_audience.clone(),
                scope: self.pulsar_oauth2_scope.clone(),
                credentials: credentials.clone(),
            },
            _ => in_environment()?,
        };
        let client = self.pulsar_tls_cert.clone().zip(self.pulsar_tls_key.clone());
        Ok(Security { auth, roots: self.pulsar_tls_roots.clone(), client })
    }
}

/// What the environment says.
fn in_environment() -> Result<Auth> {
    match std::env::var(TOKEN) {
        Ok(token) if token.trim().is_empty() => Ok(Auth::None),
        Ok(token) => Ok(Auth::Token(Secret::new(token.trim()))),
        Err(std::env::VarError::NotPresent) => Ok(Auth::None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::configuration(format!("{TOKEN} is not UTF-8: a token is letters and digits")))
        }
    }
}
