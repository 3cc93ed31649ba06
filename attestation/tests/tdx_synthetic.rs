//! TDX evidence in which exactly one thing is wrong, signed by an Intel of our own: each check is seen to fail alone.

use cloister_attestation::check::{ExitClass, Outcome, all_hold};
use cloister_attestation::tdx::{self, Collateral, Evidence, Roots, TcbStatus, Verified};
use cloister_synthetic::intel::{
    CA_SERIAL, Made, NOW_MS, PCK_SERIAL, Recipe, SIGNER_SERIAL, SgxFacts, sgx_extension, tdx_svn,
};
use rcgen::{CustomExtension, KeyUsagePurpose};
use serde_json::json;

fn verify_with(made: &Made, collateral: Option<&Collateral>, now_ms: u64) -> Result<Verified, tdx::Error> {
    let roots = Roots::insecure_with_root(made.root.clone());
    let evidence = Evidence { quote: &made.quote, collateral };
    tdx::verify(&evidence, &roots, now_ms).map_err(|rejected| {
        let failed = rejected.checks.iter().filter(|check| check.result == Outcome::Fail).count();
        assert_eq!(failed, 1, "one check failed, the others were made before it or not at all");
        rejected.error
    })
}

fn verify(recipe: &Recipe) -> Result<Verified, tdx::Error> {
    let made = recipe.make();
    verify_with(&made, Some(&made.collateral), NOW_MS)
}

