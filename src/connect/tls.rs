//! Whom we believe in TLS, and what to do where a server is not believed.

use std::error::Error as Cause;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, ConfigBuilder, RootCertStore};

use crate::error::{Error, Result};

/// A client that believes these roots.
pub(super) fn client(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    // Given explicitly: a crate that brings another provider must not decide which one is the process's.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::configuration(format!("setting up TLS: {error}")))?;
    Ok(builder.with_root_certificates(roots))
}

/// The roots in a PEM file, or the system's; `flag` names the file where there are none.
pub(super) fn roots(path: Option<&Path>, flag: &str) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match path {
        Some(path) => {
            for certificate in certificates(path)? {
                store.add(certificate).map_err(|error| {
                    Error::configuration(format!("believing the roots in {}: {error}", path.display()))
                })?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            let (good, _) = store.add_parsable_certificates(found.certs);
            if good == 0 {
                let why = found.errors.first().map_or("there are none".to_owned(), ToString::to_string);
                return Err(Error::configuration(format!(
                    "loading the system's root certificates: {why}; give a PEM file of roots with {flag}"
                )));
            }
        }
    }
    Ok(store)
}

/// All certificates of a PEM file.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |why: String| Error::configuration(format!("reading the certificates in {}: {why}", path.display()));
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let all: Vec<_> = found.collect::<std::result::Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if all.is_empty() { Err(wrong("found none; allowed is PEM".to_owned())) } else { Ok(all) }
}

/// What TLS says of a connection that failed, if anything that lies behind the error is its word.
pub(super) fn said<'a>(error: &'a (dyn Cause + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(said) = error.downcast_ref() {
            return Some(said);
        }
        // What an error of reading or writing wraps is none of its sources.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped));
    }
    None
}

/// What to do about a server's certificate that is not believed; none where TLS says something else. `server` is whose it is, `flag`
/// how roots are given.
pub(super) fn advice(said: &rustls::Error, server: &str, flag: &str) -> Option<String> {
    use CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = said else { return None };
    Some(match wrong {
        // The second, where a root of the same name has another key.
        Wrong::UnknownIssuer | Wrong::BadSignature => {
            format!("give the root certificate that {server}'s goes back to with {flag}")
        }
        Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            format!("renew {server}'s certificate, or set this machine's clock")
        }
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
            format!("give {server} by a name that its certificate has")
        }
        _ => format!("give {server} a certificate that can be believed"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_says_is_found_behind_other_errors() {
        let said_it = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(said_it.clone()));
        assert_eq!(said(&wrapped), Some(&said_it));
        assert_eq!(said(&io::Error::other("reset")), None);
        let advice = |wrong| advice(&rustls::Error::InvalidCertificate(wrong), "the server", "--roots");
        assert!(advice(CertificateError::UnknownIssuer).is_some_and(|advice| advice.contains("--roots")));
        assert!(advice(CertificateError::NotValidForName).is_some_and(|advice| advice.contains("by a name")));
        assert!(advice(CertificateError::Expired).is_some_and(|advice| advice.contains("clock")));
        assert_eq!(super::advice(&rustls::Error::DecryptError, "the server", "--roots"), None);
    }
}
