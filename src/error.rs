//! The one error of the program: whose fault it is, whether what was tried happened, and words for the operator.

use std::fmt;

/// Whose fault an error is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A dataflow, a schema or a flag says something that cannot be.
    Configuration,
    /// Data that was found is not what it must be: a damaged snapshot, a file that changed.
    Data,
    /// Something outside failed: a disk, a network, a service.
    Outside,
    /// A newer run owns the pipeline; this one must stop.
    Superseded,
    /// Another process of the cluster went away; all begin again together.
    Peer,
    /// A defect of minuet.
    Bug,
}

/// Whether what was tried happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Surely not.
    No,
    /// It may have: the answer was lost.
    Unknown,
}

/// An error with its place, its cause in words and the way out.
///
/// The message is lowercase and says what was tried, what was found, what is allowed and what to do.
#[derive(Clone, Debug)]
pub struct Error {
    /// Whose fault it is.
    pub fault: Fault,
    /// Whether what was tried happened.
    pub happened: Happened,
    message: String,
}

/// The result of most functions of minuet.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that surely prevented what was tried.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Error { fault, happened: Happened::No, message: message.into() }
    }

    /// A configuration error.
    pub fn configuration(message: impl Into<String>) -> Self {
        Error::new(Fault::Configuration, message)
    }

    /// An error in data that was found.
    pub fn data(message: impl Into<String>) -> Self {
        Error::new(Fault::Data, message)
    }

    /// A failure outside; `tried` says what was attempted and where.
    pub fn outside(tried: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Error::new(Fault::Outside, format!("{tried}: {cause}"))
    }

    /// The end of another process, as seen from this one.
    pub fn peer(message: impl Into<String>) -> Self {
        Error::new(Fault::Peer, message)
    }

    /// A defect of minuet.
    pub fn bug(message: impl Into<String>) -> Self {
        Error::new(Fault::Bug, message)
    }

    /// The same error, where the answer was lost and the act may have happened.
    pub fn ambiguous(mut self) -> Self {
        self.happened = Happened::Unknown;
        self
    }

    /// The same error, after what was being done when it came.
    pub fn while_doing(mut self, tried: impl fmt::Display) -> Self {
        self.message = format!("{tried}: {}", self.message);
        self
    }

    /// The exit code of a process that ends with this error (the `sysexits.h` numbers).
    pub fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::Configuration => 78,
            Fault::Data => 65,
            Fault::Outside => 69,
            Fault::Peer => 75,
            Fault::Superseded => 76,
            Fault::Bug => 70,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
