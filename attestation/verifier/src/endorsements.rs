//! What the user has of AMD's and Intel's certificates and lists: files and folders, told by their content.
//!
//! | content | what it is |
//! |---|---|
//! | JSON | collateral, as `collateral fetch` writes it and as documents carry it |
//! | DER or PEM certificate | by its subject: a VCEK or VLEK, an ASK or ASVK, an ARK |
//! | DER revocation list | AMD's |
//! | anything else that reads as one | the certificate table that the host gives beside a report |
//!
//! Nothing is judged here: what is false is found out by the verification, which gets it.

use std::path::{Path, PathBuf};

use cloister_attestation::document::{Document, SnpCollateral, Tee};
use cloister_attestation::encoding::Base64;
use cloister_attestation::snp::table::Table;
use cloister_attestation::tdx;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;

use crate::failure::Failure;
use crate::input;

const MAX_FILE_BYTES: usize = tdx::MAX_COLLATERAL_BYTES;
/// Files of a folder that are looked at.
const MAX_FILES: usize = 64;
/// Certificates in one PEM file: a leaf and its chain.
const MAX_CERTIFICATES: usize = 8;

/// What the user has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Supplied {
    snp: SnpCollateral,
    tdx: Option<tdx::Collateral>,
}

impl Supplied {
    /// Reads the files, and the files of the folders, that the user named.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut supplied = Self::default();
        for path in paths {
            if path.is_dir() {
                for file in files_of(path)? {
                    // A folder may hold other things beside; a file that was named has to be something.
                    let _ = supplied.add(&input::read(&file, MAX_FILE_BYTES)?);
                }
            } else if !supplied.add(&input::read(path, MAX_FILE_BYTES)?) {
                return Err(Failure::Usage(format!(
                    "{}: neither collateral (JSON), nor a certificate or revocation list of AMD's, nor a certificate table",
                    path.display()
                )));
            }
        }
        Ok(supplied)
    }

    /// AMD's certificates and list.
    pub(crate) const fn snp(&self) -> &SnpCollateral {
        &self.snp
    }

    /// What Intel publishes.
    pub(crate) const fn tdx(&self) -> Option<&tdx::Collateral> {
        self.tdx.as_ref()
    }

    /// Puts what the user has into a document, in the place of what it carries: whoever names a file means it. What is
    /// no document stays as it is, for the verification to refuse.
    pub(crate) fn complete(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut document = Document::parse(bytes).ok()?;
        let own = match Tee::from_name(&document.evidence.tee)? {
            Tee::SevSnp | Tee::AzSnp => serde_json::to_value(&self.snp),
            Tee::Tdx | Tee::AzTdx => serde_json::to_value(self.tdx.as_ref()?),
            Tee::Development => return None,
        };
        let Ok(Value::Object(own)) = own else { return None };
        if own.is_empty() {
            return None;
        }
        document.collateral.extend(own);
        serde_json::to_vec(&document).ok()
    }

    /// Takes one file's content; false if it is nothing that is known.
    fn add(&mut self, bytes: &[u8]) -> bool {
        if bytes.trim_ascii_start().starts_with(b"{") {
            return self.add_json(bytes);
        }
        if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
            let certificates = CertificateDer::pem_slice_iter(bytes).take(MAX_CERTIFICATES);
            let found: Vec<bool> = certificates.flatten().map(|der| self.add_certificate(&der)).collect();
            return found.contains(&true);
        }
        if self.add_certificate(bytes) {
            return true;
        }
        if CertificateList::from_der(bytes).is_ok() {
            self.snp.crl = Some(Base64(bytes.to_vec()));
            return true;
        }
        self.add_table(bytes)
    }

    fn add_json(&mut self, bytes: &[u8]) -> bool {
        if let Ok(collateral) = tdx::Collateral::from_json(bytes) {
            self.tdx = Some(collateral);
            return true;
        }
        let Ok(collateral) = serde_json::from_slice::<SnpCollateral>(bytes) else { return false };
        if collateral == SnpCollateral::default() {
            return false;
        }
        let SnpCollateral { vek, ask, ark, crl } = collateral;
        let SnpCollateral { vek: own_vek, ask: own_ask, ark: own_ark, crl: own_crl } = &mut self.snp;
        for (own, found) in [(own_vek, vek), (own_ask, ask), (own_ark, ark), (own_crl, crl)] {
            *own = found.or_else(|| own.take());
        }
        true
    }

    fn add_certificate(&mut self, der: &[u8]) -> bool {
        let Ok(certificate) = Certificate::from_der(der) else { return false };
        let subject = certificate.tbs_certificate.subject.to_string();
        let Some(name) = subject.split(',').find_map(|part| part.trim().strip_prefix("CN=")) else { return false };
        let slot = match name {
            "SEV-VCEK" | "SEV-VLEK" => &mut self.snp.vek,
            name if name.starts_with("SEV-") => &mut self.snp.ask,
            name if name.starts_with("ARK-") => &mut self.snp.ark,
            _ => return false,
        };
        *slot = Some(Base64(der.to_vec()));
        true
    }

    /// The leaf of the host's table; its intermediates and root are known better than the host knows them.
    fn add_table(&mut self, bytes: &[u8]) -> bool {
        let Ok(table) = Table::parse(bytes) else { return false };
        let Some(vek) = table.vcek.or(table.vlek) else { return false };
        self.snp.vek = Some(Base64(vek.to_vec()));
        true
    }
}

/// The files of a folder, by name, so that every run sees them in the same order.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |source| Failure::File { path: folder.display().to_string(), source };
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    files.truncate(MAX_FILES);
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nothing_is_not_taken() {
        let mut supplied = Supplied::default();
        for bytes in [
            b"".as_slice(),
            b"{}",
            b"{}x",
            b"[]",
            b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            &[0; 64],
        ] {
            assert!(!supplied.add(bytes), "{bytes:?}");
        }
        assert_eq!(supplied.snp, SnpCollateral::default());
    }
}
