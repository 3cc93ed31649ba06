//! The root key's slots and the keyset.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod opened;

use std::fs;
use std::path::Path;

use age::secrecy::ExposeSecret as _;
use cloister_enclave::keys::root::HEADER_FILE;
use cloister_enclave::keys::{Error, Keyset, Platform, RootKey, Slots};
use cloister_enclave::store::Store;
use serde_json::Value;

const NOW: u64 = 1_790_000_000_000;

fn slots<'a>(file: &'a Path, recipient: Option<&'a str>) -> Slots<'a> {
    Slots { platform: Platform::Development, development_file: Some(file), recovery_recipient: recipient }
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
    let none = Slots { development_file: None, ..hardware };
    assert!(matches!(RootKey::open_or_create(dir.path(), &none, NOW), Err(Error::NoUsableSlot)));
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
    let epoch = store.epoch();
    Keyset::open_or_create(&store).await.unwrap();
    assert_eq!(store.epoch(), epoch, "nothing is written the second time");
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
