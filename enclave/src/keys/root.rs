//! The root key: 32 random bytes, made inside, from which every key of the store follows.

use std::fmt;
use std::path::Path;

use super::Error;
use super::secret::Secret;
use super::slots::{Header, Kek};

/// The file that holds the key slots, beside the records.
pub const HEADER_FILE: &str = "key-slots.json";

/// What the process runs in, as far as key slots are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// The development TEE, which protects nothing.
    Development,
    /// A real TEE.
    Hardware,
}

/// Where the root key may come from, and who else shall be able to open it.
#[derive(Debug, Clone, Copy)]
pub struct Slots<'a> {
    /// What the process runs in.
    pub platform: Platform,
    /// The key file of the development slot, which is made with the slot. Refused unless the platform is
    /// [`Platform::Development`].
    pub development_file: Option<&'a Path>,
    /// The age X25519 recipient (`age1…`) of the owner, for a recovery slot.
    pub recovery_recipient: Option<&'a str>,
}

/// The root key of a store.
pub struct RootKey(Secret<32>);

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(…)")
    }
}

impl RootKey {
    /// Opens the root key of the store under `dir` by a slot that the platform has a key for. If there is no store yet,
    /// makes a root key and its slots. A recovery recipient that has no slot yet gets one.
    ///
    /// # Errors
    /// [`Error::DevelopmentSlotRefused`], [`Error::NoUsableSlot`], [`Error::Header`], [`Error::Recipient`], [`Error::Io`].
    pub fn open_or_create(dir: &Path, slots: &Slots<'_>, now_ms: u64) -> Result<Self, Error> {
        if slots.development_file.is_some() && slots.platform == Platform::Hardware {
            return Err(Error::DevelopmentSlotRefused);
        }
        let file = slots.development_file.ok_or(Error::NoUsableSlot)?;
        let path = dir.join(HEADER_FILE);
        let (mut header, root, mut changed) = match Header::read(&path)? {
            Some(header) => {
                let kek = Kek::read_file(file)?.ok_or(Error::NoUsableSlot)?;
                let root = header.open_development(&kek)?;
                (header, root, false)
            }
            None if dir.join("records").exists() => return Err(Error::Header),
            None => {
                let mut header = Header::default();
                let root = Secret::random();
                let kek = match Kek::read_file(file)? {
                    Some(kek) => kek,
                    None => Kek::create_file(file)?,
                };
                header.add_development(&kek, &root, now_ms)?;
                (header, root, true)
            }
        };
        if let Some(recipient) = slots.recovery_recipient.filter(|recipient| !header.has_recovery(recipient)) {
            header.add_recovery(recipient, &root, now_ms)?;
            changed = true;
        }
        if changed {
            header.write(&path, &root)?;
        }
        Ok(Self(root))
    }

    /// Opens the root key by its recovery slot.
    ///
    /// # Errors
    /// [`Error::NoUsableSlot`] when the identity is not the one of a slot, [`Error::Header`], [`Error::Identity`],
    /// [`Error::Io`].
    pub fn recover(dir: &Path, identity: &str) -> Result<Self, Error> {
        let header = Header::read(&dir.join(HEADER_FILE))?.ok_or(Error::Header)?;
        header.open_recovery(identity).map(Self)
    }

    /// A root key that no slot keeps, for tests and benches of the store.
    #[must_use]
    pub const fn insecure_from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    pub(crate) const fn expose(&self) -> &Secret<32> {
        &self.0
    }
}
