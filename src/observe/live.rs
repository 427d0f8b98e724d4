//! One line that tells how a run is going, rewritten in place on a terminal.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Progress;
use super::summary::{committed, grouped};
use crate::time::Clock;

const EVERY: Duration = Duration::from_millis(500);

/// The line; it goes away when this is dropped. Without a terminal there is none.
pub struct LiveLine {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LiveLine {
    /// Starts to show the progress on standard error.
    pub fn start(progress: Arc<Progress>, clock: Clock) -> Self {
        if !std::io::stderr().is_terminal() {
            return LiveLine { stop: None, thread: None };
        }
        let (stop, stopped) = channel();
        let show = move || {
            let (mut events, mut at) = (0, Instant::now());
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                let (now_events, now) = (progress.events(), Instant::now());
                let rate = (now_events - events) as f64 / (now - at).as_secs_f64();
                (events, at) = (now_events, now);
                let mut terminal = std::io::stderr();
                // A terminal that has gone away needs no line.
                let _ = write!(terminal, "\r\x1b[K{}", line(&progress, rate, clock())).and_then(|()| terminal.flush());
            }
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        };
        match std::thread::Builder::new().name("live-line".into()).spawn(show) {
            Ok(thread) => LiveLine { stop: Some(stop), thread: Some(thread) },
            // A run does not fail for want of a line.
            Err(_) => LiveLine { stop: None, thread: None },
        }
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn line(progress: &Progress, rate: f64, now: i64) -> String {
    let manifest = progress.newest();
    let counters = manifest.counters();
    let rejects = counters.malformed + counters.late + counters.too_far_ahead;
    let combining = progress.combining().to_string();
    let apart = if combining.is_empty() { "" } else { " | " };
    format!(
        "{} events/s | closed {} | rows {} | rejects {} | last commit {:.1} s ago{apart}{combining}",
        grouped(rate as u64),
        committed(manifest.commit),
        grouped(manifest.totals.rows),
        grouped(rejects),
        progress.commit_age(now) as f64 / 1_000.0
    )
}
