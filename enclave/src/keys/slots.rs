//! The header: a LUKS-like table of slots, each of which wraps the same root key (protocols, section 9).
//!
//! A slot wraps the root key with XAES-256-GCM under a key-encryption key (KEK) of its own, committed to, with the slot's
//! descriptor as associated data. The whole header carries a MAC under a key derived from the root key, so that slots
//! cannot be removed, added or mixed without it. What differs between kinds of slot is where the KEK comes from:
//! a file (`development`), the key that AMD's secure processor derives for this guest (`snp`), or an age file that only
//! the owner's identity opens (`recovery`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Error;
use super::secret::{Secret, random};
use crate::store::derive;
use crate::store::xaes::Xaes;

const FORMAT: &str = "cloister/key-slots/v1";
/// No header with a greater security version than this is opened by this program.
const SECURITY_VERSION: u32 = 1;
const MAX_HEADER_BYTES: u64 = 1024 * 1024;
const SNP_INFO: &[u8] = b"cloister/key-slots/v1/snp";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Development,
    Snp,
    Recovery,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Descriptor {
    id: String,
    kind: Kind,
    created_ms: u64,
    min_svn: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    descriptor: Descriptor,
    /// The KEK as an age file, base64, in a recovery slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    kek: Option<String>,
    /// `commitment 16 ‖ nonce 24 ‖ ciphertext 32 ‖ tag 16`, base64.
    wrapped: String,
}

/// The table of slots.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    format: String,
    min_svn: u32,
    slots: Vec<Slot>,
    mac: String,
}

impl Default for Header {
    fn default() -> Self {
        Self { format: FORMAT.to_owned(), min_svn: SECURITY_VERSION, slots: Vec::new(), mac: String::new() }
    }
}

/// A key-encryption key.
pub(super) struct Kek(Secret<32>);

impl Kek {
    fn cipher(&self) -> Xaes {
        Xaes::new(Secret::new(*self.0.expose_secret()))
    }

    /// The KEK of the slot `id`, from the key that is this guest's own. The secure processor's key itself wraps nothing.
    fn of_guest(derived: &Secret<32>, id: &str) -> Self {
        let mut kek = Zeroizing::new([0; 32]);
        let hkdf = Hkdf::<Sha256>::new(Some(id.as_bytes()), derived.expose_secret());
        hkdf.expand(SNP_INFO, kek.as_mut_slice()).expect("HKDF-SHA256 gives 32 bytes");
        Self(Secret::new(*kek))
    }

    /// The KEK in a development key file, if the file exists.
    pub(super) fn read_file(path: &Path) -> Result<Option<Self>, Error> {
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { doing: "reading the development key", source }),
        };
        let bytes = hex::decode(text.trim_end()).map(Zeroizing::new).map_err(|_| Error::DevelopmentFile)?;
        Secret::from_slice(&bytes).map(|key| Some(Self(key))).ok_or(Error::DevelopmentFile)
    }

    /// Makes a development key file.
    pub(super) fn create_file(path: &Path) -> Result<Self, Error> {
        let key = Secret::random();
        let text = Zeroizing::new(format!("{}\n", hex::encode(key.expose_secret())));
        let written = create_parent(path).and_then(|()| write_new(path, text.as_bytes()));
        written.map_err(|source| Error::Io { doing: "writing the development key", source })?;
        Ok(Self(key))
    }
}

