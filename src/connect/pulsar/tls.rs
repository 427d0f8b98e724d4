//! The TLS of a client, made anew when a file that it is made of has changed: certificates that are renewed in mid-run count from the
//! next connect on. The system's own roots are read once.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio_rustls::TlsConnector;

use super::failed::{Cause, Failed};
use super::security::Security;
use crate::error::{Error, Result};

/// A connector and the files that it is made of.
pub(super) struct Tls {
    security: Security,
    made: Mutex<Made>,
}

struct Made {
    /// Of the files' bytes.
    digest: [u8; 32],
    connector: TlsConnector,
}

impl Tls {
    /// Reads the files.
    pub(super) fn new(security: Security) -> Result<Arc<Self>> {
        let made = Made { digest: digest(&security)?, connector: security.connector()? };
        Ok(Arc::new(Tls { security, made: Mutex::new(made) }))
    }

    /// What makes a connection now. Files that are being replaced may not go together for a moment: that failure passes.
    pub(super) async fn connector(self: &Arc<Self>) -> std::result::Result<TlsConnector, Failed> {
        let it = Arc::clone(self);
        match tokio::task::spawn_blocking(move || it.renewed()).await {
            Ok(connector) => connector.map_err(|error| Failed::new(Cause::Credentials, error.to_string())),
            Err(_) => Err(Failed::new(Cause::Credentials, "reading the certificates: the reading thread ended")),
        }
    }

    fn renewed(&self) -> Result<TlsConnector> {
        let digest = digest(&self.security)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.digest != digest {
            *made = Made { digest, connector: self.security.connector()? };
            tracing::info!("the files for TLS have changed: they count from this connection on");
        }
        Ok(made.connector.clone())
    }
}

fn digest(security: &Security) -> Result<[u8; 32]> {
    let client = security.client.iter().flat_map(|(certificate, key)| [certificate, key]);
    let mut all = Sha256::new();
    for path in security.roots.iter().chain(client) {
        all.update(Sha256::digest(read(path)?));
    }
    Ok(all.finalize().into())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::configuration(format!("reading {} for TLS: {error}", path.display())))
}
