//! Names of stored objects.

use crate::error::{Error, Result};
use crate::limits::OBJECT_NAME_BYTES_MAX;

/// Names come from stored manifests too, so they are not trusted to stay where the store is.
pub(super) fn check(name: &str) -> Result<()> {
    if name.len() > OBJECT_NAME_BYTES_MAX || !name.split('/').all(is_part) {
        let shown: String = name.chars().take(80).collect();
        return Err(Error::data(format!(
            "{shown:?} is no name of a stored object: parts of letters, digits, and - _ . = joined by / can be, \
             {OBJECT_NAME_BYTES_MAX} bytes in all"
        )));
    }
    Ok(())
}

/// Whether a text may stand between two `/`.
pub(super) fn is_part(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    !part.is_empty() && part != "." && part != ".." && part.chars().all(plain)
}
