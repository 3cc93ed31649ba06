//! What chains are trusted to end in: AMD's roots, compiled in, and nothing else.

use std::borrow::Cow;

use super::certificate::{Certificate, same_name};
use super::error::{Error, Role};
use super::product::Product;

/// Who vouches for a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It is compiled in.
    Pinned,
    /// The caller said so: `--insecure-trust-root`.
    InsecureRoot,
}

#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    pub(crate) product: Product,
    pub(crate) der: Cow<'static, [u8]>,
}

/// The roots that a verification trusts.
#[derive(Debug, Clone)]
pub struct Roots {
    anchors: Vec<Anchor>,
    trust: Trust,
}

impl Roots {
    /// AMD's roots, from `attestation/roots/`.
    #[must_use]
    pub fn pinned() -> Self {
        let anchor = |(product, der): (Product, &'static [u8])| Anchor { product, der: Cow::Borrowed(der) };
        Self { anchors: ARKS.into_iter().map(anchor).collect(), trust: Trust::Pinned }
    }

    /// A single root that is not AMD's, for tests with synthetic evidence. What verifies under it protects nobody.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`], [`Error::SignatureParameters`], or [`Error::ProductUnknown`] unless it is named `ARK-` and
    /// a product.
    pub fn insecure_with_ark(der: &[u8]) -> Result<Self, Error> {
        let certificate = Certificate::parse(Role::Ark, der)?;
        let name = certificate.common_name().and_then(|name| name.strip_prefix("ARK-"));
        let product = name.and_then(Product::from_name).ok_or(Error::ProductUnknown)?;
        let anchor = Anchor { product, der: Cow::Owned(der.to_vec()) };
        Ok(Self { anchors: vec![anchor], trust: Trust::InsecureRoot })
    }

    /// Who vouches for these roots.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        self.trust
    }

    /// The root that is byte for byte this certificate.
    pub(crate) fn find(&self, der: &[u8]) -> Option<&Anchor> {
        self.anchors.iter().find(|anchor| *anchor.der == *der)
    }

    /// The root that an intermediate names as its issuer.
    pub(crate) fn issuer_of(&self, ask: &Certificate<'_>) -> Option<&Anchor> {
        let names = |anchor: &&Anchor| {
            Certificate::parse(Role::Ark, &anchor.der).is_ok_and(|ark| same_name(ark.subject(), ask.issuer()))
        };
        self.anchors.iter().find(names)
    }

    /// The compiled-in intermediate that a leaf names as its issuer; none beside a root that is not compiled in.
    pub(crate) fn intermediate_for(&self, vek: &Certificate<'_>) -> Option<&'static [u8]> {
        let names = |der: &&'static [u8]| {
            Certificate::parse(Role::Ask, der).is_ok_and(|ask| same_name(ask.subject(), vek.issuer()))
        };
        (self.trust == Trust::Pinned).then(|| ASKS.into_iter().find(names)).flatten()
    }
}

const ARKS: [(Product, &[u8]); 3] = [
    (Product::Milan, include_bytes!("../../roots/ARK-Milan.der")),
    (Product::Genoa, include_bytes!("../../roots/ARK-Genoa.der")),
    (Product::Turin, include_bytes!("../../roots/ARK-Turin.der")),
];

const ASKS: [&[u8]; 6] = [
    include_bytes!("../../roots/SEV-Milan.der"),
    include_bytes!("../../roots/SEV-Genoa.der"),
    include_bytes!("../../roots/SEV-Turin.der"),
    include_bytes!("../../roots/SEV-VLEK-Milan.der"),
    include_bytes!("../../roots/SEV-VLEK-Genoa.der"),
    include_bytes!("../../roots/SEV-VLEK-Turin.der"),
];
