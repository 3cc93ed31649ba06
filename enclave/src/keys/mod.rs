//! The keys of the appliance: made inside, sealed, stable across restarts.
//!
//! [`keyset`] holds the keys of the service; [`root`] the root key and the slots that wrap it; [`derived`] the key that a
//! guest of AMD's has by itself; [`shares`] the recovery identity in shares; [`secret`] the types that keep secret bytes from being copied, printed or left in memory.

pub mod derived;
pub mod keyset;
pub mod root;
pub mod secret;
pub mod shares;
mod slots;

pub use derived::{DerivedKey, SecureProcessor};
pub use keyset::Keyset;
pub use root::{Own, Platform, RootKey, Slots};

/// Why there are no keys. No text names a key or shows a byte of one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A real TEE has no use for a key in a file.
    #[error("a development key slot is refused outside the development TEE")]
    DevelopmentSlotRefused,
    /// The key that a guest has by itself ends with the guest's image, or with the chip.
    #[error("a key slot of the kind snp needs a recovery recipient beside it (root_key.recovery_recipient)")]
    RecoveryNeeded,
    /// The slots of the kind `snp` are those of another guest.
    #[error(
        "the store's key slot is that of another guest: the launch measurement, the guest policy, the privilege level, the \
         chip or its firmware has changed; if that was meant, give this guest a slot by the owner's recovery identity \
         (cloister-enclave recover)"
    )]
    OtherGuest,
    /// The machine derives no key.
    #[error("no derived key: {0}")]
    NoDerivedKey(&'static str),
    /// No slot of the header opens with what is at hand.
    #[error("no key slot can be opened")]
    NoUsableSlot,
    /// The header is missing beside existing records, is not a header, was changed, or is of a newer program.
    #[error("the key slots are damaged, changed, missing, or of a newer version")]
    Header,
    /// The development key file does not hold 64 hexadecimal digits.
    #[error("the development key file is not a key")]
    DevelopmentFile,
    /// Not an age X25519 recipient.
    #[error("the recovery recipient is not an age X25519 recipient")]
    Recipient,
    /// Not an age X25519 identity.
    #[error("the recovery identity is not an age X25519 identity")]
    Identity,
    /// The disk answered with an error.
    #[error("storage fault while {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
