//! Appraisal of whole documents of hardware: which image runs and whether it may, what a policy must have a table for, and
//! how far back a platform may be. The platforms are synthetic, and who judges them has allowed that aloud.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::sync::{Arc, LazyLock};

use cloister_attestation::document::Document;
use cloister_attestation::{ExitClass, Expectations, Outcome, Trust, VerifiedEvidence, snp, tdx, verify};
use cloister_policies::appraisal::{AppraisalPolicy, AttestationResult, DEFAULT, DevelopmentTee, Verdict};
use cloister_policies::appraise;
use cloister_synthetic::amd::{Amd, Line};
use cloister_synthetic::azure::{Chip, Paravisor};
use cloister_synthetic::document::{of_azure, of_snp, of_tdx, statement};
use cloister_synthetic::intel::{NOW_MS, Recipe};
use serde_json::json;

const NONCE: [u8; 32] = [5; 32];

/// RSA keys take a second to make: one company for all chips.
static GENOA: LazyLock<Arc<Amd>> = LazyLock::new(|| Arc::new(Amd::new(Line::Genoa, 5).unwrap()));

fn verified(document: &Document, trust: &Trust) -> VerifiedEvidence {
    let document = serde_json::to_vec(document).unwrap();
    verify(&document, &Expectations { nonce: Some(NONCE), channel: None }, trust, NOW_MS).unwrap()
}

fn trust_in(amd: &Amd) -> Trust {
    Trust { snp: snp::Roots::insecure_with_ark(&amd.ark).unwrap(), tdx: tdx::Roots::pinned() }
}

fn chip(amd: &Amd, change: impl FnOnce(&mut Document)) -> VerifiedEvidence {
    let mut document = of_snp(amd, Some(NONCE), statement(NOW_MS));
    change(&mut document);
    verified(&document, &trust_in(amd))
}

fn amd(change: impl FnOnce(&mut Document)) -> VerifiedEvidence {
    chip(&GENOA, change)
}

fn intel(recipe: &Recipe, change: impl FnOnce(&mut Document)) -> VerifiedEvidence {
    let platform = recipe.platform();
    let mut document = of_tdx(&platform, Some(NONCE), statement(NOW_MS));
    change(&mut document);
    verified(&document, &Trust { snp: snp::Roots::pinned(), tdx: tdx::Roots::insecure_with_root(platform.root) })
}

fn azure() -> VerifiedEvidence {
    let paravisor = Paravisor::new(Chip::Amd(Arc::clone(&GENOA))).unwrap();
    verified(&of_azure(&paravisor, Some(NONCE), statement(NOW_MS)), &trust_in(&GENOA))
}

fn unchanged(_: &mut Document) {}

fn judge(evidence: VerifiedEvidence, policy: &str) -> AttestationResult {
    appraise(evidence, &AppraisalPolicy::from_toml(policy).unwrap(), DevelopmentTee::Allow)
}

fn failed(result: &AttestationResult) -> Vec<&'static str> {
    let fails = result.checks.iter().filter(|check| check.result == Outcome::Fail);
    fails.map(|check| check.id).collect()
}

fn reason<'a>(result: &'a AttestationResult, id: &str) -> &'a str {
    &result.checks.iter().find(|check| check.id == id).unwrap().reason
}

/// Rejected for these checks, and for nothing else.
fn rejected(result: &AttestationResult, class: ExitClass, ids: &[&str]) {
    assert_eq!((result.verdict, failed(result).as_slice()), (Verdict::Rejected, ids));
    assert_eq!((result.exit_class(), result.image.as_deref()), (class, None));
}

/// The launch measurements of the synthetic guests, as an entry writes them.
fn snp_values() -> String {
    format!("tee = \"sev-snp\"\nmeasurement = \"{}\"", "a5".repeat(48))
}

fn tdx_values() -> String {
    let [mrtd, rtmr0, rtmr1, rtmr2] = ["a2", "b0", "b1", "b2"].map(|byte| byte.repeat(48));
    format!("tee = \"tdx\"\nmrtd = \"{mrtd}\"\nrtmr0 = \"{rtmr0}\"\nrtmr1 = \"{rtmr1}\"\nrtmr2 = \"{rtmr2}\"")
}

fn entry(name: &str, values: &str) -> String {
    format!("\n[[reference.measurement]]\nname = \"{name}\"\n{values}\n")
}

