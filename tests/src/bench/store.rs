//! The sealed store beside bare sled with the same fsync, and beside `SQLCipher`.
//!
//! Puts that wait one after the other, random gets, batches, and whole lists. Then audit events that are on the disk before
//! they are answered.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use cloister_enclave::access::scope::danger;
use cloister_enclave::audit;
use cloister_enclave::clock::SystemClock;
use cloister_enclave::keys::RootKey;
use cloister_enclave::store::{Collection, Store, TenantStore};
use cloister_protocol::ids::{OrgId, PersonId};

use super::sqlcipher::SqlCipher;
use super::{Figure, Target, median};

const ROUNDS: usize = 5;
const PUTS: usize = 400;
const GETS: usize = 20_000;
const BATCH: usize = 1_000;
const WRITERS: usize = 512;
const APPENDS: usize = 40_000;
const RECORDS: Collection<String> = Collection::new("bench", 63, 1);

/// Runs all comparisons in `dir`.
///
/// # Errors
/// If a store does not open or a write fails.
pub async fn run(dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let root = RootKey::insecure_from_bytes([7; 32]);
    let store = Store::open(&dir.join("sealed"), &root, Arc::new(SystemClock), settings())?;
    let sealed = store.scope(&danger::unauthorized_org(OrgId::from_parts(1, 1)));
    let mut figures = tokio::task::block_in_place(|| compare(dir, &sealed))?;
    let log = store.scope(&danger::unauthorized_org(OrgId::from_parts(1, 2)));
    let appends = appends(&log).await?;
    figures.push(Figure::absolute(
        "audit: events, each durable before its answer",
        "1/s",
        appends,
        Target::AtLeast(20_000.0),
    ));
    store.close().await;
    Ok(figures)
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Put,
    Get,
    Batch,
    Scan,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Put => "store: sealed put, 1 KiB",
            Self::Get => "store: sealed get, 1 KiB",
            Self::Batch => "store: sealed batch of 1,000",
            Self::Scan => "store: sealed scan",
        }
    }
}

/// Operations a second of one store.
#[derive(Default)]
struct Rates(BTreeMap<Kind, Vec<f64>>);

impl Rates {
    #[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
    fn note(&mut self, kind: Kind, times: usize, seconds: f64) {
        self.0.entry(kind).or_default().push(times as f64 / seconds);
    }
}

