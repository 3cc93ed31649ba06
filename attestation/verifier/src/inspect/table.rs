//! The certificate table that the host gives beside a report, in words.

use cloister_attestation::encoding::sha256;
use cloister_attestation::snp::table::Table;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::sheet::Sheet;

pub(super) fn sheet(bytes: &[u8]) -> Result<Sheet, String> {
    let table = Table::parse(bytes).map_err(|error| error.to_string())?;
    let mut sheet = Sheet::default();
    for (name, der) in [("vcek", table.vcek), ("vlek", table.vlek), ("ask", table.ask), ("ark", table.ark)] {
        let Some(der) = der else { continue };
        let mut inner = Sheet::default();
        match Certificate::from_der(der) {
            Ok(certificate) => {
                let certificate = certificate.tbs_certificate;
                inner.put("subject", certificate.subject.to_string());
                inner.put("issuer", certificate.issuer.to_string());
                inner.put("not_before", certificate.validity.not_before.to_string());
                inner.put("not_after", certificate.validity.not_after.to_string());
            }
            Err(_) => inner.explain("bytes", der.len(), "not a certificate, as it should be"),
        }
        inner.put("sha256", sha256(der));
        sheet.nest(name, inner);
    }
    Ok(sheet)
}
