//! Where a topic is: `pulsar://HOST:PORT[,HOST:PORT]/TENANT/NAMESPACE/TOPIC`.

use std::fmt;
use std::str::FromStr;

/// The port of brokers, without and with TLS.
const PORTS: (u16, u16) = (6650, 6651);

const ALLOWED: &str = "allowed is pulsar://HOST[:PORT][,HOST[:PORT]]/TENANT/NAMESPACE/TOPIC, or pulsar+ssl:// for TLS";

/// A topic and the brokers that may be asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether connections are encrypted.
    pub tls: bool,
    /// `host:port` each, in the order in which they are tried; an IPv6 address stands in brackets.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: Topic,
}

/// The name of a persistent topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its tenant.
    pub tenant: String,
    /// Its namespace in the tenant.
    pub namespace: String,
    /// Its own name.
    pub name: String,
}

impl Topic {
    /// The full name of one of its partitions.
    pub fn partition(&self, number: u32) -> String {
        format!("{self}-partition-{number}")
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "persistent://{}/{}/{}", self.tenant, self.namespace, self.name)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Topic { tenant, namespace, name } = &self.topic;
        let scheme = if self.tls { "pulsar+ssl" } else { "pulsar" };
        write!(f, "{scheme}://{}/{tenant}/{namespace}/{name}", self.brokers.join(","))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or(ALLOWED)?;
        let tls = match scheme {
            "pulsar" => false,
            "pulsar+ssl" => true,
            _ => return Err(format!("{scheme:?} is no scheme of Pulsar; {ALLOWED}")),
        };
        let (hosts, topic) = rest.split_once('/').ok_or(ALLOWED)?;
        let brokers = hosts.split(',').map(|host| broker(host, tls)).collect::<Result<_, _>>()?;
        Ok(Address { tls, brokers, topic: topic.parse()? })
    }
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let [tenant, namespace, name] = parts[..] else {
            return Err(format!("{text:?} is no topic, which has three parts: TENANT/NAMESPACE/TOPIC; {ALLOWED}"));
        };
        for part in [tenant, namespace, name] {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-=:._%+@~".contains(c);
            if part.is_empty() || !part.chars().all(plain) {
                return Err(format!("{part:?} in {text:?} is no name: letters, digits and -=:._%+@~ are allowed"));
            }
        }
        if let Some((whole, number)) = name.rsplit_once("-partition-")
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(format!(
                "{name:?} is one partition; name the topic itself, {whole:?}: all its partitions are read"
            ));
        }
        Ok(Topic { tenant: tenant.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// A broker as `host:port`, with the protocol's port where none is given.
pub(super) fn broker(text: &str, tls: bool) -> Result<String, String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(format!("{text:?} lacks a ]; {ALLOWED}"))?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("{host:?} is no IPv6 address; {ALLOWED}"));
        }
        (format!("[{host}]"), if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or(port)) })
    } else {
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            return Err(format!("{text:?} is no host with a port; an IPv6 address stands in brackets; {ALLOWED}"));
        }
        (host.to_owned(), port)
    };
    let usual = if tls { PORTS.1 } else { PORTS.0 };
    let port = match port {
        None => usual,
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|port| *port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or(format!("{digits:?} in {text:?} is no port: 1 to 65535 are allowed"))?,
    };
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown() {
        for (text, shown) in [
            ("pulsar://a/t/n/x", "pulsar://a:6650/t/n/x"),
            ("pulsar+ssl://a,b:7/t/n/x.y-1", "pulsar+ssl://a:6651,b:7/t/n/x.y-1"),
            ("pulsar://[::1],[fe80::2]:9/t/n/x", "pulsar://[::1]:6650,[fe80::2]:9/t/n/x"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
        let topic: Topic = "t/n/x".parse().unwrap();
        assert_eq!(topic.to_string(), "persistent://t/n/x");
        assert_eq!(topic.partition(3), "persistent://t/n/x-partition-3");
    }

    #[test]
    fn what_is_no_address_is_told_what_is() {
        for (text, reason) in [
            ("a/t/n/x", "allowed is pulsar://"),
            ("http://a/t/n/x", "\"http\" is no scheme"),
            ("pulsar://a", "allowed is"),
            ("pulsar://a/t/n", "three parts"),
            ("pulsar://a/t/n/x/y", "three parts"),
            ("pulsar://a/t//x", "\"\" in"),
            ("pulsar://a/t/n/x?y", "\"x?y\" in"),
            ("pulsar:///t/n/x", "no host"),
            ("pulsar://a,/t/n/x", "no host"),
            ("pulsar://::1/t/n/x", "brackets"),
            ("pulsar://[::1/t/n/x", "lacks a ]"),
            ("pulsar://[a]/t/n/x", "no IPv6 address"),
            ("pulsar://a:0/t/n/x", "no port"),
            ("pulsar://a:+1/t/n/x", "no port"),
            ("pulsar://a:65536/t/n/x", "no port"),
            ("pulsar://a/t/n/x-partition-3", "name the topic itself, \"x\""),
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!("pulsar://a/t/n/x-partition-b".parse::<Address>().is_ok());
    }
}
