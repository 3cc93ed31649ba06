//! SHA-256 of model files, and a type that cannot be mixed up with other digests.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use crate::Error;

/// SHA-256 of a model's file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelDigest([u8; 32]);

impl ModelDigest {
    /// The digest of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for ModelDigest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Display for ModelDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for ModelDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ModelDigest({self})")
    }
}

impl FromStr for ModelDigest {
    type Err = Error;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| Error::Invalid("a digest is 64 hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for ModelDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes a file. `progress` is told the number of bytes read so far, about once per MiB.
///
/// # Errors
/// [`Error::File`] if the file cannot be read.
pub fn digest_file(path: &Path, mut progress: impl FnMut(u64)) -> Result<ModelDigest, Error> {
    let file = File::open(path).map_err(|source| file_error(path, source))?;
    let mut hasher = Sha256::new();
    let mut seen = 0;
    for_each_chunk(file, |chunk| {
        hasher.update(chunk);
        seen += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        progress(seen);
        Ok(())
    })
    .map_err(|source| file_error(path, source))?;
    Ok(ModelDigest(hasher.finalize().into()))
}

/// Reads to the end in pieces of at most 1 MiB.
pub(crate) fn for_each_chunk(
    mut source: impl Read,
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        each(buffer.get(..read).unwrap_or_default())?;
    }
}

/// An [`Error::File`] about `path`.
pub(crate) fn file_error(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}
