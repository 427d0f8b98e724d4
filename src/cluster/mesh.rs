//! The processes of a run, met: each has two connections to every other, and they live and end together.
//!
//! ```text
//!  meet    listen; dial the processes before this one, hear those after it; wait until all are there
//!  begin   process 0 claims the pipeline and tells the others what it claimed: its attempt is the mesh's generation
//!  launch  timely gets the data connections
//!  part    whoever ends says so, and why; the others end at once, and all begin again
//! ```
//! From its first link on a process shares the fate of the peer behind it, even while it waits for others: so there is one rule
//! and no half-met mesh to be mended. What a process that sleeps through all this has in hand when it wakes is fenced off: its
//! part and manifest names carry an attempt that is over, and the sink has another owner.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::data::DataStream;
use super::dial::reach;
use super::door::Door;
use super::hall::Hall;
use super::handshake::Identity;
use super::hosts::Hosts;
use super::launch::Outcome;
use super::link::{Link, Word};
use super::socket::{listen_on, pause};
use crate::dataflow::edges::Partition;
use crate::dataflow::{Fate, Resume};
use crate::error::{Error, Result};
use crate::limits::{DIAL_AGAIN_MS, FILE_BUFFER_BYTES, LISTEN_MS_MAX, STILL_WAITING_MS};
use crate::plan::Plan;
use crate::snapshot::Manifest;

/// How often the one that waits looks whether the run is over.
const LOOK: Duration = Duration::from_millis(50);

/// A mesh; alone, a process has nobody in it.
pub struct Mesh {
    pub(super) hosts: Hosts,
    pub(super) fate: Fate,
    pub(super) links: Vec<Arc<Link>>,
    /// The connections for timely, by process; none at this one's own place.
    pub(super) data: Vec<Option<DataStream>>,
    /// The random number of each process's start.
    runs: Vec<u64>,
    hall: Option<Arc<Hall>>,
    /// Stays open for those who come later.
    _door: Option<Door>,
}

/// What process 0 tells the others when it has claimed the pipeline.
#[derive(Serialize, Deserialize)]
struct Opening {
    runs: Vec<u64>,
    /// The claim.
    manifest: Manifest,
    /// The partitions that process 0 sees.
    partitions: Vec<Partition>,
}

impl Mesh {
    /// Meets all processes of `hosts` that run the same plan; `None` where the run was asked to stop meanwhile.
    pub fn meet(hosts: &Hosts, plan: &Plan, fate: &Fate) -> Result<Option<Self>> {
        if hosts.processes() == 1 {
            let (hosts, fate) = (hosts.clone(), fate.clone());
            return Ok(Some(Mesh {
                hosts,
                fate,
                links: Vec::new(),
                data: vec![None],
                runs: vec![0],
                hall: None,
                _door: None,
            }));
        }
        let identity = Identity::of(&program()?, &plan.fingerprint);
        let hall = Arc::new(Hall::new(hosts.clone(), identity));
        let run = random_run()?;
        let Some(listener) = listen(hosts, fate)? else { return over(fate) };
        let door = Door::open(listener, Arc::clone(&hall), run)?;
        for peer in 0..hosts.process {
            reach(&hall, peer, run, fate)?;
        }
        let Some(links) = gather(&hall, fate)? else { return over(fate) };
        let mut data: Vec<Option<DataStream>> = (0..hosts.processes()).map(|_| None).collect();
        let mut runs = vec![run; hosts.processes()];
        for (peer, met) in hall.take_all() {
            runs[peer] = met.run;
            data[peer] = met.data.map(|stream| DataStream::new(stream, peer, hosts.address(peer), fate));
        }
        let mesh =
            Mesh { hosts: hosts.clone(), fate: fate.clone(), links, data, runs, hall: Some(hall), _door: Some(door) };
        // Whoever comes from now on comes too late for this generation, whatever its number will be.
        mesh.close_hall("the others have met without it");
        Ok(Some(mesh))
    }

    /// Begins the run: process 0 by `claim`, the others by `join` with what it has claimed. `None` where the run was asked to
    /// stop meanwhile.
    pub fn begin(
        &self,
        claim: impl FnOnce() -> Result<Resume>,
        join: impl FnOnce(Manifest, Vec<Partition>) -> Result<Resume>,
    ) -> Result<Option<Resume>> {
        if self.is_first() {
            let resume = claim()?;
            self.open(&resume)?;
            return Ok(Some(resume));
        }
        let Some(opening) = self.opening()? else { return Ok(None) };
        join(opening.manifest, opening.partitions).map(Some)
    }

    /// Whether this process claims the pipeline for all.
    pub fn is_first(&self) -> bool {
        self.hosts.process == 0
    }

    /// Tells the others what was claimed.
    fn open(&self, resume: &Resume) -> Result<()> {
        let Resume { manifest, partitions, .. } = resume;
        let opening = Opening { runs: self.runs.clone(), manifest: manifest.clone(), partitions: partitions.clone() };
        let word =
            serde_json::to_vec(&opening).map_err(|cause| Error::bug(format!("encoding the opening: {cause}")))?;
        let word = Word::Begin(word);
        for link in &self.links {
            // Who does not get it is missed by its own link.
            let _ = link.send(&word);
        }
        self.close_hall(&format!("generation {} is running", manifest.attempt));
        Ok(())
    }

