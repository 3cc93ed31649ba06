//! Is this SEV-SNP report true? Attestation notes, 2.1; AMD SEV-SNP firmware ABI (56860), VCEK and VLEK specifications.
//!
//! [`verify`] is the only maker of [`Verified`]. It trusts AMD's roots as compiled in, the time that it is given, and
//! nothing that came with the report: certificates from the host's table are input like any other. What the guest was
//! launched with and how the platform is configured is judged by `cloister-policies`; refused here is only what no
//! policy may allow.
//!
//! | check | what must hold |
//! |---|---|
//! | `snp.report.size` | exactly 1184 bytes |
//! | `snp.report.version` | 2, 3, 4 or 5 |
//! | `snp.report.signature_algo` | ECDSA P-384 with SHA-384 |
//! | `snp.report.unsigned` | the bytes behind the signature are zero |
//! | `snp.report.signing_key` | VCEK or VLEK |
//! | `snp.vek.present`, `snp.vek.format`, `snp.ask.format` | strict DER, RSASSA-PSS with AMD's parameters |
//! | `snp.chain.ark` | the root is a trusted one, byte for byte |
//! | `snp.chain.ask`, `snp.chain.vek` | names, signatures and rights of the chain |
//! | `snp.chain.validity` | all certificates are valid at the given time |
//! | `snp.crl` | a current list of the root does not name the intermediate; not done without a list |
//! | `snp.vek.kind`, `snp.vek.key` | VCEK under ASK or VLEK under ASVK; a P-384 key |
//! | `snp.vek.extensions`, `snp.vek.product` | all of AMD's extensions, and the chain's product in them |
//! | `snp.report.key_kind` | the report names the kind of key that the certificate holds |
//! | `snp.report.signature` | the signature over the received bytes |
//! | `snp.report.product` | CPUID in the report is of the chain's product; not done for version 2, which has none |
//! | `snp.report.reserved` | signed reserved fields are zero |
//! | `snp.vek.tcb`, `snp.vek.chip` | the key is that of the reported TCB, and of this chip or a provider |
//! | `snp.report.guest` | the guest asked for the report, not the host |
//! | `snp.policy.reserved` | reserved bits of the guest policy |
//! | `snp.tcb.order` | neither reported nor committed TCB is above the current one |

mod certificate;
mod chain;
mod crl;
mod error;
mod flags;
pub mod launch;
mod observation;
mod plan;
mod product;
mod report;
mod roots;
pub mod table;
mod vek;
mod verified;

pub(crate) use plan::REPORT as PLAN;

pub use certificate::MAX_CERTIFICATE_BYTES;
pub use chain::{Endorsements, Revocation, VerifiedVek, verify_endorsement};
pub use crl::MAX_CRL_BYTES;
pub use error::{Error, Role};
pub use flags::{FirmwareVersion, GuestPolicy, PlatformInfo, SigningKey};
pub use observation::Observation;
pub use product::{Cpuid, Product, RawTcb, Tcb};
pub use report::{Claims, REPORT_BYTES, Report};
pub use roots::{Roots, Trust};
pub use vek::KeyOwner;
pub use verified::Verified;

use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};

use crate::check::{Checklist, Rejected};
use crate::encoding::sha256;

const HIGHEST_VMPL: u32 = 3;

/// A report and what endorses its signing key.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The report, without any header around it.
    pub report: &'a [u8],
    /// The certificates.
    pub endorsements: Endorsements<'a>,
}

/// Verifies a report as of `now_ms` (Unix milliseconds).
///
/// # Errors
///
/// The first step that fails, together with all checks: those after it are reported as not done.
pub fn verify(evidence: &Evidence<'_>, roots: &Roots, now_ms: u64) -> Result<Verified, Rejected<Error>> {
    let mut checks = Checklist::new(plan::REPORT);
    match steps(&mut checks, evidence, roots, now_ms) {
        Ok((claims, vek)) => Ok(Verified {
            claims,
            vek,
            report_sha256: sha256(evidence.report),
            verified_at_ms: now_ms,
            checks: checks.into_checks(),
        }),
        Err(error) => Err(Rejected { checks: checks.into_checks(), error }),
    }
}

fn steps(
    checks: &mut Checklist,
    evidence: &Evidence<'_>,
    roots: &Roots,
    now_ms: u64,
) -> Result<(Claims, VerifiedVek), Error> {
    let report = parse(checks, evidence.report)?;
    let claims = report.claims_unverified();
    let kind = SigningKey::from_value(claims.signing_key).ok_or(Error::SigningKey(claims.signing_key));
    let kind = checks.step("snp.report.signing_key", |kind| format!("{kind:?}"), kind)?;

    let vek = chain::steps(checks, &evidence.endorsements, roots, now_ms);
    let vek = vek.map_err(|error| unknown_product(checks, error, claims))?;
    let same = if vek.kind == kind { Ok(()) } else { Err(Error::SigningKeyMismatch) };
    checks.step("snp.report.key_kind", |()| "the report and the certificate name one kind of key".to_owned(), same)?;

    let signed = check_signature(&report, &vek);
    checks.step("snp.report.signature", |()| "signed by the key in the certificate".to_owned(), signed)?;
    // The product first: what is reserved in a TCB version depends on it.
    check_product(checks, claims, vek.product)?;
    let reserved = report.reserved_is_zero().and_then(|()| check_tcb_layout(claims, vek.product));
    checks.step("snp.report.reserved", |()| "all zero".to_owned(), reserved)?;
    check_identity(checks, claims, &vek)?;
    check_launch(checks, claims, vek.product)?;
    Ok((report.into_claims(), vek))
}

