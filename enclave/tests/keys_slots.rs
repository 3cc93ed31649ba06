//! The root key's slots and the keyset.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod opened;

use std::fs;
use std::path::Path;

use age::secrecy::ExposeSecret as _;
use cloister_enclave::keys::root::HEADER_FILE;
use cloister_enclave::keys::secret::Secret;
use cloister_enclave::keys::{DerivedKey, Error, Keyset, Own, Platform, RootKey, Slots};
use cloister_enclave::store::Store;
use serde_json::Value;

const NOW: u64 = 1_790_000_000_000;

fn slots<'a>(file: &'a Path, recipient: Option<&'a str>) -> Slots<'a> {
    Slots { platform: Platform::Development, own: Own::Development(file), recovery_recipient: recipient }
}

fn open(dir: &Path, recipient: Option<&str>) -> Result<RootKey, Error> {
    RootKey::open_or_create(dir, &slots(&dir.join("development.key"), recipient), NOW)
}

/// Whether two root keys are the same, told by a store.
fn same(one: &RootKey, other: &RootKey) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let clock = || std::sync::Arc::new(cloister_enclave::clock::SystemClock);
    let store = Store::open(dir.path(), one, clock(), opened::settings()).unwrap();
    store.close_blocking();
    drop(store);
    Store::open(dir.path(), other, clock(), opened::settings()).is_ok()
}

#[test]
fn dc_04_the_root_key_is_made_once_and_opened_after() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), None).unwrap();
    let second = open(dir.path(), None).unwrap();
    assert!(same(&first, &second));
    use std::os::unix::fs::PermissionsExt as _;
    for file in [HEADER_FILE, "development.key"] {
        assert_eq!(fs::metadata(dir.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = fs::read_to_string(dir.path().join(HEADER_FILE)).unwrap();
    let header: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(header["format"], "cloister/key-slots/v1");
    assert_eq!(header["slots"][0]["descriptor"]["kind"], "development");
}

#[test]
fn a_development_slot_is_refused_on_a_real_tee() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("development.key");
    let hardware = Slots { platform: Platform::Hardware, ..slots(&file, None) };
    assert!(matches!(RootKey::open_or_create(dir.path(), &hardware, NOW), Err(Error::DevelopmentSlotRefused)));
    assert!(!file.exists());
}

#[test]
fn the_owner_recovers_the_root_key_with_an_age_identity() {
    let dir = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let first = open(dir.path(), None).unwrap();
    // A recipient that comes later gets a slot too, once.
    open(dir.path(), Some(&recipient)).unwrap();
    open(dir.path(), Some(&recipient)).unwrap();
    let header: Value = serde_json::from_slice(&fs::read(dir.path().join(HEADER_FILE)).unwrap()).unwrap();
    assert_eq!(header["slots"].as_array().unwrap().len(), 2);

    let secret = identity.to_string();
    let recovered = RootKey::recover(dir.path(), secret.expose_secret()).unwrap();
    assert!(same(&first, &recovered));
    let stranger = age::x25519::Identity::generate().to_string();
    assert!(matches!(RootKey::recover(dir.path(), stranger.expose_secret()), Err(Error::NoUsableSlot)));
    assert!(matches!(RootKey::recover(dir.path(), "AGE-SECRET-KEY-1"), Err(Error::Identity)));
    assert!(matches!(open(dir.path(), Some("age1nonsense")), Err(Error::Recipient)));
}

/// A guest whose key is that of its measurement, as AMD's secure processor has it.
#[derive(Debug)]
struct Guest {
    measurement: u8,
}

impl DerivedKey for Guest {
    fn derive(&self) -> Result<Secret<32>, Error> {
        match self.measurement {
            0 => Err(Error::NoDerivedKey("the secure processor refuses")),
            measurement => Ok(Secret::new([measurement; 32])),
        }
    }
}

impl Guest {
    fn open(&self, dir: &Path, recipient: Option<&str>) -> Result<RootKey, Error> {
        RootKey::open_or_create(dir, &self.slots(recipient), NOW)
    }

    fn slots<'a>(&'a self, recipient: Option<&'a str>) -> Slots<'a> {
        Slots { platform: Platform::Hardware, own: Own::Snp(self), recovery_recipient: recipient }
    }
}

fn header(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join(HEADER_FILE)).unwrap()).unwrap()
}

fn kinds(dir: &Path) -> Vec<String> {
    let header = header(dir);
    let slots = header.get("slots").and_then(Value::as_array).unwrap().iter();
    slots.map(|slot| slot.pointer("/descriptor/kind").and_then(Value::as_str).unwrap().to_owned()).collect()
}

#[test]
fn dc_04_a_guest_opens_its_store_by_the_key_that_it_has_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let guest = Guest { measurement: 1 };
    assert!(matches!(guest.open(dir.path(), None), Err(Error::RecoveryNeeded)), "it is never the only slot");
    assert!(!dir.path().join(HEADER_FILE).exists());
    let first = guest.open(dir.path(), Some(&recipient)).unwrap();
    let before = fs::read(dir.path().join(HEADER_FILE)).unwrap();
    let second = guest.open(dir.path(), Some(&recipient)).unwrap();
    assert!(same(&first, &second));
    assert_eq!(fs::read(dir.path().join(HEADER_FILE)).unwrap(), before, "nothing is written the second time");
    assert_eq!(kinds(dir.path()), ["snp", "recovery"]);
    // The header holds nothing of the key, and nothing else opens it.
    assert!(!String::from_utf8(before).unwrap().contains(&"01".repeat(16)));
    assert!(matches!(open(dir.path(), None), Err(Error::NoUsableSlot)));
    let refused = Guest { measurement: 0 }.open(dir.path(), Some(&recipient));
    assert!(matches!(refused, Err(Error::NoDerivedKey(_))));
}

