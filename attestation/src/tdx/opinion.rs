//! A second opinion: `dcap-qvl`, an independent implementation with parsers, path building and TCB rules of its own.
//!
//! It gets its ECDSA from *ring*, like everything else here (see `signatures.rs`); its usual backend, `RustCrypto`, is four times as slow and
//! would bring a second generation of those crates.
//!
//! What is accepted here has been accepted by both. `dcap-qvl` omits checks that this module makes (PCE id, upper half of
//! the QE's report data, outer certification type, trailing data) and mixes some policy into its verification; those
//! refusals come after everything else it does, are recognised by their exact texts (the version is pinned), and are
//! believed only when our own reading of the attribute agrees.

use dcap_qvl::config::{Config, CryptoProvider};
use dcap_qvl::quote::Report;
use dcap_qvl::signature::DerSigEncoder;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::x509::X509CertBackend;
use dcap_qvl::{QuoteClaims, QuotePolicy};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest as _, Sha256, Sha384};

use super::collateral::Collateral;
use super::error::TcbError;
use super::platform::Platform;
use super::quote::Quote;
use super::report::TdReport;
use super::signatures;
use super::tcb::TcbVerdict;

/// `dcap-qvl` with its own codecs and *ring*'s ECDSA.
struct OnRing;

impl Config for OnRing {
    type X509 = X509CertBackend;
    type SigEncoder = DerSigEncoder;
    type Crypto = Self;
}

impl CryptoProvider for OnRing {
    fn sig_algo() -> &'static dyn SignatureVerificationAlgorithm {
        &EcdsaP256Sha256
    }

    fn sha256(data: &[u8]) -> [u8; 32] {
        Sha256::digest(data).into()
    }

    fn sha384(data: &[u8]) -> [u8; 48] {
        Sha384::digest(data).into()
    }
}

#[derive(Debug)]
struct EcdsaP256Sha256;

impl SignatureVerificationAlgorithm for EcdsaP256Sha256 {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        signatures::verify(public_key, message, signature).then_some(()).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

/// What `dcap-qvl` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opinion {
    /// The same as we do, down to status and advisories.
    Agrees,
    /// Everything verified, then a policy of its own refused the TD; its status is not told.
    OwnPolicy(&'static str),
}

/// What we say, for comparison.
pub(super) struct Ours<'a> {
    pub(super) quote: &'a Quote<'a>,
    pub(super) platform: &'a Platform,
    pub(super) verdict: &'a TcbVerdict,
}

pub(super) fn ask(
    ours: &Ours<'_>,
    collateral: &Collateral,
    pck_chain: Option<&str>,
    root: &[u8],
    now_s: u64,
) -> Result<Opinion, TcbError> {
    let verifier = QuoteVerifier::<OnRing>::new_with_config(root.to_vec());
    let verifier = verifier.allow_debug(true).allow_service_td(true);
    let collateral = collateral.to_dcap(pck_chain);
    let policy = QuotePolicy::claims_only(now_s);
    match verifier.verify_with_policy(ours.quote.bytes, collateral, now_s, &policy) {
        Ok(claims) => compare(ours, &claims).map(|()| Opinion::Agrees),
        Err(error) => own_policy(&error.root_cause().to_string(), &ours.quote.report)
            .map(Opinion::OwnPolicy)
            .ok_or_else(|| TcbError::SecondOpinion(format!("{error:#}"))),
    }
}

fn compare(ours: &Ours<'_>, theirs: &QuoteClaims) -> Result<(), TcbError> {
    let mut advisories = theirs.tcb.advisory_ids.clone();
    advisories.sort_unstable();
    advisories.dedup();
    let verdict = ours.verdict;
    let pck = &theirs.platform.pck;
    let same = [
        (theirs.tcb.status.to_string() == verdict.status.name(), "on the TCB status"),
        (advisories == verdict.advisories, "on the advisories"),
        (theirs.tcb.eval_data_number == verdict.evaluation_number, "on the evaluation number"),
        (pck.fmspc == ours.platform.fmspc && pck.pce_id == ours.platform.pce_id, "on the platform"),
        (pck.ppid == ours.platform.ppid && pck.pce_svn == ours.platform.pce_svn, "on the platform"),
        (same_report(&ours.quote.report, &theirs.report), "on what the quote says"),
    ];
    match same.iter().find(|(same, _)| !same) {
        Some((_, on)) => Err(TcbError::SecondOpinion((*on).to_owned())),
        None => Ok(()),
    }
}

fn same_report(ours: &TdReport, theirs: &Report) -> bool {
    let Some(td10) = theirs.as_td10() else { return false };
    let base = ours.tee_tcb_svn == td10.tee_tcb_svn
        && ours.mr_seam == td10.mr_seam
        && ours.mr_signer_seam == td10.mr_signer_seam
        && ours.seam_attributes == td10.seam_attributes
        && ours.td_attributes.0 == td10.td_attributes
        && ours.xfam == td10.xfam
        && ours.mr_td == td10.mr_td
        && ours.mr_config_id == td10.mr_config_id
        && ours.mr_owner == td10.mr_owner
        && ours.mr_owner_config == td10.mr_owner_config
        && ours.rtmr == [td10.rt_mr0, td10.rt_mr1, td10.rt_mr2, td10.rt_mr3]
        && ours.report_data == td10.report_data;
    let td15 = match (&ours.td15, theirs.as_td15()) {
        (None, None) => true,
        (Some(ours), Some(theirs)) => {
            ours.tee_tcb_svn_2 == theirs.tee_tcb_svn2 && ours.mr_service_td == theirs.mr_service_td
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    base && td15
}

/// The refusals by which `dcap-qvl` 0.7.1 ends a verification in which everything else held.
fn own_policy(cause: &str, report: &TdReport) -> Option<&'static str> {
    let attributes = report.td_attributes;
    let known = [
        ("TD migration is enabled", attributes.migratable()),
        ("SEPT_VE_DISABLE is not enabled", !attributes.sept_ve_disable()),
        ("SERVTD_EXT is enabled", attributes.service_td()),
        (
            "Reserved bits in TD attributes are set",
            attributes.reserved() || attributes.service_td() || attributes.under_debug_other(),
        ),
    ];
    known.iter().find(|(text, holds)| *text == cause && *holds).map(|(text, _)| *text)
}
