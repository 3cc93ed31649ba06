//! The part of X.509 that Intel's SGX and TDX hierarchy uses, and nothing more.
//!
//! Certificates and revocation lists are parsed as strict DER by `x509-cert`; signatures are checked over the bytes as
//! they came, never over a re-encoding. Only ECDSA P-256 with SHA-256 exists here, and an extension that is critical and
//! unknown is a refusal (RFC 5280, section 4.2).

use x509_cert::Version;
use x509_cert::certificate::TbsCertificate;
use x509_cert::crl::TbsCertList;
use x509_cert::der::asn1::{BitStringRef, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Reader as _, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierRef;
use x509_cert::time::Time;

use super::signatures;
use super::validity::Validity;

/// The longest certificate that is looked at.
pub(super) const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SGX_EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");

/// Why a certificate or revocation list is not one of Intel's making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not strict DER of the right shape, or with something after it.
    #[error("not strict DER")]
    Der,
    /// Longer than anything genuine.
    #[error("too long")]
    Size,
    /// Not an X.509 version 3 certificate (a version 2 list).
    #[error("wrong version")]
    Version,
    /// Signed with something other than ECDSA and SHA-256, or saying two things about it.
    #[error("not signed with ECDSA and SHA-256")]
    Algorithm,
    /// Not an uncompressed P-256 key.
    #[error("not a P-256 key")]
    Key,
    /// An extension that must be understood and is not.
    #[error("unknown critical extension")]
    CriticalExtension,
    /// An extension twice.
    #[error("extension given twice")]
    DuplicateExtension,
    /// No nextUpdate, or dates in the wrong order.
    #[error("dates are missing or in the wrong order")]
    Dates,
}

/// A certificate whose form is right.
#[derive(Debug, Clone)]
pub(super) struct Cert {
    der: Vec<u8>,
    signed: Signed,
    key: [u8; 65],
    pub(super) serial: Vec<u8>,
    pub(super) issuer: Name,
    pub(super) subject: Name,
    pub(super) validity: Validity,
    pub(super) ca: bool,
    pub(super) path_len: Option<u8>,
    pub(super) cert_sign: bool,
    pub(super) crl_sign: bool,
    pub(super) sgx_extension: Option<Vec<u8>>,
}

/// What was signed, and the signature.
#[derive(Debug, Clone)]
struct Signed {
    content: Vec<u8>,
    signature: Vec<u8>,
}

impl Cert {
    pub(super) fn parse(der: &[u8]) -> Result<Self, Malformed> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(Malformed::Size);
        }
        let signed = Signed::parse(der)?;
        let tbs = TbsCertificate::from_der(&signed.content).map_err(|_| Malformed::Der)?;
        if tbs.version != Version::V3 {
            return Err(Malformed::Version);
        }
        if tbs.signature.oid != ECDSA_WITH_SHA256 || tbs.signature.parameters.is_some() {
            return Err(Malformed::Algorithm);
        }
        let spki = &tbs.subject_public_key_info;
        let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        if spki.algorithm.oid != EC_PUBLIC_KEY || curve != Some(P256) {
            return Err(Malformed::Key);
        }
        let point = spki.subject_public_key.as_bytes().ok_or(Malformed::Key)?;
        let key: [u8; 65] = point.try_into().map_err(|_| Malformed::Key)?;
        if key.first() != Some(&4) {
            return Err(Malformed::Key);
        }
        let extensions = tbs.extensions.unwrap_or_default();
        check_extensions(&extensions, &[BASIC_CONSTRAINTS, KEY_USAGE])?;
        let constraints = decode::<BasicConstraints>(find(&extensions, BASIC_CONSTRAINTS))?;
        let usage = decode::<KeyUsage>(find(&extensions, KEY_USAGE))?;
        let validity = validity(tbs.validity.not_before, tbs.validity.not_after)?;
        let sgx_extension = find(&extensions, SGX_EXTENSION).map(<[u8]>::to_vec);
        Ok(Self {
            der: der.to_vec(),
            key,
            serial: tbs.serial_number.as_bytes().to_vec(),
            issuer: tbs.issuer,
            subject: tbs.subject,
            validity,
            ca: constraints.as_ref().is_some_and(|constraints| constraints.ca),
            path_len: constraints.and_then(|constraints| constraints.path_len_constraint),
            cert_sign: usage.as_ref().is_some_and(KeyUsage::key_cert_sign),
            crl_sign: usage.as_ref().is_some_and(KeyUsage::crl_sign),
            sgx_extension,
            signed,
        })
    }

    /// The bytes that it was parsed from.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// The text of its subject's only common name.
    pub(super) fn common_name(&self) -> Option<&str> {
        let mut names = self.subject.0.iter().flat_map(|rdn| rdn.0.iter()).filter(|name| name.oid == COMMON_NAME);
        let name = names.next().filter(|_| names.next().is_none())?;
        std::str::from_utf8(name.value.value()).ok()
    }

    /// Whether this certificate's key signed `other`.
    pub(super) fn issued(&self, other: &Self) -> bool {
        other.signed.verifies_under(&self.key)
    }

    /// Whether this certificate's key signed `list`.
    pub(super) fn issued_list(&self, list: &Crl) -> bool {
        list.signed.verifies_under(&self.key)
    }

    /// Whether this certificate's key made the signature (r ‖ s) over `message`.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        signatures::verify_fixed(&self.key, message, signature)
    }
}

