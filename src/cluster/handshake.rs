//! How two processes make sure of each other before they share a connection.
//!
//! ```text
//!  the one that dials                                    the one that listens
//!    Hello      magic, kind, from, to, shape, run,
//!               build, plan, nonce               ───▶
//!                                                ◀───    Challenge  magic, run, nonce, HMAC("listens", hello, run, nonce)
//!    Proof      HMAC("dials", hello, challenge)  ───▶
//!                                                ◀───    Verdict    welcome, wait or refused, and why
//! ```
//! HMAC-SHA256 (RFC 2104) over both nonces proves that each knows the secret, now, to the other, without sending it; the
//! role in front keeps an answer from being used as a question. Only then is what the hello says believed and looked at, so a
//! client without the secret learns nothing, not even why it was turned away. What follows on the connection is neither
//! encrypted nor signed: it belongs into a network that carries nobody else's packets.

use std::fmt;
use std::io::{self, Read, Write};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::hosts::Secret;
use crate::limits::REASON_BYTES_MAX;

/// Begins every hello; the last byte is the version of this protocol.
const MAGIC: [u8; 8] = *b"minuet\0\x01";

/// Begins every challenge. Another than that of a hello, for a process that is connected to itself by chance hears its own.
const CHALLENGE_MAGIC: [u8; 8] = *b"minuet!\x01";

/// Bytes of a hello without its nonce.
pub const HELLO_BYTES: usize = 8 + 6 * 8 + 2 * 32;

const NONCE_BYTES: usize = 32;
const TAG_BYTES: usize = 32;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signs of life and words about the run.
    Control,
    /// Timely's messages.
    Data,
}

/// What must be the same in all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of what tells the program apart from any other build.
    pub build: [u8; 32],
    /// SHA-256 of the plan's fingerprint.
    pub plan: [u8; 32],
}

impl Identity {
    /// The identity of this program running this plan, both as texts.
    pub fn of(build: &str, plan: &str) -> Self {
        Identity { build: Sha256::digest(build).into(), plan: Sha256::digest(plan).into() }
    }
}

/// What a process says of itself when it dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the connection is for.
    pub kind: Kind,
    /// Its number.
    pub from: u64,
    /// The number of the one it means to reach.
    pub to: u64,
    /// Processes of its cluster.
    pub processes: u64,
    /// Workers of each of its processes.
    pub workers: u64,
    /// A random number of this start of the process.
    pub run: u64,
    /// What it runs.
    pub identity: Identity,
}

impl Hello {
    /// Its bytes.
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let kind = match self.kind {
            Kind::Control => 0,
            Kind::Data => 1,
        };
        let mut bytes = [0; HELLO_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        let words = [kind, self.from, self.to, self.processes, self.workers, self.run];
        for (room, word) in bytes[8..56].chunks_exact_mut(8).zip(words) {
            room.copy_from_slice(&word.to_be_bytes());
        }
        bytes[56..88].copy_from_slice(&self.identity.build);
        bytes[88..].copy_from_slice(&self.identity.plan);
        bytes
    }

    /// What these bytes say, if they are a hello.
    pub fn decode(bytes: &[u8; HELLO_BYTES]) -> Option<Hello> {
        let mut words = [0; 6];
        for (word, eight) in words.iter_mut().zip(bytes[8..56].chunks_exact(8)) {
            *word = u64::from_be_bytes(eight.try_into().ok()?);
        }
        let [kind, from, to, processes, workers, run] = words;
        let kind = match kind {
            0 => Kind::Control,
            1 => Kind::Data,
            _ => return None,
        };
        let identity = Identity { build: bytes[56..88].try_into().ok()?, plan: bytes[88..].try_into().ok()? };
        (bytes[..8] == MAGIC).then_some(Hello { kind, from, to, processes, workers, run, identity })
    }
}

/// What the one that listens makes of a client that knows the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The connection is taken.
    Welcome,
    /// Not now, for this reason; it may come again.
    Wait(String),
    /// Never, for this reason.
    Refused(String),
}

