//! A store that is waited for while it is away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::random_number;
use crate::error::{Error, Fault, Result};
use crate::limits::{STORE_AGAIN_MS, STORE_AWAY_SAID_MS, STORE_LOOK_MS};
use crate::snapshot::Store;

/// Says whether nobody needs the answer any more.
pub type GivenUp = Arc<dyn Fn() -> bool + Send + Sync>;

/// A [`Store`] that tries for ever what fails outside: while the store is away nothing is committed, so reading stops at its bound,
/// and goes on when the store is back. Every other error is an answer at once; but see [`Patient::forgiving`].
///
/// A try whose answer was lost may have happened, and the next one finds that: a name may then be taken by the very bytes that are
/// put. Whoever puts under a condition reads back what has the name.
pub struct Patient<S> {
    store: S,
    given_up: GivenUp,
    met: Arc<StoreMet>,
    forgives: Duration,
    /// Whether it has ever worked.
    worked: AtomicBool,
}

/// What those who wait for a store have met.
#[derive(Debug, Default)]
pub struct StoreMet {
    failed: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl StoreMet {
    /// Tries that have failed and were begun again.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Why the store is away, while it is.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

impl<S: Store> Patient<S> {
    /// Waits for `store` until it is back or `given_up` says so.
    pub fn new(store: S, given_up: GivenUp) -> Self {
        Patient { store, given_up, met: Arc::default(), forgives: Duration::ZERO, worked: AtomicBool::new(false) }
    }

    /// The same, where others are to see what it meets.
    pub fn seen_in(mut self, met: Arc<StoreMet>) -> Self {
        self.met = met;
        self
    }

    /// Once the store has worked, tries for so long what it refuses although nothing is wrong with how it is asked: a credential
    /// that has just expired is followed by its successor, and a right or a clock is put right while the run goes on.
    pub fn forgiving(mut self, so_long: Duration) -> Self {
        self.forgives = so_long;
        self
    }

    /// Tries that have failed and were begun again.
    pub fn failed(&self) -> u64 {
        self.met.failed()
    }

    /// Whether to try again after this error, where it has been refused since then.
    fn may_pass(&self, error: &Error, refused: &mut Option<Instant>) -> bool {
        match error.fault {
            Fault::Outside => {
                *refused = None;
                true
            }
            Fault::Configuration if self.worked.load(Ordering::Relaxed) => {
                refused.get_or_insert_with(Instant::now).elapsed() < self.forgives
            }
            _ => false,
        }
    }

    fn insist<T>(&self, act: impl Fn() -> Result<T>) -> Result<T> {
        let (mut away, mut refused) = (None, None);
        loop {
            match act() {
                Err(error) if self.may_pass(&error, &mut refused) && !(self.given_up)() => {
                    self.met.failed.fetch_add(1, Ordering::Relaxed);
                    self.met.note(Some(error.to_string()));
                    away.get_or_insert_with(|| Away::begin(self.store.place())).wait(&error, &self.given_up);
                }
                answer => {
                    if answer.is_ok() {
                        self.worked.store(true, Ordering::Relaxed);
                    }
                    if away.is_some() {
                        self.met.note(None);
                    }
                    if let Some(away) = away.filter(|_| answer.is_ok()) {
                        away.end(self.failed());
                    }
                    return answer;
                }
            }
        }
    }
}

impl<S: Store> Store for Patient<S> {
    fn place(&self) -> String {
        self.store.place()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.insist(|| self.store.put(name, bytes))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.insist(|| self.store.put_if_absent(name, bytes))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.insist(|| self.store.get(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.insist(|| self.store.list(prefix))
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.insist(|| self.store.delete(name))
    }
}

/// One time that a store is away.
struct Away {
    place: String,
    since: Instant,
    tries: u32,
    said: Instant,
    /// How long nothing is said after the last word.
    silence: Duration,
}

impl Away {
    fn begin(place: String) -> Self {
        let now = Instant::now();
        Away { place, since: now, tries: 0, said: now, silence: Duration::ZERO }
    }

    /// Waits before the next try, longer each time, half of it chance, so that many slots do not keep step.
    fn wait(&mut self, error: &Error, given_up: &GivenUp) {
        self.tries = self.tries.saturating_add(1);
        self.say(error);
        let most = self.most();
        let end = Instant::now() + Duration::from_millis(most / 2 + random_number() % (most / 2 + 1));
        while !given_up() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(Duration::from_millis(STORE_LOOK_MS)));
        }
    }

    /// The most milliseconds that the wait takes.
    fn most(&self) -> u64 {
        let (first, longest) = STORE_AGAIN_MS;
        first.saturating_mul(1 << (self.tries - 1).min(20)).min(longest)
    }

    fn say(&mut self, error: &Error) {
        if self.said.elapsed() < self.silence {
            return;
        }
        let (first, longest) = STORE_AWAY_SAID_MS;
        self.said = Instant::now();
        self.silence = (self.silence * 2).clamp(Duration::from_millis(first), Duration::from_millis(longest));
        let what = match error.fault {
            Fault::Configuration => "the store refuses us; nothing is committed, and the run ends if that lasts",
            _ => "the store is away; nothing is committed until it is back",
        };
        tracing::warn!(
            store = self.place,
            tries = self.tries,
            seconds = self.since.elapsed().as_secs(),
            %error,
            "{what}"
        );
    }

    fn end(&self, failed: u64) {
        tracing::warn!(
            store = self.place,
            tries = self.tries,
            seconds = self.since.elapsed().as_secs(),
            failed_in_all = failed,
            "the store is back"
        );
    }
}

#[cfg(test)]
mod tests;