/// A change to a recipe, and the stage and code of the refusal that it must lead to.
type Row = (fn(&mut Recipe), &'static str, &'static str);
/// A change to a recipe, and the status and advisories that it must lead to.
type StatusRow = (fn(&mut Recipe), &'static str, &'static [&'static str]);

fn refused(base: fn() -> Recipe, rows: &[Row]) {
    verify(&base()).expect("the base is true");
    for (at, (change, stage, code)) in rows.iter().enumerate() {
        let mut recipe = base();
        change(&mut recipe);
        let error = verify(&recipe).expect_err(&format!("row {at}, {code}"));
        assert_eq!((error.stage().name(), error.code()), (*stage, *code), "row {at}: {error}");
    }
}

#[test]
fn tdx_the_base_is_true_in_all_three_bodies() {
    for (recipe, extended) in [(Recipe::v4(), false), (Recipe::v5(), false), (Recipe::v5_extended(), true)] {
        let verified = verify(&recipe).unwrap();
        assert!(all_hold(verified.checks()));
        let tcb = verified.tcb().unwrap();
        assert_eq!((tcb.status, tcb.evaluation_number, tcb.advisories.len()), (TcbStatus::UpToDate, 20, 0));
        let more = verified.report().td15.as_ref().and_then(|td15| td15.extended.as_ref());
        assert_eq!(more.map(|more| more.td_id), extended.then_some([0x5a; 32]));
        let platform = verified.platform();
        assert_eq!(
            (platform.smt, platform.dynamic_platform, platform.cached_keys),
            (Some(true), Some(true), Some(false))
        );
        assert_eq!((platform.ppid, platform.instance_id), ([0xbb; 16], Some([0xcc; 16])));
    }
}

#[test]
fn tdx_each_fault_of_the_quote_is_told() {
    refused(
        Recipe::v5,
        &[
            (|r| r.header[4] = 0, "parse", "TEE_TYPE"),
            (|r| r.header[0] = 6, "parse", "QUOTE_VERSION"),
            (|r| r.header[2] = 3, "parse", "ATT_KEY_TYPE"),
            (|r| r.header[12] ^= 1, "parse", "QE_VENDOR"),
            (|r| r.body_type = Some(1), "parse", "BODY_TYPE_UNSUPPORTED"),
            (|r| r.body_type = Some(5), "parse", "BODY_TYPE_UNSUPPORTED"),
            (|r| r.body_type = Some(2), "parse", "BODY_SIZE"),
            (|r| r.body_type = Some(4), "parse", "BODY_SIZE"),
            (|r| r.body.push(0), "parse", "BODY_SIZE"),
            (|r| r.outer_type = 5, "parse", "CERT_DATA_TYPE"),
            (|r| r.inner_type = 4, "chain", "CERT_DATA_TYPE"),
            (|r| r.inner_type = 3, "chain", "CERT_DATA_TYPE"),
            (|r| r.qe_report_data_tail = 1, "signature", "AK_BINDING"),
            (|r| r.body[120] = 0x02, "policy", "TD_ATTRIBUTES_RESERVED"),
            (|r| r.body[120] = 0x40, "policy", "TD_ATTRIBUTES_RESERVED"),
        ],
    );
}

#[test]
fn tdx_each_fault_of_the_pck_chain_is_told() {
    refused(
        Recipe::v4,
        &[
            (|r| r.chain_without_root = true, "chain", "CHAIN_LENGTH"),
            (|r| r.ca.name = "Intel SGX PCK Other CA", "chain", "CHAIN_SIGNATURE"),
            (|r| r.pck.name = "Intel SGX TCB Signing", "chain", "CHAIN_SIGNATURE"),
            (|r| r.root.name = "Intel SGX Root CB", "chain", "CHAIN_SIGNATURE"),
            (|r| r.ca.ca = None, "chain", "CHAIN_NOT_CA"),
            (|r| r.ca.usages = vec![KeyUsagePurpose::CrlSign], "chain", "CHAIN_NOT_CA"),
            (|r| r.root.ca = Some(0), "chain", "CHAIN_NOT_CA"),
            (|r| r.pck.ca = Some(0), "chain", "CHAIN_NOT_CA"),
            (|r| r.pck.usages.push(KeyUsagePurpose::KeyCertSign), "chain", "CHAIN_NOT_CA"),
            (|r| r.pck.until = (2026, 9, 1), "chain", "CERT_EXPIRED"),
            (|r| r.ca.until = (2026, 9, 1), "chain", "CERT_EXPIRED"),
            (|r| r.root.until = (2026, 9, 1), "chain", "CERT_EXPIRED"),
            (|r| r.pck.from = (2026, 10, 1), "chain", "CERT_NOT_YET_VALID"),
            (|r| r.ca.from = (2026, 10, 1), "chain", "CERT_NOT_YET_VALID"),
            (|r| r.pck.extensions.clear(), "chain", "PCK_EXTENSION"),
            (
                |r| r.pck.extensions = vec![sgx_extension(&SgxFacts { without_fmspc: true, ..SgxFacts::default() })],
                "chain",
                "PCK_EXTENSION",
            ),
            (
                |r| r.pck.extensions = vec![sgx_extension(&SgxFacts { ppid_twice: true, ..SgxFacts::default() })],
                "chain",
                "PCK_EXTENSION",
            ),
            (
                |r| {
                    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                    unknown.set_criticality(true);
                    r.pck.extensions.push(unknown);
                },
                "chain",
                "QUOTE_MALFORMED",
            ),
        ],
    );
}

#[test]
fn tdx_each_fault_of_the_collateral_is_told() {
    refused(
        Recipe::v4,
        &[
            (|r| r.root_crl.until = (2026, 9, 20), "collateral", "ROOT_CRL_EXPIRED"),
            (|r| r.root_crl.from = (2026, 9, 22), "collateral", "ROOT_CRL_NOT_YET_VALID"),
            (|r| r.pck_crl.until = (2026, 9, 20), "collateral", "PCK_CRL_EXPIRED"),
            (|r| r.pck_crl.from = (2026, 9, 22), "collateral", "PCK_CRL_NOT_YET_VALID"),
            (|r| r.root_crl.revoked = vec![9, CA_SERIAL], "collateral", "INTERMEDIATE_REVOKED"),
            (|r| r.root_crl.revoked = vec![SIGNER_SERIAL], "collateral", "TCB_SIGNER"),
            (|r| r.pck_crl.revoked = vec![9, PCK_SERIAL], "collateral", "PCK_REVOKED"),
            (|r| r.signer.name = "Intel SGX PCK Certificate", "collateral", "TCB_SIGNER"),
            (|r| r.signer.until = (2026, 9, 1), "collateral", "CERT_EXPIRED"),
            (|r| r.signer.ca = Some(0), "collateral", "CHAIN_NOT_CA"),
            (|r| r.tcb_info["version"] = json!(2), "collateral", "COLLATERAL_VERSION"),
            (|r| r.tcb_info["id"] = json!("SGX"), "collateral", "COLLATERAL_ID_MISMATCH"),
            (|r| r.tcb_info["issueDate"] = json!("2026-09-22T00:00:00Z"), "collateral", "TCB_INFO_NOT_YET_VALID"),
            (|r| r.tcb_info["nextUpdate"] = json!("2026-09-20T00:00:00Z"), "collateral", "TCB_INFO_EXPIRED"),
            (|r| r.tcb_info["nextUpdate"] = json!("2026-10-10"), "collateral", "COLLATERAL_MALFORMED"),
            (|r| r.tcb_info["fmspc"] = json!("00A0C0FFEE01"), "collateral", "FMSPC_MISMATCH"),
            (|r| r.tcb_info["pceId"] = json!("0001"), "collateral", "PCEID_MISMATCH"),
            (|r| r.tcb_info["tcbType"] = json!(1), "collateral", "COLLATERAL_MALFORMED"),
            (|r| r.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("Fine"), "collateral", "COLLATERAL_MALFORMED"),
            (
                |r| r.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("TDRelaunchAdvised"),
                "collateral",
                "COLLATERAL_MALFORMED",
            ),
            (
                |r| r.tcb_info["tcbLevels"][0]["tcb"]["tdxtcbcomponents"] = json!(null),
                "collateral",
                "COLLATERAL_MALFORMED",
            ),
            (|r| r.qe_identity["version"] = json!(4), "collateral", "COLLATERAL_VERSION"),
            (|r| r.qe_identity["id"] = json!("QE"), "collateral", "COLLATERAL_ID_MISMATCH"),
            (|r| r.qe_identity["issueDate"] = json!("2026-09-22T00:00:00Z"), "collateral", "QE_IDENTITY_NOT_YET_VALID"),
            (|r| r.qe_identity["nextUpdate"] = json!("2026-09-20T00:00:00Z"), "collateral", "QE_IDENTITY_EXPIRED"),
        ],
    );
}

#[test]
fn tdx_each_fault_of_the_tcb_is_told() {
    refused(
        Recipe::v5,
        &[
            (|r| r.qe_report[128] ^= 1, "tcb", "QE_MRSIGNER"),
            (|r| r.qe_report[256] = 1, "tcb", "QE_ISVPRODID"),
            (|r| r.qe_report[16] = 1, "tcb", "QE_MISCSELECT"),
            (|r| r.qe_report[48] = 0x13, "tcb", "QE_ATTRIBUTES"),
            (|r| r.qe_report[48] = 0x31, "tcb", "QE_ATTRIBUTES"),
            (|r| r.qe_report[258] = 1, "tcb", "QE_TCB_UNSUPPORTED"),
            (|r| r.body[1] = 7, "tcb", "TDX_MODULE_UNKNOWN"),
            (|r| r.body[584 + 1] = 7, "tcb", "TDX_MODULE_UNKNOWN"),
            (|r| r.body[64] = 1, "tcb", "TDX_MODULE_MRSIGNER"),
            (|r| r.body[112] = 1, "tcb", "SEAM_ATTRIBUTES"),
            (
                |r| {
                    r.tcb_info["tdxModuleIdentities"][0]["attributesMask"] = json!("0000000000000000");
                    r.body[112] = 1;
                },
                "tcb",
                "SEAM_ATTRIBUTES",
            ),
            (|r| r.body[0] = 1, "tcb", "TDX_MODULE_TCB_UNSUPPORTED"),
            (|r| r.body[2] = 2, "tcb", "TCB_UNSUPPORTED"),
            (
                |r| {
                    let components = [2, 4, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
                    r.pck.extensions = vec![sgx_extension(&SgxFacts { components, ..SgxFacts::default() })];
                },
                "tcb",
                "TCB_UNSUPPORTED",
            ),
            (
                |r| r.pck.extensions = vec![sgx_extension(&SgxFacts { pce_svn: 10, ..SgxFacts::default() })],
                "tcb",
                "TCB_UNSUPPORTED",
            ),
            (|r| r.body[0] = 2, "tcb", "TCB_REVOKED"),
            (|r| r.body[584] = 2, "tcb", "TCB_REVOKED"),
            (|r| r.qe_identity["tcbLevels"][0]["tcbStatus"] = json!("Revoked"), "tcb", "TCB_REVOKED"),
        ],
    );
}

#[test]
fn tdx_statuses_converge_as_in_intels_verifier() {
    let rows: &[StatusRow] = &[
        (|r| r.body[..16].copy_from_slice(&tdx_svn(5, 0)), "UpToDate", &[]),
        (|r| r.body[0] = 5, "TDRelaunchAdvised", &["TEST-SA-00001"]),
        (|r| r.body[584] = 5, "UpToDate", &[]),
        (
            |r| {
                r.body[0] = 5;
                r.body[584] = 4;
            },
            "OutOfDate",
            &["TEST-SA-00001"],
        ),
        (
            |r| {
                r.body[0] = 5;
                r.tcb_info["tcbLevels"][1]["tcbStatus"] = json!("ConfigurationNeeded");
            },
            "TDRelaunchAdvisedConfigurationNeeded",
            &["TEST-SA-00001"],
        ),
        (
            |r| {
                r.qe_report[258] = 3;
                r.tcb_info["tcbLevels"][1]["tcbStatus"] = json!("ConfigurationAndSWHardeningNeeded");
            },
            "OutOfDateConfigurationNeeded",
            &["TEST-SA-00020"],
        ),
        (
            |r| {
                r.qe_report[258] = 3;
                r.tcb_info["tcbLevels"][1]["tcbStatus"] = json!("SWHardeningNeeded");
                r.tcb_info["tcbLevels"][1]["advisoryIDs"] = json!(["TEST-SA-00030", "TEST-SA-00020"]);
            },
            "OutOfDate",
            &["TEST-SA-00020", "TEST-SA-00030"],
        ),
        (
            |r| r.pck.extensions = vec![sgx_extension(&SgxFacts { pce_svn: 12, ..SgxFacts::default() })],
            "OutOfDate",
            &["TEST-SA-00010"],
        ),
    ];
    for (at, (change, status, advisories)) in rows.iter().enumerate() {
        let mut recipe = Recipe::v5();
        change(&mut recipe);
        let verified = verify(&recipe).unwrap_or_else(|error| panic!("row {at}: {error}"));
        let tcb = verified.tcb().unwrap();
        assert_eq!(tcb.status.name(), *status, "row {at}");
        assert_eq!(tcb.advisories, *advisories, "row {at}");
    }
}

#[test]
fn tdx_the_lower_evaluation_number_and_the_older_date_count() {
    let mut recipe = Recipe::v5();
    recipe.qe_identity["tcbEvaluationDataNumber"] = json!(17);
    recipe.body[0] = 5;
    let verified = verify(&recipe).unwrap();
    let tcb = verified.tcb().unwrap();
    assert_eq!(tcb.evaluation_number, 17);
    // 13 March 2024, the date of the module's level, before the platform's in 2025.
    assert_eq!(tcb.date_s, 1_710_288_000);
}

#[test]
fn tdx_attributes_that_only_a_policy_may_judge_are_true_here() {
    let attributes: [u64; 5] = [0, 1 << 28 | 1 << 29, 1 << 28 | 1, 1 << 28 | 1 << 63, 1 << 28 | 1 << 40];
    for bits in attributes {
        let mut recipe = Recipe::v5();
        recipe.body[120..128].copy_from_slice(&bits.to_le_bytes());
        let verified = verify(&recipe).unwrap_or_else(|error| panic!("{bits:#x}: {error}"));
        assert_eq!(verified.report().td_attributes.0, bits.to_le_bytes());
        assert_eq!(verified.tcb().unwrap().status, TcbStatus::UpToDate);
        assert!(all_hold(verified.checks()), "{bits:#x}");
    }
    let mut recipe = Recipe::v5();
    recipe.body[600..648].fill(1);
    assert!(verify(&recipe).unwrap().report().has_service_td());
}

#[test]
fn tdx_without_collateral_nothing_is_known_about_the_platform() {
    let made = Recipe::v5().make();
    let verified = verify_with(&made, None, NOW_MS).unwrap();
    assert!(verified.tcb().is_none());
    assert!(!all_hold(verified.checks()), "not done is never a pass");
    let not_done = verified.checks().iter().filter(|check| check.result == Outcome::NotDone);
    assert!(not_done.clone().all(|check| check.id.starts_with("tdx.collateral.") || check.id.starts_with("tdx.tcb.")));
    assert!(not_done.count() > 20);
}

#[test]
fn tdx_a_fetched_chain_serves_a_quote_that_brings_none() {
    let mut recipe = Recipe::v5();
    recipe.inner_type = 3;
    let mut made = recipe.make();
    made.collateral.pck_certificate_chain = Some(made.pck_chain.clone());
    assert!(all_hold(verify_with(&made, Some(&made.collateral), NOW_MS).unwrap().checks()));
    // The chain of another platform does not.
    made.collateral.pck_certificate_chain = Some(Recipe::v5().make().pck_chain);
    assert_eq!(verify_with(&made, Some(&made.collateral), NOW_MS).unwrap_err().code(), "ROOT_UNTRUSTED");
    // And a chain that comes with the collateral is not looked at where the quote brings its own.
    let mut made = Recipe::v5().make();
    made.collateral.pck_certificate_chain = Some("nonsense".to_owned());
    assert!(verify_with(&made, Some(&made.collateral), NOW_MS).is_ok());
}

#[test]
fn tdx_lists_and_signers_of_another_world_are_refused() {
    let (made, other) = (Recipe::v4().make(), Recipe::v4().make());
    let code = |change: fn(&mut Collateral, &Collateral)| {
        let mut collateral = made.collateral.clone();
        change(&mut collateral, &other.collateral);
        verify_with(&made, Some(&collateral), NOW_MS).unwrap_err().code()
    };
    assert_eq!(code(|ours, theirs| ours.root_ca_crl = theirs.root_ca_crl.clone()), "ROOT_CRL_SIGNATURE");
    assert_eq!(code(|ours, theirs| ours.pck_crl = theirs.pck_crl.clone()), "PCK_CRL_SIGNATURE");
    assert_eq!(code(|ours, _| ours.pck_crl = ours.root_ca_crl.clone()), "PCK_CRL_SIGNATURE");
    assert_eq!(
        code(|ours, theirs| ours.tcb_info_issuer_chain = theirs.tcb_info_issuer_chain.clone()),
        "ROOT_UNTRUSTED"
    );
    assert_eq!(code(|ours, theirs| ours.tcb_info_signature = theirs.tcb_info_signature.clone()), "TCB_INFO_SIGNATURE");
    assert_eq!(
        code(|ours, theirs| ours.qe_identity_signature = theirs.qe_identity_signature.clone()),
        "QE_IDENTITY_SIGNATURE"
    );
    assert_eq!(code(|ours, _| ours.tcb_info_issuer_chain.clear()), "TCB_SIGNER");
    assert_eq!(code(|ours, _| ours.tcb_info.insert(1, ' ')), "TCB_INFO_SIGNATURE");
}

#[test]
fn tdx_the_first_and_the_last_second_are_inside() {
    let made = Recipe::v4().make();
    let validity = verify_with(&made, Some(&made.collateral), NOW_MS).unwrap().validity();
    let at = |second: u64| verify_with(&made, Some(&made.collateral), second * 1000);
    assert!(at(validity.from).is_ok() && at(validity.until).is_ok());
    assert_eq!(at(validity.from - 1).unwrap_err().class(), ExitClass::Collateral);
    assert_eq!(at(validity.until + 1).unwrap_err().class(), ExitClass::Collateral);
}
