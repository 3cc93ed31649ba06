//! X.509 as AMD issues it: DER without trailing bytes, RSASSA-PSS with one set of parameters, no unknown critical
//! extension.
//!
//! Signatures are checked over the bytes as received; the parsed form is only read.

use ring::signature::{RSA_PSS_2048_8192_SHA384, UnparsedPublicKey};
use x509_cert::Version;
use x509_cert::der::asn1::{BitStringRef, UintRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{self, Decode as _, Encode as _, Reader as _, SliceReader, Tag, Tagged as _};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::name::Name;

use super::error::{Error, Role};

/// Certificates above this are not looked at; AMD's have under 2 KiB.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

const RSA_MODULUS_BYTES: usize = 512;
const RSA_EXPONENT: &[u8] = &[1, 0, 1];

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");

/// `AlgorithmIdentifier` of RSASSA-PSS with SHA-384, MGF1 with SHA-384, salt 48 and the trailer by default (RFC 4055).
const PSS_SHA384: &[u8] = &[
    0x30, 0x41, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A, 0x30, 0x34, 0xA0, 0x0F, 0x30, 0x0D,
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xA1, 0x1C, 0x30, 0x1A, 0x06, 0x09,
    0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x02, 0x05, 0x00, 0xA2, 0x03, 0x02, 0x01, 0x30,
];
/// The same with the trailer spelled out, as AMD's own roots have it.
const PSS_SHA384_TRAILER: &[u8] = &[
    0x30, 0x46, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A, 0x30, 0x39, 0xA0, 0x0F, 0x30, 0x0D,
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xA1, 0x1C, 0x30, 0x1A, 0x06, 0x09,
    0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x02, 0x05, 0x00, 0xA2, 0x03, 0x02, 0x01, 0x30, 0xA3, 0x03, 0x02, 0x01, 0x01,
];

/// The three parts of a signed X.509 structure, as received.
pub(crate) struct Signed<'a> {
    /// What is signed.
    pub(crate) body: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Splits `SEQUENCE { body, algorithm, BIT STRING }` without a byte left over.
    pub(crate) fn split(bytes: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(bytes)?;
        let parts = reader.sequence(|parts| {
            let (body, algorithm) = (parts.tlv_bytes()?, parts.tlv_bytes()?);
            let signature = BitStringRef::decode(parts)?;
            let signature = signature.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
            Ok(Self { body, algorithm, signature })
        })?;
        reader.finish(parts)
    }

    /// Whether it claims to be signed with AMD's parameters.
    pub(crate) fn has_pss_parameters(&self) -> bool {
        self.algorithm == PSS_SHA384 || self.algorithm == PSS_SHA384_TRAILER
    }

    /// Whether the signature is that of `key`, with the parameters of [`Self::has_pss_parameters`] whatever it claims.
    pub(crate) fn is_signed_by(&self, key: &RsaKey<'_>) -> bool {
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA384, key.0).verify(self.body, self.signature).is_ok()
    }
}

/// An RSA-4096 key with the exponent 65537, as `RSAPublicKey` DER.
pub(crate) struct RsaKey<'a>(&'a [u8]);

/// A certificate whose form is right.
pub(crate) struct Certificate<'a> {
    role: Role,
    signed: Signed<'a>,
    parsed: x509_cert::Certificate,
}

impl<'a> Certificate<'a> {
    pub(crate) fn parse(role: Role, bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |what| Error::Malformed { role, what };
        if bytes.len() > MAX_CERTIFICATE_BYTES {
            return Err(malformed("too large"));
        }
        let signed = Signed::split(bytes).map_err(|_| malformed("not DER"))?;
        let parsed = x509_cert::Certificate::from_der(bytes).map_err(|_| malformed("not a certificate"))?;
        let body = &parsed.tbs_certificate;
        if body.version != Version::V3 {
            return Err(malformed("not version 3"));
        }
        if body.signature != parsed.signature_algorithm {
            return Err(malformed("names two signature algorithms"));
        }
        let extensions = body.extensions.as_deref().unwrap_or_default();
        for (index, extension) in extensions.iter().enumerate() {
            if extension.critical && ![BASIC_CONSTRAINTS, KEY_USAGE].contains(&extension.extn_id) {
                return Err(malformed("unknown critical extension"));
            }
            if extensions.iter().skip(index + 1).any(|other| other.extn_id == extension.extn_id) {
                return Err(malformed("an extension twice"));
            }
        }
        if signed.has_pss_parameters() {
            Ok(Self { role, signed, parsed })
        } else {
            Err(Error::SignatureParameters(role))
        }
    }

    pub(crate) const fn subject(&self) -> &Name {
        &self.parsed.tbs_certificate.subject
    }

