//! The evidence itself, put before the verification of its kind with what came along.

use cloister_attestation::azure::{self, HclReport, ReportKind, TpmQuote};
use cloister_attestation::check::Rejected;
use cloister_attestation::tdx::TcbVerdict;
use cloister_attestation::verify::{Error, Hardware};
use cloister_attestation::{snp, tdx};
use serde_json::{Value, json};

use crate::args::EvidenceArgs;
use crate::failure::Failure;
use crate::format::Kind;
use crate::input;
use crate::judge::Judge;

const MAX_TPM_QUOTE_BYTES: usize = 16 << 10;

/// True evidence, or why it is not.
pub(super) type Verdict = Result<Hardware, Rejected<Error>>;

/// Verifies it.
pub(super) fn verify(
    args: &EvidenceArgs,
    judge: &Judge,
    (kind, evidence): (Kind, &[u8]),
    now_ms: u64,
) -> Result<Verdict, Failure> {
    if kind != Kind::HclReport && args.tpm_quote.is_some() {
        return Err(Failure::Usage("--tpm-quote belongs to an Azure HCL report".to_owned()));
    }
    let supplied = judge.supplied();
    Ok(match kind {
        Kind::SnpReport => {
            let evidence = snp::Evidence { report: evidence, endorsements: supplied.snp().endorsements() };
            let verified = snp::verify(&evidence, &judge.trust().snp, now_ms);
            verified.map(|report| Hardware::Snp(Box::new(report))).map_err(|refusal| refusal.map(Error::Snp))
        }
        Kind::Quote => {
            let evidence = tdx::Evidence { quote: evidence, collateral: supplied.tdx() };
            let verified = tdx::verify(&evidence, &judge.trust().tdx, now_ms);
            verified.map(|quote| Hardware::Tdx(Box::new(quote))).map_err(|refusal| refusal.map(Error::Tdx))
        }
        Kind::HclReport => verify_guest(args, judge, evidence, now_ms)?,
        Kind::CertificateTable => {
            return Err(Failure::Usage(
                "certificates are no evidence: give the report, and these by --endorsements".to_owned(),
            ));
        }
        Kind::Json => return Err(Failure::Usage("a document is verified by its own procedure".to_owned())),
    })
}

/// A guest on Azure, over whichever hardware its container says.
fn verify_guest(args: &EvidenceArgs, judge: &Judge, hcl_report: &[u8], now_ms: u64) -> Result<Verdict, Failure> {
    let Some(path) = &args.tpm_quote else {
        return Err(Failure::Usage(
            "an Azure HCL report alone says nothing about the guest: give its TPM's quote, --tpm-quote FILE".to_owned(),
        ));
    };
    let quote = match TpmQuote::from_json(&input::read(path, MAX_TPM_QUOTE_BYTES)?) {
        Ok(quote) => quote,
        Err(error) => return Ok(Err(Rejected { checks: Vec::new(), error: Error::Azure(error) })),
    };
    let nonce = args.nonce.as_ref().map(|nonce| nonce.0.as_slice());
    let evidence = azure::Evidence { hcl_report, quote: &quote, nonce };
    let of_tdx = HclReport::parse(hcl_report).is_ok_and(|report| report.kind() == ReportKind::Tdx);
    let supplied = judge.supplied();
    Ok(if of_tdx {
        let Some(path) = &args.td_quote else {
            return Err(Failure::Usage(
                "evidence of TDX on Azure needs the quote beside it: --td-quote FILE".to_owned(),
            ));
        };
        let td_quote = input::read(path, tdx::MAX_QUOTE_BYTES)?;
        let below = tdx::Evidence { quote: &td_quote, collateral: supplied.tdx() };
        let verified = azure::verify_tdx(&evidence, &below, &judge.trust().tdx, now_ms);
        verified.map(|guest| Hardware::AzTdx(Box::new(guest))).map_err(|refusal| refusal.map(Error::Azure))
    } else {
        let verified = azure::verify_snp(&evidence, &supplied.snp().endorsements(), &judge.trust().snp, now_ms);
        verified.map(|guest| Hardware::AzSnp(Box::new(guest))).map_err(|refusal| refusal.map(Error::Azure))
    })
}

/// Intel's judgement of the platform, as the report shows it.
pub(super) fn tcb(tcb: &TcbVerdict) -> Value {
    json!({
        "status": tcb.status.name(),
        "evaluation_number": tcb.evaluation_number,
        "advisories": tcb.advisories,
    })
}
