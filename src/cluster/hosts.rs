//! Who is in the cluster: how many processes of how many workers, where each listens, and which of them this one is.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::{FIRST_PORT, HOSTFILE_BYTES_MAX, SECRET_BYTES, SLOTS_MAX};

/// What all processes of a cluster know and nobody else does.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// What stands in for a secret where only this machine can connect.
    pub fn none() -> Self {
        Secret(Vec::new())
    }

    /// The secret in a file, without the white space at its end.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read(path, *SECRET_BYTES.end() as u64 + 1, "the cluster's secret")?;
        let secret = text.trim_ascii_end();
        if SECRET_BYTES.contains(&secret.len()) {
            return Ok(Secret(secret.to_vec()));
        }
        Err(Error::configuration(format!(
            "the secret in {} has {} bytes; allowed are {} to {}",
            path.display(),
            secret.len(),
            SECRET_BYTES.start(),
            SECRET_BYTES.end()
        )))
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

// A secret is not shown, whoever prints what holds it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_none() { "no secret" } else { "a secret" })
    }
}

/// The shape of a cluster and this process's place in it.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// The number of this process.
    pub process: usize,
    /// Worker threads of each process.
    pub workers: usize,
    addresses: Vec<String>,
    secret: Secret,
}

impl Hosts {
    /// One process.
    pub fn alone(workers: usize) -> Result<Self> {
        Hosts::new(workers, 0, vec![String::new()], Secret::none())
    }

    /// The first `processes` lines of a hostfile, or ports of this machine from [`FIRST_PORT`] where there is none.
    pub fn read(
        workers: usize,
        processes: usize,
        process: usize,
        hostfile: Option<&Path>,
        secret: Option<&Path>,
    ) -> Result<Self> {
        if !(1..=SLOTS_MAX).contains(&processes) {
            return Err(Error::configuration(format!("--processes {processes}: allowed are 1 to {SLOTS_MAX}")));
        }
        let addresses = match hostfile {
            None => (0..processes).map(|index| format!("localhost:{}", usize::from(FIRST_PORT) + index)).collect(),
            Some(path) => addresses(path, processes)?,
        };
        let secret = secret.map_or(Ok(Secret::none()), Secret::read)?;
        Hosts::new(workers, process, addresses, secret)
    }

    fn new(workers: usize, process: usize, addresses: Vec<String>, secret: Secret) -> Result<Self> {
        let processes = addresses.len();
        if process >= processes {
            return Err(Error::configuration(format!(
                "--process {process}: allowed are 0 to {} (--processes {processes})",
                processes - 1
            )));
        }
        if workers == 0 || workers.saturating_mul(processes) > SLOTS_MAX {
            return Err(Error::configuration(format!(
                "--workers {workers}: allowed are 1 to {} in each of {processes} process(es)",
                SLOTS_MAX / processes
            )));
        }
        if processes > 1 {
            check(&addresses, &secret)?;
        }
        Ok(Hosts { process, workers, addresses, secret })
    }

    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.addresses.len()
    }

    /// Slots of all processes.
    pub fn slots(&self) -> usize {
        self.workers * self.addresses.len()
    }

    /// Where a process listens.
    pub(super) fn address(&self, process: usize) -> &str {
        &self.addresses[process]
    }

    /// The secret of all.
    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }
}

fn read(path: &Path, most: u64, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|cause| Error::configuration(format!("{what} cannot be read from {}: {cause}", path.display())))?;
    Ok(bytes)
}

fn addresses(path: &Path, processes: usize) -> Result<Vec<String>> {
    let bytes = read(path, HOSTFILE_BYTES_MAX, "the hostfile")?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let addresses: Vec<String> = lines.take(processes).map(str::to_owned).collect();
    if addresses.len() < processes {
        return Err(Error::configuration(format!(
            "the hostfile {} names {} processes, --processes says {processes}: give it a line host:port for each",
            path.display(),
            addresses.len()
        )));
    }
    Ok(addresses)
}

