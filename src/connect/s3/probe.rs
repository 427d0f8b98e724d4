//! Whether a server keeps the one promise that everything rests on: a put under a condition stores nothing where the name is taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Address, S3Store, Settings};
use crate::connect::probe::{Found, Standing, Step, bad, good, step};
use crate::connect::{GivenUp, Patient, random_number};
use crate::error::{Error, Result};
use crate::limits::S3_OPEN_MS;
use crate::snapshot::Store;

impl S3Store {
    /// Puts an object twice under the condition that its name is free, and removes it. A server that takes both is refused. One that
    /// is away may be so for [`S3_OPEN_MS`].
    pub fn probe(&self, given_up: &GivenUp) -> Result<()> {
        let (end, given_up) = (Instant::now() + Duration::from_millis(S3_OPEN_MS), Arc::clone(given_up));
        Patient::new(self.clone(), Arc::new(move || given_up() || Instant::now() >= end)).keeps_conditions()
    }
}

impl Patient<S3Store> {
    fn keeps_conditions(&self) -> Result<()> {
        let name = format!("probe-{:016x}{:016x}", random_number(), random_number());
        // The first may find its own bytes there, when its answer was lost and it was tried again.
        self.put_if_absent(&name, b"first")?;
        let second = self.put_if_absent(&name, b"second")?;
        let left = self.get(&name)?;
        self.delete(&name)?;
        if second || left.as_deref() != Some(b"first") {
            return Err(Error::configuration(format!(
                "trying {}: the server stored an object under a name that was taken, although it was told not to (If-None-Match: *): \
                 two runs could both believe that they own the pipeline, so it cannot hold a state; use a server that keeps \
                 conditional writes, as Amazon S3 does",
                self.place()
            )));
        }
        Ok(())
    }
}

const NO_CONDITION: &str = "use a server that keeps conditional writes (If-None-Match: *), as Amazon S3 does: two runs could both believe \
                            that they own the pipeline";

/// Tries everything that a run will need of its bucket; what is stored is removed again.
pub fn probe(address: &Address, settings: &Settings) -> Vec<Step> {
    let began = Instant::now();
    let store = match S3Store::open(address.clone(), settings, Arc::new(|| false)) {
        Ok(store) => store,
        Err(error) => return vec![step("find credentials of S3", began, refused(&error))],
    };
    let mut steps = vec![step("find credentials of S3", began, good("they are there"))];
    let name = format!("probe-{:016x}{:016x}", random_number(), random_number());
    let key = format!("{address}/{name}");
    let mut next = |what: &'static str, found: &dyn Fn() -> Result<Found>| {
        let began = Instant::now();
        steps.push(step(what, began, found().unwrap_or_else(|error| refused(&error))));
        steps.last().is_some_and(|step| step.standing != Standing::Bad)
    };
    if next("store an object in S3", &|| store.put(&name, b"first").map(|()| good(key.as_str()))) {
        next("store another where the name is taken", &|| taken(&store, &name));
        next("read it", &|| read(&store, &name));
        next("list it", &|| listed(&store, &name));
        next("remove it", &|| removed(&store, &name));
    }
    steps
}

fn taken(store: &S3Store, name: &str) -> Result<Found> {
    Ok(match store.put_if_absent(name, b"second")? {
        false => good("it is refused, as it must be"),
        true => bad("it was stored, although the server was told not to", NO_CONDITION),
    })
}

fn read(store: &S3Store, name: &str) -> Result<Found> {
    Ok(match store.get(name)?.as_deref() {
        Some(b"first") => good("it is what was stored first"),
        Some(_) => bad("it is not what was stored first", NO_CONDITION),
        None => bad("it is not there", "use a server that shows what it has stored at once, as Amazon S3 does"),
    })
}

fn listed(store: &S3Store, name: &str) -> Result<Found> {
    Ok(match store.list(name)?.iter().any(|listed| listed == name) {
        true => good("it is listed"),
        false => bad("it is not listed", "use a server that lists what it has stored at once, as Amazon S3 does"),
    })
}

fn removed(store: &S3Store, name: &str) -> Result<Found> {
    store.delete(name)?;
    Ok(match store.get(name)? {
        None => good("it is gone"),
        Some(_) => {
            bad("it is still there", "allow what `minuet snapshot policy` prints; a retention must not lock objects")
        }
    })
}

/// What to do comes last in an error of S3; one without an answer has none.
fn refused(error: &Error) -> Found {
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((found, advice)) => bad(found, advice),
        None => bad(
            text,
            "see that the server runs, and that --s3-endpoint, --s3-region and network let this machine reach it",
        ),
    }
}
