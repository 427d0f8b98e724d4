//! A socket to a broker, with TLS or without: names looked up at each call, options set, time limits kept.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failed::{Cause, Failed};
use super::paced::Paced;
use crate::limits::{PULSAR_ADDRESS_MS, PULSAR_KEEP_ALIVE_MS, PULSAR_WRITE_MS};

/// A connection's bytes.
pub(super) enum Stream {
    Plain(Paced),
    Secure(Box<TlsStream<Paced>>),
}

impl Stream {
    /// See [`Paced::allow`].
    pub(super) fn allow_pace(&mut self) {
        match self {
            Stream::Plain(socket) => socket.allow(),
            Stream::Secure(stream) => stream.get_mut().0.allow(),
        }
    }
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

async fn reach(address: SocketAddr) -> io::Result<Paced> {
    let limit = Duration::from_millis(PULSAR_ADDRESS_MS);
    let stream = timeout(limit, TcpStream::connect(address)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    // The kernel asks too, so that a dead network ends even a connection that nobody reads.
    let silent = Duration::from_millis(PULSAR_KEEP_ALIVE_MS);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(silent).with_interval(silent).with_retries(3))?;
    socket.set_tcp_user_timeout(Some(Duration::from_millis(PULSAR_WRITE_MS)))?;
    Ok(Paced::new(stream))
}

async fn secure(broker: &str, stream: Paced, connector: &TlsConnector) -> Result<Stream, Failed> {
    let tried = format!("agreeing on TLS with {broker}");
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| Failed::new(Cause::Insecure, format!("{tried}: {host} is no name of a server: {error}")))?;
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Stream::Secure(Box::new(stream))),
        // What TLS itself refuses (a certificate, a version) lasts; a connection that breaks does not.
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            Err(Failed::new(Cause::Insecure, format!("{tried}: {error}")))
        }
        Err(error) => Err(Failed::io(tried, &error)),
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
