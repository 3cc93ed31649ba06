//! The layout of a TDX quote, versions 4 and 5, read strictly and believed not at all.
//!
//! | part | bytes | what |
//! |---|---|---|
//! | header | 48 | version, key type, TEE type, two reserved words, QE vendor, user data |
//! | v5 only | 6 | body type `u16`, body size `u32` |
//! | body | 584, 648 or 885 | [`TdReport`] |
//! | | 4 | length of the signature data |
//! | signature data | | signature 64, attestation key 64, certification data of type 6 |
//! | of type 6 | | QE report 384, its signature 64, authentication data, certification data of type 5 (or 3) |
//!
//! Layouts: Intel TDX DCAP Quoting Library API, appendix A.3 and A.4. Nothing may follow the signature data but zeros,
//! with which genuine guests pad their buffers. Every length is compared with what is left before it is used.

use super::error::{ChainError, QuoteError};
use super::report::{TD10_BYTES, TD15_BYTES, TD15_EX_BYTES, TdReport};
use crate::reader::Reader;

/// The longest quote that is looked at.
pub const MAX_QUOTE_BYTES: usize = 64 * 1024;

const HEADER_BYTES: usize = 48;
const BODY_DESCRIPTOR_BYTES: usize = 6;
const TEE_TDX: u32 = 0x81;
const KEY_ECDSA_P256: u16 = 2;
const INTEL_QE_VENDOR: [u8; 16] =
    [0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07];
const CERTIFICATION_QE_REPORT: u16 = 6;
const CERTIFICATION_PCK_CHAIN: u16 = 5;
const CERTIFICATION_ENCRYPTED_PPID: u16 = 3;
/// Encrypted PPID (RSA-3072) 384, CPUSVN 16, PCESVN 2, PCEID 2.
const ENCRYPTED_PPID_BYTES: usize = 404;
const QE_AUTH_BYTES: usize = 32;

/// The first 48 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// 4 or 5.
    pub version: u16,
    /// Two words that Intel reserves; older quoting enclaves put their QE and PCE SVN here.
    pub reserved: [u8; 4],
    /// What the quoting enclave adds; its first 16 bytes tell platforms apart.
    pub user_data: [u8; 20],
}

/// How the quoting enclave's PCK certificate is conveyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certification<'a> {
    /// Type 5: the PEM chain itself.
    PckChain(&'a [u8]),
    /// Type 3: only an encrypted platform id; the chain has to come with the collateral.
    EncryptedPpid,
}

/// A quote whose layout is right. Nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote<'a> {
    /// The header.
    pub header: Header,
    /// The TD report of the quoted TD.
    pub report: TdReport,
    /// The quote without padding.
    pub(super) bytes: &'a [u8],
    /// What the attestation key signed: header, body descriptor and body.
    pub(super) signed: &'a [u8],
    /// What the attestation key says, r and s.
    pub(super) signature: &'a [u8; 64],
    /// The attestation key, x and y.
    pub(super) attestation_key: &'a [u8; 64],
    /// The quoting enclave's own report.
    pub(super) qe_report: &'a [u8; 384],
    /// Signature over it by the PCK.
    pub(super) qe_report_signature: &'a [u8; 64],
    /// Data that the quoting enclave hashed together with the attestation key.
    pub(super) qe_auth_data: &'a [u8],
    /// Type of the inner certification data; judged with the chain.
    pub(super) certification_type: u16,
    /// The inner certification data.
    pub(super) certification_data: &'a [u8],
}

