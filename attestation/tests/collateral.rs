//! DC-05: what evidence needs of AMD and Intel, told from genuine evidence and compared with its genuine collateral.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod vectors;

use std::path::PathBuf;

use cloister_attestation::collateral::{Error, Kind, Request, Response, Services, Update, assemble, plan, verify};
use cloister_attestation::document::{Collateral, Evidence, SnpCollateral, Tee};
use cloister_attestation::encoding::Base64;
use cloister_attestation::snp::{self, Endorsements, KeyOwner, Product, Roots, SigningKey};
use cloister_attestation::verify::{Error as Refusal, Trust};
use cloister_attestation::{ExitClass, tdx};
use proptest::prelude::*;
use serde_json::Value;
use vectors::{folder, read};

const GENUINE_SNP: [&str; 12] = [
    "snp-real-genoa-v3-azure",
    "snp-real-genoa-v5",
    "snp-real-milan-v2-azure",
    "snp-real-milan-v2-baremetal",
    "snp-real-milan-v2-oak",
    "snp-real-milan-v2-oak-cb",
    "snp-real-milan-v3-azure",
    "snp-real-milan-v3-dstack",
    "snp-real-milan-v3-oak-cb",
    "snp-real-milan-v3-oak-oc",
    "snp-real-milan-v3-oak-rel",
    "snp-syn-d-baseline-turin",
];
/// With the end of what their collateral is valid for, Unix seconds.
const GENUINE_TDX: [(&str, u64); 2] =
    [("tdx-real-v4-dcapqvl-uptodate", 1_752_919_235), ("tdx-real-v5-uptodate", 1_772_099_192)];

struct Case {
    folder: PathBuf,
    expected: Value,
}

impl Case {
    fn load(kind: &str, name: &str) -> Self {
        let folder = folder("attestation").join(kind).join(name);
        let expected = serde_json::from_slice(&read(&folder.join("case.json"))).unwrap();
        Self { folder, expected }
    }

    fn file(&self, name: &str) -> Vec<u8> {
        read(&self.folder.join(name))
    }

    fn now_ms(&self) -> u64 {
        self.expected["verify_at"].as_u64().unwrap() * 1000
    }

    fn snp(&self) -> Evidence {
        Evidence::new(Tee::SevSnp, self.file("report.bin"))
    }

    fn tdx(&self) -> Evidence {
        Evidence::new(Tee::Tdx, self.file("quote.bin"))
    }

    fn tdx_collateral(&self) -> tdx::Collateral {
        tdx::Collateral::from_json(&self.file("collateral.json")).unwrap()
    }

    /// The roots that the case is about.
    fn snp_roots(&self) -> Roots {
        match self.expected["class"].as_str() {
            Some("synthetic") => Roots::insecure_with_ark(&self.file("ark.der")).unwrap(),
            _ => Roots::pinned(),
        }
    }
}

fn url(requests: &[Request], kind: Kind) -> &str {
    &requests.iter().find(|request| request.kind == kind).unwrap().url
}

#[test]
fn dc_05_an_snp_plan_asks_for_the_very_certificate_that_signed() {
    for name in GENUINE_SNP {
        let case = Case::load("snp", name);
        let (vek, ask, ark) = (case.file("vek.der"), case.file("ask.der"), case.file("ark.der"));
        let endorsements = Endorsements { vek: Some(&vek), ask: Some(&ask), ark: Some(&ark), crl: None };
        let (vek, _) = snp::verify_endorsement(&endorsements, &case.snp_roots(), case.now_ms()).unwrap();
        assert_eq!(vek.kind(), SigningKey::Vcek);

        let requests = plan(&case.snp(), Some(vek.product()), &Services::vendors()).unwrap();
        let (product, tcb) = (vek.product(), vek.tcb());
        let KeyOwner::Chip(chip) = vek.owner() else { panic!("a VCEK is of a chip") };
        let chip = hex(&chip[..if product == Product::Turin { 8 } else { 64 }]);
        let fmc = tcb.fmc.map(|fmc| format!("fmcSPL={fmc:02}&")).unwrap_or_default();
        let wanted = format!(
            "https://kdsintf.amd.com/vcek/v1/{product}/{chip}?{fmc}blSPL={:02}&teeSPL={:02}&snpSPL={:02}&ucodeSPL={:02}",
            tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode
        );
        assert_eq!(url(&requests, Kind::Vcek), wanted, "{name}");
        let base = format!("https://kdsintf.amd.com/vcek/v1/{product}");
        assert_eq!(url(&requests, Kind::AmdChain), format!("{base}/cert_chain"));
        assert_eq!(url(&requests, Kind::AmdCrl), format!("{base}/crl"));
        assert_eq!(requests.len(), 3);
    }
}

