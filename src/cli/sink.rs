//! Where rows go, as the command line says it. The password comes from a file or the environment: a command line is seen by all.

use std::path::PathBuf;
use std::sync::Arc;

use super::place::SinkPlace;
use crate::connect::Secret;
use crate::connect::clickhouse::{Address, ClickHouseSink, Config, Over, Reread, User};
use crate::connect::files::FileSink;
use crate::dataflow::edges::Sink;
use crate::error::{Error, Result};
use crate::limits::CLICKHOUSE_PASSWORD_BYTES_MAX;
use crate::plan::Plan;

/// The environment variable of the password.
const PASSWORD: &str = "CLICKHOUSE_PASSWORD";

/// How rows go to ClickHouse.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "ClickHouse")]
pub struct SinkArgs {
    /// Make the tables of --sink that are missing, as minuet ddl prints them without --replicated and --ttl-days: for tables that Keeper
    /// replicates, or that let lines go, run its statements instead.
    #[arg(long)]
    pub create_tables: bool,
    /// Who we are there.
    #[command(flatten)]
    pub user: UserArgs,
}

/// Who we are for ClickHouse, and whom we believe there.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "ClickHouse")]
pub struct UserArgs {
    /// Who we are for ClickHouse.
    #[arg(long, value_name = "NAME", env = "CLICKHOUSE_USER", default_value = "default")]
    pub clickhouse_user: String,
    /// A file with the password, which is read again when it is refused; without it the one in CLICKHOUSE_PASSWORD, if there is one.
    #[arg(long, value_name = "FILE", env = "CLICKHOUSE_PASSWORD_FILE")]
    pub clickhouse_password_file: Option<PathBuf>,
    /// A PEM file of the root certificates to believe with clickhouses://; the system's unless given.
    #[arg(long, value_name = "FILE", env = "CLICKHOUSE_TLS_ROOTS")]
    pub clickhouse_tls_roots: Option<PathBuf>,
}

/// An opened sink.
pub(super) struct Opened {
    pub sink: Arc<dyn Sink>,
    /// The same once more where it is ClickHouse, which has more to tell.
    pub tables: Option<Arc<ClickHouseSink>>,
}

impl SinkArgs {
    /// The sink at a place; `over` says whether the run is to end.
    pub(super) fn open(&self, place: &SinkPlace, plan: &Plan, over: Over) -> Result<Opened> {
        match place {
            SinkPlace::Files(_) if self.create_tables => {
                Err(Error::configuration("--create-tables makes tables of ClickHouse: --sink names a folder"))
            }
            SinkPlace::Files(dir) => {
                Ok(Opened { sink: Arc::new(FileSink::new(dir, Arc::clone(&plan.layout))), tables: None })
            }
            SinkPlace::ClickHouse(address) => {
                let tables = Arc::new(ClickHouseSink::new(self.config(address, over)?, &plan.layout)?);
                Ok(Opened { sink: Arc::clone(&tables) as _, tables: Some(tables) })
            }
        }
    }

    /// The tables at an address, and who we are there.
    pub(super) fn config(&self, address: &Address, over: Over) -> Result<Config> {
        Ok(Config { address: address.clone(), user: self.user.user()?, create_tables: self.create_tables, over })
    }
}

impl UserArgs {
    /// The user, with the password.
    pub(super) fn user(&self) -> Result<User> {
        let (again, roots) = (self.clone(), self.clickhouse_tls_roots.clone());
        // The environment of a process does not change.
        let reread = self.clickhouse_password_file.is_some().then(|| Arc::new(move || again.password()) as Reread);
        Ok(User { name: self.clickhouse_user.clone(), password: self.password()?, reread, roots })
    }

    fn password(&self) -> Result<Secret> {
        let Some(path) = &self.clickhouse_password_file else {
            return match std::env::var(PASSWORD) {
                Ok(password) => Ok(Secret::new(password)),
                Err(std::env::VarError::NotPresent) => Ok(Secret::new("")),
                Err(std::env::VarError::NotUnicode(_)) => Err(Error::configuration(format!("{PASSWORD} is not UTF-8"))),
            };
        };
        let wrong = |why: String| Error::configuration(format!("reading the password in {}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|cause| wrong(cause.to_string()))?;
        // The line end belongs to the file, spaces to the password.
        let password = text.trim_end_matches(['\r', '\n']);
        if password.len() > CLICKHOUSE_PASSWORD_BYTES_MAX || password.contains(['\r', '\n']) {
            return Err(wrong(format!("allowed is one line of up to {CLICKHOUSE_PASSWORD_BYTES_MAX} bytes")));
        }
        Ok(Secret::new(password))
    }
}
