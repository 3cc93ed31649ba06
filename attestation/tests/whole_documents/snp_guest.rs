//! What can be wrong with a document of an SEV-SNP guest.

use std::sync::LazyLock;

use cloister_attestation::document::{Document, SnpCollateral};
use cloister_attestation::encoding::Base64;
use cloister_attestation::snp::{Error as Untrue, Role};
use cloister_attestation::verify::{Error, verify};
use cloister_attestation::{ExitClass, Outcome, Trust};
use cloister_synthetic::amd::{Amd, Line};
use cloister_synthetic::document::members;
use cloister_synthetic::intel::NOW_MS;

use super::{FRESH, Machine, Platform, Refusal, bytes, refused, trust_in_amd};

/// The first and the last second of every synthetic certificate of AMD's: 2024 to 2049.
const FROM_S: u64 = 1_704_067_200;
const UNTIL_S: u64 = 2_524_607_999;

/// Each layout of certificates and reports.
const LINES: [(Line, u32); 3] = [(Line::Milan, 3), (Line::Genoa, 5), (Line::Turin, 5)];

/// Another company, whose names are the same.
static STRANGERS: LazyLock<Amd> = LazyLock::new(|| Amd::new(Line::Genoa, 5).unwrap());

fn machine(line: Line, version: u32) -> Machine {
    let name = match line {
        Line::Milan => "Milan",
        Line::Genoa => "Genoa",
        Line::Turin => "Turin",
    };
    Machine::amd(name, line, version)
}

fn chip(machine: &Machine) -> &Amd {
    let Platform::Snp(amd) = &machine.platform else { panic!("{} is not AMD's", machine.name) };
    amd
}

fn untrue(error: Untrue, class: ExitClass, id: &'static str) -> Refusal {
    (Error::Snp(error), class, id)
}

fn with(change: impl FnOnce(&mut SnpCollateral)) -> impl FnOnce(&mut Document) {
    move |document| {
        let mut collateral = serde_json::from_value(document.collateral.clone().into()).unwrap();
        change(&mut collateral);
        document.collateral = members(&collateral);
    }
}

fn der(bytes: &[u8]) -> Option<Base64> {
    Some(Base64(bytes.to_vec()))
}

#[test]
fn dc_05_certificates_that_are_missing_or_of_another_chip_are_told() {
    for (line, version) in LINES {
        let machine = machine(line, version);
        let collateral = ExitClass::Collateral;
        let none = untrue(Untrue::NoEndorsementKey, collateral, "snp.vek.present");
        machine.refuses("no certificates", |document| document.collateral.clear(), &none);
        machine.refuses("no VCEK", with(|collateral| collateral.vek = None), &none);
        let no_ask = untrue(Untrue::NoIntermediate, collateral, "snp.ask.format");
        machine.refuses("no ASK, and none compiled in", with(|collateral| collateral.ask = None), &no_ask);

        let amd = chip(&machine);
        let neighbour = amd.another(line, version).unwrap();
        let signature = untrue(Untrue::ReportSignature, ExitClass::Rejected, "snp.report.signature");
        machine.refuses("the VCEK of another chip", with(|own| own.vek = der(&neighbour.vcek)), &signature);
        let misissued = amd.vcek_of_another_chip().unwrap();
        let chip_id = untrue(Untrue::HwidMismatch, ExitClass::Rejected, "snp.vek.chip");
        machine.refuses("a VCEK that names another chip", with(|own| own.vek = der(&misissued)), &chip_id);
        let cut = amd.vcek.split_at(amd.vcek.len() - 1).0;
        let mut document = machine.document();
        with(|own| own.vek = der(cut))(&mut document);
        let rejected = verify(&bytes(&document), &FRESH, &machine.trust, NOW_MS).expect_err("it was cut");
        let Error::Snp(error @ Untrue::Malformed { role: Role::Vek, .. }) = rejected.error.clone() else {
            panic!("{}: {}", machine.name, rejected.error)
        };
        refused("a VCEK that was cut", Err(rejected), &untrue(error, ExitClass::Malformed, "snp.vek.format"));
    }
}