fn compare(dir: &Path, sealed: &TenantStore) -> anyhow::Result<Vec<Figure>> {
    let bare_dir = dir.join("bare");
    let bare = bare_sled(&bare_dir)?;
    let file = File::open(bare_dir.join("db"))?;
    let mut cipher = SqlCipher::open(dir)?;
    let value = "x".repeat(1024);
    let (mut ours, mut sled, mut sqlcipher) = (Rates::default(), Rates::default(), Rates::default());
    for round in 0..ROUNDS {
        eprintln!("store: round {} of {ROUNDS}", round + 1);
        let put = |i: usize| format!("{round}-{i}");
        ours.note(Kind::Put, PUTS, time(|| (0..PUTS).try_for_each(|i| put_sealed(sealed, [put(i)], &value)))?);
        sled.note(Kind::Put, PUTS, time(|| (0..PUTS).try_for_each(|i| put_bare(&bare, &file, [put(i)], &value)))?);
        sqlcipher.note(Kind::Put, PUTS, cipher.puts((0..PUTS).map(put), &value)?);

        let get = |i: usize| put(i * 7 % PUTS);
        let sealed_length = |i| anyhow::Ok(sealed.get(&RECORDS, &get(i))?.map(|found| found.len()));
        let bare_length = |i| anyhow::Ok(bare.get(get(i))?.map(|found| found.len()));
        ours.note(Kind::Get, GETS, time(|| (0..GETS).try_for_each(|i| is_whole(sealed_length(i)?)))?);
        sled.note(Kind::Get, GETS, time(|| (0..GETS).try_for_each(|i| is_whole(bare_length(i)?)))?);
        sqlcipher.note(Kind::Get, GETS, cipher.gets((0..GETS).map(get))?);

        let batched = |i: usize| format!("{round}-b{i}");
        ours.note(Kind::Batch, BATCH, time(|| put_sealed(sealed, (0..BATCH).map(batched), &value))?);
        sled.note(Kind::Batch, BATCH, time(|| put_bare(&bare, &file, (0..BATCH).map(batched), &value))?);
        sqlcipher.note(Kind::Batch, BATCH, cipher.batch((0..BATCH).map(batched), &value)?);

        let all = (PUTS + BATCH) * (round + 1);
        ours.note(Kind::Scan, all, time(|| is_all(sealed.list(&RECORDS)?.len(), all))?);
        sled.note(Kind::Scan, all, time(|| is_all(bare.iter().collect::<Result<Vec<_>, _>>()?.len(), all))?);
        sqlcipher.note(Kind::Scan, all, cipher.scan()?);
    }
    let mut figures = Vec::new();
    for ((kind, ours), (bare, cipher)) in ours.0.into_iter().zip(sled.0.into_values().zip(sqlcipher.0.into_values())) {
        let ours = median(ours);
        let figure = |peer, rates, least| Figure::ratio(kind.name(), peer, "1/s", ours, median(rates), least);
        figures.push(figure("sled, same fsync", bare, Target::AtLeast(0.7)));
        figures.push(figure("SQLCipher", cipher, Target::AtLeast(3.0)));
    }
    Ok(figures)
}

fn put_sealed(store: &TenantStore, keys: impl IntoIterator<Item = String>, value: &String) -> anyhow::Result<()> {
    let mut batch = store.batch();
    for key in keys {
        batch.put(&RECORDS, &key, value);
    }
    Ok(batch.commit_blocking().map(drop)?)
}

fn put_bare(bare: &sled::Db, file: &File, keys: impl IntoIterator<Item = String>, value: &str) -> anyhow::Result<()> {
    let mut batch = sled::Batch::default();
    for key in keys {
        batch.insert(key.into_bytes(), value.as_bytes());
    }
    bare.apply_batch(batch)?;
    bare.flush()?;
    Ok(file.sync_data()?)
}

fn is_whole(length: Option<usize>) -> anyhow::Result<()> {
    anyhow::ensure!(length.context("the record is there")? == 1024);
    Ok(())
}

fn is_all(found: usize, all: usize) -> anyhow::Result<()> {
    anyhow::ensure!(found == all, "{found} records of {all}");
    Ok(())
}

fn time(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Events a second of many writers, each of which waits for its own before it writes the next.
#[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
async fn appends(log: &TenantStore) -> anyhow::Result<f64> {
    let start = Instant::now();
    let write = |writer: usize| async move {
        let person = PersonId::from_parts(1, u128::try_from(writer)?);
        for number in 0..APPENDS / WRITERS {
            let event = audit::Event::new(audit::Class::ApiCreate, "chat.answer").by(person).detail("number", number);
            let mut batch = log.batch();
            batch.audit(event);
            batch.commit().await?;
        }
        anyhow::Ok(())
    };
    futures::future::try_join_all((0..WRITERS).map(write)).await?;
    Ok((APPENDS / WRITERS * WRITERS) as f64 / start.elapsed().as_secs_f64())
}

/// The settings of a store that is measured.
pub(super) fn settings() -> audit::Settings {
    audit::Settings { public_host: "bench".to_owned(), product_version: "0".to_owned(), measurement: String::new() }
}

/// sled alone, set up as the store sets it up.
pub(super) fn bare_sled(path: &Path) -> anyhow::Result<sled::Db> {
    Ok(sled::Config::new().path(path).cache_capacity(64 << 20).segment_size(8 << 20).flush_every_ms(None).open()?)
}
