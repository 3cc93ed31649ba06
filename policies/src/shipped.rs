//! Every policy and prompt file that is compiled in, and the one digest over all of them.
//!
//! The digest is `policies_sha256` of the attested statement and of receipts: who accepts it has accepted these rules
//! and these prompts. Invariant 9 of ARCHITECTURE.md: no unmeasured policy or prompt, so whatever lies in the folders
//! `access/`, `appraisal/` and `prompts/` of this crate must stand in [`FILES`]; a test compares.

use sha2::{Digest, Sha256};

use crate::{appraisal, prompts};

/// The Cedar schema of the access policies.
pub const ACCESS_SCHEMA: &str = include_str!("../access/schema.cedarschema");

/// The access policies: file name and text.
pub const ACCESS_POLICIES: &[(&str, &str)] = &[
    ("access/programs.cedar", include_str!("../access/programs.cedar")),
    ("access/roles.cedar", include_str!("../access/roles.cedar")),
    ("access/tenancy.cedar", include_str!("../access/tenancy.cedar")),
];

/// Every file: its path inside the crate, with `/`, and its text; sorted by path.
pub const FILES: &[(&str, &str)] = &[
    ("access/programs.cedar", include_str!("../access/programs.cedar")),
    ("access/roles.cedar", include_str!("../access/roles.cedar")),
    ("access/schema.cedarschema", ACCESS_SCHEMA),
    ("access/tenancy.cedar", include_str!("../access/tenancy.cedar")),
    ("appraisal/default.toml", appraisal::DEFAULT),
    ("appraisal/development.toml", appraisal::DEVELOPMENT),
    ("appraisal/strict.toml", appraisal::STRICT),
    ("prompts/answer.txt", prompts::ANSWER.text),
    ("prompts/question.txt", prompts::QUESTION.text),
    ("prompts/quotation.txt", prompts::QUOTATION.text),
    ("prompts/refusal.txt", prompts::REFUSAL.text),
    ("prompts/unsupported.txt", prompts::UNSUPPORTED.text),
];

/// SHA-256 over all of [`FILES`] in order: for each, the length of the path (u64 big-endian), the path, the length of
/// the text, the text. A relying party recomputes it from the source tree.
#[must_use]
pub fn digest() -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"cloister/policies/v1");
    for (path, text) in FILES {
        for part in [path, text] {
            hash.update(u64::try_from(part.len()).expect("a usize fits 64 bits").to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().into()
}
