//! A real Pulsar for the tests: one for all that only use it, and others for those that kill or configure theirs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::free_port;
use crate::servers::{self, Leash, place};

/// How a broker of one's own differs from the shared one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings<'a> {
    /// More lines of configuration.
    pub(crate) lines: &'a [&'a str],
    /// TLS on a port of its own, and tokens on all ports.
    pub(crate) secure: bool,
}

/// The ports of a broker; it keeps them when it is started again.
#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    web: u16,
    tls: Option<u16>,
}

/// A running broker.
pub(crate) struct Broker {
    ports: Ports,
    place: PathBuf,
    lines: String,
    leash: Leash,
}

impl Broker {
    /// The one that all tests of this program may use, but not stop. It is started by the first that asks.
    pub(crate) fn shared() -> &'static Broker {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        // Small ledgers: every longer test sees them roll over.
        let lines = &["managedLedgerMaxEntriesPerLedger=500", "managedLedgerMinLedgerRolloverTimeMinutes=0"];
        SHARED.get_or_init(|| Broker::start(Settings { lines, secure: false }))
    }

    /// Another one, for the test that starts it; seven seconds on a quiet machine.
    pub(crate) fn start(settings: Settings<'_>) -> Self {
        let ports = Ports { plain: free_port(), web: free_port(), tls: settings.secure.then(free_port) };
        let place = place("pulsar", ports.plain);
        let lines = settings.lines.join("\n");
        let leash = Leash::start(&mut script(ports, &place, &lines));
        Broker { ports, place, lines, leash }
    }

    /// SIGKILL: cursors may fall back by a minute.
    pub(crate) fn kill(&self) {
        self.leash.kill();
    }

    /// SIGTERM: cursors are written.
    pub(crate) fn stop(&self) {
        self.leash.stop();
    }

    /// Starts a killed or stopped one again, with its data and ports.
    pub(crate) fn start_again(&self) {
        self.leash.start_again();
    }

    /// Where its protocol is spoken, without TLS.
    pub(crate) fn port(&self) -> u16 {
        self.ports.plain
    }

    /// Where its protocol is spoken within TLS.
    pub(crate) fn tls_port(&self) -> u16 {
        self.ports.tls.expect("only a secure broker has it")
    }

    /// Where its administration listens.
    pub(crate) fn web_port(&self) -> u16 {
        self.ports.web
    }

    /// A file of a secure broker: `ca.pem`, `admin.jwt`, `stranger.jwt`.
    pub(crate) fn secret(&self, name: &str) -> PathBuf {
        self.place.join("pulsar/tls").join(name)
    }

    /// The token of the role that may do everything, where there are roles.
    pub(crate) fn token(&self) -> Option<String> {
        let read = |_| std::fs::read_to_string(self.secret("admin.jwt")).expect("a secure broker has tokens");
        self.ports.tls.map(read)
    }

    /// Pulsar's own load tool (Java) against this broker: `produce` or `consume` and its arguments.
    pub(crate) fn perf(&self, arguments: &[&str]) -> Command {
        let mut command = script(self.ports, &self.place, &self.lines);
        command.arg("perf").args(arguments);
        command
    }
}

fn script(ports: Ports, place: &Path, lines: &str) -> Command {
    let mut command = servers::script("pulsar", place);
    command
        .env("MINUET_PULSAR_PORT", ports.plain.to_string())
        .env("MINUET_PULSAR_WEB", ports.web.to_string())
        .env("MINUET_PULSAR_TLS", ports.tls.map(|port| port.to_string()).unwrap_or_default())
        .env("MINUET_PULSAR_CONF", lines)
        .env_remove("MINUET_PULSAR_JVM");
    command
}
