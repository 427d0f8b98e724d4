//! A real Pulsar for the tests: one for all that only use it, and others for those that kill or configure theirs.
//!
//! `scripts/stack/pulsar/pulsar.sh serve` starts it and holds it by its standard input: when the test program ends, however it ends,
//! that is closed, and the broker and its state go with it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use crate::harness::{free_port, project};

/// How a broker of one's own differs from the shared one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings<'a> {
    /// More lines of configuration.
    pub(super) lines: &'a [&'a str],
    /// TLS on a port of its own, and tokens on all ports.
    pub(super) secure: bool,
}

/// The ports of a broker; it keeps them when it is started again.
#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    web: u16,
    tls: Option<u16>,
}

/// A running broker.
pub(super) struct Broker {
    ports: Ports,
    place: PathBuf,
    lines: String,
    leash: Mutex<Leash>,
}

/// The shell that holds the broker.
struct Leash {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Leash {
    /// Waits for an answer; none comes where the shell has ended, which has then said why on standard error.
    fn answer(&mut self, expected: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a pipe can be read");
        assert_eq!(line.trim(), expected, "the broker's shell has ended; what it said is above");
    }

    fn order(&mut self, order: &str, expected: &str) {
        let orders = self.orders.as_mut().expect("a broker in use is held");
        writeln!(orders, "{order}").expect("the broker's shell listens");
        self.answer(expected);
    }
}

impl Broker {
    /// The one that all tests of this program may use, but not stop. It is started by the first that asks.
    pub(super) fn shared() -> &'static Broker {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        // Small ledgers: every longer test sees them roll over.
        let lines = &["managedLedgerMaxEntriesPerLedger=500", "managedLedgerMinLedgerRolloverTimeMinutes=0"];
        SHARED.get_or_init(|| Broker::start(Settings { lines, secure: false }))
    }

    /// Another one, for the test that starts it; seven seconds on a quiet machine.
    pub(super) fn start(settings: Settings<'_>) -> Self {
        let ports = Ports { plain: free_port(), web: free_port(), tls: settings.secure.then(free_port) };
        let place = std::env::temp_dir().join(format!("minuet-it-pulsar-{}-{}", std::process::id(), ports.plain));
        let lines = settings.lines.join("\n");
        let mut shell = script(ports, &place, &lines)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What ends the tests from the terminal does not reach it: it ends when they do, after cleaning up.
            .process_group(0)
            .spawn()
            .expect("bash is installed");
        let orders = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("standard output is a pipe"));
        let mut leash = Leash { shell, orders, answers };
        leash.answer("up");
        Broker { ports, place, lines, leash: Mutex::new(leash) }
    }

    /// SIGKILL: cursors may fall back by a minute.
    pub(super) fn kill(&self) {
        self.leash.lock().unwrap().order("kill", "down");
    }

    /// SIGTERM: cursors are written.
    pub(super) fn stop(&self) {
        self.leash.lock().unwrap().order("stop", "down");
    }

    /// Starts a killed or stopped one again, with its data and ports.
    pub(super) fn start_again(&self) {
        self.leash.lock().unwrap().order("start", "up");
    }

    /// Where its protocol is spoken, without TLS.
    pub(super) fn port(&self) -> u16 {
        self.ports.plain
    }

    /// Where its protocol is spoken within TLS.
    pub(super) fn tls_port(&self) -> u16 {
        self.ports.tls.expect("only a secure broker has it")
    }

    /// Where its administration listens.
    pub(super) fn web_port(&self) -> u16 {
        self.ports.web
    }

    /// A file of a secure broker: `ca.pem`, `admin.jwt`, `stranger.jwt`.
    pub(super) fn secret(&self, name: &str) -> PathBuf {
        self.place.join("pulsar/tls").join(name)
    }

    /// The token of the role that may do everything, where there are roles.
    pub(super) fn token(&self) -> Option<String> {
        let read = |_| std::fs::read_to_string(self.secret("admin.jwt")).expect("a secure broker has tokens");
        self.ports.tls.map(read)
    }

    /// Pulsar's own load tool (Java) against this broker: `produce` or `consume` and its arguments.
    pub(super) fn perf(&self, arguments: &[&str]) -> Command {
        let mut command = script(self.ports, &self.place, &self.lines);
        command.arg("perf").args(arguments);
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A test that panicked while it held the lock has a broker to end all the same.
        let leash = self.leash.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        drop(leash.orders.take());
        let _ = leash.shell.wait();
    }
}

fn script(ports: Ports, place: &PathBuf, lines: &str) -> Command {
    let mut command = Command::new("bash");
    command
        .arg(project().join("scripts/stack/pulsar/pulsar.sh"))
        .env("MINUET_STACK", place)
        .env("MINUET_PULSAR_PORT", ports.plain.to_string())
        .env("MINUET_PULSAR_WEB", ports.web.to_string())
        .env("MINUET_PULSAR_TLS", ports.tls.map(|port| port.to_string()).unwrap_or_default())
        .env("MINUET_PULSAR_CONF", lines)
        .env_remove("MINUET_PULSAR_JVM");
    command
}
