//! Connections to a server: those of the client's own making, but for a bound on how long one may take to be made, and for roots that
//! are given. The client's own would look for the system's roots where there is no TLS, and panic where there are none.

use std::path::Path;
use std::time::Duration;

use clickhouse::Client;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::server::ROOTS;
use crate::connect::tls;
use crate::error::Result;
use crate::limits::{CLICKHOUSE_ALIVE_MS, CLICKHOUSE_IDLE_MS};

/// A client whose connections are made within so long; where they speak TLS it believes the roots in a file, or the system's.
pub(super) fn client(secure: bool, roots: Option<&Path>, within: Duration) -> Result<Client> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(within));
    connector.set_keepalive(Some(Duration::from_millis(CLICKHOUSE_ALIVE_MS)));
    let mut builder = HttpClient::builder(TokioExecutor::new());
    // A server closes a connection that is idle for longer.
    builder.pool_idle_timeout(Duration::from_millis(CLICKHOUSE_IDLE_MS));
    if !secure {
        return Ok(Client::with_http_client(builder.build(connector)));
    }
    connector.enforce_http(false);
    let config = tls::client(tls::roots(roots, ROOTS)?)?.with_no_client_auth();
    let secure = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1();
    Ok(Client::with_http_client(builder.build(secure.wrap_connector(connector))))
}
