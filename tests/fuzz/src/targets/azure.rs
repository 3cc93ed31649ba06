//! Azure: the paravisor's container, the TPM's quote, and the whole verification.

use cloister_attestation::azure::{Evidence, HclReport, ReportKind, TpmQuote, verify_snp, verify_tdx};
use cloister_attestation::{snp, tdx};

use super::{no_failure, one_failure};
use crate::parts::{milliseconds, optional, split};

/// Parts: time, VEK, TDX quote, the TPM's quote, the container. Which hardware it is of is up to the container.
pub(crate) fn verify(data: &[u8]) {
    let [time, vek, td_quote, tpm_quote, hcl_report] = split(data);
    let Ok(quote) = TpmQuote::from_json(tpm_quote) else { return };
    let evidence = Evidence { hcl_report, quote: &quote, nonce: None };
    let now_ms = milliseconds(time);
    let hardware = HclReport::parse(hcl_report).map(|report| report.kind());
    if hardware == Ok(ReportKind::Tdx) {
        let td_quote = tdx::Evidence { quote: td_quote, collateral: None };
        match verify_tdx(&evidence, &td_quote, &tdx::Roots::pinned(), now_ms) {
            Ok(verified) => no_failure(verified.checks()),
            Err(rejected) => one_failure(&rejected.checks, Some(rejected.error.stage())),
        }
        return;
    }
    let endorsements = snp::Endorsements { vek: optional(vek), ..snp::Endorsements::default() };
    match verify_snp(&evidence, &endorsements, &snp::Roots::pinned(), now_ms) {
        Ok(verified) => {
            no_failure(verified.checks());
            assert_eq!(hardware, Ok(ReportKind::Snp));
        }
        Err(rejected) => one_failure(&rejected.checks, Some(rejected.error.stage())),
    }
}

/// The container alone.
pub(crate) fn hcl(data: &[u8]) {
    let Ok(report) = HclReport::parse(data) else { return };
    let _ = report.check_own_binding();
    assert!(report.runtime_data_unverified().len() <= data.len());
}

/// The TPM's quote alone: its JSON, as far as it can be read without the key.
pub(crate) fn quote(data: &[u8]) {
    if let Ok(quote) = TpmQuote::from_json(data) {
        assert!(quote.message.0.len() + quote.signature.0.len() + quote.pcrs.len() * 32 <= data.len());
    }
}
