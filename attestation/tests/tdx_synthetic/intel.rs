//! A small Intel of our own: a root, a PCK CA, a TCB signer and a platform that signs whatever a test wants signed.
//!
//! It lives in the tests and only there: the product holds nothing that can make evidence.

use cloister_attestation::tdx::{Collateral, HexBytes};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// When the world is looked at: 21 September 2026, Unix milliseconds.
pub(crate) const NOW_MS: u64 = 1_790_000_000_000;

pub(crate) const CA_SERIAL: u64 = 2;
pub(crate) const PCK_SERIAL: u64 = 3;
pub(crate) const SIGNER_SERIAL: u64 = 4;

type Day = (i32, u8, u8);

/// A certificate, before it is signed.
#[derive(Clone)]
pub(crate) struct Cert {
    pub(crate) name: &'static str,
    pub(crate) serial: u64,
    /// None for a certificate that is no CA.
    pub(crate) ca: Option<u8>,
    pub(crate) usages: Vec<KeyUsagePurpose>,
    pub(crate) from: Day,
    pub(crate) until: Day,
    pub(crate) extensions: Vec<CustomExtension>,
}

/// A revocation list, before it is signed.
#[derive(Clone)]
pub(crate) struct Crl {
    pub(crate) from: Day,
    pub(crate) until: Day,
    pub(crate) revoked: Vec<u64>,
}

/// Everything that a test may want to change before it is signed.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) header: Vec<u8>,
    pub(crate) body_type: Option<u16>,
    pub(crate) body: Vec<u8>,
    pub(crate) root: Cert,
    pub(crate) ca: Cert,
    pub(crate) pck: Cert,
    pub(crate) signer: Cert,
    pub(crate) root_crl: Crl,
    pub(crate) pck_crl: Crl,
    pub(crate) qe_report: Vec<u8>,
    pub(crate) qe_report_data_tail: u8,
    pub(crate) outer_type: u16,
    pub(crate) inner_type: u16,
    pub(crate) chain_without_root: bool,
    pub(crate) tcb_info: Value,
    pub(crate) qe_identity: Value,
}

/// What came of a recipe.
pub(crate) struct Made {
    pub(crate) quote: Vec<u8>,
    pub(crate) collateral: Collateral,
    pub(crate) root: Vec<u8>,
    pub(crate) pck_chain: String,
}

impl Cert {
    fn new(name: &'static str, serial: u64, ca: Option<u8>) -> Self {
        let usages = match ca {
            Some(_) => vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
            None => vec![KeyUsagePurpose::DigitalSignature],
        };
        Self { name, serial, ca, usages, from: (2024, 1, 1), until: (2044, 1, 1), extensions: Vec::new() }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.distinguished_name.push(DnType::OrganizationName, "Intel Corporation");
        params.serial_number = Some(SerialNumber::from(self.serial));
        params.is_ca = match self.ca {
            Some(below) => IsCa::Ca(BasicConstraints::Constrained(below)),
            None => IsCa::ExplicitNoCa,
        };
        params.key_usages.clone_from(&self.usages);
        params.not_before = day(self.from, date_time_ymd);
        params.not_after = day(self.until, date_time_ymd);
        params.custom_extensions.clone_from(&self.extensions);
        params
    }
}

impl Crl {
    fn sign(&self, issuer: &Issuer<'_, &KeyPair>) -> Vec<u8> {
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: day(self.from, date_time_ymd),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: day(self.from, date_time_ymd),
            next_update: day(self.until, date_time_ymd),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: self.revoked.iter().map(entry).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).unwrap().der().to_vec()
    }
}

