//! `minuet launch`: all processes of a run on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::http::HttpPlace;
use super::{Ended, complain, say};
use crate::cluster::{Stoppable, stop_on_signals};
use crate::error::{Error, Fault, Result};
use crate::limits::{FAREWELL_MS_MAX, OUTPUT_LINE_BYTES_MAX, PEER_SILENT_MS_MAX, SLOTS_MAX};

/// The environment's --http.
const HTTP: &str = "MINUET_HTTP";

/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long the others get to end by themselves when one has failed: until they have missed it.
const PATIENCE: Duration = Duration::from_millis(PEER_SILENT_MS_MAX + FAREWELL_MS_MAX);

/// How long they get to end when they were asked to. One that is stopped does not hear it.
const OBEYS_WITHIN: Duration = Duration::from_millis(2 * FAREWELL_MS_MAX);

/// Start all processes of a run on this machine, and end them together.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  minuet launch -n 2 -- run dataflows/sensors --source 'files:events/*' --sink files:out \
    --state dir:state -w 2\n\nThe exit code is that of the process that failed first, for another reason than that a peer did."
)]
pub struct Args {
    /// Processes.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=SLOTS_MAX as u64))]
    pub processes: u64,
    /// A file with the address of each process, one host:port a line; localhost from port 2101 unless given.
    #[arg(short = 'h', long, value_name = "FILE")]
    pub hostfile: Option<PathBuf>,
    /// The verb and its flags, as for one process; --processes, --process and --hostfile are added. Of --http HOST:PORT each process
    /// gets its own port: PORT and the process's number.
    #[arg(last = true, required = true, value_name = "run ...")]
    pub verb: Vec<String>,
}

/// A process, and the threads that pass its output on.
struct Process {
    number: u64,
    child: Child,
    output: Vec<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

/// Runs the verb.
pub(super) fn launch(args: &Args) -> Ended {
    let stoppable = stop_on_signals()?;
    if args.verb.first().map(String::as_str) != Some("run") {
        return Err(
            Error::configuration("only `run` has several processes: write `minuet launch -n 2 -- run ...`").into()
        );
    }
    let mut processes = Vec::new();
    for number in 0..args.processes {
        match start(args, number) {
            Ok(process) => processes.push(process),
            Err(error) => {
                end(&mut processes, Signal::KILL);
                return Err(error.into());
            }
        }
    }
    let first = watch(&mut processes, &stoppable);
    for handle in processes.iter_mut().flat_map(|process| process.output.drain(..)) {
        // A thread that passes lines on ends with the process it listens to.
        let _ = handle.join();
    }
    if stoppable.fate.is_over() {
        return Ok(stoppable.exit_code());
    }
    Ok(first.unwrap_or(0))
}

fn start(args: &Args, number: u64) -> Result<Process> {
    let failed = |cause| Error::outside(format!("starting process {number}"), cause);
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.args(with_own_port(&args.verb, number)?);
    if let Some(place) = std::env::var(HTTP).ok().and_then(|text| text.parse::<HttpPlace>().ok()) {
        command.env(HTTP, place.of_process(number)?.to_string());
    }
    command.args(["--processes", &args.processes.to_string(), "--process", &number.to_string()]);
    if let Some(hostfile) = &args.hostfile {
        command.arg("--hostfile").arg(hostfile);
    }
    // In a group of its own: a ^C at the terminal reaches this process, which passes it on once.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let mut output = Vec::new();
    if let Some(out) = child.stdout.take() {
        output.push(pass_on(number, out, std::io::stdout).map_err(failed)?);
    }
    if let Some(out) = child.stderr.take() {
        output.push(pass_on(number, out, std::io::stderr).map_err(failed)?);
    }
    Ok(Process { number, child, output, status: None })
}

/// The verb and its flags with the port of a process in --http. What is no place there is left to the verb, which says why.
fn with_own_port(verb: &[String], number: u64) -> Result<Vec<String>> {
    let (mut own, mut is_place) = (Vec::with_capacity(verb.len()), false);
    for argument in verb {
        let (flag, text) = if is_place {
            ("", argument.as_str())
        } else {
            ("--http=", argument.strip_prefix("--http=").unwrap_or_default())
        };
        is_place = argument == "--http";
        own.push(match text.parse::<HttpPlace>() {
            Ok(place) => format!("{flag}{}", place.of_process(number)?),
            Err(_) => argument.clone(),
        });
    }
    Ok(own)
}

/// Passes lines on with the number of their process in front; an overlong line in pieces.
fn pass_on<W: Write>(
    number: u64,
    from: impl Read + Send + 'static,
    to: impl Fn() -> W + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let pass = move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.by_ref().take(OUTPUT_LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            if say(&mut to(), format_args!("[{number}] {}", text.trim_end_matches('\n'))).is_err() {
                return;
            }
            line.clear();
        }
    };
    thread::Builder::new().name(format!("output-{number}")).spawn(pass)
}

