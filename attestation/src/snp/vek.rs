//! What a VCEK or VLEK says about the key in it: AMD's own extensions, arc 1.3.6.1.4.1.3704.1 (KDS specification,
//! tables 8 and 9; attestation notes, 2.1.4).
//!
//! Every extension that a leaf of its kind must have is required: a missing one is a refusal, never a skipped check.

use x509_cert::der::asn1::Ia5StringRef;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};

use super::certificate::Certificate;
use super::error::Error;
use super::flags::SigningKey;
use super::product::{Product, Tcb};

const ARC: &str = "1.3.6.1.4.1.3704.1.";

/// Whom a leaf's key belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOwner {
    /// One chip, by its identity as a report shows it: Turin's eight bytes are followed by zeros.
    Chip([u8; 64]),
    /// A cloud provider, by its `CSP_ID`.
    Provider(String),
}

/// What a leaf's extensions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VekExtensions {
    pub(crate) product_name: String,
    pub(crate) tcb: Tcb,
    pub(crate) owner: KeyOwner,
    /// All extensions in AMD's arc: the rest of the identifier, and the content.
    pub(crate) raw: Vec<(String, Vec<u8>)>,
}

impl VekExtensions {
    /// Reads the extensions of a leaf whose chain holds.
    pub(crate) fn read(vek: &Certificate<'_>, product: Product, kind: SigningKey) -> Result<Self, Error> {
        if small_integer(vek, "1")? != product.structure_version() {
            return Err(Error::VekExtensionMalformed("1"));
        }
        let fmc = match product {
            Product::Milan | Product::Genoa => None,
            Product::Turin => Some(small_integer(vek, "3.9")?),
        };
        let tcb = Tcb {
            fmc,
            bootloader: small_integer(vek, "3.1")?,
            tee: small_integer(vek, "3.2")?,
            snp: small_integer(vek, "3.3")?,
            microcode: small_integer(vek, "3.8")?,
        };
        let owner = match kind {
            SigningKey::Vcek => KeyOwner::Chip(chip(vek, product)?),
            SigningKey::Vlek => KeyOwner::Provider(text(vek, "5")?),
        };
        // A VLEK is of no chip and a VCEK of no provider; one that says otherwise is none.
        let foreign = match kind {
            SigningKey::Vcek => "5",
            SigningKey::Vlek => "4",
        };
        if vek.extension(oid(foreign)).is_some() {
            return Err(Error::VekExtensionMalformed(foreign));
        }
        let raw = vek.extensions().filter_map(|(id, value)| {
            let id = id.to_string();
            id.strip_prefix(ARC).map(|rest| (rest.to_owned(), value.to_vec()))
        });
        Ok(Self { product_name: text(vek, "2")?, tcb, owner, raw: raw.collect() })
    }

    /// Whether the product name is the chain's, possibly with a stepping: `Milan`, `Milan-B0`.
    pub(crate) fn names(&self, product: Product) -> bool {
        let stepping = self.product_name.strip_prefix(product.name());
        stepping.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(|rest| !rest.is_empty()))
    }
}

fn oid(rest: &'static str) -> ObjectIdentifier {
    ObjectIdentifier::new(&format!("{ARC}{rest}")).expect("the arcs in this file are numbers")
}

fn value<'a>(vek: &'a Certificate<'_>, rest: &'static str) -> Result<&'a [u8], Error> {
    vek.extension(oid(rest)).ok_or(Error::VekExtensionMissing(rest))
}

/// A DER INTEGER from 0 to 255, minimally encoded: 0x0154 is not 0x54.
fn small_integer(vek: &Certificate<'_>, rest: &'static str) -> Result<u8, Error> {
    let encoded = value(vek, rest)?;
    let number = u8::from_der(encoded).map_err(|_| Error::VekExtensionMalformed(rest))?;
    let canonical = number.to_der().is_ok_and(|own| own == encoded);
    canonical.then_some(number).ok_or(Error::VekExtensionMalformed(rest))
}

fn text(vek: &Certificate<'_>, rest: &'static str) -> Result<String, Error> {
    let text = Ia5StringRef::from_der(value(vek, rest)?).map_err(|_| Error::VekExtensionMalformed(rest))?;
    Ok(text.as_str().to_owned())
}

/// The chip's identity, which AMD puts into the extension without any ASN.1 of its own.
fn chip(vek: &Certificate<'_>, product: Product) -> Result<[u8; 64], Error> {
    let hwid = value(vek, "4")?;
    if hwid.len() != product.chip_id_bytes() {
        return Err(Error::VekExtensionMalformed("4"));
    }
    let mut chip = [0; 64];
    chip.split_at_mut(hwid.len()).0.copy_from_slice(hwid);
    Ok(chip)
}
