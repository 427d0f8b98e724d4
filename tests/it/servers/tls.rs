//! Certificates for the end of TLS that a proxy puts before a server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use fault_proxy::Proxy;
use tempfile::TempDir;

use crate::harness::{project, scratch};

/// A root, and a certificate for localhost and 127.0.0.1 that goes back to it.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    /// New ones: those of another call do not go back to the same root.
    pub(crate) fn make() -> Self {
        let place = scratch();
        // The port is that of a broker's configuration, which is printed and not wanted here.
        let made = Command::new(project().join("scripts/stack/pulsar/tls.sh")).arg(place.path()).arg("1").output();
        let made = made.expect("the script can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Certificates(place)
    }

    /// The root.
    pub(crate) fn root(&self) -> String {
        self.0.path().join("ca.pem").display().to_string()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A proxy that ends TLS before a server.
    pub(crate) fn proxy(&self, server: SocketAddr) -> Proxy {
        Proxy::within_tls(server, &self.file("server.pem"), &self.file("server.key"))
    }
}
