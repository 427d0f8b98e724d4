//! Manifests: as they are, and with a checksum that fits, so that what stands behind it is reached too.

use minuet::snapshot::Manifest;
use sha2::{Digest, Sha256};

/// Reads a manifest. What was read is written and read to the same.
pub fn manifest(bytes: &[u8]) -> bool {
    sealed(bytes);
    accepts(bytes)
}

/// The same content under its own checksum.
fn sealed(bytes: &[u8]) {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let digest: String = Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect();
    accepts(&[line, b"\nsha256:", digest.as_bytes(), b"\n"].concat());
}

fn accepts(bytes: &[u8]) -> bool {
    let Ok(manifest) = Manifest::decode(bytes) else { return false };
    let written = manifest.encode();
    let again = Manifest::decode(&written).expect("what was written can be read");
    assert!(again == manifest && again.encode() == written);
    true
}
