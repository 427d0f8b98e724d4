//! Files that are whole or not there: written under a temporary name, synced, then given their own.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::connect::random_number;
use crate::error::{Error, Result};

/// What temporary names begin with; nothing else in our folders does.
pub const TEMPORARY: &str = ".tmp-";

/// A file being written. Dropped before it has its name, it is removed.
pub struct Draft {
    file: File,
    path: PathBuf,
    folder: PathBuf,
    named: bool,
}

impl Draft {
    /// Begins a file in `folder`, under a name no other writer has.
    pub fn create(folder: &Path) -> Result<Self> {
        loop {
            let path = folder.join(format!("{TEMPORARY}{:016x}", random_number()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Draft { file, path, folder: folder.to_path_buf(), named: false }),
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(failed("creating", &path, cause)),
            }
        }
    }

    /// Where to write.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes what was written durable.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|cause| failed("syncing", &self.path, cause))
    }

    /// Gives it its name, replacing what has it; then `step` runs, then the folder is synced. The name is seen by others
    /// from the rename on, so a later failure is ambiguous.
    pub fn rename(mut self, name: &str, step: impl FnOnce()) -> Result<()> {
        let path = self.folder.join(name);
        fs::rename(&self.path, &path).map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => {
                failed("naming", &path, "its temporary file is gone: does another run use this folder?")
            }
            _ => failed("naming", &path, cause),
        })?;
        self.named = true;
        step();
        sync_folder(&self.folder).map_err(Error::ambiguous)
    }

    /// Gives it its name if that is free, atomically among all processes; then as [`Self::rename`]. `false` where it is taken.
    pub fn link(self, name: &str, step: impl FnOnce()) -> Result<bool> {
        let path = self.folder.join(name);
        match fs::hard_link(&self.path, &path) {
            Ok(()) => step(),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
                // Who put it may have been killed before this: an answer "taken" must be durable too.
                sync_folder(&self.folder)?;
                return Ok(false);
            }
            Err(cause) => return Err(failed("naming", &path, cause)),
        }
        let folder = self.folder.clone();
        drop(self);
        sync_folder(&folder).map_err(Error::ambiguous)?;
        Ok(true)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.named {
            // A leftover does no harm and is removed by a later run.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// An error of a file operation: what was tried, and on what.
pub fn failed(tried: &str, path: &Path, cause: impl fmt::Display) -> Error {
    Error::outside(format!("{tried} {}", path.display()), cause)
}

/// Makes the names in a folder durable.
pub fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|opened| opened.sync_all());
    synced.map_err(|cause| failed("syncing the folder", folder, cause))
}

/// Creates a folder and those above it, durably: with all names from `root` down, and those of folders it had to make.
pub fn create_folders(root: &Path, folder: &Path) -> Result<()> {
    // Within the root others may be making the same folders at this moment, so all of it is synced, new to us or not.
    let inside = folder.ancestors().take_while(|above| above.starts_with(root)).count();
    let missing = folder.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).count();
    let created = if missing > 0 { missing + 1 } else { 0 };
    fs::create_dir_all(folder).map_err(|cause| failed("creating the folder", folder, cause))?;
    for above in folder.ancestors().take(inside.max(created)) {
        sync_folder(if above.as_os_str().is_empty() { Path::new(".") } else { above })?;
    }
    Ok(())
}

/// Removes temporary files directly in `folder` that nobody has written to for `age`.
pub fn remove_temporaries(folder: &Path, age: Duration) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|cause| failed("listing", folder, cause))?;
    for entry in entries {
        let entry = entry.map_err(|cause| failed("listing", folder, cause))?;
        if !entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            continue;
        }
        match old_enough(&entry, age).and_then(|old| if old { fs::remove_file(entry.path()) } else { Ok(()) }) {
            Ok(()) => {}
            // Its writer has just finished.
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(failed("removing", &entry.path(), cause)),
        }
    }
    Ok(())
}

fn old_enough(entry: &fs::DirEntry, age: Duration) -> io::Result<bool> {
    let modified = entry.metadata()?.modified()?;
    // A time in the future has no age.
    Ok(age.is_zero() || SystemTime::now().duration_since(modified).is_ok_and(|since| since >= age))
}
