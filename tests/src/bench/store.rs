//! The sealed store beside bare sled with the same fsync: one writer that waits for each put, then random gets.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use cloister_enclave::access::scope::danger;
use cloister_enclave::audit;
use cloister_enclave::clock::SystemClock;
use cloister_enclave::keys::RootKey;
use cloister_enclave::store::{Collection, Store};
use cloister_protocol::ids::OrgId;

use super::{Figure, Target, median};

const ROUNDS: usize = 5;
const PUTS: usize = 400;
const GETS: usize = 20_000;
const RECORDS: Collection<String> = Collection::new("bench", 63, 1);

/// Runs both comparisons in `dir`.
///
/// # Errors
/// If a store does not open or a write fails.
pub fn run(dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let root = RootKey::insecure_from_bytes([7; 32]);
    let store = Store::open(&dir.join("sealed"), &root, Arc::new(SystemClock), settings())?;
    let sealed = store.scope(&danger::unauthorized_org(OrgId::from_parts(1, 1)));
    let bare_dir = dir.join("bare");
    let bare = bare_sled(&bare_dir)?;
    let file = File::open(bare_dir.join("db"))?;
    let value = "x".repeat(1024);
    let (mut put, mut get) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for round in 0..ROUNDS {
        eprintln!("store: round {} of {ROUNDS}", round + 1);
        put.0.push(rate(PUTS, |i| {
            let mut batch = sealed.batch();
            batch.put(&RECORDS, &format!("{round}-{i}"), &value);
            batch.commit_blocking().map(drop).map_err(Into::into)
        })?);
        put.1.push(rate(PUTS, |i| {
            bare.insert(format!("{round}-{i}"), value.as_bytes())?;
            bare.flush()?;
            Ok(file.sync_data()?)
        })?);
        get.0.push(rate(GETS, |i| {
            let got = sealed.get(&RECORDS, &format!("{round}-{}", i * 7 % PUTS))?;
            anyhow::ensure!(got.context("the record is there")?.len() == 1024);
            Ok(())
        })?);
        get.1.push(rate(GETS, |i| {
            let got = bare.get(format!("{round}-{}", i * 7 % PUTS))?;
            anyhow::ensure!(got.context("the record is there")?.len() == 1024);
            Ok(())
        })?);
    }
    store.close_blocking();
    let peer = "sled with the same fsync";
    let (puts, gets) = ("store: sealed put, 1 KiB", "store: sealed get, 1 KiB");
    Ok(vec![
        Figure::ratio(puts, peer, "1/s", median(put.0), median(put.1), Target::AtLeast(0.7)),
        Figure::ratio(gets, peer, "1/s", median(get.0), median(get.1), Target::AtLeast(0.7)),
    ])
}

/// The settings of a store that is measured.
pub(super) fn settings() -> audit::Settings {
    audit::Settings { public_host: "bench".to_owned(), product_version: "0".to_owned(), measurement: String::new() }
}

/// sled alone, set up as the store sets it up.
pub(super) fn bare_sled(path: &Path) -> anyhow::Result<sled::Db> {
    Ok(sled::Config::new().path(path).cache_capacity(64 << 20).flush_every_ms(None).open()?)
}

#[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
fn rate(times: usize, mut work: impl FnMut(usize) -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    for i in 0..times {
        work(i)?;
    }
    Ok(times as f64 / start.elapsed().as_secs_f64())
}
