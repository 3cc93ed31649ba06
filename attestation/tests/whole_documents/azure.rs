//! What can be wrong with a document of a guest on Azure.
//!
//! From the genuine evidence that is published no accepted document can be put together: a document's statement is
//! bound by the TPM's quote, and the attestation key that would have to sign ours is inside a TPM of Azure's. What can be
//! shown is that such a document is true up to that very check. Accepted ones come from a paravisor of our own.

use cloister_attestation::azure::{Error as Untrue, HexBytes, TpmQuote};
use cloister_attestation::document::{self, Document, Evidence, SnpCollateral};
use cloister_attestation::encoding::{Base64, Hex};
use cloister_attestation::tdx::{self, SignatureError};
use cloister_attestation::verify::{Error, verify};
use cloister_attestation::{ExitClass, Outcome, Trust, snp};
use cloister_synthetic::amd::Line;
use cloister_synthetic::document::{members, statement};
use cloister_synthetic::intel::NOW_MS;
use serde_json::Value;

use super::{FRESH, GENOA, Machine, NONCE, Refusal, bytes, refused, vectors};

fn untrue(error: Untrue, class: ExitClass, id: &'static str) -> Refusal {
    (Error::Azure(error), class, id)
}

fn quote(document: &mut Document) -> &mut TpmQuote {
    document.evidence.tpm_quote.as_mut().unwrap()
}

#[test]
fn dc_05_genuine_azure_evidence_is_true_up_to_the_statement_that_it_does_not_speak_of() {
    let folder = vectors::folder("attestation/azure").join("az-snp-milan-v1");
    let file = |name: &str| vectors::read(&folder.join(name));
    let case: Value = serde_json::from_slice(&file("case.json")).unwrap();
    let now_ms = case["verify_at"].as_u64().unwrap() * 1000;
    let evidence = Evidence::azure_snp(file("hcl_report.bin"), TpmQuote::from_json(&file("tpm_quote.json")).unwrap());
    let collateral = SnpCollateral { vek: Some(Base64(file("vcek.der"))), ..SnpCollateral::default() };
    let document = Document::new(Some(NONCE), statement(now_ms), evidence, members(&collateral));
    let refusal = (Error::ReportData, ExitClass::Rejected, "statement.report_data");
    refused("genuine evidence", verify(&bytes(&document), &FRESH, &Trust::pinned(), now_ms), &refusal);
}

#[test]
fn dc_05_each_fault_between_chip_paravisor_and_tpm_is_told() {
    let machine = Machine::azure_snp("az-snp");
    let rejected = |error, id| untrue(error, ExitClass::Rejected, id);
    let other = Machine::azure_snp("another TPM on the same chip").document().evidence;

    let borrowed = other.tpm_quote.clone();
    let signature = rejected(Untrue::QuoteSignature, "az.quote.signature");
    machine.refuses("the quote of another TPM", |document| document.evidence.tpm_quote = borrowed, &signature);
    let report = other.report;
    machine.refuses("the report of another TPM", |document| document.evidence.report = report, &signature);
    let answer = |document: &mut Document| quote(document).message.0[50] ^= 1;
    machine.refuses("a quote whose answer was changed", answer, &signature);
    let registers = rejected(Untrue::PcrDigest, "az.pcr_digest");
    machine.refuses("another register", |document| quote(document).pcrs[4] = Hex([0; 32]), &registers);
    machine.refuses("a register less", |document| quote(document).pcrs.truncate(23), &registers);
    let runtime = rejected(Untrue::RuntimeDataHash, "az.var_data");
    let rename = |document: &mut Document| *document.evidence.report.0.last_mut().unwrap() = b' ';
    machine.refuses("other runtime data", rename, &runtime);
    let format = untrue(Untrue::Quote("not made by a TPM"), ExitClass::Malformed, "az.quote.format");
    let bare = |document: &mut Document| quote(document).message = HexBytes(vec![0; 100]);
    machine.refuses("a message that no TPM made", bare, &format);
    let magic = untrue(Untrue::Hcl("not a header of a known version"), ExitClass::Malformed, "az.hcl.format");
    machine.refuses("a container that is none", |document| document.evidence.report.0[0] = b'X', &magic);

    let hardware = |error: snp::Error, class, id| untrue(Untrue::Snp(error), class, id);
    let touched = hardware(snp::Error::ReportSignature, ExitClass::Rejected, "snp.report.signature");
    let measurement = |document: &mut Document| document.evidence.report.0[32 + 0x90] ^= 1;
    machine.refuses("another launch measurement", measurement, &touched);
    let none = hardware(snp::Error::NoEndorsementKey, ExitClass::Collateral, "snp.vek.present");
    machine.refuses("no certificates", |document| document.collateral.clear(), &none);
    let untrusted = hardware(snp::Error::RootUntrusted, ExitClass::Rejected, "snp.chain.ark");
    refused("AMD's roots", verify(&bytes(&machine.document()), &FRESH, &Trust::pinned(), NOW_MS), &untrusted);
}