impl Recipe {
    /// A platform that is up to date, with a TD 1.0 in a quote of version 4.
    pub(crate) fn v4() -> Self {
        let crl = Crl { from: (2026, 9, 10), until: (2026, 10, 10), revoked: Vec::new() };
        let mut pck = Cert::new("Intel SGX PCK Certificate", PCK_SERIAL, None);
        pck.extensions.push(sgx_extension(&SgxFacts::default()));
        Self {
            header: header(4),
            body_type: None,
            body: td10_body(),
            root: Cert::new("Intel SGX Root CA", 1, Some(1)),
            ca: Cert::new("Intel SGX PCK Platform CA", CA_SERIAL, Some(0)),
            pck,
            signer: Cert::new("Intel SGX TCB Signing", SIGNER_SERIAL, None),
            root_crl: crl.clone(),
            pck_crl: crl,
            qe_report: qe_report(),
            qe_report_data_tail: 0,
            outer_type: 6,
            inner_type: 5,
            chain_without_root: false,
            tcb_info: tcb_info(),
            qe_identity: qe_identity(),
        }
    }

    /// The same with a TD 1.5 in a quote of version 5.
    pub(crate) fn v5() -> Self {
        let mut body = td10_body();
        body.extend_from_slice(&tdx_svn(6, 1));
        body.extend_from_slice(&[0; 48]);
        Self { header: header(5), body_type: Some(3), body, ..Self::v4() }
    }

    /// The same with an extended body.
    pub(crate) fn v5_extended() -> Self {
        let mut recipe = Self::v5();
        recipe.body.resize(885, 0);
        recipe.body[649..681].fill(0x5a);
        recipe.body_type = Some(4);
        recipe
    }

    /// Signs everything.
    pub(crate) fn make(&self) -> Made {
        let keys: [KeyPair; 4] = std::array::from_fn(|_| KeyPair::generate().unwrap());
        let [root_key, ca_key, pck_key, signer_key] = &keys;
        let root = self.root.params().self_signed(root_key).unwrap();
        let root_issuer = Issuer::new(self.root.params(), root_key);
        let ca = self.ca.params().signed_by(ca_key, &root_issuer).unwrap();
        let ca_issuer = Issuer::new(self.ca.params(), ca_key);
        let pck = self.pck.params().signed_by(pck_key, &ca_issuer).unwrap();
        let signer = self.signer.params().signed_by(signer_key, &root_issuer).unwrap();
        let tail = if self.chain_without_root { String::new() } else { root.pem() };
        let pck_chain = format!("{}{}{tail}", pck.pem(), ca.pem());
        let signer_chain = format!("{}{}", signer.pem(), root.pem());
        let (tcb_info, qe_identity) = (self.tcb_info.to_string(), self.qe_identity.to_string());
        let collateral = Collateral {
            pck_crl_issuer_chain: format!("{}{}", ca.pem(), root.pem()),
            root_ca_crl: HexBytes(self.root_crl.sign(&root_issuer)),
            pck_crl: HexBytes(self.pck_crl.sign(&ca_issuer)),
            tcb_info_issuer_chain: signer_chain.clone(),
            tcb_info_signature: HexBytes(sign(signer_key, tcb_info.as_bytes())),
            tcb_info,
            qe_identity_issuer_chain: signer_chain,
            qe_identity_signature: HexBytes(sign(signer_key, qe_identity.as_bytes())),
            qe_identity,
            pck_certificate_chain: None,
        };
        Made { quote: self.quote(pck_key, &pck_chain), collateral, root: root.der().to_vec(), pck_chain }
    }

