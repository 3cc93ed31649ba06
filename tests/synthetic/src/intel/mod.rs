//! A small Intel of our own: a root, a PCK CA, a TCB signer and a platform that signs whatever a test wants signed.
//!
//! A [`Recipe`] says what everything looks like before it is signed. [`Recipe::make`] signs it once, for tests in which
//! one thing is wrong; [`Recipe::platform`] keeps the keys, so that any TD can be quoted afterwards.

#![expect(clippy::indexing_slicing, reason = "constant places in buffers of constant size, and tests stop at once")]

mod certificates;
mod published;
mod quote;

use std::time::Duration;

use cloister_attestation::tdx::{Collateral, HexBytes};
use rcgen::{Issuer, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use x509_cert::der::DateTime;

pub use certificates::{Cert, Crl, Day, SgxFacts, sgx_extension};
pub use quote::tdx_svn;

/// When the world of a recipe is looked at unless it is made for another time: 21 September 2026, Unix milliseconds.
pub const NOW_MS: u64 = 1_790_000_000_000;

/// The serial number of the PCK CA.
pub const CA_SERIAL: u64 = 2;
/// The serial number of the platform's certificate.
pub const PCK_SERIAL: u64 = 3;
/// The serial number of the TCB signer.
pub const SIGNER_SERIAL: u64 = 4;

/// Everything that a test may want to change before it is signed.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The header of the quote.
    pub header: Vec<u8>,
    /// The type of the body, which quotes of version 4 do not have.
    pub body_type: Option<u16>,
    /// The TD report.
    pub body: Vec<u8>,
    /// The root.
    pub root: Cert,
    /// The CA of the platform's certificate.
    pub ca: Cert,
    /// The platform's certificate.
    pub pck: Cert,
    /// The signer of TCB info and QE identity.
    pub signer: Cert,
    /// The root's revocation list.
    pub root_crl: Crl,
    /// The PCK CA's revocation list.
    pub pck_crl: Crl,
    /// The report of the quoting enclave.
    pub qe_report: Vec<u8>,
    /// What the second half of that report's `report_data` is filled with.
    pub qe_report_data_tail: u8,
    /// The outer type of certification data: 6.
    pub outer_type: u16,
    /// The inner type of certification data: 5, or 3 for a quote without a chain.
    pub inner_type: u16,
    /// The chain in the quote ends with the CA.
    pub chain_without_root: bool,
    /// TCB info.
    pub tcb_info: Value,
    /// QE identity.
    pub qe_identity: Value,
}

/// What came of a recipe.
#[derive(Debug, Clone)]
pub struct Made {
    /// The quote.
    pub quote: Vec<u8>,
    /// What Intel publishes about the platform.
    pub collateral: Collateral,
    /// The root, DER.
    pub root: Vec<u8>,
    /// The chain of the platform's certificate, PEM.
    pub pck_chain: String,
}

/// A platform that quotes trust domains.
pub struct Intel {
    recipe: Recipe,
    pck_key: KeyPair,
    attestation_key: KeyPair,
    /// What Intel publishes about the platform.
    pub collateral: Collateral,
    /// The root, DER.
    pub root: Vec<u8>,
    /// The chain of the platform's certificate, PEM.
    pub pck_chain: String,
}

impl std::fmt::Debug for Intel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intel").field("body_type", &self.recipe.body_type).finish_non_exhaustive()
    }
}

impl Intel {
    /// A quote over a TD report that says `report_data`.
    #[must_use]
    pub fn quote(&self, report_data: &[u8; 64]) -> Vec<u8> {
        self.quoted(Some(report_data))
    }

    fn quoted(&self, report_data: Option<&[u8; 64]>) -> Vec<u8> {
        quote::quote(&self.recipe, report_data, [&self.pck_key, &self.attestation_key], &self.pck_chain)
    }
}

impl Recipe {
    /// A platform that is up to date, with a TD 1.0 in a quote of version 4.
    #[must_use]
    pub fn v4() -> Self {
        let crl = Crl { from: (2026, 9, 10), until: (2026, 10, 10), revoked: Vec::new() };
        let mut pck = Cert::new("Intel SGX PCK Certificate", PCK_SERIAL, None);
        pck.extensions.push(sgx_extension(&SgxFacts::default()));
        Self {
            header: quote::header(4),
            body_type: None,
            body: quote::td10_body(),
            root: Cert::new("Intel SGX Root CA", 1, Some(1)),
            ca: Cert::new("Intel SGX PCK Platform CA", CA_SERIAL, Some(0)),
            pck,
            signer: Cert::new("Intel SGX TCB Signing", SIGNER_SERIAL, None),
            root_crl: crl.clone(),
            pck_crl: crl,
            qe_report: quote::qe_report(),
            qe_report_data_tail: 0,
            outer_type: 6,
            inner_type: 5,
            chain_without_root: false,
            tcb_info: published::tcb_info(),
            qe_identity: published::qe_identity(),
        }
    }

