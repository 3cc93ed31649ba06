//! What travels in a document so that nobody need fetch it: certificates, revocation lists, what Intel publishes.
//!
//! The shape is that of the kind of evidence, and nothing else is let in: a document for one kind with the collateral of
//! another is malformed. That any of it is genuine is said by [`crate::snp`] and [`crate::tdx`].
//!
//! | kinds | members |
//! |---|---|
//! | `development` | none |
//! | `sev-snp`, `az-snp` | `vek`; optionally `ask`, `ark`, `crl`: DER, in base64 |
//! | `tdx`, `az-tdx` | those of [`tdx::Collateral`]; or none, and then the TCB cannot be judged |

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Error, MAX_BYTES, Tee};
use crate::encoding::{Base64, present};
use crate::{snp, tdx};

/// The collateral of a document, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collateral {
    /// Nothing came along, and nothing is needed or possible.
    None,
    /// Of SEV-SNP evidence.
    Snp(SnpCollateral),
    /// Of TDX evidence.
    Tdx(Box<tdx::Collateral>),
}

/// The certificates of an SEV-SNP report, each DER in base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnpCollateral {
    /// The VCEK or VLEK. Without it the report cannot be verified.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub vek: Option<Base64>,
    /// The ASK or ASVK; without it the compiled-in one is used.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub ask: Option<Base64>,
    /// The ARK; where it is given it must be the trusted one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub ark: Option<Base64>,
    /// The root's revocation list.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub crl: Option<Base64>,
}

impl SnpCollateral {
    /// The same as the verification of a report takes it.
    #[must_use]
    pub fn endorsements(&self) -> snp::Endorsements<'_> {
        let [vek, ask, ark, crl] =
            [&self.vek, &self.ask, &self.ark, &self.crl].map(|part| part.as_ref().map(|der| der.0.as_slice()));
        snp::Endorsements { vek, ask, ark, crl }
    }
}

impl Collateral {
    /// Reads a file of collateral: what the member of a document holds, as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] above [`MAX_BYTES`], [`Error::Json`], [`Error::Collateral`].
    pub fn parse(tee: Tee, json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_BYTES {
            return Err(Error::TooLarge);
        }
        let mut json = serde_json::Deserializer::from_slice(json);
        let malformed = |error: serde_json::Error| Error::Json { line: error.line(), column: error.column() };
        let members = unique(&mut json).map_err(malformed)?;
        json.end().map_err(malformed)?;
        Self::read(tee, &members)
    }

    /// The same as a document holds it.
    #[must_use]
    pub fn to_members(&self) -> Map<String, Value> {
        let value = match self {
            Self::None => return Map::new(),
            Self::Snp(collateral) => serde_json::to_value(collateral),
            Self::Tdx(collateral) => serde_json::to_value(collateral),
        };
        match value {
            Ok(Value::Object(members)) => members,
            // Structs of strings are written as objects and cannot fail to be.
            Ok(_) | Err(_) => Map::new(),
        }
    }

    /// Reads the collateral of evidence of a kind.
    ///
    /// # Errors
    ///
    /// [`Error::Collateral`] if it has a member that its kind does not know, lacks one that belongs to the others, or
    /// holds one that is not in its encoding. The size of the parts is judged where they are read.
    pub(super) fn read(tee: Tee, members: &Map<String, Value>) -> Result<Self, Error> {
        let wrong = |_| Error::Collateral(tee.name());
        match tee {
            Tee::Development if members.is_empty() => Ok(Self::None),
            Tee::Development => Err(Error::Collateral(tee.name())),
            Tee::SevSnp | Tee::AzSnp => SnpCollateral::deserialize(members).map(Self::Snp).map_err(wrong),
            Tee::Tdx | Tee::AzTdx if members.is_empty() => Ok(Self::None),
            Tee::Tdx | Tee::AzTdx => {
                tdx::Collateral::deserialize(members).map(|collateral| Self::Tdx(Box::new(collateral))).map_err(wrong)
            }
        }
    }
}

/// Reads a map in which no name stands twice: of two members with one name, readers would choose differently.
pub(super) fn unique<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Map<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut members = Map::new();
            while let Some((name, value)) = access.next_entry()? {
                if members.insert(name, value).is_some() {
                    return Err(A::Error::custom("a name stands twice"));
                }
            }
            Ok(members)
        }
    }

    deserializer.deserialize_map(Members)
}
