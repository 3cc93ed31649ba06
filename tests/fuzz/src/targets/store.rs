//! What an operator puts before the store.

use cloister_attestation::encoding::sha256;
use cloister_enclave::store::backup::{self, Part};

/// A backup: what is read to its end is written as the same bytes.
pub(crate) fn backup(data: &[u8]) {
    let mut written = b"cloister-backup/v1\n".to_vec();
    let sized = |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat();
    let read = backup::read(data, |part| {
        match part {
            Part::Slots(slots) => written.extend(sized(&slots)),
            Part::Record { name, stored } => {
                written.extend([if stored.is_some() { 1 } else { 2 }, u8::try_from(name.len()).expect("short")]);
                written.extend(name);
                written.extend(stored.as_deref().map(sized).unwrap_or_default());
            }
        }
        Ok(())
    });
    let Ok(summary) = read else { return };
    written.push(0);
    written.extend(summary.epoch.to_be_bytes());
    assert_eq!(sha256(&written).0, summary.sha256, "the digest is over everything before it");
    written.extend(summary.sha256);
    assert_eq!(written, data);
}