    fn quote(&self, pck_key: &KeyPair, pck_chain: &str) -> Vec<u8> {
        let attestation_key = KeyPair::generate().unwrap();
        let public = ec_key(&attestation_key).public_key().as_ref()[1..].to_vec();
        let mut quote = self.header.clone();
        if let Some(body_type) = self.body_type {
            quote.extend(body_type.to_le_bytes());
            quote.extend(u32::try_from(self.body.len()).unwrap().to_le_bytes());
        }
        quote.extend(&self.body);
        let auth_data: Vec<u8> = (0..32).collect();
        let mut report = self.qe_report.clone();
        report[320..352].copy_from_slice(&Sha256::new().chain_update(&public).chain_update(&auth_data).finalize());
        report[352..384].fill(self.qe_report_data_tail);
        let inner = match self.inner_type {
            3 => vec![7; 404],
            _ => pck_chain.as_bytes().to_vec(),
        };
        let mut outer = report.clone();
        outer.extend(sign(pck_key, &report));
        outer.extend(32u16.to_le_bytes());
        outer.extend(&auth_data);
        outer.extend(self.inner_type.to_le_bytes());
        outer.extend(u32::try_from(inner.len()).unwrap().to_le_bytes());
        outer.extend(inner);
        let mut data = sign(&attestation_key, &quote);
        data.extend(public);
        data.extend(self.outer_type.to_le_bytes());
        data.extend(u32::try_from(outer.len()).unwrap().to_le_bytes());
        data.extend(outer);
        quote.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        quote.extend(data);
        quote
    }
}

/// rcgen's type of date has no name that we could write without another dependency.
fn day<T>((year, month, day): Day, date: fn(i32, u8, u8) -> T) -> T {
    date(year, month, day)
}

fn ec_key(key: &KeyPair) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der(), &SystemRandom::new()).unwrap()
}

fn sign(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    ec_key(key).sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

fn header(version: u16) -> Vec<u8> {
    let mut header = version.to_le_bytes().to_vec();
    header.extend(2u16.to_le_bytes());
    header.extend(0x81u32.to_le_bytes());
    header.extend([0; 4]);
    header.extend(hex::decode("939a7233f79c4ca9940a0db3957f0607").unwrap());
    header.extend([0x11; 20]);
    header
}

/// TDX SVNs: module SVN, module version, one component of the platform.
pub(crate) fn tdx_svn(module: u8, version: u8) -> [u8; 16] {
    let mut svn = [0; 16];
    svn[..3].copy_from_slice(&[module, version, 4]);
    svn
}

fn td10_body() -> Vec<u8> {
    let mut body = vec![0; 584];
    body[..16].copy_from_slice(&tdx_svn(6, 1));
    body[16..64].fill(0xa1);
    body[120..128].copy_from_slice(&(1u64 << 28).to_le_bytes());
    body[128..136].copy_from_slice(&[0xe7, 2, 6, 0, 0, 0, 0, 0]);
    body[136..184].fill(0xa2);
    body[328..520].fill(0xa3);
    body[520..584].fill(0xa4);
    body
}

fn qe_report() -> Vec<u8> {
    let mut report = vec![0; 384];
    report[48] = 0x11;
    report[128..160].fill(0xdc);
    report[256..258].copy_from_slice(&2u16.to_le_bytes());
    report[258..260].copy_from_slice(&4u16.to_le_bytes());
    report
}

/// What the SGX extension of the PCK certificate says.
pub(crate) struct SgxFacts {
    pub(crate) components: [u8; 16],
    pub(crate) pce_svn: u8,
    pub(crate) without_fmspc: bool,
    pub(crate) ppid_twice: bool,
}

impl Default for SgxFacts {
    fn default() -> Self {
        Self {
            components: [4, 4, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            pce_svn: 13,
            without_fmspc: false,
            ppid_twice: false,
        }
    }
}

pub(crate) fn sgx_extension(facts: &SgxFacts) -> CustomExtension {
    const ARC: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01];
    let pair = |arcs: &[u8], value: Vec<u8>| der(0x30, &[der(6, &[&ARC[..], arcs].concat()), value].concat());
    let mut tcb: Vec<u8> = (1..).zip(facts.components).flat_map(|(arc, svn)| pair(&[2, arc], der(2, &[svn]))).collect();
    tcb.extend(pair(&[2, 17], der(2, &[facts.pce_svn])));
    tcb.extend(pair(&[2, 18], der(4, &facts.components)));
    let flag = |arc: u8, set: u8| pair(&[7, arc], der(1, &[set]));
    let mut parts = vec![
        pair(&[1], der(4, &[0xbb; 16])),
        pair(&[2], der(0x30, &tcb)),
        pair(&[3], der(4, &[0, 0])),
        pair(&[5], der(0x0a, &[1])),
        pair(&[6], der(4, &[0xcc; 16])),
        pair(&[7], der(0x30, &[flag(1, 0xff), flag(2, 0), flag(3, 0xff)].concat())),
    ];
    if !facts.without_fmspc {
        parts.push(pair(&[4], der(4, &[0, 0xa0, 0xc0, 0xff, 0xee, 0])));
    }
    if facts.ppid_twice {
        parts.push(pair(&[1], der(4, &[0xba; 16])));
    }
    CustomExtension::from_oid_content(&[1, 2, 840, 113_741, 1, 13, 1], der(0x30, &parts.concat()))
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ 0..=127) => encoded.push(short),
        Ok(long) => encoded.extend([0x81, long]),
        Err(_) => {
            encoded.push(0x82);
            encoded.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        }
    }
    encoded.extend(content);
    encoded
}