    /// Waits for what process 0 claimed; `None` where the run was asked to stop meanwhile.
    fn opening(&self) -> Result<Option<Opening>> {
        let first = self.links.first().ok_or_else(|| Error::bug("a process without peers waits for its opening"))?;
        loop {
            if self.fate.is_over() {
                return over(&self.fate);
            }
            let Some(word) = first.begin(LOOK) else { continue };
            let opening: Opening = serde_json::from_slice(&word)
                .map_err(|cause| Error::bug(format!("what process 0 began with cannot be read: {cause}")))?;
            if opening.runs != self.runs {
                return Err(Error::peer(
                    "process 0 has met other starts of the same processes; all begin again together",
                ));
            }
            self.close_hall(&format!("generation {} is running", opening.manifest.attempt));
            return Ok(Some(opening));
        }
    }

    /// Says to all that this process has done its part.
    pub(super) fn finished(&self) {
        let _ = self.links.iter().try_for_each(|link| link.send(&Word::Finished));
    }

    /// Ends the mesh for this process, and says why: the others end with it unless it has finished, and begin again where it does.
    pub fn part(&self, ended: &Result<Outcome>) {
        let word = match ended {
            Ok(Outcome::Finished) => Word::Finished,
            Ok(Outcome::Renewed) => Word::Again,
            Ok(Outcome::Stopped) => Word::Leaving("it was asked to stop".into()),
            Err(error) => Word::Leaving(error.to_string()),
        };
        self.close_hall("this process is ending");
        self.links.iter().for_each(|link| link.close(&word));
    }

    fn close_hall(&self, why: &str) {
        if let Some(hall) = &self.hall {
            hall.close(why.to_owned());
        }
    }
}

/// How a wait ends that the run's fate has ended.
fn over<T>(fate: &Fate) -> Result<Option<T>> {
    fate.error().map_or(Ok(None), Err)
}

/// Waits until all peers are there, and links them as they come.
fn gather(hall: &Hall, fate: &Fate) -> Result<Option<Vec<Arc<Link>>>> {
    let hosts = hall.hosts();
    let mut links: Vec<(usize, Arc<Link>)> = Vec::new();
    let (since, mut said) = (Instant::now(), Instant::now());
    loop {
        let (new, missing) = hall.wait(LOOK);
        for (peer, control) in new {
            links.push((peer, Link::start(peer, hosts.address(peer), control, fate)?));
        }
        if fate.is_over() {
            return over(fate);
        }
        if missing.is_empty() {
            links.sort_by_key(|(peer, _)| *peer);
            return Ok(Some(links.into_iter().map(|(_, link)| link).collect()));
        }
        if said.elapsed() >= Duration::from_millis(STILL_WAITING_MS) {
            said = Instant::now();
            let (here, waited) = (hosts.address(hosts.process), since.elapsed().as_secs());
            tracing::warn!("process {} at {here} waits for {missing:?}, {waited} s so far", hosts.process);
        }
    }
}

/// Listens on this process's own address, which an earlier start of it may still hold for a moment, or which has no name yet.
fn listen(hosts: &Hosts, fate: &Fate) -> Result<Option<TcpListener>> {
    let (address, since) = (hosts.address(hosts.process), Instant::now());
    loop {
        match listen_on(address, hosts.secret().is_none()) {
            Ok(listener) => return Ok(Some(listener)),
            Err(_) if fate.is_over() => return Ok(None),
            Err(cause) if since.elapsed() >= Duration::from_millis(LISTEN_MS_MAX) => {
                return Err(Error::outside(format!("listening as process {} at {address}", hosts.process), cause));
            }
            Err(cause) => {
                tracing::warn!("process {} cannot listen at {address} yet: {cause}", hosts.process);
                pause(DIAL_AGAIN_MS.1);
            }
        }
    }
}

/// What tells this program apart from any other: its file, byte by byte. The form of what processes send each other is laid
/// down nowhere but in it.
fn program() -> Result<String> {
    let read = || -> io::Result<u128> {
        // Where the system has it, the file that runs, even if another has taken its name meanwhile.
        let mut file = File::open("/proc/self/exe").or_else(|_| File::open(std::env::current_exe()?))?;
        let (mut hash, mut room) = (Xxh3::new(), vec![0; FILE_BUFFER_BYTES]);
        loop {
            match file.read(&mut room)? {
                0 => return Ok(hash.digest128()),
                count => hash.update(&room[..count]),
            }
        }
    };
    let hash = read().map_err(|cause| Error::outside("reading the program's own file", cause))?;
    Ok(format!("{} {hash:032x}", env!("CARGO_PKG_VERSION")))
}

fn random_run() -> Result<u64> {
    getrandom::u64().map_err(|cause| Error::outside("asking for random bytes", cause))
}
