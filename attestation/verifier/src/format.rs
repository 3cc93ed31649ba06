//! What kind of evidence is this file? Told by its beginning and its length; whether it is well formed shows later.
//!
//! Only bare evidence is taken. What the kernel's interfaces wrap around it is recognised and named, so that nobody has to
//! guess, but it is never stripped silently: bytes that somebody put around evidence are not evidence.

use cloister_attestation::snp::REPORT_BYTES;
use cloister_attestation::snp::table::Table;

const HCL_MAGIC: &[u8] = b"HCLA";
/// Version, key type and TEE type of a quote's header.
const QUOTE_HEAD_BYTES: usize = 8;
/// `struct snp_report_resp`: status, size and 24 reserved bytes come before the report (linux/sev-guest.h).
const IOCTL_HEADER_BYTES: usize = 32;

/// A kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A SEV-SNP attestation report.
    SnpReport,
    /// A quote of Intel's; of a TD, or of something else, which its reader then says.
    Quote,
    /// The container of Azure's paravisor.
    HclReport,
    /// The host's table of certificates: no evidence, but it comes beside it.
    CertificateTable,
    /// JSON of some kind.
    Json,
}

/// Tells the kind. The error says what the file is instead, and what to do.
pub(crate) fn detect(bytes: &[u8]) -> Result<Kind, String> {
    if bytes.starts_with(HCL_MAGIC) {
        return Ok(Kind::HclReport);
    }
    if bytes.len() == REPORT_BYTES {
        return Ok(Kind::SnpReport);
    }
    if bytes.trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'{' | b'[')) {
        return Ok(Kind::Json);
    }
    if is_quote(bytes) {
        return Ok(Kind::Quote);
    }
    if Table::parse(bytes).is_ok_and(|table| table != Table::default()) {
        return Ok(Kind::CertificateTable);
    }
    if is_wrapped_report(bytes) {
        let (from, report) = (IOCTL_HEADER_BYTES + 1, REPORT_BYTES);
        return Err(format!(
            "this is the answer of the kernel's ioctl, with a header of {IOCTL_HEADER_BYTES} bytes before the report; \
             cut the report out: tail -c +{from} FILE | head -c {report}"
        ));
    }
    Err(format!(
        "neither a SEV-SNP report ({REPORT_BYTES} bytes; this has {}), nor a TDX quote, nor an Azure HCL report, nor JSON",
        bytes.len()
    ))
}

/// Versions 3 to 5 with a key type and a TEE type that exist: SGX or TDX.
fn is_quote(bytes: &[u8]) -> bool {
    let Some([version, 0, key, 0, tee, 0, 0, 0]) = bytes.first_chunk::<QUOTE_HEAD_BYTES>() else { return false };
    matches!(version, 3..=5) && matches!(key, 2 | 3) && matches!(tee, 0 | 0x81)
}

fn is_wrapped_report(bytes: &[u8]) -> bool {
    let Some(([0, 0, 0, 0, size @ ..], rest)) = bytes.split_first_chunk::<8>() else { return false };
    usize::try_from(u32::from_le_bytes(*size)) == Ok(REPORT_BYTES)
        && rest.len() >= IOCTL_HEADER_BYTES - 8 + REPORT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(detect(&[0; REPORT_BYTES]), Ok(Kind::SnpReport));
        assert_eq!(detect(b"HCLA and more"), Ok(Kind::HclReport));
        assert_eq!(detect(b" \n{}"), Ok(Kind::Json));
        assert_eq!(detect(&[4, 0, 2, 0, 0x81, 0, 0, 0, 9]), Ok(Kind::Quote));
        assert_eq!(detect(&[3, 0, 2, 0, 0, 0, 0, 0, 9]), Ok(Kind::Quote), "an SGX quote, for its reader to refuse");
        assert!(detect(&[7, 0, 2, 0, 0x81, 0, 0, 0]).is_err());
        assert!(detect(&[]).is_err());
    }

    #[test]
    fn a_wrapped_report_is_named_and_not_taken() {
        let mut wrapped = vec![0; IOCTL_HEADER_BYTES + REPORT_BYTES];
        wrapped.splice(4..8, u32::to_le_bytes(1184));
        assert!(detect(&wrapped).is_err_and(|text| text.contains("tail -c +33")));
    }
}