#[test]
fn dc_05_revocation_lists_that_are_old_or_somebody_else_s_are_told() {
    for (line, version) in LINES {
        let machine = machine(line, version);
        let crl = chip(&machine).expired_crl().unwrap();
        let half_a_year = Untrue::CrlExpired { this_update: FROM_S, next_update: 1_719_705_600 };
        let old = untrue(half_a_year, ExitClass::Collateral, "snp.crl");
        machine.refuses("a list of 2024", with(|own| own.crl = der(&crl)), &old);
        let stranger = if line == Line::Genoa { Untrue::CrlSignature } else { Untrue::CrlIssuer };
        let stranger = untrue(stranger, ExitClass::Rejected, "snp.crl");
        machine.refuses("the list of another company", with(|own| own.crl = der(&STRANGERS.crl)), &stranger);

        // No list at all is for a policy to judge (`require_crl`): the document is true, and revocation is not done.
        let mut document = machine.document();
        with(|own| own.crl = None)(&mut document);
        let verified = verify(&bytes(&document), &FRESH, &machine.trust, NOW_MS).unwrap();
        let open = verified.checks().iter().filter(|check| check.result == Outcome::NotDone).map(|check| check.id);
        assert_eq!(open.collect::<Vec<_>>(), ["snp.crl", "channel.match"], "{}", machine.name);
    }
}

#[test]
fn dc_05_a_clock_before_or_after_the_certificates_of_amd_is_told() {
    for (line, version) in LINES {
        let machine = machine(line, version);
        let early = untrue(
            Untrue::NotYetValid { role: Role::Vek, not_before: FROM_S },
            ExitClass::Rejected,
            "snp.chain.validity",
        );
        machine.refuses_at("a clock before", FROM_S * 1000 - 1, &early);
        let late = untrue(
            Untrue::Expired { role: Role::Vek, not_after: UNTIL_S },
            ExitClass::Collateral,
            "snp.chain.validity",
        );
        machine.refuses_at("a clock after", (UNTIL_S + 1) * 1000, &late);
    }
}

#[test]
fn dc_05_a_report_that_was_touched_or_is_under_another_root_is_refused() {
    for (line, version) in LINES {
        let machine = machine(line, version);
        let rejected = |error, id| untrue(error, ExitClass::Rejected, id);
        let signature = rejected(Untrue::ReportSignature, "snp.report.signature");
        for (what, at) in [("measurement", 0x90), ("report data", 0x50), ("chip", 0x1A0), ("signature", 0x2A0)] {
            let touch = |document: &mut Document| document.evidence.report.0[at] ^= 1;
            machine.refuses(what, touch, &signature);
        }
        let tail = untrue(Untrue::UnsignedNonzero, ExitClass::Malformed, "snp.report.unsigned");
        machine.refuses("a byte behind the signature", |document| document.evidence.report.0[0x49f] = 1, &tail);
        let size = untrue(Untrue::ReportSize(1185), ExitClass::Malformed, "snp.report.size");
        machine.refuses("a byte too many", |document| document.evidence.report.0.push(0), &size);
        let version = untrue(Untrue::ReportVersion(6), ExitClass::Unsupported, "snp.report.version");
        machine.refuses("a version of the future", |document| document.evidence.report.0[0] = 6, &version);

        let document = bytes(&machine.document());
        let untrusted = rejected(Untrue::RootUntrusted, "snp.chain.ark");
        let pinned = verify(&document, &FRESH, &Trust::pinned(), NOW_MS);
        refused("under AMD's own roots", pinned, &untrusted);
        let foreign = verify(&document, &FRESH, &trust_in_amd(&STRANGERS), NOW_MS);
        // Of the same name, it is looked at, and did not sign the intermediate.
        let named = rejected(Untrue::AskSignature, "snp.chain.ask");
        refused("under another company's", foreign, if line == Line::Genoa { &named } else { &untrusted });
    }
}
