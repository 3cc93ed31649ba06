//! What can be wrong with a document of a TDX guest.

use cloister_attestation::document::{self, Document};
use cloister_attestation::tdx::{
    Certificate, ChainError, Collateral, CollateralError, Error as Untrue, Item, QuoteError, SignatureError, TcbError,
};
use cloister_attestation::verify::{Error, verify};
use cloister_attestation::{ExitClass, Outcome, Trust};
use cloister_synthetic::document::members;
use cloister_synthetic::intel::{NOW_MS, PCK_SERIAL, Recipe};
use serde_json::json;

use super::{FRESH, Machine, Refusal, bytes, refused};

/// The first and the last moment of a recipe's collateral: 10 September and 10 October 2026.
const FROM_MS: u64 = 1_788_998_400_000;
const UNTIL_MS: u64 = 1_791_590_400_000;

fn machines() -> [Machine; 3] {
    let recipes = [("quote 4", Recipe::v4()), ("quote 5", Recipe::v5()), ("quote 5, extended", Recipe::v5_extended())];
    recipes.map(|(name, recipe)| Machine::intel(name, &recipe))
}

fn untrue(error: impl Into<Untrue>, class: ExitClass, id: &'static str) -> Refusal {
    (Error::Tdx(error.into()), class, id)
}

fn with(change: impl FnOnce(&mut Collateral)) -> impl FnOnce(&mut Document) {
    move |document| {
        let mut collateral = serde_json::from_value(document.collateral.clone().into()).unwrap();
        change(&mut collateral);
        document.collateral = members(&collateral);
    }
}

#[test]
fn dc_05_without_collateral_a_quote_is_true_and_nothing_is_known_about_its_platform() {
    for machine in machines() {
        let mut document = machine.document();
        document.collateral.clear();
        let verified = verify(&bytes(&document), &FRESH, &machine.trust, NOW_MS).unwrap();
        assert!(verified.checks().iter().all(|check| check.result != Outcome::Fail), "{}", machine.name);
        let open = verified.checks().iter().filter(|check| check.required && check.result == Outcome::NotDone);
        assert!(open.clone().count() > 20, "{}: and not done is no pass", machine.name);
        assert!(open.clone().all(|check| ["tdx.collateral", "tdx.tcb"].iter().any(|part| check.id.starts_with(part))));
        // A part of it is none: it is not a document that says what it lacks.
        let collateral = document::Error::Collateral("tdx");
        let part = (Error::Document(collateral), ExitClass::Malformed, "doc.format");
        machine.refuses("no TCB info", |document| drop(document.collateral.remove("tcb_info")), &part);
    }
}

#[test]
fn dc_05_collateral_of_another_platform_or_company_is_told() {
    for machine in machines() {
        let rejected = |error, id| untrue(error, ExitClass::Rejected, id);
        let other = Recipe::v4().platform().collateral;
        let signature = CollateralError::Signature(Item::RootCrl);
        let foreign = |document: &mut Document| document.collateral = members(&other);
        machine.refuses("of another company", foreign, &rejected(signature, "tdx.collateral.root_crl"));
        let swapped = with(|collateral| collateral.pck_crl = collateral.root_ca_crl.clone());
        let signature = CollateralError::Signature(Item::PckCrl);
        machine.refuses("the root's list twice", swapped, &rejected(signature, "tdx.collateral.pck_crl"));
        let written = with(|collateral| collateral.tcb_info.push(' '));
        let signature = CollateralError::Signature(Item::TcbInfo);
        machine.refuses("TCB info with a space", written, &rejected(signature, "tdx.collateral.tcb_info.signature"));
        let written = with(|collateral| collateral.qe_identity = collateral.qe_identity.replace("\"TD_QE\"", "\"QE\""));
        let signature = CollateralError::Signature(Item::QeIdentity);
        let id = "tdx.collateral.qe_identity.signature";
        machine.refuses("the identity of another enclave", written, &rejected(signature, id));
    }
    let made = |change: fn(&mut Recipe)| {
        let mut recipe = Recipe::v5();
        change(&mut recipe);
        Machine::intel("quote 5", &recipe)
    };
    let fmspc = made(|recipe| recipe.tcb_info["fmspc"] = json!("00A0C0FFEE01"));
    let refusal = untrue(CollateralError::Fmspc, ExitClass::Rejected, "tdx.collateral.fmspc");
    fmspc.refuses_at("TCB info of another model", NOW_MS, &refusal);
    let revoked = made(|recipe| recipe.pck_crl.revoked = vec![PCK_SERIAL]);
    let refusal = untrue(CollateralError::PckRevoked, ExitClass::Rejected, "tdx.collateral.pck_revocation");
    revoked.refuses_at("a platform that Intel has withdrawn", NOW_MS, &refusal);
    let ended = made(|recipe| recipe.tcb_info["tcbLevels"][1]["tcbStatus"] = json!("Revoked"));
    let refusal = untrue(TcbError::Revoked, ExitClass::Rejected, "tdx.tcb.not_revoked");
    ended.refuses_at("a level that Intel has given up", NOW_MS, &refusal);
}

#[test]
fn dc_05_a_clock_before_or_after_the_collateral_of_intel_is_told() {
    for machine in machines() {
        let list = "tdx.collateral.root_crl.validity";
        let early = untrue(CollateralError::NotYetValid(Item::RootCrl), ExitClass::Collateral, list);
        machine.refuses_at("a clock before the collateral", FROM_MS - 1, &early);
        let late = untrue(CollateralError::Expired(Item::RootCrl), ExitClass::Collateral, list);
        machine.refuses_at("a clock after the collateral", UNTIL_MS + 1000, &late);
        let chain = |error, at| (Error::Tdx(Untrue::Chain(at, error)), ExitClass::Rejected, "tdx.chain.validity");
        let too_early = chain(ChainError::NotYetValid, Certificate::Root);
        machine.refuses_at("a clock before the certificates", 1_700_000_000_000, &too_early);
        let too_late = chain(ChainError::Expired, Certificate::Root);
        machine.refuses_at("a clock after the certificates", 2_400_000_000_000, &too_late);
    }
}

#[test]
fn dc_05_a_quote_that_was_touched_or_is_under_another_root_is_refused() {
    for machine in machines() {
        let body = if machine.name == "quote 4" { 48 } else { 54 };
        let signature = untrue(SignatureError::Quote, ExitClass::Rejected, "tdx.signature.quote");
        for (what, at) in [("MRTD", 136), ("RTMR0", 328), ("report data", 520), ("module", 16)] {
            let touch = |document: &mut Document| document.evidence.report.0[body + at] ^= 1;
            machine.refuses(what, touch, &signature);
        }
        let sgx = untrue(QuoteError::TeeType(0), ExitClass::Unsupported, "tdx.quote.header");
        machine.refuses("a quote of SGX", |document| document.evidence.report.0[4] = 0, &sgx);
        let document = bytes(&machine.document());
        let chain = Untrue::Chain(Certificate::Pck, ChainError::RootUntrusted);
        let untrusted = (Error::Tdx(chain), ExitClass::Rejected, "tdx.chain.root");
        for trust in [Trust::pinned(), Machine::intel("another", &Recipe::v4()).trust] {
            refused("another root", verify(&document, &FRESH, &trust, NOW_MS), &untrusted);
        }
    }
}