impl Header {
    /// Reads the header, if there is one.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let io = |source| Error::Io { doing: "reading the key slots", source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io(source)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_HEADER_BYTES).read_to_end(&mut bytes).map_err(io)?;
        Self::parse(&bytes).map(Some)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let header: Self = serde_json::from_slice(bytes).map_err(|_| Error::Header)?;
        let current = header.format == FORMAT && header.min_svn <= SECURITY_VERSION;
        current.then_some(header).ok_or(Error::Header)
    }

    /// Replaces the file in one step, with the MAC of its new contents.
    pub(super) fn write(&mut self, path: &Path, root: &Secret<32>) -> Result<(), Error> {
        self.mac = hex::encode(self.authenticator(root)?.finalize().into_bytes());
        write_whole(path, &serde_json::to_vec_pretty(self).map_err(|_| Error::Header)?)
    }

    fn authenticator(&self, root: &Secret<32>) -> Result<Hmac<Sha256>, Error> {
        let unsigned = serde_json::json!({ "format": self.format, "min_svn": self.min_svn, "slots": self.slots });
        let bytes = serde_json_canonicalizer::to_vec(&unsigned).map_err(|_| Error::Header)?;
        let key = derive(root, b"app/v1/meta");
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key.expose_secret()).expect("HMAC takes any key");
        mac.update(&bytes);
        Ok(mac)
    }

    /// The root key, if the header's MAC holds under it.
    fn checked(&self, root: Secret<32>) -> Result<Secret<32>, Error> {
        self.check(&root).map(|()| root)
    }

    /// Whether the header's MAC holds under the root key.
    pub(super) fn check(&self, root: &Secret<32>) -> Result<(), Error> {
        let mac = hex::decode(&self.mac).map_err(|_| Error::Header)?;
        self.authenticator(root)?.verify_slice(&mac).map_err(|_| Error::Header)
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.slots.iter().any(|slot| slot.descriptor.kind == kind)
    }

    /// Takes away every slot that a machine opens by itself.
    pub(super) fn remove_own(&mut self) {
        self.slots.retain(|slot| slot.descriptor.kind == Kind::Recovery);
    }

    pub(super) fn open_snp(&self, derived: &Secret<32>) -> Result<Secret<32>, Error> {
        let own = self.slots.iter().filter(|slot| slot.descriptor.kind == Kind::Snp);
        let mut opened = own.filter_map(|slot| slot.open(&Kek::of_guest(derived, &slot.descriptor.id).cipher()));
        self.checked(opened.next().ok_or(Error::OtherGuest)?)
    }

    pub(super) fn add_snp(&mut self, derived: &Secret<32>, root: &Secret<32>, now_ms: u64) -> Result<(), Error> {
        let descriptor = Descriptor::new(Kind::Snp, None, now_ms);
        let kek = Kek::of_guest(derived, &descriptor.id);
        self.slots.push(Slot::wrapping(descriptor, &kek.cipher(), root)?);
        Ok(())
    }

    pub(super) fn open_development(&self, kek: &Kek) -> Result<Secret<32>, Error> {
        let cipher = kek.cipher();
        let development = self.slots.iter().filter(|slot| slot.descriptor.kind == Kind::Development);
        let root = development.filter_map(|slot| slot.open(&cipher)).next().ok_or(Error::NoUsableSlot)?;
        self.checked(root)
    }

    pub(super) fn add_development(&mut self, kek: &Kek, root: &Secret<32>, now_ms: u64) -> Result<(), Error> {
        let descriptor = Descriptor::new(Kind::Development, None, now_ms);
        self.slots.push(Slot::wrapping(descriptor, &kek.cipher(), root)?);
        Ok(())
    }

    pub(super) fn has_recovery(&self, recipient: &str) -> bool {
        self.slots.iter().any(|slot| slot.descriptor.recipient.as_deref() == Some(recipient))
    }

    pub(super) fn open_recovery(&self, identity: &str) -> Result<Secret<32>, Error> {
        let identity: age::x25519::Identity = identity.trim().parse().map_err(|_| Error::Identity)?;
        for slot in self.slots.iter().filter(|slot| slot.descriptor.kind == Kind::Recovery) {
            let file = slot.kek.as_deref().and_then(|kek| BASE64.decode(kek).ok()).ok_or(Error::Header)?;
            let Ok(kek) = age::decrypt(&identity, &file).map(Zeroizing::new) else { continue };
            let kek = Secret::from_slice(&kek).ok_or(Error::Header)?;
            let root = slot.open(&Xaes::new(kek)).ok_or(Error::Header)?;
            return self.checked(root);
        }
        Err(Error::NoUsableSlot)
    }

    pub(super) fn add_recovery(&mut self, recipient: &str, root: &Secret<32>, now_ms: u64) -> Result<(), Error> {
        let parsed: age::x25519::Recipient = recipient.parse().map_err(|_| Error::Recipient)?;
        let kek = Kek(Secret::random());
        let file = age::encrypt(&parsed, kek.0.expose_secret()).map_err(|_| Error::Recipient)?;
        let descriptor = Descriptor::new(Kind::Recovery, Some(recipient.to_owned()), now_ms);
        let mut slot = Slot::wrapping(descriptor, &kek.cipher(), root)?;
        slot.kek = Some(BASE64.encode(file));
        self.slots.push(slot);
        Ok(())
    }
}

impl Slot {
    fn wrapping(descriptor: Descriptor, kek: &Xaes, root: &Secret<32>) -> Result<Self, Error> {
        let wrapped = kek.wrap_committing(&descriptor.associated_data()?, root.expose_secret());
        Ok(Self { descriptor, kek: None, wrapped: BASE64.encode(wrapped) })
    }

    fn open(&self, kek: &Xaes) -> Option<Secret<32>> {
        let wrapped = BASE64.decode(&self.wrapped).ok()?;
        let aad = self.descriptor.associated_data().ok()?;
        let root = Zeroizing::new(kek.unwrap_committing(&aad, &wrapped).ok()?);
        Secret::from_slice(&root)
    }
}

impl Descriptor {
    fn new(kind: Kind, recipient: Option<String>, created_ms: u64) -> Self {
        let id = format!("slot_{}", hex::encode(random::<8>()));
        Self { id, kind, created_ms, min_svn: SECURITY_VERSION, recipient }
    }

    fn associated_data(&self) -> Result<Vec<u8>, Error> {
        serde_json_canonicalizer::to_vec(self).map_err(|_| Error::Header)
    }
}

/// Replaces the file of the key slots in one step.
pub(super) fn write_whole(path: &Path, text: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("json.new");
    let replaced = create_parent(path)
        .and_then(|()| remove_if_there(&new))
        .and_then(|()| write_new(&new, text))
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| sync_parent(path));
    replaced.map_err(|source| Error::Io { doing: "writing the key slots", source })
}

fn create_parent(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a new file that only its owner can read, and syncs it.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