#[test]
fn dc_05_a_turin_chip_has_eight_bytes_and_an_fmc() {
    let requests = plan(&Case::load("snp", "snp-syn-d-baseline-turin").snp(), None, &Services::vendors()).unwrap();
    let leaf = url(&requests, Kind::Vcek).strip_prefix("https://kdsintf.amd.com/vcek/v1/Turin/").unwrap();
    let (chip, query) = leaf.split_once('?').unwrap();
    assert_eq!(chip.len(), 16);
    assert!(query.starts_with("fmcSPL="), "{query}");
}

#[test]
fn dc_05_nobody_is_asked_for_a_providers_key() {
    let evidence = Case::load("snp", "snp-real-milan-v3-vlek-vmpl1").snp();
    let requests = plan(&evidence, None, &Services::vendors()).unwrap();
    let urls: Vec<&str> = requests.iter().map(|request| request.url.as_str()).collect();
    assert_eq!(urls, ["https://kdsintf.amd.com/vlek/v1/Milan/cert_chain", "https://kdsintf.amd.com/vlek/v1/Milan/crl"]);
    // The host's table has it, and it stays.
    let vek = Some(Base64(Case::load("snp", "snp-real-milan-v3-vlek-vmpl1").file("vek.der")));
    let known = Collateral::Snp(SnpCollateral { vek: vek.clone(), ..SnpCollateral::default() });
    let answers = [answer(Kind::AmdChain, amd_chain("VLEK-Milan", "Milan")), answer(Kind::AmdCrl, vec![0x30, 0])];
    let Collateral::Snp(assembled) = assemble(&evidence, &known, &answers).unwrap() else { panic!("of SEV-SNP") };
    assert_eq!(assembled.vek, vek);
    assert_eq!(assemble(&evidence, &Collateral::None, &answers), Err(Error::Missing(Kind::Vcek)));
}

#[test]
fn dc_05_a_report_that_names_no_product_or_chip_says_so() {
    let old = Case::load("snp", "snp-real-milan-v2-oak").snp();
    assert_eq!(plan(&old, None, &Services::vendors()), Err(Error::ProductUnknown));
    let mut masked = Case::load("snp", "snp-real-genoa-v5").file("report.bin");
    masked[0x1A0..0x1E0].fill(0);
    assert_eq!(plan(&Evidence::new(Tee::SevSnp, masked), None, &Services::vendors()), Err(Error::ChipMasked));
    let mut newer = Case::load("snp", "snp-real-genoa-v5").file("report.bin");
    newer[0x188..0x18A].copy_from_slice(&[0x1A, 0x50]);
    // What a report says of itself is not overruled by what somebody guesses.
    let newer = Evidence::new(Tee::SevSnp, newer);
    assert_eq!(plan(&newer, Some(Product::Turin), &Services::vendors()), Err(Error::ProductUnknown));
}