    pub(crate) const fn issuer(&self) -> &Name {
        &self.parsed.tbs_certificate.issuer
    }

    pub(crate) fn serial(&self) -> &[u8] {
        self.parsed.tbs_certificate.serial_number.as_bytes()
    }

    /// The subject's common name, if there is exactly one and it is text.
    pub(crate) fn common_name(&self) -> Option<&str> {
        let attributes = self.subject().0.iter().flat_map(|part| part.0.iter());
        let mut names = attributes.filter(|attribute| attribute.oid == COMMON_NAME);
        let (name, None) = (names.next()?, names.next()) else { return None };
        let text = matches!(name.value.tag(), Tag::Utf8String | Tag::PrintableString);
        text.then(|| std::str::from_utf8(name.value.value()).ok()).flatten()
    }

    /// From when to when it is valid, Unix seconds, both inclusive.
    pub(crate) fn validity(&self) -> (u64, u64) {
        let validity = &self.parsed.tbs_certificate.validity;
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        (seconds(validity.not_before), seconds(validity.not_after))
    }

    pub(crate) fn check_time(&self, now: u64) -> Result<(), Error> {
        let (role, (not_before, not_after)) = (self.role, self.validity());
        if now < not_before {
            Err(Error::NotYetValid { role, not_before })
        } else if now > not_after {
            Err(Error::Expired { role, not_after })
        } else {
            Ok(())
        }
    }

    pub(crate) fn is_signed_by(&self, key: &RsaKey<'_>) -> bool {
        self.signed.is_signed_by(key)
    }

    /// Whether it says that it may issue certificates: basic constraints and key usage, both present.
    pub(crate) fn may_issue(&self) -> bool {
        let constraints = self.extension(BASIC_CONSTRAINTS).map(BasicConstraints::from_der);
        let usage = self.extension(KEY_USAGE).map(KeyUsage::from_der);
        constraints.is_some_and(|value| value.is_ok_and(|value| value.ca))
            && usage.is_some_and(|value| value.is_ok_and(|value| value.key_cert_sign()))
    }

    /// The content of an extension's octet string.
    pub(crate) fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        self.extensions().find(|(own, _)| *own == oid).map(|(_, value)| value)
    }

    pub(crate) fn extensions(&self) -> impl Iterator<Item = (ObjectIdentifier, &[u8])> {
        let extensions = self.parsed.tbs_certificate.extensions.as_deref().unwrap_or_default();
        extensions.iter().map(|extension| (extension.extn_id, extension.extn_value.as_bytes()))
    }

    /// Its RSA-4096 key.
    pub(crate) fn rsa_key(&self) -> Result<RsaKey<'_>, Error> {
        let malformed = Error::Malformed { role: self.role, what: "key is not RSA-4096 with exponent 65537" };
        let info = &self.parsed.tbs_certificate.subject_public_key_info;
        let parameters_are_null = info.algorithm.parameters.as_ref().is_some_and(der::asn1::Any::is_null);
        let Some(key) = info.subject_public_key.as_bytes() else { return Err(malformed) };
        let right = info.algorithm.oid == RSA_ENCRYPTION && parameters_are_null && is_rsa_4096(key);
        if right { Ok(RsaKey(key)) } else { Err(malformed) }
    }

    /// Its P-384 key: an uncompressed point.
    pub(crate) fn p384_key(&self) -> Result<[u8; 97], Error> {
        let info = &self.parsed.tbs_certificate.subject_public_key_info;
        let curve = info.algorithm.parameters.as_ref().and_then(|value| value.decode_as::<ObjectIdentifier>().ok());
        let right = info.algorithm.oid == EC_PUBLIC_KEY && curve == Some(SECP384R1);
        let point = info.subject_public_key.as_bytes().filter(|point| right && point.first() == Some(&4));
        point.and_then(|point| point.try_into().ok()).ok_or(Error::VekKeyType)
    }
}

fn is_rsa_4096(key: &[u8]) -> bool {
    let numbers = SliceReader::new(key).and_then(|mut reader| {
        let numbers = reader.sequence(|parts| Ok((UintRef::decode(parts)?, UintRef::decode(parts)?)))?;
        reader.finish(numbers)
    });
    numbers.is_ok_and(|(modulus, exponent)| {
        let top_bit = modulus.as_bytes().first().is_some_and(|byte| byte >> 7 == 1);
        modulus.as_bytes().len() == RSA_MODULUS_BYTES && top_bit && exponent.as_bytes() == RSA_EXPONENT
    })
}

/// Whether two names are the same, attribute by attribute and encoding by encoding.
pub(crate) fn same_name(one: &Name, other: &Name) -> bool {
    one.to_der().is_ok_and(|one| other.to_der().is_ok_and(|other| one == other))
}