/// A revocation list whose form is right.
#[derive(Debug, Clone)]
pub(super) struct Crl {
    signed: Signed,
    pub(super) issuer: Name,
    pub(super) validity: Validity,
    revoked: Vec<Vec<u8>>,
}

impl Crl {
    pub(super) fn parse(der: &[u8]) -> Result<Self, Malformed> {
        let signed = Signed::parse(der)?;
        let tbs = TbsCertList::from_der(&signed.content).map_err(|_| Malformed::Der)?;
        if tbs.version != Version::V2 {
            return Err(Malformed::Version);
        }
        if tbs.signature.oid != ECDSA_WITH_SHA256 || tbs.signature.parameters.is_some() {
            return Err(Malformed::Algorithm);
        }
        check_extensions(&tbs.crl_extensions.unwrap_or_default(), &[])?;
        let mut revoked = Vec::new();
        for entry in tbs.revoked_certificates.unwrap_or_default() {
            check_extensions(&entry.crl_entry_extensions.unwrap_or_default(), &[])?;
            revoked.push(entry.serial_number.as_bytes().to_vec());
        }
        let validity = validity(tbs.this_update, tbs.next_update.ok_or(Malformed::Dates)?)?;
        Ok(Self { issuer: tbs.issuer, validity, revoked, signed })
    }

    /// Whether it lists the certificate.
    pub(super) fn revokes(&self, certificate: &Cert) -> bool {
        self.revoked.contains(&certificate.serial)
    }
}

impl Signed {
    fn parse(der: &[u8]) -> Result<Self, Malformed> {
        let mut reader = SliceReader::new(der).map_err(|_| Malformed::Der)?;
        let parts = reader.sequence(|inner| {
            let content = inner.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierRef::decode(inner)?;
            let signature = BitStringRef::decode(inner)?;
            Ok((content, algorithm, signature))
        });
        let (content, algorithm, signature) = parts.map_err(|_| Malformed::Der)?;
        reader.finish(()).map_err(|_| Malformed::Der)?;
        if algorithm.oid != ECDSA_WITH_SHA256 || algorithm.parameters.is_some() {
            return Err(Malformed::Algorithm);
        }
        let signature = signature.as_bytes().ok_or(Malformed::Der)?;
        Ok(Self { content: content.to_vec(), signature: signature.to_vec() })
    }

    fn verifies_under(&self, key: &[u8; 65]) -> bool {
        signatures::verify(key, &self.content, &self.signature)
    }
}

/// Refuses unknown critical extensions, and repeated ones.
fn check_extensions(extensions: &[Extension], critical: &[ObjectIdentifier]) -> Result<(), Malformed> {
    for (at, extension) in extensions.iter().enumerate() {
        if extension.critical && !critical.contains(&extension.extn_id) {
            return Err(Malformed::CriticalExtension);
        }
        if extensions.iter().skip(at + 1).any(|other| other.extn_id == extension.extn_id) {
            return Err(Malformed::DuplicateExtension);
        }
    }
    Ok(())
}

fn find(extensions: &[Extension], oid: ObjectIdentifier) -> Option<&[u8]> {
    extensions.iter().find(|extension| extension.extn_id == oid).map(|found| found.extn_value.as_bytes())
}

fn decode<'d, T: Decode<'d>>(der: Option<&'d [u8]>) -> Result<Option<T>, Malformed> {
    der.map(T::from_der).transpose().map_err(|_| Malformed::Der)
}

fn validity(from: Time, until: Time) -> Result<Validity, Malformed> {
    Validity::new(from.to_unix_duration().as_secs(), until.to_unix_duration().as_secs()).ok_or(Malformed::Dates)
}

/// Whether two names are the same, byte for byte.
pub(super) fn same_name(one: &Name, other: &Name) -> bool {
    match (one.to_der(), other.to_der()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