#[test]
fn dc_10_the_default_accepts_patched_hardware_of_every_kind_and_says_that_it_names_no_software() {
    for evidence in [amd(unchanged), intel(&Recipe::v4(), unchanged), intel(&Recipe::v5(), unchanged)] {
        let result = judge(evidence, DEFAULT);
        assert_eq!((result.verdict, failed(&result).as_slice()), (Verdict::AcceptedDevelopment, [].as_slice()));
        assert!(reason(&result, "policy.hardware").starts_with("TEST ROOT, NOT CONFIDENTIAL"));
        assert_eq!(reason(&result, "policy.image"), "the policy names no image: any software is accepted");
    }
    let refused = appraise(amd(unchanged), &AppraisalPolicy::shipped_default(), DevelopmentTee::Refuse);
    rejected(&refused, ExitClass::Rejected, &["policy.hardware"]);
}

#[test]
fn dc_10_the_image_is_named_by_the_entry_whose_values_it_has_as_a_whole() {
    let images = entry("release 1.2", &snp_values()) + &entry("release 1.2 for TDX", &tdx_values());
    let policy = DEFAULT.to_owned() + &entry("an older one", &snp_values().replace("a5", "a4")) + &images;
    let guests = [
        (amd(unchanged), "release 1.2"),
        (intel(&Recipe::v4(), unchanged), "release 1.2 for TDX"),
        (intel(&Recipe::v5(), unchanged), "release 1.2 for TDX"),
    ];
    for (evidence, name) in guests {
        let result = judge(evidence, &policy);
        assert_eq!((result.verdict, result.image.as_deref()), (Verdict::AcceptedDevelopment, Some(name)));
        assert_eq!(reason(&result, "policy.image"), format!("this is {name}"));
    }
    // One register of another image makes it no image, whichever it is.
    for register in ["mrtd", "rtmr0", "rtmr1", "rtmr2"] {
        let other = format!("{register} = \"{}\"", "0f".repeat(48));
        let mixed = |own: &str| if own.starts_with(register) { other.clone() } else { own.to_owned() };
        let values = tdx_values().lines().map(mixed).collect::<Vec<_>>().join("\n");
        let result = judge(intel(&Recipe::v5(), unchanged), &(DEFAULT.to_owned() + &entry("mixed", &values)));
        rejected(&result, ExitClass::Rejected, &["policy.image"]);
        assert_eq!(reason(&result, "policy.image"), "the launch measurements are those of no entry");
    }
    // Nor does an entry of the other kind name it, nor an empty list.
    let other_kind = DEFAULT.to_owned() + &entry("TDX alone", &tdx_values());
    rejected(&judge(amd(unchanged), &other_kind), ExitClass::Rejected, &["policy.image"]);
    let empty = DEFAULT.to_owned() + "\n[reference]\nmeasurement = []\n";
    let result = judge(amd(unchanged), &empty);
    rejected(&result, ExitClass::Rejected, &["policy.image"]);
    assert!(reason(&result, "policy.image").contains("an empty list accepts nothing"));
}

#[test]
fn dc_10_a_measurement_counts_in_its_time_alone() {
    // It is 21 September 2026, 14:13:20.
    let during = |from: &str, until: &str| {
        let dates = format!("{}\nnot_before = {from}\nnot_after = {until}", snp_values());
        judge(amd(unchanged), &(DEFAULT.to_owned() + &entry("release 1.2", &dates)))
    };
    let exactly = during("2026-09-21T14:13:20Z", "2026-09-21T14:13:20Z");
    assert_eq!((exactly.verdict, exactly.image.as_deref()), (Verdict::AcceptedDevelopment, Some("release 1.2")));
    for (from, until) in
        [("2026-09-21T14:13:21Z", "2027-01-01T00:00:00Z"), ("2026-01-01T00:00:00Z", "2026-09-21T14:13:19Z")]
    {
        let result = during(from, until);
        rejected(&result, ExitClass::Rejected, &["policy.image"]);
        assert!(reason(&result, "policy.image").contains("release 1.2, whose entry is not valid at this time"));
    }
    // Where a later entry has the same values and is valid, it is that image.
    let ended = format!("{}\nnot_after = 2026-01-01T00:00:00Z", snp_values());
    let renewed = DEFAULT.to_owned() + &entry("old", &ended) + &entry("renewed", &snp_values());
    assert_eq!(judge(amd(unchanged), &renewed).image.as_deref(), Some("renewed"));
}

