//! The end of TLS: a client's connection is decrypted and passed on through a pair of loopback sockets, so that whoever reads requests
//! has plain ones before it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;

/// Bytes that are passed on at a time.
const PIECE: usize = 64 * 1024;

/// Whom clients believe to speak with.
pub(crate) struct Identity(Arc<ServerConfig>);

/// The two directions of a connection share what TLS knows of it.
struct Session {
    tls: Mutex<ServerConnection>,
    client: TcpStream,
    plain: TcpStream,
}

impl Identity {
    /// With a certificate, its chain behind it, and its key: PEM files.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(certificate).expect("the certificate can be read");
        let chain: Vec<_> = chain.collect::<Result<_, _>>().expect("the certificate is PEM");
        let key = PrivateKeyDer::from_pem_file(key).expect("the key is PEM");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the key is the certificate's");
        Identity(Arc::new(config))
    }

    /// The plain end of a client's connection.
    pub(crate) fn decrypted(&self, client: TcpStream) -> io::Result<TcpStream> {
        client.set_nodelay(true)?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let far = TcpStream::connect(listener.local_addr()?)?;
        let (plain, _) = listener.accept()?;
        plain.set_nodelay(true)?;
        let tls = ServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)?;
        let session = Arc::new(Session { tls: Mutex::new(tls), client, plain });
        let inbound = Arc::clone(&session);
        thread::spawn(move || inbound.end(inbound.inbound()));
        thread::spawn(move || session.end(session.outbound()));
        Ok(far)
    }
}

impl Session {
    /// What the client sends, until it ends.
    fn inbound(&self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = (&self.client).read(&mut piece)?;
            if read == 0 {
                return self.plain.shutdown(Shutdown::Write);
            }
            let mut left = &piece[..read];
            while !left.is_empty() {
                let mut said = Vec::new();
                {
                    let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
                    tls.read_tls(&mut left)?;
                    let state = tls.process_new_packets();
                    // What TLS answers goes out whether it agrees or not: an alert says why.
                    while tls.wants_write() {
                        tls.write_tls(&mut &self.client)?;
                    }
                    let waiting = state.map_err(io::Error::other)?.plaintext_bytes_to_read();
                    said.resize(waiting, 0);
                    tls.reader().read_exact(&mut said)?;
                }
                (&self.plain).write_all(&said)?;
            }
        }
    }

    /// What is answered, until it ends; a reset is one for the client, too.
    fn outbound(&self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = (&self.plain).read(&mut piece)?;
            let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
            if read == 0 {
                tls.send_close_notify();
            } else {
                tls.writer().write_all(&piece[..read])?;
            }
            while tls.wants_write() {
                tls.write_tls(&mut &self.client)?;
            }
            if read == 0 {
                return self.client.shutdown(Shutdown::Write);
            }
        }
    }

    /// One direction has ended. Where it was no orderly end, both do.
    fn end(&self, how: io::Result<()>) {
        if how.is_err() {
            // A socket that is closed already needs no reset.
            let _ = SockRef::from(&self.client).set_linger(Some(Duration::ZERO));
            let _ = self.client.shutdown(Shutdown::Both);
            let _ = self.plain.shutdown(Shutdown::Both);
        }
    }
}
