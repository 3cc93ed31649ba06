//! A case as it lies in its folder: `case.json`, and the files that it lists, which must be the listed ones.

use std::collections::BTreeMap;
use std::path::Path;

use cloister_attestation::encoding::{Digest, sha256};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::expect::Expect;
use crate::input;

/// The description of a case.
pub(super) const CASE_FILE: &str = "case.json";

const MAX_CASE_BYTES: usize = 1 << 20;
const MAX_FILE_BYTES: usize = 64 << 20;
const ROOT_INJECTION: &str = "root-injection";

/// A case whose files are the listed ones.
pub(super) struct Case {
    raw: RawCase,
    files: BTreeMap<String, Vec<u8>>,
}

#[derive(Deserialize)]
struct RawCase {
    tee: String,
    verify_at: Option<u64>,
    #[serde(default)]
    policy: Map<String, Value>,
    expect: Expect,
    files: BTreeMap<String, Listed>,
    #[serde(default)]
    requires: Vec<String>,
}

#[derive(Deserialize)]
struct Listed {
    size: usize,
    sha256: Digest,
}

impl Case {
    /// Reads a case. The error says what keeps it from being judged.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let json = input::read(&folder.join(CASE_FILE), MAX_CASE_BYTES).map_err(|error| error.to_string())?;
        let raw: RawCase = serde_json::from_slice(&json).map_err(|error| format!("{CASE_FILE}: {error}"))?;
        if let Some(unknown) = raw.requires.iter().find(|requirement| *requirement != ROOT_INJECTION) {
            return Err(format!("requires something unknown: {unknown}"));
        }
        let mut files = BTreeMap::new();
        for (name, listed) in &raw.files {
            files.insert(name.clone(), listed.read(folder, name)?);
        }
        Ok(Self { raw, files })
    }

    /// The kind of evidence.
    pub(super) fn tee(&self) -> &str {
        &self.raw.tee
    }

    /// What a correct verifier says.
    pub(super) const fn expect(&self) -> &Expect {
        &self.raw.expect
    }

    /// What the case's relying party wants.
    pub(super) const fn policy(&self) -> &Map<String, Value> {
        &self.raw.policy
    }

    /// The time to verify for, Unix milliseconds.
    pub(super) fn now_ms(&self) -> Result<u64, String> {
        let seconds = self.raw.verify_at.ok_or("has no time to verify for (verify_at)")?;
        Ok(seconds.saturating_mul(1000))
    }

    /// Whether it has a time to verify for.
    pub(super) const fn has_time(&self) -> bool {
        self.raw.verify_at.is_some()
    }

    /// Whether its own root is the one to trust.
    pub(super) fn injects_root(&self) -> bool {
        !self.raw.requires.is_empty()
    }

    /// A listed file.
    pub(super) fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// A listed file that the case cannot do without.
    pub(super) fn needs(&self, name: &str) -> Result<&[u8], String> {
        self.file(name).ok_or_else(|| format!("lists no {name}"))
    }

    /// The listed file whose name ends so.
    pub(super) fn file_ending(&self, end: &str) -> Option<&[u8]> {
        self.files.iter().find(|(name, _)| name.ends_with(end)).map(|(_, bytes)| bytes.as_slice())
    }
}

impl Listed {
    fn read(&self, folder: &Path, name: &str) -> Result<Vec<u8>, String> {
        if Path::new(name).file_name().is_none_or(|own| own != name) {
            return Err(format!("lists a file outside its folder: {name}"));
        }
        let bytes = input::read(&folder.join(name), MAX_FILE_BYTES).map_err(|error| error.to_string())?;
        if bytes.len() != self.size || sha256(&bytes) != self.sha256 {
            return Err(format!("{name} is not the file that {CASE_FILE} lists: size or SHA-256 differ"));
        }
        Ok(bytes)
    }
}
