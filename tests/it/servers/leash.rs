//! A server held by the standard input of the script that started it: when the test program ends, however it ends, that is closed,
//! and the server and its data go with it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The shell that holds a server, by `scripts/stack.sh SERVICE serve`.
pub(crate) struct Leash {
    held: Mutex<Held>,
}

struct Held {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Held {
    /// Waits for an answer; none comes where the shell has ended, which has then said why on standard error.
    fn answer(&mut self, expected: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a pipe can be read");
        assert_eq!(line.trim(), expected, "the server's shell has ended; what it said is above");
    }
}

impl Leash {
    /// Starts what the command serves, and waits until it is up.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut shell = command
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What ends the tests from the terminal does not reach it: it ends when they do, after cleaning up.
            .process_group(0)
            .spawn()
            .expect("bash is installed");
        let orders = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("standard output is a pipe"));
        let mut held = Held { shell, orders, answers };
        held.answer("up");
        Leash { held: Mutex::new(held) }
    }

    fn order(&self, order: &str, expected: &str) {
        let mut held = self.held.lock().unwrap();
        let orders = held.orders.as_mut().expect("a server in use is held");
        writeln!(orders, "{order}").expect("the server's shell listens");
        held.answer(expected);
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        self.order("kill", "down");
    }

    /// SIGTERM.
    pub(crate) fn stop(&self) {
        self.order("stop", "down");
    }

    /// Starts a killed or stopped one again, with its data and ports.
    pub(crate) fn start_again(&self) {
        self.order("start", "up");
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // A test that panicked while it held the lock has a server to end all the same.
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(held.orders.take());
        let _ = held.shell.wait();
    }
}
