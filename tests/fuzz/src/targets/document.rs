//! The attestation document: the whole of it, its statement, and the development TEE's report.

use cloister_attestation::document::Document;
use cloister_attestation::encoding::jcs;
use cloister_attestation::statement::Statement;
use cloister_attestation::{Expectations, Trust, development, verify as verify_document};

use super::{no_failure, one_failure, reads_back};
use crate::parts::{milliseconds, split};

/// Parts: time, document.
pub(crate) fn verify(data: &[u8]) {
    let [time, bytes] = split(data);
    let parsed = Document::parse(bytes);
    if let Ok(document) = &parsed {
        reads_back(document);
    }
    let nonce = parsed.as_ref().ok().and_then(|document| document.nonce).map(|nonce| nonce.0);
    for nonce in [None, nonce] {
        let expected = Expectations { nonce, channel: None };
        match verify_document(bytes, &expected, &Trust::pinned(), milliseconds(time)) {
            Ok(verified) => {
                no_failure(verified.checks());
                assert_eq!(verified.is_fresh(), nonce.is_some());
                assert!(verified.verified_at_ms() <= verified.valid_until_ms(), "accepted after its time");
            }
            Err(rejected) => one_failure(&rejected.checks, None),
        }
    }
}

/// A statement: one statement has one canonical text.
pub(crate) fn statement(data: &[u8]) {
    let Ok(statement) = serde_json::from_slice::<Statement>(data) else { return };
    if statement.check().is_err() {
        return;
    }
    let canonical = statement.jcs();
    let again: Statement = serde_json::from_slice(&canonical).expect("JCS is JSON");
    assert!(again == statement, "the canonical text says something else");
    assert_eq!(jcs(&again), canonical, "the canonical text is not stable");
}

/// A report of the development TEE.
pub(crate) fn development(data: &[u8]) {
    if let Ok(report) = development::Report::parse(data) {
        assert_eq!(data.len(), development::REPORT_BYTES);
        let _ = report.verify();
    }
}