#[test]
fn dc_04_another_measurement_is_sent_to_recovery_which_gives_it_a_slot() {
    let dir = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let (old, new) = (Guest { measurement: 1 }, Guest { measurement: 2 });
    let first = old.open(dir.path(), Some(&recipient)).unwrap();
    let error = new.open(dir.path(), Some(&recipient)).unwrap_err();
    assert!(matches!(error, Error::OtherGuest));
    assert!(error.to_string().contains("cloister-enclave recover"), "{error}");

    let recovered = RootKey::recover(dir.path(), identity.to_string().expose_secret()).unwrap();
    recovered.rebind(dir.path(), &new.slots(Some(&recipient)), NOW).unwrap();
    assert!(same(&first, &new.open(dir.path(), Some(&recipient)).unwrap()));
    assert_eq!(kinds(dir.path()), ["recovery", "snp"]);
    assert!(matches!(old.open(dir.path(), Some(&recipient)), Err(Error::OtherGuest)), "the image of before is out");
    // The owner still recovers, and nobody else can rebind.
    RootKey::recover(dir.path(), identity.to_string().expose_secret()).unwrap();
    let stranger = RootKey::insecure_from_bytes([9; 32]);
    assert!(matches!(stranger.rebind(dir.path(), &old.slots(Some(&recipient)), NOW), Err(Error::Header)));
}

#[test]
fn dc_04_a_lost_key_file_is_replaced_by_recovery() {
    let dir = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let first = open(dir.path(), Some(&recipient)).unwrap();
    let file = dir.path().join("development.key");
    fs::remove_file(&file).unwrap();
    assert!(matches!(open(dir.path(), None), Err(Error::NoUsableSlot)));
    let recovered = RootKey::recover(dir.path(), identity.to_string().expose_secret()).unwrap();
    recovered.rebind(dir.path(), &slots(&file, None), NOW).unwrap();
    assert!(same(&first, &open(dir.path(), None).unwrap()));
}

#[test]
fn dc_04_a_slot_does_not_open_under_another_slots_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let guest = Guest { measurement: 1 };
    guest.open(dir.path(), Some(&recipient)).unwrap();
    for (field, value) in [("id", "slot_0000000000000000"), ("kind", "recovery")] {
        let mut changed = header(dir.path());
        changed["slots"][0]["descriptor"][field] = value.into();
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join(HEADER_FILE), serde_json::to_vec(&changed).unwrap()).unwrap();
        let error = guest.open(copy.path(), Some(&recipient)).unwrap_err();
        assert!(matches!(error, Error::OtherGuest | Error::NoUsableSlot), "{field}: {error:?}");
    }
}

#[test]
fn a_changed_header_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    open(dir.path(), Some(&identity.to_public().to_string())).unwrap();
    let path = dir.path().join(HEADER_FILE);
    let good = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = open(dir.path(), None).expect_err("it was changed");
        assert!(matches!(error, Error::Header | Error::NoUsableSlot), "{error:?}");
    };
    // Every byte that is not white space between values matters.
    let compact = serde_json::to_vec(&serde_json::from_slice::<Value>(&good).unwrap()).unwrap();
    for at in 0..compact.len() {
        let mut bytes = compact.clone();
        bytes[at] ^= 1;
        refused(&bytes);
    }
    refused(&good[..good.len() / 2]);
    refused(b"");
    let edit = |change: fn(&mut Value)| {
        let mut header: Value = serde_json::from_slice(&good).unwrap();
        change(&mut header);
        serde_json::to_vec(&header).unwrap()
    };
    refused(&edit(|header| drop(header["slots"].as_array_mut().unwrap().pop())));
    refused(&edit(|header| header["min_svn"] = 2.into()));
    refused(&edit(|header| header["extra"] = 1.into()));
    fs::write(&path, &good).unwrap();
    open(dir.path(), None).unwrap();
    // Another key file opens no slot; a file that is no key is told apart.
    fs::write(dir.path().join("development.key"), "00".repeat(32)).unwrap();
    assert!(matches!(open(dir.path(), None), Err(Error::NoUsableSlot)));
    fs::write(dir.path().join("development.key"), "no key").unwrap();
    assert!(matches!(open(dir.path(), None), Err(Error::DevelopmentFile)));
    // A lost header is not replaced while there are records.
    fs::remove_file(&path).unwrap();
    fs::create_dir(dir.path().join("records")).unwrap();
    assert!(matches!(open(dir.path(), None), Err(Error::Header)));
}

#[tokio::test]
async fn dc_04_the_keyset_is_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = opened::open(dir.path());
    let first = Keyset::open_or_create(&store).await.unwrap();
    let epoch = store.state().epoch;
    Keyset::open_or_create(&store).await.unwrap();
    assert_eq!(store.state().epoch, epoch, "nothing is written the second time");
    store.close().await;
    drop(store);
    let store = opened::open(dir.path());
    let second = Keyset::open_or_create(&store).await.unwrap();
    assert_eq!(first.tls_pkcs8(), second.tls_pkcs8());
    assert_eq!(first.hpke(), second.hpke());
    assert_eq!(first.receipt(), second.receipt());
    assert_eq!(first.opaque_setup(), second.opaque_setup());
    assert_eq!(first.opaque_setup().len(), 128);
    assert_eq!(format!("{first:?} {:?}", first.hpke()), "Keyset(…) Secret(…)");
}