fn parse(checks: &mut Checklist, bytes: &[u8]) -> Result<Report, Error> {
    let sized = checks.step("snp.report.size", |_| format!("{REPORT_BYTES} bytes"), report::sized(bytes))?;
    checks.step("snp.report.version", |version| format!("version {version}"), report::known_version(sized))?;
    let algorithm = report::known_algorithm(sized);
    checks.step("snp.report.signature_algo", |()| "ECDSA P-384 with SHA-384".to_owned(), algorithm)?;
    checks.step("snp.report.unsigned", |()| "all zero".to_owned(), report::tail_is_zero(sized))?;
    Report::parse(bytes)
}

/// A processor of a product line without a compiled-in root is not a forgery, only unknown to this build.
fn unknown_product(checks: &mut Checklist, error: Error, claims: &Claims) -> Error {
    if error == Error::RootUntrusted && claims.cpuid.is_some() && claims.cpuid_product().is_none() {
        checks.fail("snp.report.product", Error::ProductUnknown.to_string());
        return Error::ProductUnknown;
    }
    error
}

fn check_signature(report: &Report, vek: &VerifiedVek) -> Result<(), Error> {
    let signature = report.signature()?;
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, vek.public_key)
        .verify(report.signed(), &signature)
        .map_err(|_| Error::ReportSignature)
}

fn check_tcb_layout(claims: &Claims, product: Product) -> Result<(), Error> {
    let tcbs = [
        (0x038, claims.current_tcb),
        (0x180, claims.reported_tcb),
        (0x1E0, claims.committed_tcb),
        (0x1F0, claims.launch_tcb),
    ];
    let wrong = tcbs.into_iter().find(|(_, tcb)| !Tcb::reserved_is_zero(product, *tcb));
    wrong.map_or(Ok(()), |(offset, _)| Err(Error::ReservedNonzero { offset }))
}

fn check_product(checks: &mut Checklist, claims: &Claims, chain: Product) -> Result<(), Error> {
    if claims.cpuid.is_none() {
        checks.not_done("snp.report.product", "version 2 has no CPUID: the product is the chain's");
        return Ok(());
    }
    let product = match claims.cpuid_product() {
        None => Err(Error::ProductUnknown),
        Some(own) if own != chain => Err(Error::ProductMismatch),
        Some(_) => Ok(()),
    };
    checks.step("snp.report.product", |()| format!("{chain}, as the chain"), product)
}

fn check_identity(checks: &mut Checklist, claims: &Claims, vek: &VerifiedVek) -> Result<(), Error> {
    let reported = Tcb::decode(vek.product, claims.reported_tcb);
    let tcb = if reported == vek.extensions.tcb { Ok(()) } else { Err(Error::TcbCertMismatch) };
    checks.step("snp.vek.tcb", |()| format!("issued for {reported}"), tcb)?;

    let (wanted, owner) = match &vek.extensions.owner {
        KeyOwner::Chip(chip) => (*chip, "the key of this chip".to_owned()),
        KeyOwner::Provider(provider) => ([0; 64], format!("no single machine: the key of {provider}")),
    };
    let chip = if claims.chip_id == wanted { Ok(()) } else { Err(Error::HwidMismatch) };
    checks.step("snp.vek.chip", |()| owner, chip)
}

fn check_launch(checks: &mut Checklist, claims: &Claims, product: Product) -> Result<(), Error> {
    let guest = if claims.vmpl <= HIGHEST_VMPL { Ok(()) } else { Err(Error::NotFromGuest(claims.vmpl)) };
    checks.step("snp.report.guest", |()| format!("asked for by the guest at VMPL {}", claims.vmpl), guest)?;

    let reserved = claims.policy.reserved_bits_hold().then_some(()).ok_or(Error::PolicyReserved);
    checks.step("snp.policy.reserved", |()| "as they must be".to_owned(), reserved)?;

    let current = Tcb::decode(product, claims.current_tcb);
    let below = |tcb| current.at_least(&Tcb::decode(product, tcb));
    let order = below(claims.reported_tcb) && below(claims.committed_tcb);
    let order = order.then_some(()).ok_or(Error::TcbInconsistent);
    checks.step("snp.tcb.order", |()| format!("current: {current}"), order)
}
