//! `--http`: where a running job tells of itself.

use std::fmt;
use std::io::ErrorKind;
use std::str::FromStr;
use std::sync::Arc;

use super::wall_clock;
use crate::cluster::Hosts;
use crate::connect::StoreMet;
use crate::connect::clickhouse::ClickHouseSink;
use crate::connect::pulsar::{PartitionStatus, PulsarSource};
use crate::error::{Error, Result};
use crate::limits::HTTP_PORT;
use crate::observe::http::Server;
use crate::observe::status::{About, Board, Connection, Edges, SinkNow, StoreNow};
use crate::plan::Plan;

/// Whether and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HttpPlace {
    /// On this machine, at the usual port and the number of the process.
    #[default]
    Usual,
    /// Nowhere.
    Off,
    /// There.
    At(String),
}

impl FromStr for HttpPlace {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "off" {
            return Ok(HttpPlace::Off);
        }
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        match port.and_then(|port| port.parse::<u16>().ok()) {
            Some(_) => Ok(HttpPlace::At(text.to_owned())),
            None => Err("allowed is HOST:PORT, or off".to_owned()),
        }
    }
}

impl fmt::Display for HttpPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HttpPlace::Usual => "",
            HttpPlace::Off => "off",
            HttpPlace::At(address) => address,
        })
    }
}

impl HttpPlace {
    /// The place of a process of this machine where process 0 is told this one: its port is as many after that. Port 0 is any free
    /// one, for each.
    pub(super) fn of_process(&self, process: u64) -> Result<HttpPlace> {
        let HttpPlace::At(address) = self else { return Ok(self.clone()) };
        let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let Some((host, first)) = parts.filter(|(_, first)| *first > 0) else { return Ok(self.clone()) };
        let port = u16::try_from(process).ok().and_then(|process| first.checked_add(process));
        let port = port.ok_or_else(|| {
            Error::configuration(format!(
                "--http {address}: process {process} takes the port that is {process} after it, and ports end at 65535"
            ))
        })?;
        Ok(HttpPlace::At(format!("{host}:{port}")))
    }
}

/// The address of a process where none is given.
pub(super) fn usual(process: usize) -> String {
    let port = usize::from(HTTP_PORT) + process;
    format!("127.0.0.1:{port}")
}

/// What the process shows of itself, before it has opened anything.
pub(super) fn board(plan: &Plan, hosts: &Hosts) -> Arc<Board> {
    let clock = wall_clock();
    let about = About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pipeline: plan.name.clone(),
        process: hosts.process,
        processes: hosts.processes(),
        workers: hosts.workers,
        key_groups: plan.key_groups,
        lanes: plan.lanes,
        out_of_order_ms: plan.out_of_order,
        started_at: clock(),
    };
    Arc::new(Board::new(about, clock))
}

/// Begins to tell. A usual port that is taken is no reason not to run; one that was asked for is.
pub(super) fn tell(place: &HttpPlace, process: usize, board: &Arc<Board>) -> Result<Option<Server>> {
    let address = match place {
        HttpPlace::Off => return Ok(None),
        HttpPlace::Usual => usual(process),
        HttpPlace::At(address) => address.clone(),
    };
    match Server::listen(&address) {
        Ok(listener) => {
            let server = Server::start(listener, Arc::clone(board))?;
            tracing::info!(address = %server.address(), "the job tells of itself over HTTP");
            Ok(Some(server))
        }
        Err(cause) if *place == HttpPlace::Usual => {
            tracing::warn!(address, %cause, "nothing is told over HTTP: give --http HOST:PORT, or --http off");
            Ok(None)
        }
        Err(cause) => {
            let advice =
                if cause.kind() == ErrorKind::AddrInUse { "; give each process of this machine its own" } else { "" };
            Err(Error::outside(format!("listening at {address} for --http"), format!("{cause}{advice}")))
        }
    }
}

/// What the edges of a process know of themselves.
#[derive(Clone, Default)]
pub(super) struct Met {
    /// The sink, where it has something to tell.
    pub sink: Option<Arc<ClickHouseSink>>,
    /// The store of the state.
    pub store: Arc<StoreMet>,
}

impl Met {
    /// With what a topic knows of its connections.
    pub fn edges(&self, topic: Option<&PulsarSource>) -> Edges {
        let sink = self.sink.as_ref().map_or_else(SinkNow::default, |sink| {
            let met = sink.encounters();
            SinkNow {
                retries: met.retries,
                ambiguous: met.ambiguous,
                healed: met.healed,
                removed: met.removed,
                trouble: sink.trouble(),
            }
        });
        Edges {
            sink,
            store: StoreNow { retries: self.store.failed(), trouble: self.store.trouble() },
            connections: topic.map_or(Vec::new(), PulsarSource::status).into_iter().map(connection).collect(),
        }
    }
}

/// A partition's connection, by the number of the partition.
fn connection(now: PartitionStatus) -> (u32, Connection) {
    let connection = Connection {
        connected: now.connected,
        reconnects: now.reconnects.into_iter().map(|(cause, count)| (cause.to_owned(), count)).collect(),
        messages: now.messages,
        bytes: now.bytes,
        entries: now.entries,
        repeats: now.repeats,
        bytes_held: now.bytes_held,
        permits: now.permits,
        next: now.next,
        last: now.last,
        acknowledged: now.acknowledged,
    };
    (now.partition, connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Position;

    #[test]
    fn all_that_a_topic_knows_of_a_partition_is_shown() {
        let status = PartitionStatus {
            partition: 3,
            name: "t-partition-3".to_owned(),
            connected: true,
            reconnects: [("silent", 2)].into(),
            messages: 50,
            entries: 5,
            bytes: 400,
            repeats: 1,
            gaps: 7,
            permits: -4,
            bytes_held: 30,
            next: Some(Position(9, 5)),
            last: Some(Position(9, 8)),
            acknowledged: Some(Position(9, 2)),
        };
        // Name and gaps are those of the cut.
        let expected = Connection {
            connected: true,
            reconnects: [("silent".to_owned(), 2)].into(),
            messages: 50,
            bytes: 400,
            entries: 5,
            repeats: 1,
            bytes_held: 30,
            permits: -4,
            next: Some(Position(9, 5)),
            last: Some(Position(9, 8)),
            acknowledged: Some(Position(9, 2)),
        };
        assert_eq!(connection(status), (3, expected));
    }

    #[test]
    fn a_place_is_an_address_or_off() {
        assert_eq!("off".parse(), Ok(HttpPlace::Off));
        for text in ["0.0.0.0:9000", "[::]:8081", "localhost:0"] {
            assert_eq!(text.parse(), Ok(HttpPlace::At(text.to_owned())));
        }
        for text in ["", "8081", ":8081", "a:b", "a:70000"] {
            assert!(text.parse::<HttpPlace>().unwrap_err().contains("HOST:PORT"), "{text}");
        }
        assert_eq!(usual(2), "127.0.0.1:8083");
    }

    #[test]
    fn each_process_of_a_machine_has_its_own_port() {
        let of = |text: &str, process| {
            let place: HttpPlace = text.parse().expect("it is one");
            place.of_process(process).map(|place| place.to_string()).map_err(|error| error.to_string())
        };
        for (text, process, own) in [
            ("0.0.0.0:9000", 0, "0.0.0.0:9000"),
            ("[::]:9000", 2, "[::]:9002"),
            ("localhost:0", 2, "localhost:0"),
            ("off", 2, "off"),
        ] {
            assert_eq!(of(text, process).as_deref(), Ok(own));
        }
        assert!(of("a:65535", 1).is_err_and(|error| error.contains("65535")));
    }
}