    /// The same with a TD 1.5 in a quote of version 5.
    #[must_use]
    pub fn v5() -> Self {
        let mut body = quote::td10_body();
        body.extend_from_slice(&tdx_svn(6, 1));
        body.extend_from_slice(&[0; 48]);
        Self { header: quote::header(5), body_type: Some(3), body, ..Self::v4() }
    }

    /// The same with an extended body.
    #[must_use]
    pub fn v5_extended() -> Self {
        let mut recipe = Self::v5();
        recipe.body.resize(885, 0);
        recipe.body[649..681].fill(0x5a);
        recipe.body_type = Some(4);
        recipe
    }

    /// The same with collateral from the day before `now_ms`, which Intel will renew in a month.
    #[must_use]
    pub fn published_before(mut self, now_ms: u64) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        let at = |time: Duration| DateTime::from_unix_duration(time).expect("a time before the year 10000");
        let now = Duration::from_millis(now_ms);
        let (from, until) = (at(now.saturating_sub(DAY)), at(now + 30 * DAY));
        let day = |time: &DateTime| (i32::from(time.year()), time.month(), time.day());
        for crl in [&mut self.root_crl, &mut self.pck_crl] {
            (crl.from, crl.until) = (day(&from), day(&until));
        }
        for item in [&mut self.tcb_info, &mut self.qe_identity] {
            (item["issueDate"], item["nextUpdate"]) = (json!(from.to_string()), json!(until.to_string()));
        }
        self
    }

    /// Signs everything, the quote included.
    #[must_use]
    pub fn make(&self) -> Made {
        let intel = self.platform();
        let quote = intel.quoted(None);
        Made { quote, collateral: intel.collateral, root: intel.root, pck_chain: intel.pck_chain }
    }

    /// Signs certificates and collateral, and gives the platform that they speak of.
    ///
    /// # Panics
    /// If a key cannot be made or does not sign.
    #[must_use]
    pub fn platform(&self) -> Intel {
        let [root_key, ca_key, pck_key, signer_key, attestation_key] =
            std::array::from_fn(|_| KeyPair::generate().expect("the system has randomness"));
        let signed = "a certificate is signed";
        let root = self.root.params().self_signed(&root_key).expect(signed);
        let root_issuer = Issuer::new(self.root.params(), &root_key);
        let ca = self.ca.params().signed_by(&ca_key, &root_issuer).expect(signed);
        let ca_issuer = Issuer::new(self.ca.params(), &ca_key);
        let pck = self.pck.params().signed_by(&pck_key, &ca_issuer).expect(signed);
        let signer = self.signer.params().signed_by(&signer_key, &root_issuer).expect(signed);
        let tail = if self.chain_without_root { String::new() } else { root.pem() };
        let pck_chain = format!("{}{}{tail}", pck.pem(), ca.pem());
        let signer_chain = format!("{}{}", signer.pem(), root.pem());
        let (tcb_info, qe_identity) = (self.tcb_info.to_string(), self.qe_identity.to_string());
        let collateral = Collateral {
            pck_crl_issuer_chain: format!("{}{}", ca.pem(), root.pem()),
            root_ca_crl: HexBytes(self.root_crl.sign(&root_issuer)),
            pck_crl: HexBytes(self.pck_crl.sign(&ca_issuer)),
            tcb_info_issuer_chain: signer_chain.clone(),
            tcb_info_signature: HexBytes(sign(&signer_key, tcb_info.as_bytes())),
            tcb_info,
            qe_identity_issuer_chain: signer_chain,
            qe_identity_signature: HexBytes(sign(&signer_key, qe_identity.as_bytes())),
            qe_identity,
            pck_certificate_chain: None,
        };
        let root = root.der().to_vec();
        Intel { recipe: self.clone(), pck_key, attestation_key, collateral, root, pck_chain }
    }
}

fn ec_key(key: &KeyPair) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der(), &SystemRandom::new())
        .expect("rcgen makes P-256 keys")
}

fn sign(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    let signature = ec_key(key).sign(&SystemRandom::new(), message).expect("the system has randomness");
    signature.as_ref().to_vec()
}
