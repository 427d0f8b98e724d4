//! A snapshot store on a folder. Objects are files; several processes may use one folder at the same time.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::durable::{Draft, TEMPORARY, create_folders, failed, remove_temporaries, sync_folder};
use crate::connect::{failpoint, object_name};
use crate::error::{Error, Result};
use crate::limits::{OBJECT_BYTES_MAX, TEMPORARY_DEAD_S};
use crate::snapshot::Store;

/// A [`Store`] on a folder of a local disk. The file system must have hard links: they make put-if-absent atomic, and never
/// show half an object, which an exclusive create would.
pub struct FolderStore {
    root: PathBuf,
    /// Folders that this store has made durable with those above them.
    known: Mutex<BTreeSet<PathBuf>>,
}

impl FolderStore {
    /// Opens `root`, creating it if need be, and removes temporary files that dead runs left
    /// ([`TEMPORARY_DEAD_S`]: a run that lives writes on).
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        create_folders(&root, &root)?;
        for folder in folders(&root)? {
            remove_temporaries(&folder, Duration::from_secs(TEMPORARY_DEAD_S))?;
        }
        Ok(FolderStore { root, known: Mutex::new(BTreeSet::new()) })
    }

    /// Folder and file name of an object.
    fn locate<'a>(&self, name: &'a str) -> Result<(PathBuf, &'a str)> {
        check_name(name)?;
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        Ok((if folder.is_empty() { self.root.clone() } else { self.root.join(folder) }, file))
    }

    /// Writes the bytes of an object, durably, under a temporary name in its folder.
    fn draft(&self, folder: &Path, name: &str, bytes: &[u8]) -> Result<Draft> {
        if bytes.len() > OBJECT_BYTES_MAX {
            let len = bytes.len();
            return Err(Error::bug(format!("the object {name} has {len} bytes, {OBJECT_BYTES_MAX} can be read back")));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(folder) {
            create_folders(&self.root, folder)?;
            known.insert(folder.to_path_buf());
        }
        drop(known);
        let mut draft = Draft::create(folder)?;
        draft.file().write_all(bytes).map_err(|cause| failed("writing", &self.root.join(name), cause))?;
        draft.sync()?;
        Ok(draft)
    }
}

impl Store for FolderStore {
    fn place(&self) -> String {
        format!("dir:{}", self.root.display())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (folder, file) = self.locate(name)?;
        self.draft(&folder, name, bytes)?.rename(file, || ())
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let (folder, file) = self.locate(name)?;
        self.draft(&folder, name, bytes)?.link(file, || {
            if name.contains("/manifests/") {
                failpoint("manifest-linked");
            }
        })
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let (folder, file) = self.locate(name)?;
        let path = folder.join(file);
        let mut opened = match File::open(&path) {
            Ok(opened) => opened,
            Err(cause) if is_absent(&cause) => return Ok(None),
            Err(cause) => return Err(failed("reading", &path, cause)),
        };
        let mut bytes = Vec::new();
        let read = (&mut opened).take(OBJECT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|cause| failed("reading", &path, cause))?;
        if bytes.len() > OBJECT_BYTES_MAX {
            let path = path.display();
            return Err(Error::data(format!("{path} has more than {OBJECT_BYTES_MAX} bytes: it is no object of ours")));
        }
        Ok(Some(bytes))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !folder.is_empty() {
            check_name(folder)?;
        }
        let mut names = Vec::new();
        for folder in folders(&self.root.join(folder))? {
            names.extend(objects(&self.root, &folder)?.into_iter().filter(|name| name.starts_with(prefix)));
        }
        names.sort();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<()> {
        let (folder, file) = self.locate(name)?;
        let path = folder.join(file);
        match fs::remove_file(&path) {
            Ok(()) => sync_folder(&folder).map_err(Error::ambiguous),
            Err(cause) if is_absent(&cause) => Ok(()),
            Err(cause) => Err(failed("removing", &path, cause)),
        }
    }
}

/// No such name, also where a part of it is a file and no folder.
fn is_absent(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// A name of an object that is not taken for a temporary file.
fn check_name(name: &str) -> Result<()> {
    object_name::check(name)?;
    if name.split('/').any(|part| part.starts_with(TEMPORARY)) {
        return Err(Error::data(format!("{name:?} is no name of a stored object: no part may begin with {TEMPORARY}")));
    }
    Ok(())
}

/// `folder` and all folders below it; none where it is absent. Links are not followed.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let entries = match fs::read_dir(&next) {
            Ok(entries) => entries,
            Err(cause) if is_absent(&cause) => continue,
            Err(cause) => return Err(failed("listing", &next, cause)),
        };
        for entry in entries {
            let entry = entry.map_err(|cause| failed("listing", &next, cause))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
        found.push(next);
    }
    Ok(found)
}

/// Names of the objects directly in `folder`; files that cannot be objects of ours are passed over.
fn objects(root: &Path, folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if is_absent(&cause) => return Ok(Vec::new()),
        Err(cause) => return Err(failed("listing", folder, cause)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| failed("listing", folder, cause))?;
        let path = entry.path();
        let name = path.strip_prefix(root).ok().and_then(Path::to_str);
        if let Some(name) = name.filter(|name| check_name(name).is_ok())
            && entry.file_type().is_ok_and(|kind| kind.is_file())
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
