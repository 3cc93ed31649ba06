//! An attestation document, in words, with the report in it.

use cloister_attestation::document::{Document, Tee};

use super::sheet::Sheet;
use super::{azure, snp, tdx};

pub(super) fn sheet(bytes: &[u8]) -> Result<Sheet, String> {
    let document = Document::parse(bytes).map_err(|error| error.to_string())?;
    let mut sheet = Sheet::default();
    match document.nonce {
        Some(nonce) => sheet.explain("nonce", nonce, "made for this nonce; whether it was yours, only you know"),
        None => sheet.explain("nonce", (), "made for no nonce: it may be old"),
    }
    let statement = serde_json::to_value(&document.statement).map_err(|error| error.to_string())?;
    for (name, value) in statement.as_object().into_iter().flatten() {
        sheet.put(format!("statement.{name}"), value);
    }
    let report = &document.evidence.report.0;
    match Tee::from_name(&document.evidence.tee) {
        Some(Tee::SevSnp) => sheet.nest("snp", snp::sheet(report)?),
        Some(Tee::Tdx) => sheet.nest("tdx", tdx::sheet(report)?),
        Some(Tee::AzSnp | Tee::AzTdx) => sheet.nest("azure", azure::sheet(report)?),
        Some(Tee::Development) => {
            sheet.explain(
                "tee",
                "development",
                "DEVELOPMENT, NOT CONFIDENTIAL: no hardware protects this machine's memory",
            );
        }
        None => sheet.explain("tee", &document.evidence.tee, "a kind of evidence that this build does not know"),
    }
    for name in document.collateral.keys() {
        sheet.put(format!("collateral.{name}"), "present");
    }
    Ok(sheet)
}
