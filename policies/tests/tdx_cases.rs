//! Every TDX case of the shared vectors: verified as of its own time, judged by its own policy, compared with its label.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cloister_attestation::tdx::{self, Collateral, Evidence, Quote, Roots, TdReport, Verified};
use cloister_policies::appraisal::tdx::{TdxPolicy, check};
use serde_json::Value;
use x509_cert::der::DateTime;

/// Where the cases are; a missing folder is a failure, not a reason to pass.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where the vectors are")]
fn folder() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors");
    let root = std::env::var("CLOISTER_VECTORS").unwrap_or_else(|_| default.to_owned());
    let folder = Path::new(&root).join("attestation/tdx");
    assert!(folder.is_dir(), "no test vectors in {}: set CLOISTER_VECTORS", folder.display());
    folder
}

struct Case {
    id: String,
    label: Value,
    quote: Vec<u8>,
    collateral: Vec<u8>,
    root: Option<Vec<u8>>,
}

fn cases() -> Vec<Case> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name));
    folders
        .iter()
        .map(|folder| {
            let label: Value = serde_json::from_slice(&read(folder, "case.json").unwrap()).unwrap();
            let injected = label["requires"].as_array().unwrap().contains(&Value::from("root-injection"));
            Case {
                id: label["id"].as_str().unwrap().to_owned(),
                quote: read(folder, "quote.bin").unwrap(),
                collateral: read(folder, "collateral.json").unwrap(),
                root: injected.then(|| read(folder, "root.der").unwrap()),
                label,
            }
        })
        .collect()
}

/// A refusal: stage and code.
type Refusal = (&'static str, &'static str);

impl Case {
    fn expect(&self) -> &Value {
        &self.label["expect"]
    }

    fn verify(&self, roots: &Roots) -> Result<Verified, Refusal> {
        let collateral =
            Collateral::from_json(&self.collateral).map_err(|error| refusal(&tdx::Error::Collateral(error)))?;
        let evidence = Evidence { quote: &self.quote, collateral: Some(&collateral) };
        let now_ms = self.label["verify_at"].as_u64().unwrap() * 1000;
        tdx::verify(&evidence, roots, now_ms).map_err(|rejected| {
            assert!(
                !cloister_attestation::check::all_hold(&rejected.checks),
                "{}: a refusal without a failed check",
                self.id
            );
            refusal(&rejected.error)
        })
    }

    fn roots(&self) -> Roots {
        self.root.clone().map_or_else(Roots::pinned, Roots::insecure_with_root)
    }
}

fn refusal(error: &tdx::Error) -> Refusal {
    (error.stage().name(), error.code())
}