#[test]
fn dc_05_a_container_of_azures_asks_for_what_is_in_it() {
    let container = Case::load("azure", "az-snp-milan-v1").file("hcl_report.bin");
    let mut evidence = Evidence::new(Tee::AzSnp, container);
    let requests = plan(&evidence, Some(Product::Milan), &Services::vendors()).unwrap();
    let bare = Evidence::new(Tee::SevSnp, evidence.report.0[32..32 + 1184].to_vec());
    assert_eq!(requests, plan(&bare, Some(Product::Milan), &Services::vendors()).unwrap());
    let tdx = Case::load("azure", "az-tdx-v1");
    evidence.report = Base64(tdx.file("hcl_report.bin"));
    assert!(matches!(plan(&evidence, None, &Services::vendors()), Err(Error::Azure(_))), "a TDREPORT is no SNP report");
    let mut evidence = Evidence::new(Tee::AzTdx, tdx.file("hcl_report.bin"));
    assert_eq!(plan(&evidence, None, &Services::vendors()), Err(Error::NoQuote));
    evidence.quote = Some(Base64(tdx.file("quote.bin")));
    let bare = Evidence::new(Tee::Tdx, tdx.file("quote.bin"));
    let requests = plan(&evidence, None, &Services::vendors()).unwrap();
    assert_eq!(requests, plan(&bare, None, &Services::vendors()).unwrap());
}

#[test]
fn dc_05_a_tdx_plan_asks_for_the_model_and_the_ca_of_the_genuine_collateral() {
    for (name, _) in GENUINE_TDX {
        let case = Case::load("tdx", name);
        let mut services = Services::vendors();
        let requests = plan(&case.tdx(), None, &services).unwrap();
        let info: Value = serde_json::from_str(&case.tdx_collateral().tcb_info).unwrap();
        let fmspc = info["fmspc"].as_str().unwrap().to_uppercase();
        let base = "https://api.trustedservices.intel.com";
        assert_eq!(
            url(&requests, Kind::TcbInfo),
            format!("{base}/tdx/certification/v4/tcb?fmspc={fmspc}&update=standard")
        );
        assert_eq!(
            url(&requests, Kind::QeIdentity),
            format!("{base}/tdx/certification/v4/qe/identity?update=standard")
        );
        let list = String::from_utf8_lossy(&case.tdx_collateral().pck_crl.0).into_owned();
        let ca = if list.contains("Platform CA") { "platform" } else { "processor" };
        assert_eq!(url(&requests, Kind::PckCrl), format!("{base}/sgx/certification/v4/pckcrl?ca={ca}&encoding=der"));
        let root = read(&folder("attestation/roots").join("Intel_SGX_Root_CA.der"));
        let place = url(&requests, Kind::RootCrl);
        assert!(String::from_utf8_lossy(&root).contains(place), "the root certificate names {place}");

        services.update = Update::Early;
        services.pcs = "https://pccs.example/".to_owned();
        let early = plan(&case.tdx(), None, &services).unwrap();
        assert_eq!(url(&early, Kind::QeIdentity), "https://pccs.example/tdx/certification/v4/qe/identity?update=early");
    }
}

#[test]
fn dc_05_intels_answers_become_the_genuine_collateral_byte_for_byte() {
    for (name, valid_until_s) in GENUINE_TDX {
        let case = Case::load("tdx", name);
        let (evidence, genuine) = (case.tdx(), case.tdx_collateral());
        let mut answers = intel_answers(&genuine);
        let assembled = assemble(&evidence, &Collateral::None, &answers).unwrap();
        assert_eq!(assembled, Collateral::Tdx(Box::new(genuine)));
        let until = verify(&evidence, &assembled, &Trust::pinned(), case.now_ms()).unwrap();
        assert_eq!(until, valid_until_s * 1000, "{name}");
        assert!(verify(&evidence, &assembled, &Trust::pinned(), until + 1000).is_err());

        // Caching services answer the root's list in hex.
        let root = answers.iter_mut().find(|answer| answer.kind == Kind::RootCrl).unwrap();
        root.body = hex(&root.body).into_bytes();
        assert_eq!(assemble(&evidence, &Collateral::None, &answers).unwrap(), assembled);
        // What is written for a file is what is read from it.
        let file = serde_json::to_vec(&assembled.to_members()).unwrap();
        assert_eq!(Collateral::parse(Tee::Tdx, &file).unwrap(), assembled);
        assert!(Collateral::parse(Tee::SevSnp, &file).is_err());
    }
}

