//! The container of Azure's paravisor, in words.

use cloister_attestation::azure::{HclReport, ReportKind};
use serde_json::Value;

use super::sheet::Sheet;
use super::snp;

pub(super) fn sheet(bytes: &[u8]) -> Result<Sheet, String> {
    let report = HclReport::parse(bytes).map_err(|error| error.to_string())?;
    let mut sheet = Sheet::default();
    let meaning = match report.kind() {
        ReportKind::Snp => "a SEV-SNP report of the paravisor",
        ReportKind::Tdx => "a TDREPORT, which only the machine that made it can check: the quote made of it counts",
    };
    sheet.explain("report_type", report.kind().name(), meaning);
    match report.check_own_binding() {
        Ok(()) => sheet.explain("binding", true, "the hardware report in it names the runtime data"),
        Err(error) => sheet.explain("binding", false, error.to_string()),
    }
    let runtime = report.runtime_data_unverified();
    match serde_json::from_slice::<Value>(runtime) {
        Ok(json) => sheet.put("runtime_data", json),
        Err(_) => sheet.explain("runtime_data", String::from_utf8_lossy(runtime), "not JSON, as it should be"),
    }
    if report.kind() == ReportKind::Snp {
        sheet.nest("snp", snp::sheet(report.hardware_report_unverified())?);
    }
    Ok(sheet)
}