#[test]
fn dc_05_each_fault_between_td_paravisor_and_tpm_is_told() {
    let machine = Machine::azure_tdx("az-tdx");
    let rejected = |error, id| untrue(error, ExitClass::Rejected, id);
    let other = Machine::azure_tdx("another TD").document();
    let signature = rejected(Untrue::Tdx(tdx::Error::Signature(SignatureError::Quote)), "tdx.signature.quote");
    let touch = |document: &mut Document| document.evidence.quote.as_mut().unwrap().0[48 + 136] ^= 1;
    machine.refuses("another MRTD", touch, &signature);
    let runtime = rejected(Untrue::RuntimeDataHash, "az.var_data");
    let report = other.evidence.report;
    machine.refuses("a container that the quote does not speak of", |own| own.evidence.report = report, &runtime);
    let borrowed = other.evidence.tpm_quote;
    let signature = rejected(Untrue::QuoteSignature, "az.quote.signature");
    machine.refuses("the quote of another TPM", |own| own.evidence.tpm_quote = borrowed, &signature);
    let chain = tdx::Error::Chain(tdx::Certificate::Pck, tdx::ChainError::RootUntrusted);
    let root = rejected(Untrue::Tdx(chain), "tdx.chain.root");
    let quote = other.evidence.quote;
    machine.refuses("the TD quote of another company", |own| own.evidence.quote = quote, &root);
    let missing = (Error::Document(document::Error::MissingMember("quote")), ExitClass::Malformed, "doc.format");
    machine.refuses("no TD quote", |own| own.evidence.quote = None, &missing);

    // Without collateral it is true as far as it goes, as on any other TDX host.
    let mut bare = machine.document();
    bare.collateral.clear();
    let verified = verify(&bytes(&bare), &FRESH, &machine.trust, NOW_MS).unwrap();
    let open = verified.checks().iter().filter(|check| check.required && check.result == Outcome::NotDone);
    assert!(open.count() > 20, "and not done is no pass");
}

#[test]
fn dc_05_members_that_a_kind_must_or_must_not_have_are_told() {
    let machine = Machine::azure_snp("az-snp");
    let malformed = |error| (Error::Document(error), ExitClass::Malformed, "doc.format");
    let missing = malformed(document::Error::MissingMember("tpm_quote"));
    machine.refuses("no quote of the TPM", |document| document.evidence.tpm_quote = None, &missing);
    let foreign = malformed(document::Error::ForeignMember("quote"));
    let quoted = |document: &mut Document| document.evidence.quote = Some(Base64(vec![0; 10]));
    machine.refuses("a quote of TDX", quoted, &foreign);
    // The bare report of the same chip is no container, and the container no bare report.
    let container = machine.document().evidence.report;
    let bare = Machine::amd("Genoa", Line::Genoa, 5);
    let size = snp::Error::ReportSize(container.0.len());
    let refusal = (Error::Snp(size), ExitClass::Malformed, "snp.report.size");
    bare.refuses("a container of Azure's", |document| document.evidence.report = container, &refusal);
    let report = Base64(GENOA.report(&[0; 64]));
    let short = untrue(Untrue::Hcl("too short"), ExitClass::Malformed, "az.hcl.format");
    machine.refuses("a bare report", |document| document.evidence.report = report, &short);
}
