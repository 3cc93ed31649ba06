//! Event logs: every case of the shared vectors, and what happens to logs that were tampered with.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::path::{Path, PathBuf};

use cloister_attestation::eventlog::{self, Coverage, Error, ccel, dstack};
use cloister_attestation::tdx::{Measurement, Quote};
use proptest::prelude::*;
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where the vectors are")]
fn folder() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors");
    let root = std::env::var("CLOISTER_VECTORS").unwrap_or_else(|_| default.to_owned());
    let folder = Path::new(&root).join("attestation/eventlog");
    assert!(folder.is_dir(), "no test vectors in {}: set CLOISTER_VECTORS", folder.display());
    folder
}

fn read(case: &str, name: &str) -> Vec<u8> {
    std::fs::read(folder().join(case).join(name)).unwrap()
}

fn quoted(case: &str) -> [Measurement; 4] {
    Quote::parse(&read(case, "quote.bin")).unwrap().report.rtmr
}

/// The log of a case, read and replayed by the reader for its kind.
fn judge(case: &Path) -> (Result<eventlog::Verified, Error>, Vec<eventlog::Event>) {
    let name = case.file_name().unwrap().to_str().unwrap();
    if case.join("ccel.bin").exists() {
        let log = read(name, "ccel.bin");
        (ccel::verify(&log, &quoted(name)), ccel::parse(&log).unwrap())
    } else {
        let log = read(name, "event_log.json");
        (dstack::verify(&log, &quoted(name)), dstack::parse(&log).unwrap())
    }
}

#[test]
fn s3_19_every_eventlog_case_has_the_verdict_stage_and_reason_of_its_label() {
    let mut judged = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let case = entry.unwrap().path();
        let label: Value = serde_json::from_slice(&std::fs::read(case.join("case.json")).unwrap()).unwrap();
        let expect = &label["expect"];
        let (outcome, events) = judge(&case);
        match expect["verdict"].as_str().unwrap() {
            "accept" => assert!(outcome.is_ok(), "{}: {outcome:?}", case.display()),
            _ => {
                let error = outcome.expect_err("refused");
                assert!(expect["reason"].as_array().unwrap().contains(&Value::from(error.code())), "{error}");
                assert_eq!(expect["stage"], error.stage().name());
            }
        }
        for (register, value) in eventlog::replay(&events).iter().enumerate() {
            assert_eq!(expect["replayed"][format!("rtmr{register}")], hex::encode(value), "{}", case.display());
        }
        if let Some(count) = expect["events"].as_u64() {
            assert_eq!(count, events.len() as u64);
        }
        judged += 1;
    }
    assert!(judged >= 3, "only {judged} cases");
}

#[test]
fn eventlog_ccel_tells_what_each_digest_vouches_for() {
    let events = ccel::parse(&read("ccel-cos113", "ccel.bin")).unwrap();
    let of_type = |event_type| events.iter().filter(move |event| event.event_type == event_type);
    assert!(of_type(eventlog::EV_SEPARATOR).all(|event| event.covers() == Coverage::Data));
    assert!(of_type(eventlog::EV_EFI_VARIABLE_BOOT).all(|event| event.covers() == Coverage::VariableValue));
    let command_lines = of_type(eventlog::EV_IPL).filter(|event| event.data.starts_with(b"kernel_cmdline: "));
    assert!(command_lines.clone().all(|event| event.covers() == Coverage::Text && event.register == 2));
    assert_eq!(command_lines.count(), 1);
}

#[test]
fn eventlog_dstack_runtime_digests_are_computed_not_believed() {
    let case = "dstack-rtmr3-events";
    let log = String::from_utf8(read(case, "event_log.json")).unwrap();
    // Another payload beside the genuine digest: the register still replays, the payload is a lie.
    let compose =
        dstack::parse(log.as_bytes()).unwrap().into_iter().find(|event| event.name == "compose-hash").unwrap();
    let lie = log.replace(&hex::encode(&compose.data), &"00".repeat(compose.data.len()));
    assert_ne!(log, lie);
    let refused = dstack::verify(lie.as_bytes(), &quoted(case)).unwrap_err();
    assert_eq!(refused.code(), "EVENT_DIGEST_MISMATCH");
    let renamed = log.replace("compose-hash", "compose-hasx");
    assert_eq!(dstack::verify(renamed.as_bytes(), &quoted(case)).unwrap_err().code(), "EVENT_DIGEST_MISMATCH");
    let colon = log.replace("compose-hash", "compose:hash");
    assert_eq!(dstack::verify(colon.as_bytes(), &quoted(case)).unwrap_err().code(), "EVENTLOG_MALFORMED");
}

#[test]
fn eventlog_events_cannot_be_dropped_repeated_or_reordered() {
    let case = "dstack-rtmr3-events";
    let events: Vec<Value> = serde_json::from_slice(&read(case, "event_log.json")).unwrap();
    let verify = |events: &[Value]| dstack::verify(&serde_json::to_vec(events).unwrap(), &quoted(case));
    assert!(verify(&events).is_ok());
    for at in 0..events.len() {
        let mut without = events.clone();
        without.remove(at);
        assert!(matches!(verify(&without), Err(Error::Mismatch(_))), "event {at} dropped");
        let mut twice = events.clone();
        twice.insert(at, events[at].clone());
        assert!(matches!(verify(&twice), Err(Error::Mismatch(_))), "event {at} repeated");
    }
    let last = events.len() - 1;
    let mut swapped = events;
    swapped.swap(last, last - 1);
    assert_eq!(verify(&swapped), Err(Error::Mismatch(3)));
}

#[test]
fn eventlog_every_flipped_byte_of_a_digest_or_checked_payload_is_refused() {
    let case = "ccel-cos113";
    let (mut log, quoted) = (read(case, "ccel.bin"), quoted(case));
    let events = ccel::parse(&log).unwrap();
    let end = log.iter().rposition(|&byte| byte != 0xff).unwrap() + 1;
    log.truncate(end + 16);
    let mut passed = 0;
    for at in 0..end {
        let mut altered = log.clone();
        altered[at] ^= 1;
        if let Ok(verified) = ccel::verify(&altered, &quoted) {
            // What may change is only what no digest vouches for: data or type of such an event, or the header.
            passed += 1;
            let digests = |events: &[eventlog::Event]| events.iter().map(|event| event.digest).collect::<Vec<_>>();
            assert_eq!(digests(verified.events()), digests(&events), "byte {at}");
            let differing: Vec<_> =
                verified.events().iter().zip(&events).filter(|(altered, genuine)| altered != genuine).collect();
            assert!(differing.len() <= 1, "byte {at}");
            assert!(
                differing.iter().all(|(altered, genuine)| altered.covers() == Coverage::Nothing
                    || altered.event_type != genuine.event_type
                    || altered.covers() != Coverage::Data),
                "byte {at}: {differing:?}"
            );
        }
    }
    assert!(passed < end, "no flip was refused");
}

proptest! {
    #[test]
    fn eventlog_readers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = ccel::parse(&bytes);
        let _ = dstack::parse(&bytes);
    }

    #[test]
    fn eventlog_ccel_altered_anywhere_never_panics(at in 0usize..18_101, value in any::<u8>(), cut in 0usize..18_101) {
        let mut log = read("ccel-cos113", "ccel.bin");
        log[at] = value;
        for event in ccel::parse(&log[..cut]).unwrap_or_default() {
            let _ = event.covers();
        }
    }
}