/// Waits for all to end, and sees to it once one has failed or a signal came; gives the exit code of the one to blame.
fn watch(processes: &mut [Process], stoppable: &Stoppable) -> Option<u8> {
    let mut blamed: Option<u8> = None;
    let mut asked: Option<(Signal, Instant)> = None;
    loop {
        for process in processes.iter_mut().filter(|process| process.status.is_none()) {
            // A child that cannot be asked is taken for one that runs.
            process.status = process.child.try_wait().ok().flatten();
            if let Some(code) = process.status.map(code).filter(|code| *code != 0) {
                complain(format_args!("minuet: process {} ended with exit code {code}", process.number));
                blamed = Some(blame(blamed, code));
                asked.get_or_insert((Signal::TERM, Instant::now() + PATIENCE));
            }
        }
        if processes.iter().all(|process| process.status.is_some()) {
            return blamed;
        }
        if stoppable.fate.is_over() && !matches!(asked, Some((Signal::KILL, _))) {
            let signal = if stoppable.exit_code() == 130 { Signal::INT } else { Signal::TERM };
            end(processes, signal);
            asked = Some((Signal::KILL, Instant::now() + OBEYS_WITHIN));
        }
        if let Some((signal, when)) = asked.filter(|(_, when)| Instant::now() >= *when) {
            end(processes, signal);
            asked = Some((Signal::KILL, when + OBEYS_WITHIN));
        }
        thread::sleep(LOOK);
    }
}

/// The exit code to report: a failure of its own before one that only followed from it, and the earlier before the later.
fn blame(before: Option<u8>, code: u8) -> u8 {
    let followed = Error::new(Fault::Peer, "").exit_code();
    before.filter(|before| *before != followed || code == followed).unwrap_or(code)
}

/// The exit code of a process, as a shell gives it.
fn code(status: ExitStatus) -> u8 {
    let signalled = status.signal().map(|signal| 128 + signal);
    status.code().or(signalled).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

fn end(processes: &mut [Process], signal: Signal) {
    for process in processes.iter().filter(|process| process.status.is_none()) {
        // One that has ended meanwhile cannot be signalled, and needs none.
        let _ = kill_process(Pid::from_child(&process.child), signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_of_http_is_another_for_each_process() {
        let own = |verb: &[&str]| {
            let verb: Vec<String> = verb.iter().map(|one| (*one).to_owned()).collect();
            with_own_port(&verb, 3).map(|own| own.join(" ")).map_err(|error| error.to_string())
        };
        for (verb, expected) in [
            (&["run", "--http", "a:1", "--sink", "b:2"][..], "run --http a:4 --sink b:2"),
            (&["run", "--http=a:1", "-w", "2"], "run --http=a:4 -w 2"),
            (&["run", "--http", "off"], "run --http off"),
            (&["run", "--http", "nothing", "--json"], "run --http nothing --json"),
        ] {
            assert_eq!(own(verb).as_deref(), Ok(expected));
        }
        assert!(own(&["run", "--http", "a:65535"]).is_err());
    }
}
