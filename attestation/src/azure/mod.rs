//! Is this evidence of an Azure confidential VM true? Attestation notes, 2.1.10.
//!
//! On Azure a paravisor of Microsoft's stands between the hardware and the guest. The hardware report is the
//! paravisor's: its `report_data` names a key of a virtual TPM, and that key signs, over our nonce, the platform
//! configuration registers in which the guest's boot was measured. So three things are checked one after the other: the
//! hardware report, that it speaks of the TPM's key, and what the TPM says.
//!
//! [`verify_snp`] and [`verify_tdx`] are the only makers of [`Verified`]. What the registers *should* hold is judged by
//! `cloister-policies`. The launch measurement is that of Microsoft's paravisor: on Azure, trust in it and in the
//! virtual TPM that it emulates is part of trusting the guest.
//!
//! | check | what must hold |
//! |---|---|
//! | `az.hcl.format` | the container of the hardware report: lengths, versions, zero padding |
//! | `az.hcl.kind` | it holds a report of the kind that was verified |
//! | `snp.*` or `tdx.*` | the checks of [`crate::snp`] over the report in the container, or of [`crate::tdx`] |
//! | `az.var_data` | `report_data` is the SHA-256 of the runtime data, followed by zeros |
//! | `az.ak` | the runtime data names exactly one attestation key: RSA, at least 2048 bits, exponent 65537 |
//! | `az.quote.format` | a `TPMS_ATTEST` of the type quote over one bank of SHA-256 registers |
//! | `az.quote.signature` | signed by the attestation key: RSASSA-PKCS1-v1_5 with SHA-256 |
//! | `az.nonce` | the quote answers our nonce; not done where none is known |
//! | `az.pcr_digest` | the given register values are those that the quote speaks of |

mod error;
mod hcl;
mod tpm;

pub use error::Error;
pub use hcl::{AttestationKey, HclReport, ReportKind, RuntimeData};
pub use tpm::{HexBytes, Quote, TpmQuote};

use std::collections::BTreeMap;

use crate::check::{Check, Checklist, Outcome, Planned, Rejected, Stage};
use crate::{snp, tdx};

const FETCH: &str = "fetch the evidence again; if it stays malformed, it is none";
const NONCE_CHECK: &str = "az.nonce";
const FORGED: &str = "do not use this machine: the evidence was altered or put together from parts";

const FORMAT_PLAN: &[Planned] = &[
    Planned::required("az.hcl.format", Stage::Parse, FETCH),
    Planned::required("az.hcl.kind", Stage::Parse, "verify the evidence as what it is: SEV-SNP or TDX"),
];

const TPM_PLAN: &[Planned] = &[
    Planned::required("az.var_data", Stage::Binding, FORGED),
    Planned::required("az.ak", Stage::Binding, FETCH),
    Planned::required("az.quote.format", Stage::Parse, FETCH),
    Planned::required("az.quote.signature", Stage::Signature, FORGED),
    Planned::optional(NONCE_CHECK, Stage::Binding, "ask the guest's TPM for a quote over a fresh nonce"),
    Planned::required("az.pcr_digest", Stage::Binding, FORGED),
];

/// What a guest on Azure hands out.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The content of the TPM's NV index 0x01400001.
    pub hcl_report: &'a [u8],
    /// A quote of the TPM, and the registers that it speaks of.
    pub quote: &'a TpmQuote,
    /// The nonce that was sent; none for saved evidence, whose freshness nobody can tell.
    pub nonce: Option<&'a [u8]>,
}

/// Evidence of a guest on Azure that is true. Only this module makes it.
#[derive(Debug, Clone)]
pub struct Verified<H> {
    hardware: H,
    runtime: RuntimeData,
    quote: Quote,
    pcrs: BTreeMap<u8, [u8; 32]>,
    fresh: bool,
    checks: Vec<Check>,
}

impl<H> Verified<H> {
    /// The hardware's report: that of the paravisor.
    #[must_use]
    pub const fn hardware(&self) -> &H {
        &self.hardware
    }

    /// What the paravisor says about the virtual machine.
    #[must_use]
    pub const fn runtime(&self) -> &RuntimeData {
        &self.runtime
    }

    /// What the TPM signed.
    #[must_use]
    pub const fn quote(&self) -> &Quote {
        &self.quote
    }

    /// The SHA-256 registers that the quote covers, by number.
    #[must_use]
    pub const fn pcrs(&self) -> &BTreeMap<u8, [u8; 32]> {
        &self.pcrs
    }

    /// Whether the quote answers a nonce of ours.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Every check that was made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Notes that the caller's data in the quote is a hash over a nonce of ours, which only the caller can know.
    pub(crate) fn answers_our_nonce(&mut self) {
        self.fresh = true;
        for check in self.checks.iter_mut().filter(|check| check.id == NONCE_CHECK) {
            *check = Check {
                result: Outcome::Pass,
                reason: "the quote speaks of the statement together with our nonce".to_owned(),
                fix: None,
                ..check.clone()
            };
        }
    }
}

/// Verifies evidence of an SEV-SNP guest on Azure as of `now_ms` (Unix milliseconds).
///
/// # Errors
///
/// The first step that fails, together with all checks: those after it are reported as not done.
pub fn verify_snp(
    evidence: &Evidence<'_>,
    endorsements: &snp::Endorsements<'_>,
    roots: &snp::Roots,
    now_ms: u64,
) -> Result<Verified<snp::Verified>, Rejected<Error>> {
    let (report, format) = container(evidence, ReportKind::Snp, snp::PLAN)?;
    let hardware = snp::Evidence { report: report.hardware_report_unverified(), endorsements: *endorsements };
    let hardware = snp::verify(&hardware, roots, now_ms).map_err(|rejected| below(&format, rejected, Error::Snp))?;
    let before = [format.as_slice(), hardware.checks()].concat();
    let report_data = hardware.claims().report_data;
    bind(evidence, &report, &report_data, before, hardware)
}

