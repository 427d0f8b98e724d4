//! A circuit breaker: while a server fails, whoever wants something of it waits, and one at a time tries.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

use crate::connect::backoff::Backoff;
use crate::limits::{CLICKHOUSE_AGAIN_MS, CLICKHOUSE_SAID_MS};

/// The breaker of one server.
pub(super) struct Breaker {
    server: String,
    /// Whether it is open: the server fails.
    open: AtomicBool,
    retries: AtomicU64,
    /// Why the newest try failed, while it is open.
    why: std::sync::Mutex<Option<String>>,
    probe: Mutex<Probe>,
}

/// What the one that tries knows of the tries before.
struct Probe {
    backoff: Backoff,
    failures: u64,
    since: Instant,
    /// When to speak of it again, and how long after that.
    say: (Instant, Duration),
}

/// Leave to try: at will while the server works, alone while it does not.
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: Option<MutexGuard<'a, Probe>>,
}

impl Breaker {
    /// Closed.
    pub(super) fn new(server: &str) -> Self {
        let now = Instant::now();
        let probe = Probe { backoff: Backoff::new(CLICKHOUSE_AGAIN_MS), failures: 0, since: now, say: (now, FIRST) };
        Breaker {
            server: server.to_owned(),
            open: AtomicBool::new(false),
            retries: AtomicU64::new(0),
            why: std::sync::Mutex::default(),
            probe: Mutex::new(probe),
        }
    }

    /// Tries that followed one that failed.
    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Why the server fails, while it does.
    pub(super) fn trouble(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, why: Option<String>) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Waits until this one may try.
    pub(super) async fn enter(&self) -> Pass<'_> {
        if !self.open.load(Ordering::Acquire) {
            return Pass { breaker: self, probe: None };
        }
        let mut probe = self.probe.lock().await;
        if !self.open.load(Ordering::Acquire) {
            return Pass { breaker: self, probe: None };
        }
        probe.backoff.wait().await;
        self.retries.fetch_add(1, Ordering::Relaxed);
        Pass { breaker: self, probe: Some(probe) }
    }
}

/// How long after the first word comes the second.
const FIRST: Duration = Duration::from_millis(CLICKHOUSE_SAID_MS.0);

impl Pass<'_> {
    /// Whether it was given to one alone, for the server fails.
    pub(super) fn is_alone(&self) -> bool {
        self.probe.is_some()
    }

    /// It worked.
    pub(super) fn worked(self) {
        if let Some(probe) = &self.probe {
            tracing::warn!(
                server = %self.breaker.server,
                failures = probe.failures,
                seconds = probe.since.elapsed().as_secs(),
                "it answers again"
            );
        }
        self.close();
    }

    /// It failed without hope: the server is no better than it was, but the others need not wait for this one, which has given up.
    pub(super) fn refused(self) {
        self.close();
    }

    fn close(self) {
        if let Some(mut probe) = self.probe {
            probe.backoff.worked();
            probe.failures = 0;
            self.breaker.note(None);
            self.breaker.open.store(false, Ordering::Release);
        }
    }

    /// It failed in a way that may pass.
    pub(super) async fn failed(self, doing: &str, why: &impl std::fmt::Display) {
        let mut probe = match self.probe {
            Some(probe) => probe,
            None => self.breaker.probe.lock().await,
        };
        let now = Instant::now();
        if !self.breaker.open.swap(true, Ordering::AcqRel) {
            (probe.failures, probe.since, probe.say) = (0, now, (now, FIRST));
        }
        probe.failures += 1;
        self.breaker.note(Some(format!("{doing}: {why}")));
        if now >= probe.say.0 {
            let failures = probe.failures;
            tracing::warn!(server = %self.breaker.server, failures, "{doing}: {why}; trying again");
            let longest = Duration::from_millis(CLICKHOUSE_SAID_MS.1);
            probe.say = (now + probe.say.1, (probe.say.1 * 2).min(longest));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn one_at_a_time_tries_while_it_is_open() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let breaker = Arc::new(Breaker::new("a"));
            breaker.enter().await.failed("inserting", &"it is down").await;
            assert_eq!(breaker.trouble().as_deref(), Some("inserting: it is down"));
            let (trying, tries, most) =
                (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    let (breaker, trying, tries, most) = (breaker.clone(), trying.clone(), tries.clone(), most.clone());
                    tokio::spawn(async move {
                        loop {
                            let pass = breaker.enter().await;
                            let alone = pass.probe.is_some();
                            if alone {
                                most.fetch_max(trying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                                tokio::time::sleep(Duration::from_millis(2)).await;
                                trying.fetch_sub(1, Ordering::SeqCst);
                            }
                            if tries.fetch_add(1, Ordering::SeqCst) >= 3 {
                                return pass.worked();
                            }
                            pass.failed("inserting", &"it is down").await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(most.load(Ordering::SeqCst), 1);
            assert!(!breaker.open.load(Ordering::SeqCst));
            assert_eq!(breaker.trouble(), None);
            assert_eq!(breaker.retries(), 4, "three that failed and one that worked; the others then went at will");
        });
    }

    /// What goes into a log.
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_refusal_closes_it_without_a_word_of_better_times() {
        let said = |end: fn(Pass<'_>)| {
            let (log, breaker) = (Log::default(), Breaker::new("a"));
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tracing::subscriber::with_default(subscriber, || {
                runtime.block_on(async {
                    breaker.enter().await.failed("inserting", &"it is down").await;
                    end(breaker.enter().await);
                });
            });
            assert!(!breaker.open.load(Ordering::SeqCst) && breaker.trouble().is_none());
            String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
        };
        let worked = said(|pass| pass.worked());
        assert!(worked.contains("it is down; trying again") && worked.contains("it answers again"), "{worked}");
        let refused = said(|pass| pass.refused());
        assert!(refused.contains("it is down; trying again") && !refused.contains("answers again"), "{refused}");
    }
}
