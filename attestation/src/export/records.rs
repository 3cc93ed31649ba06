//! Step 9: do the records of a log make sense, one after another?
//!
//! The tree proves that nobody changed the records since; this proves that whoever wrote them kept to the rules. Each
//! rule is judged on its own and reports the first record that breaks it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::encoding::{jcs, sha256};
use crate::note::Vkey;

/// The operation of the first record of every log.
pub(super) const GENESIS: &str = "log.genesis";
/// The operation of the first record of every boot.
const BOOT: &str = "log.boot";
/// The operation of the records that show that the log lives.
const HEARTBEAT: &str = "log.heartbeat";
/// Heartbeats come every hour; a gap of two is one missed, in milliseconds.
const MAX_GAP_MS: u64 = 2 * 3_600_000;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not canonical JSON.
    #[error("it is not canonical JSON")]
    Encoding,
    /// Not of the shape of a record, or a version that this build does not know.
    #[error("it does not have the fields of a record")]
    Schema,
    /// `seq` is not its index.
    #[error("its number is not its place")]
    Sequence,
    /// Its time is before that of the record before it.
    #[error("its time goes back")]
    Time,
    /// The boot changes without a boot record, or an old boot comes back, or the log does not begin with its genesis.
    #[error("it breaks the chain of boots")]
    Boot,
    /// Too long after the record before it.
    #[error("it comes after a gap without heartbeat")]
    Heartbeat,
    /// The log's name does not end in the digest of the first record, or that record names another key.
    #[error("the name or the key of the log is not what it says")]
    Origin,
}

/// A problem and the index of the record that has it.
pub(super) type Found = (u64, Problem);

/// The fields that every record has; others are allowed.
#[derive(Debug, Deserialize)]
struct Record {
    v: u64,
    seq: u64,
    time: u64,
    boot: String,
    ocsf: Ocsf,
    d: Map<String, Value>,
}

/// What OCSF requires of every event, and what we name the operation by.
#[derive(Debug, Deserialize)]
struct Ocsf {
    metadata: Metadata,
    category_uid: u64,
    class_uid: u64,
    activity_id: u64,
    type_uid: u64,
    #[expect(dead_code, reason = "required to be a number")]
    severity_id: u64,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    event_code: String,
    #[expect(dead_code, reason = "required to be a text")]
    version: String,
    #[expect(dead_code, reason = "required to be an object")]
    product: Map<String, Value>,
}

impl Record {
    fn operation(&self) -> &str {
        &self.ocsf.metadata.event_code
    }

    fn follows_ocsf(&self) -> bool {
        let ocsf = &self.ocsf;
        self.v == 1
            && ocsf.category_uid == ocsf.class_uid / 1000
            && ocsf.class_uid.checked_mul(100).and_then(|class| class.checked_add(ocsf.activity_id))
                == Some(ocsf.type_uid)
    }
}

/// The first problem of each rule.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) encoding: Option<Found>,
    pub(super) schema: Option<Found>,
    pub(super) sequence: Option<Found>,
    pub(super) time: Option<Found>,
    pub(super) boots: Option<Found>,
    pub(super) heartbeat: Option<Found>,
    pub(super) origin: Option<Found>,
    pub(super) boot_count: usize,
    pub(super) heartbeat_count: u64,
}

/// Judges all records of the log of that name and those keys.
pub(super) fn judge(origin: &str, keys: &[Vkey], entries: &[Vec<u8>]) -> Findings {
    let mut findings = Findings::default();
    let mut boots = BTreeSet::new();
    let mut before: Option<Record> = None;
    for (index, entry) in (0..).zip(entries) {
        let record = match parse(entry) {
            Ok(record) => record,
            Err(problem) => {
                let slot = if problem == Problem::Encoding { &mut findings.encoding } else { &mut findings.schema };
                slot.get_or_insert((index, problem));
                // What follows could be judged only against this one.
                break;
            }
        };
        if index == 0 && !names_the_log(&record, entry, origin, keys) {
            findings.origin = Some((0, Problem::Origin));
        }
        if record.seq != index {
            findings.sequence.get_or_insert((index, Problem::Sequence));
        }
        let same_boot = before.as_ref().is_some_and(|before| before.boot == record.boot);
        let begins_well = match &before {
            None => record.operation() == GENESIS,
            Some(_) => same_boot || (record.operation() == BOOT && !boots.contains(&record.boot)),
        };
        if !begins_well {
            findings.boots.get_or_insert((index, Problem::Boot));
        }
        if let Some(before) = &before {
            if record.time < before.time {
                findings.time.get_or_insert((index, Problem::Time));
            }
            if same_boot && record.time.saturating_sub(before.time) > MAX_GAP_MS {
                findings.heartbeat.get_or_insert((index, Problem::Heartbeat));
            }
        }
        findings.heartbeat_count += u64::from(record.operation() == HEARTBEAT);
        boots.insert(record.boot.clone());
        before = Some(record);
    }
    findings.boot_count = boots.len();
    findings
}

/// A log is named after its first record, and that record names the log's first key: neither can be swapped alone.
fn names_the_log(genesis: &Record, entry: &[u8], origin: &str, keys: &[Vkey]) -> bool {
    let id = sha256(entry).to_string();
    let named = origin.rsplit('/').next().zip(id.get(..16)).is_some_and(|(last, id)| last == id);
    let key = genesis.d.get("public_key").and_then(Value::as_str);
    named && keys.iter().any(|own| key == Some(hex::encode(own.public_key).as_str()))
}

fn parse(entry: &[u8]) -> Result<Record, Problem> {
    let value: Value = serde_json::from_slice(entry).map_err(|_| Problem::Encoding)?;
    if jcs(&value) != entry {
        return Err(Problem::Encoding);
    }
    let record: Record = serde_json::from_value(value).map_err(|_| Problem::Schema)?;
    if record.follows_ocsf() { Ok(record) } else { Err(Problem::Schema) }
}