#[test]
fn dc_05_amds_answers_become_collateral_that_holds_as_long_as_the_shortest_part() {
    // Genuine: the list was current from 2024-10-23 to 2025-11-03.
    let (case, now_ms) = (Case::load("snp", "snp-real-genoa-v3-azure"), 1_748_736_000_000);
    let crl = read(&folder("attestation/roots").join("crl-ARK-Genoa-20241023.der"));
    let answers = [
        answer(Kind::Vcek, case.file("vek.der")),
        answer(Kind::AmdChain, amd_chain("Genoa", "Genoa")),
        answer(Kind::AmdCrl, crl),
    ];
    let assembled = assemble(&case.snp(), &Collateral::None, &answers).unwrap();
    let Collateral::Snp(parts) = &assembled else { panic!("of SEV-SNP") };
    assert_eq!(parts.vek, Some(Base64(case.file("vek.der"))));
    assert_eq!(parts.ask, Some(Base64(case.file("ask.der"))));
    let until = verify(&case.snp(), &assembled, &Trust::pinned(), now_ms).unwrap();
    assert!((1_762_000_000..1_762_300_000).contains(&(until / 1000)), "{until}: 2025-11-03");
    let refused = verify(&case.snp(), &assembled, &Trust::pinned(), until + 1000).unwrap_err();
    assert!(matches!(refused.error, Refusal::Snp(snp::Error::CrlExpired { .. })), "{}", refused.error);
    assert_eq!(refused.error.class(), ExitClass::Collateral);

    // A mirror that answers with the certificate of another chip has answered nothing.
    let other = Case::load("snp", "snp-real-genoa-v5");
    let refused = verify(&other.snp(), &assembled, &Trust::pinned(), now_ms).unwrap_err();
    assert!(matches!(refused.error, Refusal::Snp(_)), "{}", refused.error);
    assert_eq!(refused.error.class(), ExitClass::Rejected);
    let none = verify(&case.snp(), &Collateral::None, &Trust::pinned(), now_ms).unwrap_err();
    assert!(matches!(none.error, Refusal::Document(_)));
}

#[test]
fn dc_05_answers_of_another_form_are_refused_by_kind() {
    let case = Case::load("tdx", GENUINE_TDX[0].0);
    let genuine = intel_answers(&case.tdx_collateral());
    let refusal = |change: &dyn Fn(&mut Vec<Response>)| {
        let mut answers = genuine.clone();
        change(&mut answers);
        assemble(&case.tdx(), &Collateral::None, &answers).unwrap_err()
    };
    let malformed = |kind| move |error: Error| matches!(error, Error::Malformed { kind: own, .. } if own == kind);
    for (index, kind) in genuine.iter().map(|answer| answer.kind).enumerate() {
        assert_eq!(refusal(&|answers| drop(answers.remove(index))), Error::Missing(kind));
        assert_eq!(refusal(&|answers| answers.push(genuine[index].clone())), Error::Twice(kind));
        assert_eq!(refusal(&|answers| answers[index].body.resize(kind.max_bytes() + 1, 0)), Error::TooLarge(kind));
        assert!(malformed(kind)(refusal(&|answers| answers[index].body = b"<html>busy</html>".to_vec())), "{kind}");
        if !kind.issuer_chain_headers().is_empty() {
            assert!(malformed(kind)(refusal(&|answers| answers[index].issuer_chain = None)), "{kind}");
            for chain in ["%2", "%zz", "not PEM", "%ff"] {
                let changed = refusal(&|answers| answers[index].issuer_chain = Some(chain.to_owned()));
                assert!(malformed(kind)(changed), "{kind}: {chain}");
            }
        }
    }
    let value = |text: &'static str| refusal(&move |answers| answers[0].body = text.as_bytes().to_vec());
    for text in [
        r#"{"enclaveIdentity":{},"signature":"00"}"#,
        r#"{"tcbInfo":{},"signature":"0"}"#,
        r#"{"tcbInfo":{},"signature":"00","more":1}"#,
        r#"{"tcbInfo":{}}"#,
        r#"{"tcbInfo":{,"signature":"00"}"#,
        r#"{"tcbInfo":{},"signature":"00"} {}"#,
    ] {
        assert!(malformed(Kind::TcbInfo)(value(text)), "{text}");
    }
    let snp = Case::load("snp", "snp-real-genoa-v5").snp();
    let answers = [
        answer(Kind::Vcek, vec![1]),
        answer(Kind::AmdChain, [amd_chain("Genoa", "Genoa"), amd_chain("Genoa", "Genoa")].concat()),
        answer(Kind::AmdCrl, vec![1]),
    ];
    assert!(malformed(Kind::AmdChain)(assemble(&snp, &Collateral::None, &answers).unwrap_err()));
    assert_eq!(assemble(&snp, &Collateral::None, &answers[..1]), Err(Error::Missing(Kind::AmdChain)));
    let none = Evidence::new(Tee::Development, Vec::new());
    assert_eq!(plan(&none, None, &Services::vendors()), Ok(Vec::new()));
    assert_eq!(assemble(&none, &Collateral::None, &[]), Ok(Collateral::None));
}