impl<'a> Quote<'a> {
    /// Reads the layout.
    ///
    /// # Errors
    ///
    /// One variant per way of not being one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, QuoteError> {
        let header = Header::parse(bytes)?;
        let (report, body_end) = parse_body(&header, bytes)?;
        Self::parse_signature_data(bytes, header, report, body_end)
    }

    /// Reads everything after the body.
    pub(super) fn parse_signature_data(
        bytes: &'a [u8],
        header: Header,
        report: TdReport,
        body_end: usize,
    ) -> Result<Self, QuoteError> {
        const SHORT: QuoteError = QuoteError::Malformed("it ends inside the signature data");
        let (signed, rest) = bytes.split_at_checked(body_end).ok_or(SHORT)?;
        let mut reader = Reader::new(rest);
        let data = reader.slice32().ok_or(SHORT)?;
        let padding = reader.rest();
        let mut data = Reader::new(data);
        let signature = data.array().ok_or(SHORT)?;
        let attestation_key = data.array().ok_or(SHORT)?;
        let outer = data.u16().ok_or(SHORT)?;
        if outer != CERTIFICATION_QE_REPORT {
            return Err(QuoteError::CertificationType(outer));
        }
        let mut certification = Reader::new(data.slice32().ok_or(SHORT)?);
        let qe_report = certification.array().ok_or(SHORT)?;
        let qe_report_signature = certification.array().ok_or(SHORT)?;
        let auth_bytes = certification.u16().ok_or(SHORT)?;
        let qe_auth_data = certification.slice(usize::from(auth_bytes)).ok_or(SHORT)?;
        let certification_type = certification.u16().ok_or(SHORT)?;
        let certification_data = certification.slice32().ok_or(SHORT)?;
        if qe_auth_data.len() != QE_AUTH_BYTES {
            return Err(QuoteError::Malformed("authentication data of the quoting enclave is not 32 bytes"));
        }
        if !data.rest().is_empty() || !certification.rest().is_empty() {
            return Err(QuoteError::Malformed("lengths inside the signature data do not add up"));
        }
        if padding.iter().any(|&byte| byte != 0) {
            return Err(QuoteError::TrailingData);
        }
        let length = bytes.len().saturating_sub(padding.len());
        Ok(Self {
            header,
            report,
            bytes: bytes.get(..length).ok_or(SHORT)?,
            signed,
            signature,
            attestation_key,
            qe_report,
            qe_report_signature,
            qe_auth_data,
            certification_type,
            certification_data,
        })
    }

    /// How the PCK certificate is conveyed.
    pub(super) fn certification(&self) -> Result<Certification<'a>, ChainError> {
        match self.certification_type {
            CERTIFICATION_PCK_CHAIN => Ok(Certification::PckChain(self.certification_data)),
            CERTIFICATION_ENCRYPTED_PPID if self.certification_data.len() == ENCRYPTED_PPID_BYTES => {
                Ok(Certification::EncryptedPpid)
            }
            other => Err(ChainError::CertificationType(other)),
        }
    }
}

impl Header {
    /// Reads the header. The TEE type is looked at first, so that an SGX quote is called what it is.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, QuoteError> {
        const SHORT: QuoteError = QuoteError::Malformed("it ends inside the header");
        if bytes.len() > MAX_QUOTE_BYTES {
            return Err(QuoteError::Malformed("it is longer than 64 KiB"));
        }
        let mut reader = Reader::new(bytes);
        let version = reader.u16().ok_or(SHORT)?;
        let key_type = reader.u16().ok_or(SHORT)?;
        let tee_type = reader.u32().ok_or(SHORT)?;
        let reserved = *reader.array().ok_or(SHORT)?;
        let vendor: &[u8; 16] = reader.array().ok_or(SHORT)?;
        let user_data = *reader.array().ok_or(SHORT)?;
        if tee_type != TEE_TDX {
            return Err(QuoteError::TeeType(tee_type));
        }
        if !matches!(version, 4 | 5) {
            return Err(QuoteError::Version(version));
        }
        if key_type != KEY_ECDSA_P256 {
            return Err(QuoteError::AttestationKeyType(key_type));
        }
        if *vendor != INTEL_QE_VENDOR {
            return Err(QuoteError::Vendor);
        }
        Ok(Self { version, reserved, user_data })
    }
}

/// Reads the body; answers also where it ends.
pub(super) fn parse_body(header: &Header, bytes: &[u8]) -> Result<(TdReport, usize), QuoteError> {
    const SHORT: QuoteError = QuoteError::Malformed("it ends inside the body");
    let rest = bytes.get(HEADER_BYTES..).ok_or(SHORT)?;
    let mut reader = Reader::new(rest);
    let (size, start) = if header.version == 4 {
        (TD10_BYTES, HEADER_BYTES)
    } else {
        let body_type = reader.u16().ok_or(SHORT)?;
        let claimed = reader.u32().ok_or(SHORT)?;
        let claimed = usize::try_from(claimed).map_err(|_| SHORT)?;
        let size = match body_type {
            2 => TD10_BYTES,
            3 => TD15_BYTES,
            4 => TD15_EX_BYTES,
            other => return Err(QuoteError::BodyType(other)),
        };
        if claimed > reader.rest().len() {
            return Err(SHORT);
        }
        if claimed != size {
            return Err(QuoteError::BodySize { body_type, size: claimed });
        }
        (size, HEADER_BYTES + BODY_DESCRIPTOR_BYTES)
    };
    let body = reader.slice(size).ok_or(SHORT)?;
    let report = TdReport::parse(body).ok_or(SHORT)?;
    Ok((report, start + size))
}
