//! A socket to a broker, with TLS or without: names looked up at each call, options set, time limits kept.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failed::{Cause, Failed};
use super::security::ROOTS;
use crate::connect::tls;
use crate::limits::{PULSAR_ADDRESS_MS, PULSAR_KEEP_ALIVE_MS, PULSAR_WRITE_MS};

/// A connection's bytes.
pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Connects with a broker (`host:port`): the first of its addresses that answers.
pub(super) async fn dial(broker: &str, tls: Option<&TlsConnector>) -> Result<Stream, Failed> {
    let found = lookup_host(broker)
        .await
        .map_err(|error| Failed::new(Cause::Unreachable, format!("looking up the address of {broker}: {error}")))?;
    let mut last = format!("looking up the address of {broker}: the name has none");
    for address in found {
        match reach(address).await {
            Ok(stream) => {
                return match tls {
                    None => Ok(Stream::Plain(stream)),
                    Some(connector) => secure(broker, stream, connector).await,
                };
            }
            Err(error) => last = format!("connecting with {broker} at {address}: {error}"),
        }
    }
    Err(Failed::new(Cause::Unreachable, last))
}

async fn reach(address: SocketAddr) -> io::Result<TcpStream> {
    let limit = Duration::from_millis(PULSAR_ADDRESS_MS);
    let stream = timeout(limit, TcpStream::connect(address)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    // The kernel asks too, so that a dead network ends even a connection that nobody reads.
    let silent = Duration::from_millis(PULSAR_KEEP_ALIVE_MS);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(silent).with_interval(silent).with_retries(3))?;
    socket.set_tcp_user_timeout(Some(Duration::from_millis(PULSAR_WRITE_MS)))?;
    Ok(stream)
}

async fn secure(broker: &str, stream: TcpStream, connector: &TlsConnector) -> Result<Stream, Failed> {
    let tried = format!("agreeing on TLS with {broker}");
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| Failed::new(Cause::Insecure, format!("{tried}: {host} is no name of a server: {error}")))?;
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Stream::Secure(Box::new(stream))),
        // What TLS itself refuses (a certificate, a version) lasts; a connection that breaks does not.
        Err(error) => Err(match tls::said(&error) {
            Some(refused) => Failed::new(Cause::Insecure, format!("{tried}: {refused}{}", advice(refused))),
            None => Failed::io(tried, &error).hint("this port may be one without TLS, for pulsar://"),
        }),
    }
}

/// What to do about what TLS says.
fn advice(error: &rustls::Error) -> String {
    use rustls::{Error, InvalidMessage};
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "; this port is one without TLS, for pulsar://".to_owned()
        }
        Error::AlertReceived(alert) if is_of_certificates(*alert) => OWN_CERTIFICATE.to_owned(),
        error => tls::advice(error, "the broker", ROOTS).map_or(String::new(), |advice| format!("; {advice}")),
    }
}

/// What to do where a broker demands a certificate, or another one.
const OWN_CERTIFICATE: &str = "; the broker demands a client certificate that it believes: give one with --pulsar-tls-cert and \
                               --pulsar-tls-key";

/// Whether a broker says that our certificate is missing, or not to be believed. Before TLS 1.3 it has no word for a missing one.
fn is_of_certificates(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
    )
}

/// Why a connection cannot be had, where its end says that the broker wants another certificate: with TLS 1.3 it comes only after
/// we believe to have agreed. Anything else that ends a connection may be the network's doing.
pub(super) fn unwanted(tried: impl std::fmt::Display, error: &io::Error) -> Option<Failed> {
    match tls::said(error)? {
        refused @ rustls::Error::AlertReceived(alert) if is_of_certificates(*alert) => {
            Some(Failed::new(Cause::Insecure, format!("{tried}: {refused}{}", advice(refused))))
        }
        _ => None,
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, room),
            Stream::Secure(stream) => Pin::new(stream.as_mut()).poll_read(cx, room),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Secure(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Secure(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Secure(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