/// Verifies evidence of a TDX guest on Azure as of `now_ms` (Unix milliseconds).
///
/// The container holds only a `TDREPORT`, which nobody elsewhere can check; a quote was made from it, and the quote is
/// what speaks of the TPM's key.
///
/// # Errors
///
/// The first step that fails, together with all checks: those after it are reported as not done.
pub fn verify_tdx(
    evidence: &Evidence<'_>,
    quote: &tdx::Evidence<'_>,
    roots: &tdx::Roots,
    now_ms: u64,
) -> Result<Verified<tdx::Verified>, Rejected<Error>> {
    let (report, format) = container(evidence, ReportKind::Tdx, tdx::PLAN)?;
    let quote = tdx::verify(quote, roots, now_ms).map_err(|rejected| below(&format, rejected, Error::Tdx))?;
    let before = [format.as_slice(), quote.checks()].concat();
    let report_data = quote.report().report_data;
    bind(evidence, &report, &report_data, before, quote)
}

/// A refusal of the hardware's report: the TPM is not looked at.
fn below<E>(format: &[Check], rejected: Rejected<E>, error: impl FnOnce(E) -> Error) -> Rejected<Error> {
    let checks = [format, &rejected.checks, &not_reached(TPM_PLAN)].concat();
    Rejected { checks, error: error(rejected.error) }
}

/// Reads the container. What comes after it, in a refusal, are the checks of the hardware and of the TPM.
fn container<'a>(
    evidence: &Evidence<'a>,
    kind: ReportKind,
    hardware: &[Planned],
) -> Result<(HclReport<'a>, Vec<Check>), Rejected<Error>> {
    let mut checks = Checklist::new(FORMAT_PLAN);
    let report = HclReport::parse(evidence.hcl_report);
    let report = checks.step("az.hcl.format", |_| "well formed".to_owned(), report).and_then(|report| {
        let found = report.kind();
        let right = if found == kind { Ok(()) } else { Err(Error::Kind { found, wanted: kind }) };
        checks.step("az.hcl.kind", |()| format!("a report of the kind {}", kind.name()), right)?;
        Ok(report)
    });
    let checks = checks.into_checks();
    match report {
        Ok(report) => Ok((report, checks)),
        Err(error) => {
            let checks = [checks, not_reached(hardware), not_reached(TPM_PLAN)].concat();
            Err(Rejected { checks, error })
        }
    }
}

/// All checks of evidence over hardware with these checks, none of them made.
pub(crate) fn unmade_checks(hardware: &[Planned]) -> Vec<Check> {
    [FORMAT_PLAN, hardware, TPM_PLAN].into_iter().flat_map(not_reached).collect()
}

fn not_reached(plan: &[Planned]) -> Vec<Check> {
    Checklist::new(plan).into_checks()
}

/// Ties TPM and registers to a hardware report that is true and says `report_data`.
fn bind<H>(
    evidence: &Evidence<'_>,
    report: &HclReport<'_>,
    report_data: &[u8; 64],
    before: Vec<Check>,
    hardware: H,
) -> Result<Verified<H>, Rejected<Error>> {
    let mut checks = Checklist::new(TPM_PLAN);
    let bound = steps(&mut checks, evidence, report, report_data);
    let checks = [before, checks.into_checks()].concat();
    match bound {
        Ok((runtime, quote, pcrs)) => {
            let fresh = evidence.nonce.is_some();
            Ok(Verified { hardware, runtime, quote, pcrs, fresh, checks })
        }
        Err(error) => Err(Rejected { checks, error }),
    }
}

type Bound = (RuntimeData, Quote, BTreeMap<u8, [u8; 32]>);

fn steps(
    checks: &mut Checklist,
    evidence: &Evidence<'_>,
    report: &HclReport<'_>,
    report_data: &[u8; 64],
) -> Result<Bound, Error> {
    let bound = report.runtime_data_is(report_data);
    checks.step("az.var_data", |()| "the hardware report speaks of it".to_owned(), bound)?;
    let runtime = RuntimeData::read(report.runtime_data_unverified());
    let runtime = checks.step("az.ak", |_| "one RSA key".to_owned(), runtime)?;

    let quote = Quote::parse(&evidence.quote.message.0);
    let quote = checks.step("az.quote.format", |quote| format!("over {} registers", quote.pcrs.len()), quote)?;
    let signed = runtime.attestation_key.verify(&evidence.quote.message.0, &evidence.quote.signature.0);
    checks.step("az.quote.signature", |()| "signed by the TPM's attestation key".to_owned(), signed)?;

    match evidence.nonce {
        None => checks.not_done(NONCE_CHECK, "no nonce is known, so this quote may be old"),
        Some(nonce) => {
            let same = if quote.extra_data == nonce { Ok(()) } else { Err(Error::Nonce) };
            checks.step(NONCE_CHECK, |()| "the quote answers our nonce".to_owned(), same)?;
        }
    }
    let values = quote.registers(&evidence.quote.pcrs);
    let pcrs = checks.step("az.pcr_digest", |_| "the registers are those of the quote".to_owned(), values)?;
    Ok((runtime, quote, pcrs))
}
