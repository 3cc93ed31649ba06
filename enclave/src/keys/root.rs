//! The root key: 32 random bytes, made inside, from which every key of the store follows.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Error;
use super::derived::DerivedKey;
use super::secret::Secret;
use super::slots::{self, Header, Kek, Kind};

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

/// What the machine itself opens a slot with.
#[derive(Debug, Clone, Copy)]
pub enum Own<'a> {
    /// A key file, which is made with the slot. Refused on [`Platform::Hardware`].
    Development(&'a Path),
    /// The key that AMD's secure processor derives for this guest. Never the only slot.
    Snp(&'a dyn DerivedKey),
}

/// Where the root key may come from, and who else shall be able to open it.
#[derive(Debug, Clone, Copy)]
pub struct Slots<'a> {
    /// What the process runs in.
    pub platform: Platform,
    /// The machine's own slot.
    pub own: Own<'a>,
    /// The age X25519 recipient (`age1…`) of the owner, for a recovery slot.
    pub recovery_recipient: Option<&'a str>,
}

impl Slots<'_> {
    fn check(&self) -> Result<(), Error> {
        match self.own {
            Own::Development(_) if self.platform == Platform::Hardware => Err(Error::DevelopmentSlotRefused),
            Own::Snp(_) if self.recovery_recipient.is_none() => Err(Error::RecoveryNeeded),
            Own::Development(_) | Own::Snp(_) => Ok(()),
        }
    }

    fn open(&self, header: &Header) -> Result<Secret<32>, Error> {
        match self.own {
            Own::Development(file) => header.open_development(&Kek::read_file(file)?.ok_or(Error::NoUsableSlot)?),
            Own::Snp(_) if !header.has(Kind::Snp) => Err(Error::NoUsableSlot),
            Own::Snp(key) => header.open_snp(&key.derive()?),
        }
    }

    /// Adds the machine's own slot, and the owner's where the header has none for that recipient.
    fn add(&self, header: &mut Header, root: &Secret<32>, now_ms: u64) -> Result<(), Error> {
        match self.own {
            Own::Development(file) => {
                let kek = match Kek::read_file(file)? {
                    Some(kek) => kek,
                    None => Kek::create_file(file)?,
                };
                header.add_development(&kek, root, now_ms)?;
            }
            Own::Snp(key) => header.add_snp(&key.derive()?, root, now_ms)?,
        }
        self.add_recovery(header, root, now_ms).map(drop)
    }

    /// Whether it was added.
    fn add_recovery(&self, header: &mut Header, root: &Secret<32>, now_ms: u64) -> Result<bool, Error> {
        match self.recovery_recipient.filter(|recipient| !header.has_recovery(recipient)) {
            Some(recipient) => header.add_recovery(recipient, root, now_ms).map(|()| true),
            None => Ok(false),
        }
    }
}

/// The root key of a store.
pub struct RootKey(Secret<32>);

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(…)")
    }
}

impl RootKey {
    /// Opens the root key of the store under `dir` by the machine's own slot. If there is no store yet, makes a root key
    /// and its slots. A recovery recipient that has no slot yet gets one.
    ///
    /// # Errors
    /// [`Error::DevelopmentSlotRefused`], [`Error::RecoveryNeeded`], [`Error::NoUsableSlot`], [`Error::OtherGuest`],
    /// [`Error::NoDerivedKey`], [`Error::Header`], [`Error::Recipient`], [`Error::Io`].
    pub fn open_or_create(dir: &Path, slots: &Slots<'_>, now_ms: u64) -> Result<Self, Error> {
        slots.check()?;
        let path = dir.join(HEADER_FILE);
        let (mut header, root, changed) = match Header::read(&path)? {
            Some(mut header) => {
                let root = slots.open(&header)?;
                let changed = slots.add_recovery(&mut header, &root, now_ms)?;
                (header, root, changed)
            }
            None if dir.join("records").exists() => return Err(Error::Header),
            None => {
                let mut header = Header::default();
                let root = Secret::random();
                slots.add(&mut header, &root, now_ms)?;
                (header, root, true)
            }
        };
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

    /// Gives the machine as it is now a slot of its own. Its slots of before are taken away: what it was before, an older
    /// image say, is not to open the store any more.
    ///
    /// # Errors
    /// As [`RootKey::open_or_create`]; [`Error::Header`] if the header is not one of this root key.
    pub fn rebind(&self, dir: &Path, slots: &Slots<'_>, now_ms: u64) -> Result<(), Error> {
        slots.check()?;
        let path = dir.join(HEADER_FILE);
        let mut header = Header::read(&path)?.ok_or(Error::Header)?;
        header.check(&self.0)?;
        header.remove_own();
        slots.add(&mut header, &self.0, now_ms)?;
        header.write(&path, &self.0)
    }

    /// Where the key slots of the store under `dir` are.
    #[must_use]
    pub fn slots_file(dir: &Path) -> PathBuf {
        dir.join(HEADER_FILE)
    }

    /// Puts the key slots of a backup into `dir`.
    ///
    /// # Errors
    /// [`Error::Header`] when these are no key slots; [`Error::Io`].
    pub fn install_slots(dir: &Path, slots: &[u8]) -> Result<(), Error> {
        Header::parse(slots)?;
        slots::write_whole(&dir.join(HEADER_FILE), slots)
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
