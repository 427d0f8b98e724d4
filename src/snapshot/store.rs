//! The contract of the place in which snapshots live. A folder and S3 keep it alike.

use crate::error::Result;

/// A flat store of named objects. Names are `/`-separated; no name is a prefix folder of another.
///
/// When a put has answered, the object is durable and whole; when it failed, the old object or none is there, never half of one.
/// Errors say through [`crate::error::Happened`] whether the act may have happened.
pub trait Store: Send + Sync {
    /// Where it is, for messages.
    fn place(&self) -> String;

    /// Stores an object, replacing one of that name.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()>;

    /// Stores an object only if the name is free, atomically among all writers; `false` where it is taken.
    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool>;

    /// An object's bytes; `None` where there is none.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// All names that begin with `prefix`, ascending.
    fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Removes an object; nothing happens where there is none.
    fn delete(&self, name: &str) -> Result<()>;
}
