//! The file of an appraisal policy: its tables, and the presets that are shipped.
//!
//! Unknown keys are refused: a rule that is spelt wrongly must not be a rule that is skipped. Errors name the line.

use cloister_attestation::document::Tee;
use cloister_attestation::encoding::{Digest, Hex};
use serde::Deserialize;
use x509_cert::der::DateTime;

use super::azure::AzurePolicy;
use super::snp::SnpPolicy;
use super::tdx::TdxPolicy;

/// The policy for relying parties that say nothing else.
pub const DEFAULT: &str = include_str!("../../appraisal/default.toml");
/// The policy for trying the product without hardware.
pub const DEVELOPMENT: &str = include_str!("../../appraisal/development.toml");
/// The policy that accepts nothing until its owner has pinned what he reviewed.
pub const STRICT: &str = include_str!("../../appraisal/strict.toml");

/// Longest name of a reference entry.
const MAX_NAME: usize = 200;

/// Why a text is not an appraisal policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not TOML, or not of the right shape: the line, and the text of the parser, which names the key.
    #[error("appraisal policy is not well formed at line {line}: {message}; correct that line")]
    Toml {
        /// Where, counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A version that this build does not know.
    #[error("appraisal policy version {0} is not supported; write v = 1, or use a newer build")]
    Version(u64),
    /// A policy that accepts nothing, or development and hardware alike.
    #[error("appraisal policy must list in `tee` either kinds of hardware or the development TEE")]
    Kinds,
    /// A kind of hardware without the table that judges it.
    #[error("`tee` lists {tee}, so the policy needs a table [{table}] that says what is accepted of it")]
    Table {
        /// The kind.
        tee: &'static str,
        /// The table.
        table: &'static str,
    },
    /// An entry of reference values that does not have the values of its kind, or has those of another.
    #[error("reference.measurement `{name}`: {problem}")]
    Measurement {
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
}

/// What is accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct AppraisalPolicy {
    raw: RawPolicy,
    written: toml::Table,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicy {
    pub(super) v: u64,
    pub(super) tee: Vec<Tee>,
    pub(super) require_fresh: bool,
    pub(super) max_validity_seconds: u64,
    #[serde(default)]
    pub(super) reference: Reference,
    pub(super) snp: Option<SnpPolicy>,
    pub(super) tdx: Option<TdxPolicy>,
    pub(super) azure: Option<AzurePolicy>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference {
    pub(super) commits: Option<Vec<String>>,
    pub(super) policies_sha256: Option<Vec<Digest>>,
    pub(super) egress_sha256: Option<Vec<Digest>>,
    pub(super) models_sha256: Option<Vec<Digest>>,
    pub(super) measurement: Option<Vec<Image>>,
}

/// The launch measurements of one image, under a name, for a time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) tee: Tee,
    pub(super) measurement: Option<Hex<48>>,
    pub(super) mrtd: Option<Hex<48>>,
    pub(super) rtmr0: Option<Hex<48>>,
    pub(super) rtmr1: Option<Hex<48>>,
    pub(super) rtmr2: Option<Hex<48>>,
    pub(super) not_before: Option<Moment>,
    pub(super) not_after: Option<Moment>,
}

/// A time in UTC, written `2026-05-01T12:00:00Z` with or without quotes; Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Moment(pub(super) u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Quoted(String),
    Plain(toml::value::Datetime),
}

impl TryFrom<Written> for Moment {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let text = match written {
            Written::Quoted(text) => text,
            Written::Plain(time) => time.to_string(),
        };
        let time: DateTime = text.parse().map_err(|_| "not a time of the form 2026-05-01T12:00:00Z")?;
        Ok(Self(time.unix_duration().as_secs()))
    }
}

impl Image {
    /// The registers of TDX with their values, where the entry has them.
    pub(super) const fn registers(&self) -> [Option<Hex<48>>; 4] {
        [self.mrtd, self.rtmr0, self.rtmr1, self.rtmr2]
    }

