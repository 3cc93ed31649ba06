//! A store in a temporary directory, opened as the product opens it.

#![allow(clippy::allow_attributes, reason = "whether it is expected differs by test binary")]
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::path::Path;
use std::sync::Arc;

use cloister_enclave::access::TenantScope;
use cloister_enclave::access::scope::danger;
use cloister_enclave::audit;
use cloister_enclave::clock::{ManualClock, SystemClock};
use cloister_enclave::keys::RootKey;
use cloister_enclave::store::{Error, Store, TenantStore};
use cloister_protocol::ids::OrgId;

pub(crate) const ROOT: [u8; 32] = [7; 32];

pub(crate) fn settings() -> audit::Settings {
    audit::Settings {
        public_host: "appliance.example".to_owned(),
        product_version: "0.1.0".to_owned(),
        measurement: String::new(),
    }
}

pub(crate) fn try_open(dir: &Path, root: [u8; 32]) -> Result<Store, Error> {
    Store::open(dir, &RootKey::insecure_from_bytes(root), Arc::new(SystemClock), settings())
}

pub(crate) fn open(dir: &Path) -> Store {
    try_open(dir, ROOT).expect("the store opens")
}

pub(crate) fn open_at(dir: &Path, clock: ManualClock) -> Store {
    Store::open(dir, &RootKey::insecure_from_bytes(ROOT), Arc::new(clock), settings()).expect("the store opens")
}

pub(crate) fn org(number: u128) -> OrgId {
    OrgId::from_parts(1_790_000_000_000, number)
}

pub(crate) fn scope(number: u128) -> TenantScope {
    danger::unauthorized_org(org(number))
}

pub(crate) fn tenant(store: &Store, number: u128) -> TenantStore {
    store.scope(&scope(number))
}

/// The database under a store, as whoever owns the disk sees it. The store must be closed; sled lets go of its lock
/// some time after that.
pub(crate) fn disk(dir: &Path) -> sled::Db {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let config = sled::Config::new().path(dir.join("records")).segment_size(8 << 20);
        match config.flush_every_ms(None).open() {
            Ok(database) => return database,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
        std::thread::yield_now();
    }
}
