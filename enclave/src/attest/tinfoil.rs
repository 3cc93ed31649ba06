//! The document of the Tinfoil door, version 2. It has no nonce and speaks of two keys that do not change while the
//! process runs, so that it is minted once, before the certificate that carries its hash.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloister_attestation::document::Tee;
use cloister_attestation::encoding::Digest;
use cloister_attestation::tinfoil;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::{Attestation, Error};

/// `GET /.well-known/tinfoil-attestation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TinfoilDocument {
    /// The kind of evidence; also the header `Tinfoil-Pt` of every reply.
    pub format: &'static str,
    /// The evidence.
    pub body: String,
}

impl TinfoilDocument {
    /// The hash that the certificate's names carry.
    #[must_use]
    pub fn hash(&self) -> Digest {
        tinfoil::document_hash(self.format, &self.body)
    }
}

impl Attestation {
    /// The document about these two keys; none on Azure, for whose evidence Tinfoil has no format. May block for as long
    /// as the hardware takes.
    ///
    /// # Errors
    /// [`Error::Report`] or [`Error::Crowded`].
    pub fn tinfoil_document(&self, spki_sha256: &Digest, hpke: &[u8; 32]) -> Result<Option<TinfoilDocument>, Error> {
        let report_data = tinfoil::report_data(spki_sha256, hpke);
        let (format, body) = match self.tee() {
            // Nothing signs for it, and its format says so.
            Tee::Development => (tinfoil::DEVELOPMENT_FORMAT, hex::encode(report_data)),
            Tee::SevSnp => (tinfoil::SEV_SNP_FORMAT, gzipped(&self.platform.report(&report_data)?.evidence.report.0)?),
            Tee::Tdx => (tinfoil::TDX_FORMAT, gzipped(&self.platform.report(&report_data)?.evidence.report.0)?),
            Tee::AzSnp | Tee::AzTdx => return Ok(None),
        };
        Ok(Some(TinfoilDocument { format, body }))
    }
}

fn gzipped(report: &[u8]) -> Result<String, Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(report).and_then(|()| encoder.finish());
    written.map(|bytes| STANDARD.encode(bytes)).map_err(|_| Error::SelfCheck)
}