#[test]
fn dc_10_hardware_without_a_table_of_its_own_is_not_accepted() {
    // A policy of a file always has the tables of the kinds that it lists; evidence of another kind is refused for both.
    let head = "v = 1\nrequire_fresh = true\nmax_validity_seconds = 7200\n";
    let snp_alone = format!("{head}tee = [\"sev-snp\"]\n[snp]\n");
    let tdx_alone = format!("{head}tee = [\"tdx\"]\n[tdx]\n");
    let quote = || intel(&Recipe::v5(), unchanged);
    assert_eq!(judge(amd(unchanged), &snp_alone).verdict, Verdict::AcceptedDevelopment);
    assert_eq!(judge(quote(), &tdx_alone).verdict, Verdict::AcceptedDevelopment);
    for (result, table) in [
        (judge(amd(unchanged), &tdx_alone), "the policy has no table [snp]"),
        (judge(quote(), &snp_alone), "the policy has no table [tdx]"),
    ] {
        rejected(&result, ExitClass::Rejected, &["policy.tee", "policy.table"]);
        assert_eq!(reason(&result, "policy.table"), table);
    }
    // On Azure the paravisor needs a table beside that of the hardware.
    let without = judge(azure(), &snp_alone);
    rejected(&without, ExitClass::Rejected, &["policy.tee", "policy.table"]);
    assert_eq!(reason(&without, "policy.table"), "the policy has no table [azure]");
    let azure_too = format!("{head}tee = [\"az-snp\"]\n[snp]\n[azure]\nrequire_secure_boot = true\n");
    let image = snp_values().replace("sev-snp", "az-snp");
    let accepted = judge(azure(), &(azure_too + &entry("Microsoft's paravisor", &image)));
    assert_eq!(accepted.verdict, Verdict::AcceptedDevelopment, "{:?}", failed(&accepted));
    assert_eq!(accepted.image.as_deref(), Some("Microsoft's paravisor"));
}

#[test]
fn dc_10_a_platform_below_the_floor_is_refused() {
    let genoa = "Genoa = { bootloader = 10, tee = 0, snp = 23, microcode = 27 }";
    assert!(DEFAULT.contains(genoa));
    // The synthetic chip has boot loader 11, SNP 30, microcode 90: at each limit, and one above.
    let at = "Genoa = { bootloader = 11, tee = 0, snp = 30, microcode = 90 }";
    assert_eq!(judge(amd(unchanged), &DEFAULT.replace(genoa, at)).verdict, Verdict::AcceptedDevelopment);
    for (part, above) in [("bootloader = 11", "bootloader = 12"), ("snp = 30", "snp = 31"), ("= 90", "= 91")] {
        let floor = DEFAULT.replace(genoa, &at.replace(part, above));
        rejected(&judge(amd(unchanged), &floor), ExitClass::Rejected, &["policy.snp.reported_tcb"]);
    }
    let unlisted = DEFAULT.replace(genoa, "");
    rejected(&judge(amd(unchanged), &unlisted), ExitClass::Rejected, &["policy.snp.reported_tcb"]);
    // Milan is refused as a product, and has no floor either.
    let milan = chip(&GENOA.another(Line::Milan, 3).unwrap(), unchanged);
    let result = judge(milan, DEFAULT);
    let floors = ["policy.snp.product", "policy.snp.reported_tcb"];
    rejected(&result, ExitClass::Rejected, &floors);

    let mut recipe = Recipe::v5();
    recipe.tcb_info["tcbLevels"][1]["tcbStatus"] = json!("OutOfDate");
    let out_of_date = judge(intel(&recipe, unchanged), DEFAULT);
    rejected(&out_of_date, ExitClass::Rejected, &["policy.tdx.tcb_status"]);
    let mut recipe = Recipe::v5();
    recipe.tcb_info["tcbEvaluationDataNumber"] = json!(17);
    let old = judge(intel(&recipe, unchanged), DEFAULT);
    rejected(&old, ExitClass::Rejected, &["policy.tdx.evaluation_number"]);
}

#[test]
fn dc_10_what_is_refused_for_want_of_collateral_alone_is_told_apart() {
    let no_crl = |document: &mut Document| drop(document.collateral.remove("crl"));
    let demanding = DEFAULT.replace("[snp]\n", "[snp]\nrequire_crl = true\n");
    assert_eq!(judge(amd(unchanged), &demanding).verdict, Verdict::AcceptedDevelopment);
    assert_eq!(judge(amd(no_crl), DEFAULT).verdict, Verdict::AcceptedDevelopment, "not asked for");
    rejected(&judge(amd(no_crl), &demanding), ExitClass::Collateral, &["policy.snp.crl"]);

    let bare = || intel(&Recipe::v5(), |document| document.collateral.clear());
    let lacking = ["policy.tdx.tcb_status", "policy.tdx.evaluation_number"];
    rejected(&judge(bare(), DEFAULT), ExitClass::Collateral, &lacking);
    // With anything else in the way, fetching it would not help.
    let debug = DEFAULT.replace("max_validity_seconds = 172800", "max_validity_seconds = 60");
    let both = ["policy.validity", lacking[0], lacking[1]];
    rejected(&judge(bare(), &debug), ExitClass::Rejected, &both);
    // And a policy that asks Intel nothing does not accept it either: not done is never a pass.
    let silent = "v = 1\ntee = [\"tdx\"]\nrequire_fresh = true\nmax_validity_seconds = 7200\n[tdx]\n";
    rejected(&judge(bare(), silent), ExitClass::Collateral, &[]);
}