/// Why a handshake did not get to its verdict.
#[derive(Debug)]
pub enum Broken {
    /// The connection failed, ended or took too long.
    Io(io::Error),
    /// What came is not this protocol.
    Babble,
    /// The other does not know the secret.
    Secret,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Io(error)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Io(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    f.write_str("it hung up in the middle of the handshake, as one that knows another secret does")
                }
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => f.write_str("it was silent for too long"),
                _ => error.fmt(f),
            },
            Broken::Babble => f.write_str("it does not speak the protocol of a minuet cluster"),
            Broken::Secret => f.write_str("it does not know the secret of this cluster"),
        }
    }
}

/// The dialling side; gives the run that listens and its verdict.
pub fn dial(stream: &mut (impl Read + Write), hello: &Hello, secret: &Secret) -> Result<(u64, Verdict), Broken> {
    let (hello, nonce) = (hello.encode(), nonce()?);
    stream.write_all(&[hello.as_slice(), &nonce].concat())?;
    if take(stream)? != CHALLENGE_MAGIC {
        return Err(Broken::Babble);
    }
    let run: [u8; 8] = take(stream)?;
    let theirs: [u8; NONCE_BYTES] = take(stream)?;
    let tag: [u8; TAG_BYTES] = take(stream)?;
    let said = [hello.as_slice(), &nonce, &run, &theirs];
    prove(secret, b"listens", &said).verify_slice(&tag).map_err(|_| Broken::Secret)?;
    stream.write_all(&prove(secret, b"dials", &said).finalize().into_bytes())?;
    let [code, high, low] = take(stream)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > REASON_BYTES_MAX {
        return Err(Broken::Babble);
    }
    let mut reason = vec![0; length];
    stream.read_exact(&mut reason)?;
    let reason = String::from_utf8_lossy(&reason).into_owned();
    let verdict = match code {
        0 => Verdict::Welcome,
        1 => Verdict::Wait(reason),
        2 => Verdict::Refused(reason),
        _ => return Err(Broken::Babble),
    };
    Ok((u64::from_be_bytes(run), verdict))
}

/// The listening side, which is run `run`; `judge` is asked about a client that has proved itself. Gives what the client said and
/// the verdict it was given.
pub fn listen(
    stream: &mut (impl Read + Write),
    run: u64,
    secret: &Secret,
    judge: impl FnOnce(&Hello) -> Verdict,
) -> Result<(Hello, Verdict), Broken> {
    let said: [u8; HELLO_BYTES] = take(stream)?;
    let hello = Hello::decode(&said).ok_or(Broken::Babble)?;
    let theirs: [u8; NONCE_BYTES] = take(stream)?;
    let (run, nonce) = (run.to_be_bytes(), nonce()?);
    let said = [said.as_slice(), &theirs, &run, &nonce];
    let tag = prove(secret, b"listens", &said).finalize().into_bytes();
    stream.write_all(&[CHALLENGE_MAGIC.as_slice(), &run, &nonce, &tag].concat())?;
    let tag: [u8; TAG_BYTES] = take(stream)?;
    prove(secret, b"dials", &said).verify_slice(&tag).map_err(|_| Broken::Secret)?;
    let verdict = judge(&hello);
    let (code, reason) = match &verdict {
        Verdict::Welcome => (0, ""),
        Verdict::Wait(reason) => (1, reason.as_str()),
        Verdict::Refused(reason) => (2, reason.as_str()),
    };
    let reason = &reason.as_bytes()[..reason.len().min(REASON_BYTES_MAX)];
    let length = (reason.len() as u16).to_be_bytes();
    stream.write_all(&[&[code, length[0], length[1]], reason].concat())?;
    Ok((hello, verdict))
}

fn take<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn nonce() -> io::Result<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    Ok(nonce)
}

/// The proof of one side. All parts but the role have fixed lengths, so no two sayings give the same bytes.
fn prove(secret: &Secret, role: &[u8], said: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("a key of HMAC may have any length");
    mac.update(role);
    said.iter().for_each(|part| mac.update(part));
    mac
}

const _: () = assert!(REASON_BYTES_MAX <= u16::MAX as usize, "the length of a reason is 16 bits");

#[cfg(test)]
mod tests;
