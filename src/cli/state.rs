//! Where the state is, and how it is reached.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::builder::FalseyValueParser;

use super::place::StatePlace;
use crate::connect::files::FolderStore;
use crate::connect::s3::{Encryption, S3Store, Settings};
use crate::connect::{GivenUp, Patient, StoreMet};
use crate::dataflow::Fate;
use crate::error::{Error, Result};
use crate::limits::STORE_LASTING_MS;
use crate::snapshot::Store;

/// How S3 is reached. Its credentials are no flags: a command line is seen by all.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "S3: where --state is s3://BUCKET/PREFIX")]
pub struct S3Args {
    /// A server other than Amazon's, http://HOST:PORT or https://HOST:PORT.
    #[arg(long, value_name = "URL", env = "MINUET_S3_ENDPOINT", value_parser = endpoint)]
    pub s3_endpoint: Option<String>,
    /// Put the bucket into the path of a URL, not before its host: what most servers other than Amazon's want.
    #[arg(long, env = "MINUET_S3_PATH_STYLE", value_parser = FalseyValueParser::new())]
    pub s3_path_style: bool,
    /// The bucket's region; that of the environment (AWS_REGION) or the profile unless given.
    #[arg(long, value_name = "REGION", env = "MINUET_S3_REGION")]
    pub s3_region: Option<String>,
    /// A PEM file of the root certificates to believe with https://; the system's unless given.
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE")]
    pub s3_tls_roots: Option<PathBuf>,
    /// How S3 encrypts what it stores: none (as the bucket says), AES256, aws:kms or aws:kms:KEY_ID.
    #[arg(long, value_name = "HOW", default_value = "none", env = "MINUET_S3_ENCRYPTION")]
    pub s3_encryption: Encryption,
}

impl S3Args {
    /// The same for the client.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            endpoint: self.s3_endpoint.clone(),
            path_style: self.s3_path_style,
            region: self.s3_region.clone(),
            roots: self.s3_tls_roots.clone(),
            encryption: self.s3_encryption.clone(),
        }
    }
}

fn endpoint(text: &str) -> std::result::Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.trim_end_matches('/'));
    match host {
        // A password in it would be seen by all, and is not what S3 asks for.
        Some(host) if !host.is_empty() && !host.contains(['@', ' ', '?', '#']) => Ok(text.to_owned()),
        _ => Err("allowed is http://HOST:PORT or https://HOST:PORT; credentials come from the environment".to_owned()),
    }
}

/// An opened state.
#[derive(Clone)]
pub(super) enum State {
    /// In a folder.
    Folder(Arc<FolderStore>),
    /// In a bucket.
    S3(S3Store),
}

impl State {
    /// Opens a state for a verb that looks at it.
    pub fn open(place: &StatePlace, s3: &S3Args) -> Result<Self> {
        State::open_until(place, s3, Arc::new(|| false))
    }

    /// Opens a state for a run, which must be able to rely on it.
    pub fn open_to_run(place: &StatePlace, s3: &S3Args, fate: &Fate) -> Result<Self> {
        let given_up = given_up(fate);
        let state = State::open_until(place, s3, Arc::clone(&given_up))?;
        if let State::S3(store) = &state {
            store.probe(&given_up)?;
        }
        Ok(state)
    }

    fn open_until(place: &StatePlace, s3: &S3Args, given_up: GivenUp) -> Result<Self> {
        Ok(match place {
            StatePlace::Folder(folder) => State::Folder(Arc::new(FolderStore::open(folder)?)),
            StatePlace::S3(address) => State::S3(S3Store::open(address.clone(), &s3.settings(), given_up)?),
        })
    }

    /// What a verb looks at.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            State::Folder(store) => Arc::clone(store) as _,
            State::S3(store) => Arc::new(store.clone()),
        }
    }

    /// What a run that is over looks at once more, for so long.
    pub fn looked_at_for(&self, limit: Duration) -> Arc<dyn Store> {
        match self {
            State::Folder(store) => Arc::clone(store) as _,
            State::S3(store) => {
                let end = Instant::now() + limit;
                Arc::new(store.given_up_when(Arc::new(move || Instant::now() >= end)))
            }
        }
    }

    /// What a run of this fate goes on with. S3 may be away for as long as it likes; a disk that fails is no disk to wait for.
    pub fn of_run(&self, fate: &Fate, met: &Arc<StoreMet>) -> Arc<dyn Store> {
        match self {
            State::Folder(store) => Arc::clone(store) as _,
            State::S3(store) => {
                let given_up = given_up(fate);
                let patient = Patient::new(store.given_up_when(Arc::clone(&given_up)), given_up);
                Arc::new(patient.seen_in(Arc::clone(met)).forgiving(Duration::from_millis(STORE_LASTING_MS)))
            }
        }
    }
}

fn given_up(fate: &Fate) -> GivenUp {
    let fate = fate.clone();
    Arc::new(move || fate.is_over())
}

/// A state that must be there already, for a verb that only looks at it.
pub(super) fn look(place: &StatePlace, s3: &S3Args) -> Result<Arc<dyn Store>> {
    match place {
        StatePlace::Folder(folder) if !folder.is_dir() => {
            Err(Error::configuration(format!("{} is not a folder", folder.display())))
        }
        _ => State::open(place, s3).map(|state| state.store()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_without_secrets() {
        for text in ["http://127.0.0.1:9000", "https://s3.example/"] {
            assert_eq!(endpoint(text), Ok(text.to_owned()));
        }
        for text in ["", "127.0.0.1:9000", "http://", "http:///", "http://a:b@host", "s3://abc/x"] {
            assert!(endpoint(text).unwrap_err().contains("http://HOST:PORT"), "{text}");
        }
    }
}
