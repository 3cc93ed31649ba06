//! Where the root key comes from: not from a file where hardware protects, and never from one chip alone.

use super::Checker;
use crate::config::raw::{Field, RawRootKey};
use crate::config::{RootKeySlot, Tee};

const SLOT: &str =
    "must be \"snp\", the key that an SEV-SNP guest has by itself, or \"development\", which real TEEs refuse";
const TDX: &str = "cannot be \"snp\" on TDX, which derives no key for a TD, and cannot be \"development\" there: a slot of a \
                   key broker's is still to come, and until then only the recovery identity opens a store on TDX";
const FILE: &str = "must be a path, beside the slot \"development\" and no other";
const RECIPIENT: &str = "must be an age X25519 recipient (age1…); the slot \"snp\" needs one beside it, because its key ends \
                         with the image or the chip";

/// `protects` where hardware does: a key in a file beside the data is refused there.
pub(super) fn root_key(
    c: &mut Checker,
    tee: Option<Tee>,
    protects: bool,
    raw: RawRootKey,
) -> Option<(RootKeySlot, Option<String>)> {
    let wanted = if protects && tee == Some(Tee::Tdx) { TDX } else { SLOT };
    let has_snp = matches!(tee, Some(Tee::Auto | Tee::SevSnp));
    let snp = c.parsed("root_key.slot", raw.slot, wanted, |slot| match slot {
        "snp" if has_snp => Some(true),
        "development" if !protects => Some(false),
        _ => None,
    });
    let recipient = c.optional("root_key.recovery_recipient", raw.recovery_recipient, RECIPIENT);
    let is_one = |text: &String| text.parse::<age::x25519::Recipient>().is_ok();
    let missing = snp == Some(true) && recipient.is_none();
    if missing || recipient.as_ref().is_some_and(|recipient| !is_one(recipient)) {
        c.note("root_key.recovery_recipient", RECIPIENT);
    }
    let slot = match (snp, raw.file) {
        (Some(true), Field::Missing) => Some(RootKeySlot::Snp),
        (Some(true), _) => {
            c.note("root_key.file", FILE);
            None
        }
        (Some(false), file) => c.path("root_key.file", file).map(|file| RootKeySlot::Development { file }),
        (None, file) => {
            c.optional("root_key.file", file, FILE);
            None
        }
    };
    c.unknown("root_key.", &raw.unknown);
    Some((slot?, recipient))
}