/// Each address must have the form host:port, be there once, and be of this machine unless there is a secret.
fn check(addresses: &[String], secret: &Secret) -> Result<()> {
    for (index, address) in addresses.iter().enumerate() {
        let wrong =
            |what: String| Err(Error::configuration(format!("the address of process {index}, {address:?}, {what}")));
        let parts = address
            .rsplit_once(':')
            .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0));
        let Some((host, _)) = parts else {
            return wrong("has not the form host:port".into());
        };
        if let Some(other) = addresses[..index].iter().position(|other| other.eq_ignore_ascii_case(address)) {
            return wrong(format!("is that of process {other} too: each needs one of its own"));
        }
        if secret.is_none() && !is_loopback(host) {
            return wrong("is not of this machine: processes of several hosts need --cluster-secret-file".into());
        }
    }
    Ok(())
}

/// Whether a host is this machine by its very name.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("it can be written");
        file
    }

    fn refused(processes: usize, process: usize, hosts: &str, secret: Option<&str>) -> String {
        let (hosts, secret) = (written(hosts), secret.map(written));
        let secret = secret.as_ref().map(tempfile::NamedTempFile::path);
        let found = Hosts::read(1, processes, process, Some(hosts.path()), secret);
        found.expect_err("it must be refused").to_string()
    }

    #[test]
    fn without_a_hostfile_ports_of_this_machine_are_taken_in_order() {
        let hosts = Hosts::read(3, 2, 1, None, None).expect("nothing is wrong with it");
        assert_eq!((hosts.address(0), hosts.address(1)), ("localhost:2101", "localhost:2102"));
        assert_eq!((hosts.processes(), hosts.slots(), hosts.process), (2, 6, 1));
    }

    #[test]
    fn the_first_lines_of_a_hostfile_count() {
        let file = written("127.0.0.1:9000\n\n [::1]:9001 \nlocalhost:9002\n");
        let hosts = Hosts::read(1, 2, 0, Some(file.path()), None).expect("nothing is wrong with it");
        assert_eq!((hosts.address(0), hosts.address(1)), ("127.0.0.1:9000", "[::1]:9001"));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        let two = "localhost:9000\nlocalhost:9001\n";
        for (found, words) in [
            (refused(2, 2, two, None), "--process 2: allowed are 0 to 1"),
            (refused(3, 0, two, None), "names 2 processes, --processes says 3"),
            (refused(0, 0, two, None), "allowed are 1 to"),
            (refused(2, 0, "localhost:9000\nLocalHost:9000\n", None), "that of process 0 too"),
            (refused(2, 0, "localhost:9000\nlocalhost\n", None), "form host:port"),
            (refused(2, 0, "localhost:9000\nlocalhost:0\n", None), "form host:port"),
            (refused(2, 0, "localhost:9000\nminuet-1.minuet:9000\n", None), "--cluster-secret-file"),
            (refused(2, 0, "localhost:9000\n10.0.0.7:9000\n", None), "--cluster-secret-file"),
            (refused(2, 0, two, Some("short\n")), "has 5 bytes"),
            (refused(2, 0, two, Some(&"x".repeat(5_000))), "allowed are 16 to 4096"),
        ] {
            assert!(found.contains(words), "{words:?} is missing in {found:?}");
        }
    }

    #[test]
    fn with_a_secret_any_host_may_be_named_and_the_secret_is_not_printed() {
        let (hosts, secret) = (written("a.example:9000\nb.example:9000\n"), written("sesame sesame sesame\n"));
        let hosts = Hosts::read(1, 2, 1, Some(hosts.path()), Some(secret.path())).expect("nothing is wrong with it");
        assert_eq!(hosts.secret().bytes(), b"sesame sesame sesame");
        assert!(!format!("{hosts:?}").contains("sesame"));
    }
}