proptest! {
    #[test]
    fn dc_05_no_answer_makes_assembly_panic(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 7),
        chain in "\\PC{0,80}",
    ) {
        let kinds = [
            Kind::Vcek, Kind::AmdChain, Kind::AmdCrl, Kind::TcbInfo, Kind::QeIdentity, Kind::PckCrl, Kind::RootCrl,
        ];
        let answers: Vec<Response> = kinds.into_iter().zip(bodies)
            .map(|(kind, body)| Response { kind, body, issuer_chain: Some(chain.clone()) })
            .collect();
        for tee in Tee::ALL {
            let _ = assemble(&Evidence::new(tee, Vec::new()), &Collateral::None, &answers);
        }
    }

    #[test]
    fn dc_05_a_signed_value_is_taken_out_as_it_stands(
        blanks in "[ \\n\\t]{0,3}", text in "[a-z\"\\\\{}]{0,20}", number in any::<i64>(),
    ) {
        let case = Case::load("tdx", GENUINE_TDX[0].0);
        let mut genuine = case.tdx_collateral();
        let text = serde_json::to_string(&text).unwrap();
        genuine.tcb_info = format!("{{{blanks}\"b\":{number},{blanks}\"a\":[{text},{{}}]{blanks}}}");
        let assembled = assemble(&case.tdx(), &Collateral::None, &intel_answers(&genuine)).unwrap();
        prop_assert_eq!(assembled, Collateral::Tdx(Box::new(genuine)));
    }
}

fn answer(kind: Kind, body: Vec<u8>) -> Response {
    Response { kind, body, issuer_chain: None }
}

/// AMD's file: intermediate, then root.
fn amd_chain(intermediate: &str, product: &str) -> Vec<u8> {
    let roots = folder("attestation/roots");
    let pem = |name: String| read(&roots.join(name));
    [pem(format!("SEV-{intermediate}.pem")), pem(format!("ARK-{product}.pem"))].concat()
}

/// What Intel answered, put together again from what was made of it.
fn intel_answers(collateral: &tdx::Collateral) -> Vec<Response> {
    let signed = |name: &str, value: &str, signature: &[u8]| {
        format!("{{\"{name}\":{value},\"signature\":\"{}\"}}", hex(signature)).into_bytes()
    };
    let tdx::Collateral { tcb_info, tcb_info_signature, qe_identity, qe_identity_signature, .. } = collateral;
    let answers = [
        (Kind::TcbInfo, signed("tcbInfo", tcb_info, &tcb_info_signature.0), Some(&collateral.tcb_info_issuer_chain)),
        (
            Kind::QeIdentity,
            signed("enclaveIdentity", qe_identity, &qe_identity_signature.0),
            Some(&collateral.qe_identity_issuer_chain),
        ),
        (Kind::PckCrl, collateral.pck_crl.0.clone(), Some(&collateral.pck_crl_issuer_chain)),
        (Kind::RootCrl, collateral.root_ca_crl.0.clone(), None),
    ];
    let encoded =
        |chain: &String| chain.replace('%', "%25").replace('\n', "%0A").replace(' ', "%20").replace('+', "%2B");
    answers.into_iter().map(|(kind, body, chain)| Response { kind, body, issuer_chain: chain.map(encoded) }).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
