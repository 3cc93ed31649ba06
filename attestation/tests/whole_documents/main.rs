//! Whole documents of hardware: each kind is accepted as it is, and then refused for one thing at a time, by its exact
//! error, its exit class and the one check that fails. What comes after that check is not done.
//!
//! The platforms are synthetic (`tests/synthetic`): of genuine evidence nobody can have a statement of ours signed.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod azure;
mod snp_guest;
mod tdx_guest;
#[path = "../vectors/mod.rs"]
mod vectors;

use std::sync::{Arc, LazyLock};

use cloister_attestation::check::all_hold;
use cloister_attestation::document::{self, Document, Tee};
use cloister_attestation::encoding::{Hex, sha256};
use cloister_attestation::statement::Statement;
use cloister_attestation::verify::{Error, verify};
use cloister_attestation::{ExitClass, Expectations, Outcome, Trust, VerifiedEvidence, snp, tdx};
use cloister_synthetic::amd::{Amd, Line};
use cloister_synthetic::azure::{Chip, Paravisor};
use cloister_synthetic::document::{of_azure, of_snp, of_tdx, statement};
use cloister_synthetic::intel::{Intel, NOW_MS, Recipe};

const NONCE: [u8; 32] = [0x5a; 32];
const FRESH: Expectations = Expectations { nonce: Some(NONCE), channel: None };

/// RSA keys take a second to make: one company for all chips.
static GENOA: LazyLock<Arc<Amd>> = LazyLock::new(|| Arc::new(Amd::new(Line::Genoa, 5).unwrap()));

enum Platform {
    Snp(Amd),
    Tdx(Box<Intel>),
    Azure(Tee, Paravisor),
}

/// A machine that makes documents, and who believes it.
struct Machine {
    name: &'static str,
    platform: Platform,
    trust: Trust,
    /// The checks that a true document of it leaves open.
    open: &'static [&'static str],
}

impl Machine {
    fn amd(name: &'static str, line: Line, version: u32) -> Self {
        let amd = GENOA.another(line, version).unwrap();
        let trust = trust_in_amd(&amd);
        // Version 2 of the report does not name the processor.
        let open: &[_] = if version == 2 { &["snp.report.product", "channel.match"] } else { &["channel.match"] };
        Self { name, platform: Platform::Snp(amd), trust, open }
    }

    fn intel(name: &'static str, recipe: &Recipe) -> Self {
        let intel = recipe.platform();
        let trust = trust_in_intel(&intel);
        Self { name, platform: Platform::Tdx(Box::new(intel)), trust, open: &["channel.match"] }
    }

    fn azure_snp(name: &'static str) -> Self {
        let paravisor = Paravisor::new(Chip::Amd(Arc::clone(&GENOA))).unwrap();
        let platform = Platform::Azure(Tee::AzSnp, paravisor);
        Self { name, platform, trust: trust_in_amd(&GENOA), open: &["channel.match"] }
    }

    fn azure_tdx(name: &'static str) -> Self {
        let intel = Recipe::v4().platform();
        let trust = trust_in_intel(&intel);
        let platform = Platform::Azure(Tee::AzTdx, Paravisor::new(Chip::Intel(Box::new(intel))).unwrap());
        Self { name, platform, trust, open: &["channel.match"] }
    }

    fn all() -> Vec<Self> {
        vec![
            Self::amd("sev-snp, Milan, report 2", Line::Milan, 2),
            Self::amd("sev-snp, Milan, report 3", Line::Milan, 3),
            Self::amd("sev-snp, Genoa, report 5", Line::Genoa, 5),
            Self::amd("sev-snp, Turin, report 5", Line::Turin, 5),
            Self::intel("tdx, quote 4", &Recipe::v4()),
            Self::intel("tdx, quote 5", &Recipe::v5()),
            Self::intel("tdx, quote 5, extended body", &Recipe::v5_extended()),
            Self::azure_snp("az-snp"),
            Self::azure_tdx("az-tdx"),
        ]
    }

    fn tee(&self) -> Tee {
        match self.platform {
            Platform::Snp(_) => Tee::SevSnp,
            Platform::Tdx(_) => Tee::Tdx,
            Platform::Azure(tee, _) => tee,
        }
    }

