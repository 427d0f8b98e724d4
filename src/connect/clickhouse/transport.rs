//! Connections to a server: those of the client's own making, but for a bound on how long one may take to be made.

use std::time::Duration;

use clickhouse::Client;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::error::{Error, Result};
use crate::limits::{CLICKHOUSE_ALIVE_MS, CLICKHOUSE_IDLE_MS};

/// A client of the server at this URL, whose connections are made within so long. The error is that of a machine without a
/// certificate authority that it trusts.
pub(super) fn client(url: &str, within: Duration) -> Result<Client> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(within));
    connector.set_keepalive(Some(Duration::from_millis(CLICKHOUSE_ALIVE_MS)));
    let mut builder = HttpClient::builder(TokioExecutor::new());
    // A server closes a connection that is idle for longer.
    builder.pool_idle_timeout(Duration::from_millis(CLICKHOUSE_IDLE_MS));
    if !url.starts_with("https:") {
        return Ok(Client::with_http_client(builder.build(connector)));
    }
    connector.enforce_http(false);
    let roots = HttpsConnectorBuilder::new().with_provider_and_native_roots(rustls::crypto::ring::default_provider());
    let roots = roots.map_err(|cause| {
        Error::configuration(format!("looking for the certificate authorities that this machine trusts: {cause}"))
    })?;
    Ok(Client::with_http_client(builder.build(roots.https_only().enable_http1().wrap_connector(connector))))
}