#[test]
fn s3_19_every_tdx_case_has_the_verdict_stage_and_reason_of_its_label() {
    let cases = cases();
    assert!(cases.len() >= 107, "only {} cases", cases.len());
    let mut wrong = BTreeMap::new();
    for case in &cases {
        if let Err(why) = judge(case) {
            wrong.insert(&case.id, why);
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong: {wrong:#?}", wrong.len(), cases.len());
}

fn judge(case: &Case) -> Result<(), String> {
    let expect = case.expect();
    let policy: TdxPolicy = serde_json::from_value(case.label["policy"].clone()).map_err(|error| error.to_string())?;
    let verified = case.verify(&case.roots());
    if let Ok(verified) = &verified {
        compare_verified(expect, verified)?;
    }
    let outcome = verified.and_then(|verified| {
        check(&verified, &policy).map_err(|rejected| (rejected.error.stage().name(), rejected.error.code()))
    });
    match (expect["verdict"].as_str().unwrap(), outcome) {
        ("accept", Ok(_)) => Ok(()),
        ("reject", Err((stage, code))) => {
            let codes = expect["reason"].as_array().unwrap();
            let right = expect["stage"] == stage && codes.contains(&Value::from(code));
            if right { Ok(()) } else { Err(format!("{stage} {code}, not {} {codes:?}", expect["stage"])) }
        }
        (verdict, outcome) => Err(format!("expected {verdict}, got {outcome:?}")),
    }
}

/// TCB status, advisories and validity of what was verified.
fn compare_verified(expect: &Value, verified: &Verified) -> Result<(), String> {
    let tcb = verified.tcb().ok_or("no TCB although there is collateral")?;
    if let Some(status) = expect["tcb_status"].as_str() {
        same("status", status, tcb.status.name())?;
    }
    if let Some(advisories) = expect["advisories"].as_array() {
        let mut wanted: Vec<_> = advisories.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        wanted.sort();
        same("advisories", &wanted.join(","), &tcb.advisories.join(","))?;
    }
    let validity = verified.validity();
    for (key, found) in [("collateral_valid_from", validity.from), ("collateral_valid_until", validity.until)] {
        if let Some(text) = expect[key].as_str() {
            let wanted: DateTime = text.replace(' ', "T").replace("+00:00", "Z").parse().unwrap();
            same(key, &wanted.unix_duration().as_secs().to_string(), &found.to_string())?;
        }
    }
    Ok(())
}

fn same(what: &str, wanted: &str, found: &str) -> Result<(), String> {
    if wanted == found { Ok(()) } else { Err(format!("{what} is {found}, not {wanted}")) }
}

#[test]
fn tdx_every_claim_is_read_as_its_label_says() {
    let mut compared = 0;
    for case in cases() {
        let claims = &case.expect()["claims"];
        let Ok(quote) = Quote::parse(&case.quote) else { continue };
        for (name, found) in claims_of(&quote) {
            let Some(wanted) = claims[name].as_str() else { continue };
            assert_eq!(wanted, found, "{}: {name}", case.id);
            compared += 1;
        }
        if let Some(version) = claims["version"].as_u64() {
            assert_eq!(version, u64::from(quote.header.version), "{}: version", case.id);
        }
    }
    assert!(compared > 1000, "only {compared} claims compared");
}

fn claims_of(quote: &Quote<'_>) -> Vec<(&'static str, String)> {
    let TdReport { rtmr: [rtmr0, rtmr1, rtmr2, rtmr3], .. } = &quote.report;
    let report = &quote.report;
    let mut claims = vec![
        ("tee_tcb_svn", hex::encode(report.tee_tcb_svn)),
        ("mrseam", hex::encode(report.mr_seam)),
        ("mrsignerseam", hex::encode(report.mr_signer_seam)),
        ("seamattr", hex::encode(report.seam_attributes)),
        ("tdattr", hex::encode(report.td_attributes.0)),
        ("xfam", hex::encode(report.xfam)),
        ("mrtd", hex::encode(report.mr_td)),
        ("mrconfigid", hex::encode(report.mr_config_id)),
        ("mrowner", hex::encode(report.mr_owner)),
        ("mrownerconfig", hex::encode(report.mr_owner_config)),
        ("rtmr0", hex::encode(rtmr0)),
        ("rtmr1", hex::encode(rtmr1)),
        ("rtmr2", hex::encode(rtmr2)),
        ("rtmr3", hex::encode(rtmr3)),
        ("reportdata", hex::encode(report.report_data)),
    ];
    if let Some(td15) = &report.td15 {
        claims.push(("tee_tcb_svn2", hex::encode(td15.tee_tcb_svn_2)));
        claims.push(("mrservicetd", hex::encode(td15.mr_service_td)));
    }
    claims
}

#[test]
fn tdx_evidence_under_an_injected_root_is_nothing_under_the_pinned_one() {
    let mut tried = 0;
    for case in cases().iter().filter(|case| case.root.is_some()) {
        let refusal = case.verify(&Roots::pinned()).expect_err(&case.id);
        assert!(matches!(refusal.0, "chain" | "parse"), "{}: {refusal:?}", case.id);
        tried += 1;
    }
    assert!(tried >= 30, "only {tried} cases with a root of their own");
}
