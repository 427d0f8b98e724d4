//! Where rows go: `clickhouse://HOST[:PORT][,HOST[:PORT]]/DATABASE.TABLE`.

use std::fmt;
use std::str::FromStr;

use crate::limits::CLICKHOUSE_SHARDS_MAX;

/// The ports of ClickHouse's HTTP interface, without and with TLS.
const PORTS: (u16, u16) = (8123, 8443);

const ALLOWED: &str = "allowed is clickhouse://HOST[:PORT][,HOST[:PORT]]/DATABASE.TABLE, or clickhouses:// for TLS; the port is that of HTTP";

/// A table, and the servers that have a part of it each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether connections are encrypted.
    pub tls: bool,
    /// `host:port` each: the shards, in their lasting order.
    pub shards: Vec<String>,
    /// The database.
    pub database: String,
    /// The table of rows; the names of the others begin with it.
    pub table: String,
}

impl Address {
    /// The URL of one server.
    pub(super) fn url(&self, shard: usize) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}/", self.shards[shard])
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "clickhouses" } else { "clickhouse" };
        write!(f, "{scheme}://{}/{}.{}", self.shards.join(","), self.database, self.table)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or(ALLOWED)?;
        let tls = match scheme {
            "clickhouse" => false,
            "clickhouses" => true,
            _ => return Err(format!("{scheme:?} is no scheme of ClickHouse; {ALLOWED}")),
        };
        if rest.contains('@') {
            return Err(format!(
                "user and password do not belong into an address: give them as CLICKHOUSE_USER and CLICKHOUSE_PASSWORD; {ALLOWED}"
            ));
        }
        let (hosts, name) = rest.split_once('/').ok_or(ALLOWED)?;
        let shards: Vec<String> = hosts.split(',').map(|host| server(host, tls)).collect::<Result<_, _>>()?;
        if shards.len() > CLICKHOUSE_SHARDS_MAX {
            return Err(format!("{} servers; allowed are {CLICKHOUSE_SHARDS_MAX}", shards.len()));
        }
        if let Some(twice) = shards.iter().enumerate().find(|(at, shard)| shards[..*at].contains(shard)) {
            return Err(format!("the server {} is named twice; {ALLOWED}", twice.1));
        }
        let (database, table) = name.split_once('.').ok_or(format!("{name:?} names no table; {ALLOWED}"))?;
        let [database, table] = [database, table].map(plain);
        Ok(Address { tls, shards, database: database?, table: table? })
    }
}

/// A database's or table's name as minuet takes it: one that needs no quotes anywhere.
pub fn plain(name: &str) -> Result<String, String> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(name.to_owned());
    }
    Err(format!(
        "{name:?} is no name of a database or table: letters, digits and _ are allowed, a digit not at the start"
    ))
}

/// A server as `host:port`, with the interface's port where none is given.
fn server(text: &str, tls: bool) -> Result<String, String> {
    let wrong = || format!("{text:?} is no host with a port; an IPv6 address stands in brackets; {ALLOWED}");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (format!("[{host}]"), port.strip_prefix(':').or_else(|| port.is_empty().then_some("")))
        }
        None => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            let named = !host.is_empty() && host.chars().all(plain);
            (host.to_owned(), named.then_some(port))
        }
    };
    let usual = if tls { PORTS.1 } else { PORTS.0 };
    match port.ok_or_else(wrong)? {
        "" => Ok(format!("{host}:{usual}")),
        port => match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(format!("{host}:{port}")),
            _ => Err(wrong()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_servers() {
        let address: Address = "clickhouse://a,b:9,[::1]:7/d.t_1".parse().expect("it is one");
        assert_eq!(address.shards, ["a:8123", "b:9", "[::1]:7"]);
        assert_eq!((address.database.as_str(), address.table.as_str()), ("d", "t_1"));
        assert_eq!(address.url(0), "http://a:8123/");
        assert_eq!(address.to_string(), "clickhouse://a:8123,b:9,[::1]:7/d.t_1");
        let encrypted: Address = "clickhouses://a/d.t".parse().expect("it is one");
        assert_eq!(encrypted.url(0), "https://a:8443/");
    }

    #[test]
    fn what_is_no_table_says_what_is() {
        for text in [
            "clickhouse:a",
            "http://a/d.t",
            "clickhouse://a",
            "clickhouse://a/t",
            "clickhouse:///d.t",
            "clickhouse://a:x/d.t",
            "clickhouse://a:0/d.t",
            "clickhouse://[a]/d.t",
            "clickhouse://[::1]8/d.t",
            "clickhouse://a,/d.t",
            "clickhouse://a b/d.t",
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.contains("allowed is clickhouse://HOST"), "{text}: {error}");
        }
        let error = |text: &str| text.parse::<Address>().expect_err(text);
        assert!(error("clickhouse://a/d.t-x").contains("letters, digits and _"));
        assert!(error("clickhouse://a,a/d.t").contains("named twice"));
        assert!(error("clickhouse://me:secret@a/d.t").contains("CLICKHOUSE_PASSWORD"));
    }
}