    /// Whether it may be relied upon at this time, both ends included.
    pub(super) fn is_valid_at(&self, now_ms: u64) -> bool {
        let now = Moment(now_ms / 1000);
        self.not_before.is_none_or(|from| from <= now) && self.not_after.is_none_or(|until| now <= until)
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |problem| Err(Error::Measurement { name: self.name.chars().take(MAX_NAME).collect(), problem });
        let registers = self.registers();
        if self.name.is_empty() || self.name.len() > MAX_NAME {
            return wrong("give it a name of 1 to 200 bytes");
        }
        match self.tee {
            Tee::SevSnp | Tee::AzSnp if self.measurement.is_none() => wrong("give `measurement`, 96 hex digits"),
            Tee::SevSnp | Tee::AzSnp if registers.iter().any(Option::is_some) => {
                wrong("`mrtd` and `rtmr` are of TDX; this entry is of SEV-SNP: take them out")
            }
            Tee::Tdx | Tee::AzTdx if registers.iter().any(Option::is_none) => {
                wrong("give all of `mrtd`, `rtmr0`, `rtmr1`, `rtmr2`: an image is one set of values")
            }
            Tee::Tdx | Tee::AzTdx if self.measurement.is_some() => {
                wrong("`measurement` is of SEV-SNP; this entry is of TDX: take it out")
            }
            Tee::Development => wrong("the development TEE measures nothing: take the entry out"),
            Tee::SevSnp | Tee::AzSnp | Tee::Tdx | Tee::AzTdx => match (self.not_before, self.not_after) {
                (Some(from), Some(until)) if from > until => wrong("it ends before it begins"),
                _ => Ok(()),
            },
        }
    }
}

impl AppraisalPolicy {
    /// Reads a policy from TOML.
    ///
    /// # Errors
    ///
    /// One variant per way of not being one.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let malformed = |error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            Error::Toml { line: before.matches('\n').count() + 1, message: error.message().to_owned() }
        };
        let written: toml::Table = toml::from_str(text).map_err(malformed)?;
        let raw: RawPolicy = toml::from_str(text).map_err(malformed)?;
        if raw.v != 1 {
            return Err(Error::Version(raw.v));
        }
        let development = raw.tee.iter().filter(|tee| !tee.is_hardware()).count();
        if raw.tee.is_empty() || (development > 0 && development < raw.tee.len()) {
            return Err(Error::Kinds);
        }
        for tee in &raw.tee {
            if let Some(table) = raw.missing_table(*tee) {
                return Err(Error::Table { tee: tee.name(), table });
            }
        }
        raw.reference.measurement.iter().flatten().try_for_each(Image::check)?;
        Ok(Self { raw, written })
    }

    /// One of the shipped policies: `strict`, `default` or `development`.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        Self::preset_text(name).and_then(|text| Self::from_toml(text).ok())
    }

    /// The text of a shipped policy.
    #[must_use]
    pub fn preset_text(name: &str) -> Option<&'static str> {
        match name {
            "strict" => Some(STRICT),
            "default" => Some(DEFAULT),
            "development" => Some(DEVELOPMENT),
            _ => None,
        }
    }

    /// [`DEFAULT`], read.
    ///
    /// # Panics
    ///
    /// Never: a test reads the file that is compiled in.
    #[must_use]
    pub fn shipped_default() -> Self {
        Self::from_toml(DEFAULT).expect("the shipped policy is read by a test")
    }

    /// [`DEVELOPMENT`], read.
    ///
    /// # Panics
    ///
    /// Never: a test reads the file that is compiled in.
    #[must_use]
    pub fn shipped_development() -> Self {
        Self::from_toml(DEVELOPMENT).expect("the shipped policy is read by a test")
    }

    /// The same policy for a saved document, whose freshness nobody can tell: it is then reported as not done.
    #[must_use]
    pub fn for_saved_document(mut self) -> Self {
        self.raw.require_fresh = false;
        self
    }

    /// The policy as its tables stand in the file.
    pub(super) const fn written(&self) -> &toml::Table {
        &self.written
    }

    pub(super) const fn raw(&self) -> &RawPolicy {
        &self.raw
    }
}

impl RawPolicy {
    /// The first table that evidence of this kind is judged by and that the policy does not have.
    pub(super) fn missing_table(&self, tee: Tee) -> Option<&'static str> {
        let (snp, tdx, azure) = match tee {
            Tee::Development => (false, false, false),
            Tee::SevSnp => (true, false, false),
            Tee::Tdx => (false, true, false),
            Tee::AzSnp => (true, false, true),
            Tee::AzTdx => (false, true, true),
        };
        let tables = [
            ("snp", snp && self.snp.is_none()),
            ("tdx", tdx && self.tdx.is_none()),
            ("azure", azure && self.azure.is_none()),
        ];
        tables.into_iter().find_map(|(name, missing)| missing.then_some(name))
    }
}
