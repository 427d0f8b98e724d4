//! The engine behind the requests: a few sessions, each of which runs one query at a time on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use crate::asked::Pairs;
use crate::exception::Exception;
use crate::library::{Connection, Functions, Output};

/// A piece of an insert's rows. Where none says that it is the last, the client has gone, and nothing is stored.
#[derive(Debug)]
pub(crate) enum Piece {
    Rows(Bytes),
    Last,
}

/// What is to be run.
#[derive(Debug)]
pub(crate) enum Work {
    /// A statement with all that belongs to it.
    Whole { sql: Vec<u8>, values: Pairs },
    /// An insert whose rows come bit by bit.
    Insert { statement: String, format: String, rows: mpsc::Receiver<Piece> },
}

/// Something to run, and where and how.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) format: String,
    pub(crate) database: Option<String>,
    pub(crate) settings: Pairs,
}

/// The engine.
pub(crate) struct Engine {
    functions: &'static Functions,
    folder: PathBuf,
    idle: Mutex<Vec<Connection>>,
    free: Arc<Semaphore>,
    version: String,
}

impl Engine {
    /// Opens the library and so many sessions on the data in a folder.
    pub(crate) fn open(library: &Path, folder: &Path, sessions: usize) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|e| format!("{} cannot be made: {e}", folder.display()))?;
        let functions = Functions::open(library)?;
        let mut idle = (0..sessions).map(|_| functions.connect(folder)).collect::<Result<Vec<_>, _>>()?;
        let first = idle.first_mut().ok_or("at least one session is needed")?;
        let version = first.query(b"SELECT version()", "TabSeparatedRaw", &[])?;
        Ok(Engine {
            functions,
            folder: folder.to_owned(),
            idle: Mutex::new(idle),
            free: Arc::new(Semaphore::new(sessions)),
            version: String::from_utf8_lossy(&version.bytes).trim().to_owned(),
        })
    }

    /// The engine's own.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Runs a job to its end, also where nobody waits for it any more.
    pub(crate) async fn run(self: Arc<Self>, job: Job) -> Result<Output, Exception> {
        let broken =
            |error: &dyn std::fmt::Display| Exception::of_engine(&format!("the front's engine has ended: {error}"));
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|e| broken(&e))?;
        let running = tokio::task::spawn_blocking(move || {
            let held = permit;
            let output = self.run_now(job);
            drop(held);
            output
        });
        running.await.map_err(|e| broken(&e))?.map_err(|text| Exception::of_engine(&text))
    }

    fn run_now(&self, job: Job) -> Result<Output, String> {
        let taken = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match taken {
            Some(connection) => connection,
            None => self.functions.connect(&self.folder)?,
        };
        let settings: Vec<String> = job.settings.iter().map(|(name, _)| name.clone()).collect();
        let moved = job.database.is_some();
        let output = run_on(&mut connection, job);
        // A session that cannot be brought back to how it was is closed, and another opened by the next query.
        if reset(&mut connection, &settings, moved).is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        output
    }
}

fn run_on(connection: &mut Connection, job: Job) -> Result<Output, String> {
    if let Some(database) = &job.database {
        connection.query(format!("USE {}", name(database)).as_bytes(), "Null", &[])?;
    }
    for (setting, value) in &job.settings {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        connection.query(format!("SET {} = '{value}'", name(setting)).as_bytes(), "Null", &[])?;
    }
    match job.work {
        Work::Whole { sql, values } => connection.query(&sql, &job.format, &values),
        Work::Insert { statement, format, mut rows } => {
            connection.insert(&statement, &format, || match rows.blocking_recv() {
                Some(Piece::Rows(rows)) => Ok(Some(rows)),
                Some(Piece::Last) => Ok(None),
                None => Err("Code: 210. DB::NetException: the client has gone. (NETWORK_ERROR)".to_owned()),
            })
        }
    }
}

fn reset(connection: &mut Connection, settings: &[String], moved: bool) -> Result<(), String> {
    for setting in settings {
        // One that the engine does not know was not set either.
        match connection.query(format!("SET {} = DEFAULT", name(setting)).as_bytes(), "Null", &[]) {
            Err(error) if !error.contains("UNKNOWN_SETTING") => return Err(error),
            _ => {}
        }
    }
    if moved {
        connection.query(b"USE default", "Null", &[])?;
    }
    Ok(())
}

/// A name as it is quoted in SQL.
fn name(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}
