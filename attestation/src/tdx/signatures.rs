//! ECDSA over P-256 with SHA-256, by *ring*, and a memory of what was found right during one verification.
//!
//! Two readers look at the same evidence: ours, and `dcap-qvl` for its second opinion. Each decides by itself which key
//! must have signed what; the arithmetic under both is the same function of *ring*'s. So where the second one asks for a
//! signature that was found right a moment ago (the same key, the same message, the same signature, byte for byte),
//! it is not computed again. What was never asked, or found wrong, is computed.

use std::cell::RefCell;

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

/// A signature that was found right.
struct Proven {
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

thread_local! {
    /// Empty outside of [`remembering`]: nothing outlives a verification.
    static PROVEN: RefCell<Option<Vec<Proven>>> = const { RefCell::new(None) };
}

/// Forgets when it goes, however the verification ends.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        PROVEN.take();
    }
}

/// Runs one verification with a memory of its own.
pub(super) fn remembering<T>(verification: impl FnOnce() -> T) -> T {
    PROVEN.replace(Some(Vec::new()));
    let _forget = Forget;
    verification()
}

/// Whether `signature`, an `Ecdsa-Sig-Value` in DER, is that of the uncompressed point `key` over `message`.
pub(super) fn verify(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let known = PROVEN.with_borrow(|proven| {
        let mut proven = proven.iter().flatten();
        proven.any(|one| one.signature == signature && one.key == key && one.message == message)
    });
    if known {
        return true;
    }
    let right = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(message, signature).is_ok();
    if right {
        let one = Proven { key: key.to_vec(), message: message.to_vec(), signature: signature.to_vec() };
        PROVEN.with_borrow_mut(|proven| {
            if let Some(proven) = proven {
                proven.push(one);
            }
        });
    }
    right
}

/// The same for a signature of the form r ‖ s.
pub(super) fn verify_fixed(key: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> bool {
    verify(key, message, &to_der(signature))
}

/// RFC 3279, section 2.2.3: a sequence of two integers; each is shorter than 34 bytes, so all lengths take one byte.
fn to_der(signature: &[u8; 64]) -> Vec<u8> {
    let (r, s) = signature.split_at(32);
    let body = [integer(r), integer(s)].concat();
    [&[0x30, length(&body)], body.as_slice()].concat()
}

/// DER of a non-negative integer: no leading zeros but the one that keeps it from being negative.
fn integer(big_endian: &[u8]) -> Vec<u8> {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    let digits = big_endian.get(zeros..).unwrap_or_default();
    let sign: &[u8] = if digits.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    let value = [sign, digits].concat();
    [&[0x02, length(&value)], value.as_slice()].concat()
}

fn length(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).expect("at most 70 bytes")
}