fn components(svns: &[u8]) -> Value {
    let mut all = [0; 16];
    all[..svns.len()].copy_from_slice(svns);
    all.iter().map(|svn| json!({ "svn": svn })).collect()
}

fn tcb_info() -> Value {
    let signer = "00".repeat(48);
    let level = |sgx: &[u8], pce: u8, tdx: &[u8], status: &str, advisories: &[&str], date: &str| {
        json!({
            "tcb": { "sgxtcbcomponents": components(sgx), "pcesvn": pce, "tdxtcbcomponents": components(tdx) },
            "tcbDate": date, "tcbStatus": status, "advisoryIDs": advisories,
        })
    };
    json!({
        "id": "TDX", "version": 3, "issueDate": "2026-09-10T00:00:00Z", "nextUpdate": "2026-10-10T00:00:00Z",
        "fmspc": "00A0C0FFEE00", "pceId": "0000", "tcbType": 0, "tcbEvaluationDataNumber": 20,
        "tdxModule": { "mrsigner": signer, "attributes": "0000000000000000", "attributesMask": "FFFFFFFFFFFFFFFF" },
        "tdxModuleIdentities": [{
            "id": "TDX_01", "mrsigner": signer,
            "attributes": "0000000000000000", "attributesMask": "FFFFFFFFFFFFFFFF",
            "tcbLevels": [
                { "tcb": { "isvsvn": 6 }, "tcbDate": "2025-06-01T00:00:00Z", "tcbStatus": "UpToDate" },
                { "tcb": { "isvsvn": 4 }, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": "OutOfDate",
                  "advisoryIDs": ["TEST-SA-00001"] },
                { "tcb": { "isvsvn": 2 }, "tcbDate": "2023-08-09T00:00:00Z", "tcbStatus": "Revoked" },
            ],
        }],
        // The lower level comes first: order must not matter.
        "tcbLevels": [
            level(&[3, 3, 2, 2, 4, 1, 0, 5], 11, &[5, 0, 3], "OutOfDate", &["TEST-SA-00010"], "2024-03-13T00:00:00Z"),
            level(&[4, 4, 2, 2, 4, 1, 0, 5], 13, &[5, 0, 4], "UpToDate", &[], "2025-06-01T00:00:00Z"),
        ],
    })
}

fn qe_identity() -> Value {
    json!({
        "id": "TD_QE", "version": 2, "issueDate": "2026-09-10T00:00:00Z", "nextUpdate": "2026-10-10T00:00:00Z",
        "tcbEvaluationDataNumber": 20, "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000", "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": "DC".repeat(32), "isvprodid": 2,
        "tcbLevels": [
            { "tcb": { "isvsvn": 4 }, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": "UpToDate" },
            { "tcb": { "isvsvn": 2 }, "tcbDate": "2021-03-13T00:00:00Z", "tcbStatus": "OutOfDate",
              "advisoryIDs": ["TEST-SA-00020"] },
        ],
    })
}