    fn document_of(&self, nonce: Option<[u8; 32]>, statement: Statement) -> Document {
        match &self.platform {
            Platform::Snp(amd) => of_snp(amd, nonce, statement),
            Platform::Tdx(intel) => of_tdx(intel, nonce, statement),
            Platform::Azure(_, paravisor) => of_azure(paravisor, nonce, statement),
        }
    }

    fn document(&self) -> Document {
        self.document_of(Some(NONCE), statement(NOW_MS))
    }

    /// With this change it is this error at this check.
    fn refuses(&self, what: &str, change: impl FnOnce(&mut Document), refusal: &Refusal) {
        let mut document = self.document();
        change(&mut document);
        self.refuses_bytes(what, &bytes(&document), &FRESH, NOW_MS, refusal);
    }

    /// At this time it is this error at this check.
    fn refuses_at(&self, what: &str, now_ms: u64, refusal: &Refusal) {
        self.refuses_bytes(what, &bytes(&self.document()), &FRESH, now_ms, refusal);
    }

    fn refuses_bytes(&self, what: &str, document: &[u8], expected: &Expectations, now_ms: u64, refusal: &Refusal) {
        refused(&format!("{}: {what}", self.name), verify(document, expected, &self.trust, now_ms), refusal);
    }
}

/// What a refusal must look like: error, exit class, check.
type Refusal = (Error, ExitClass, &'static str);

fn refused(what: &str, outcome: Result<VerifiedEvidence, cloister_attestation::Rejected<Error>>, refusal: &Refusal) {
    let (error, class, id) = refusal;
    let rejected = outcome.expect_err(what);
    assert_eq!((&rejected.error, rejected.error.class()), (error, *class), "{what}");
    let failed = rejected.checks.iter().filter(|check| check.result == Outcome::Fail).map(|check| check.id);
    assert_eq!(failed.collect::<Vec<_>>(), [*id], "{what}: one check fails, and it is the right one");
    let mut after = rejected.checks.iter().skip_while(|check| check.id != *id).skip(1);
    assert!(after.all(|check| check.result == Outcome::NotDone), "{what}: nothing after it was looked at");
}

fn trust_in_amd(amd: &Amd) -> Trust {
    Trust { snp: snp::Roots::insecure_with_ark(&amd.ark).unwrap(), tdx: tdx::Roots::pinned() }
}

fn trust_in_intel(intel: &Intel) -> Trust {
    Trust { snp: snp::Roots::pinned(), tdx: tdx::Roots::insecure_with_root(intel.root.clone()) }
}

fn bytes(document: &Document) -> Vec<u8> {
    serde_json::to_vec(document).unwrap()
}

/// A statement that names another key to encrypt to.
fn other_keys() -> Statement {
    Statement { hpke_keys: vec![Hex([0xee; 32])], ..statement(NOW_MS) }
}

#[test]
fn s3_19_whole_documents_of_every_hardware_are_true_with_every_check_made() {
    for machine in Machine::all() {
        let verified = verify(&bytes(&machine.document()), &FRESH, &machine.trust, NOW_MS).unwrap();
        let open = verified.checks().iter().filter(|check| check.result != Outcome::Pass).map(|check| check.id);
        assert_eq!(open.collect::<Vec<_>>(), machine.open, "{}", machine.name);
        assert!(all_hold(verified.checks()) && verified.is_fresh(), "{}", machine.name);
        assert_eq!((verified.tee(), verified.is_hardware()), (machine.tee(), false), "under a root that we named");
        assert_eq!(verified.statement(), &statement(NOW_MS));
        assert_eq!(verified.valid_until_ms(), statement(NOW_MS).not_after, "the statement runs out first");

        let channel = sha256(b"exporter");
        let tied = machine.document_of(Some(NONCE), Statement { channel: Some(channel), ..statement(NOW_MS) });
        let here = Expectations { channel: Some(channel), ..FRESH };
        let verified = verify(&bytes(&tied), &here, &machine.trust, NOW_MS).unwrap();
        let open = verified.checks().iter().filter(|check| check.result != Outcome::Pass).count();
        assert_eq!(open, machine.open.len() - 1, "{}: and the channel too", machine.name);

        let cached = bytes(&machine.document_of(None, statement(NOW_MS)));
        let saved = verify(&cached, &Expectations { nonce: None, channel: None }, &machine.trust, NOW_MS).unwrap();
        assert!(!saved.is_fresh(), "{}", machine.name);
    }
}

#[test]
fn s3_19_what_the_evidence_does_not_speak_of_is_refused_for_every_hardware() {
    let rejected = |error, id| (error, ExitClass::Rejected, id);
    let report_data = rejected(Error::ReportData, "statement.report_data");
    for machine in Machine::all() {
        let other_nonce = rejected(Error::Nonce, "nonce.match");
        machine.refuses("an answer to another nonce", |document| document.nonce = Some(Hex([1; 32])), &other_nonce);
        machine.refuses("an answer to no nonce", |document| document.nonce = None, &other_nonce);
        let recorded = machine.document_of(Some([1; 32]), statement(NOW_MS));
        let replay = |document: &mut Document| document.evidence = recorded.evidence;
        machine.refuses("evidence recorded before, under our nonce", replay, &report_data);
        machine.refuses("a changed statement", |document| document.statement = other_keys(), &report_data);
        let others = machine.document_of(Some(NONCE), other_keys()).evidence;
        machine.refuses("evidence over other keys", |document| document.evidence = others, &report_data);
        let longer = |document: &mut Document| document.statement.not_after += 1;
        machine.refuses("a statement made to last longer", longer, &report_data);

        let not_after = statement(NOW_MS).not_after;
        let expired = rejected(Error::Expired { not_after }, "statement.not_after");
        machine.refuses_at("a statement that ran out", not_after + 1, &expired);
        let keyless = machine.document_of(Some(NONCE), Statement { hpke_keys: Vec::new(), ..statement(NOW_MS) });
        let no_key = rejected(Error::Keys("HPKE"), "statement.keys");
        machine.refuses("a true statement without a key", |document| *document = keyless, &no_key);

        let here = Expectations { channel: Some(sha256(b"exporter")), ..FRESH };
        let elsewhere = rejected(Error::Channel, "channel.match");
        machine.refuses_bytes("another connection", &bytes(&machine.document()), &here, NOW_MS, &elsewhere);
    }
}

#[test]
fn s3_19_what_is_no_document_is_refused_before_its_evidence_for_every_hardware() {
    for machine in Machine::all() {
        let malformed = |error| (Error::Document(error), ExitClass::Malformed, "doc.format");
        let unknown = (Error::UnsupportedTee, ExitClass::Unsupported, "evidence.tee");
        let renamed = |document: &mut Document| "sgx".clone_into(&mut document.evidence.tee);
        machine.refuses("a kind that nobody knows", renamed, &unknown);
        let tee = machine.tee().name();
        let foreign = |document: &mut Document| drop(document.collateral.insert("aia".to_owned(), "x".into()));
        machine.refuses("a member that is none", foreign, &malformed(document::Error::Collateral(tee)));
        let large = |document: &mut Document| document.evidence.report.0.resize(document::MAX_REPORT_BYTES + 1, 0);
        machine.refuses("a report that is too large", large, &malformed(document::Error::ReportTooLarge));

        let whole = String::from_utf8(bytes(&machine.document())).unwrap();
        let padded = format!("{whole}{}", " ".repeat(document::MAX_BYTES));
        let too_large = malformed(document::Error::TooLarge);
        machine.refuses_bytes("a document that is too large", padded.as_bytes(), &FRESH, NOW_MS, &too_large);
        let damaged = [
            ("base64 with a letter that is none", whole.replacen("\"report\":\"", "\"report\":\"!", 1)),
            ("base64 without its last letter", whole.replacen("\"report\":\"", "\"report\":\"A", 1)),
            ("half of it", whole[..whole.len() / 2].to_owned()),
        ];
        for (what, text) in damaged {
            let rejected = verify(text.as_bytes(), &FRESH, &machine.trust, NOW_MS).expect_err(what);
            let Error::Document(error @ document::Error::Json { .. }) = rejected.error.clone() else {
                panic!("{}: {what}: {}", machine.name, rejected.error)
            };
            refused(what, Err(rejected), &malformed(error));
        }
    }
}
