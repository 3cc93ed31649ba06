//! The endorsement: root, intermediate and leaf, their times, and the revocation list (attestation notes, 2.1.3 and
//! 2.1.8).

use super::certificate::{Certificate, same_name};
use super::crl;
use super::error::{Error, Role};
use super::flags::SigningKey;
use super::product::{Product, Tcb};
use super::roots::{Anchor, Roots, Trust};
use super::vek::{KeyOwner, VekExtensions};
use crate::check::{Check, Checklist, Rejected};

/// The certificates that endorse a report's signing key, each DER. All come from the host: unverified, they are worth
/// nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Endorsements<'a> {
    /// The VCEK or VLEK.
    pub vek: Option<&'a [u8]>,
    /// The ASK or ASVK; without it the compiled-in one is used.
    pub ask: Option<&'a [u8]>,
    /// The ARK; where it is given it must be the trusted one, byte for byte.
    pub ark: Option<&'a [u8]>,
    /// The root's revocation list; without it revocation is not checked, and the result says so.
    pub crl: Option<&'a [u8]>,
}

/// Whether the revocation list was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The intermediate is not revoked, as of a current list.
    Checked,
    /// No list was given.
    NotChecked,
}

/// A VCEK or VLEK whose chain holds. Only [`verify_endorsement`] and [`super::verify`] make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedVek {
    pub(crate) product: Product,
    pub(crate) kind: SigningKey,
    pub(crate) public_key: [u8; 97],
    pub(crate) extensions: VekExtensions,
    pub(crate) not_after: u64,
    pub(crate) valid_until: u64,
    pub(crate) revocation: Revocation,
    pub(crate) trust: Trust,
}

impl VerifiedVek {
    /// The product line of the chain.
    #[must_use]
    pub const fn product(&self) -> Product {
        self.product
    }

    /// VCEK or VLEK.
    #[must_use]
    pub const fn kind(&self) -> SigningKey {
        self.kind
    }

    /// The TCB that the key was issued for.
    #[must_use]
    pub const fn tcb(&self) -> Tcb {
        self.extensions.tcb
    }

    /// Whom the key belongs to.
    #[must_use]
    pub const fn owner(&self) -> &KeyOwner {
        &self.extensions.owner
    }

    /// The product name in the certificate, for example `Milan-B0`.
    #[must_use]
    pub fn product_name(&self) -> &str {
        &self.extensions.product_name
    }

    /// AMD's extensions as they stand in the certificate: the identifier below 1.3.6.1.4.1.3704.1, and the content.
    #[must_use]
    pub fn amd_extensions(&self) -> &[(String, Vec<u8>)] {
        &self.extensions.raw
    }

    /// When the certificate expires, Unix seconds.
    #[must_use]
    pub const fn not_after(&self) -> u64 {
        self.not_after
    }

    /// Until when chain and revocation list are valid, Unix seconds.
    #[must_use]
    pub const fn valid_until(&self) -> u64 {
        self.valid_until
    }

    /// Whether revocation was checked.
    #[must_use]
    pub const fn revocation(&self) -> Revocation {
        self.revocation
    }

    /// Who vouches for the root.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        self.trust
    }
}

/// Verifies a chain alone, as of `now_ms` (Unix milliseconds). Nothing is said about any report.
///
/// # Errors
///
/// The first step that fails, together with all checks.
pub fn verify_endorsement(
    endorsements: &Endorsements<'_>,
    roots: &Roots,
    now_ms: u64,
) -> Result<(VerifiedVek, Vec<Check>), Rejected<Error>> {
    let mut checks = Checklist::new(super::plan::ENDORSEMENT);
    match steps(&mut checks, endorsements, roots, now_ms) {
        Ok(vek) => Ok((vek, checks.into_checks())),
        Err(error) => Err(Rejected { checks: checks.into_checks(), error }),
    }
}

pub(crate) fn steps(
    checks: &mut Checklist,
    endorsements: &Endorsements<'_>,
    roots: &Roots,
    now_ms: u64,
) -> Result<VerifiedVek, Error> {
    let now = now_ms / 1000;
    let vek = endorsements.vek.ok_or(Error::NoEndorsementKey);
    let vek = checks.step("snp.vek.present", |_| "a signing key's certificate was supplied".to_owned(), vek)?;
    let vek = Certificate::parse(Role::Vek, vek);
    let vek = checks.step("snp.vek.format", |_| "well-formed DER, RSASSA-PSS".to_owned(), vek)?;

    let supplied = if endorsements.ask.is_some() { "supplied" } else { "compiled in" };
    let ask = endorsements.ask.or_else(|| roots.intermediate_for(&vek)).ok_or(Error::NoIntermediate);
    let ask = ask.and_then(|der| Certificate::parse(Role::Ask, der));
    let ask = checks.step("snp.ask.format", |_| format!("{supplied}, well-formed DER, RSASSA-PSS"), ask)?;

    let root = choose_root(endorsements, roots, &ask);
    let (anchor, ark) = checks.step("snp.chain.ark", |(anchor, _)| describe(anchor, roots.trust()), root)?;

    let kind = issued_by_root(&ark, &ask, anchor.product);
    let kind = checks.step("snp.chain.ask", |_| "issued by the root".to_owned(), kind)?;
    let issued = issued_by_intermediate(&ask, &vek);
    checks.step("snp.chain.vek", |()| "issued by the intermediate".to_owned(), issued)?;

    let times = [&vek, &ask, &ark].into_iter().try_for_each(|certificate| certificate.check_time(now));
    checks.step("snp.chain.validity", |()| "all three certificates are valid now".to_owned(), times)?;
    let listed_until = match endorsements.crl {
        None => {
            checks.not_done("snp.crl", "revocation: not done, no list was supplied");
            None
        }
        Some(list) => {
            let checked = crl::check(list, &ark, &ask, now);
            Some(checks.step("snp.crl", |_| "the intermediate is not revoked".to_owned(), checked)?)
        }
    };

    let named = leaf_kind(&vek).and_then(|own| if own == kind { Ok(own) } else { Err(Error::VekKind) });
    checks.step("snp.vek.kind", |kind| format!("{} under its own intermediate", kind.common_name()), named)?;
    let key = vek.p384_key();
    let public_key = checks.step("snp.vek.key", |_| "ECDSA P-384".to_owned(), key)?;
    let extensions = VekExtensions::read(&vek, anchor.product, kind);
    let extensions = checks.step("snp.vek.extensions", |_| "all present and well formed".to_owned(), extensions)?;
    let named = extensions.names(anchor.product).then_some(()).ok_or(Error::ProductName);
    checks.step("snp.vek.product", |()| format!("{}, as its chain", extensions.product_name), named)?;

    let ends = [vek.validity().1, ask.validity().1, ark.validity().1, listed_until.unwrap_or(u64::MAX)];
    Ok(VerifiedVek {
        product: anchor.product,
        kind,
        public_key,
        extensions,
        not_after: vek.validity().1,
        valid_until: ends.into_iter().min().unwrap_or_default(),
        revocation: if listed_until.is_some() { Revocation::Checked } else { Revocation::NotChecked },
        trust: roots.trust(),
    })
}

/// A supplied root must be a trusted one; without one, the trusted one that the intermediate names.
fn choose_root<'a>(
    given: &Endorsements<'_>,
    roots: &'a Roots,
    ask: &Certificate<'_>,
) -> Result<(&'a Anchor, Certificate<'a>), Error> {
    let anchor = given.ark.map_or_else(|| roots.issuer_of(ask), |ark| roots.find(ark));
    let anchor = anchor.ok_or(Error::RootUntrusted)?;
    let ark = Certificate::parse(Role::Ark, &anchor.der)?;
    ark.rsa_key()?;
    if ark.may_issue() {
        Ok((anchor, ark))
    } else {
        Err(Error::Malformed { role: Role::Ark, what: "may not issue certificates" })
    }
}

fn describe(anchor: &Anchor, trust: Trust) -> String {
    match trust {
        Trust::Pinned => format!("ARK-{}, compiled in", anchor.product),
        Trust::InsecureRoot => format!("ARK-{}, NOT AMD's: trusted because the caller said so", anchor.product),
    }
}

fn issued_by_root(ark: &Certificate<'_>, ask: &Certificate<'_>, product: Product) -> Result<SigningKey, Error> {
    if !same_name(ask.issuer(), ark.subject()) {
        return Err(Error::AskIssuer);
    }
    if !ask.is_signed_by(&ark.rsa_key()?) {
        return Err(Error::AskSignature);
    }
    if !ask.may_issue() {
        return Err(Error::AskNotCa);
    }
    let name = ask.common_name().unwrap_or_default();
    if name == format!("SEV-{product}") {
        Ok(SigningKey::Vcek)
    } else if name == format!("SEV-VLEK-{product}") {
        Ok(SigningKey::Vlek)
    } else {
        Err(Error::AskName)
    }
}

fn issued_by_intermediate(ask: &Certificate<'_>, vek: &Certificate<'_>) -> Result<(), Error> {
    if !same_name(vek.issuer(), ask.subject()) {
        return Err(Error::VekIssuer);
    }
    if vek.is_signed_by(&ask.rsa_key()?) { Ok(()) } else { Err(Error::VekSignature) }
}

fn leaf_kind(vek: &Certificate<'_>) -> Result<SigningKey, Error> {
    match vek.common_name() {
        Some("SEV-VCEK") => Ok(SigningKey::Vcek),
        Some("SEV-VLEK") => Ok(SigningKey::Vlek),
        _ => Err(Error::Malformed { role: Role::Vek, what: "named neither SEV-VCEK nor SEV-VLEK" }),
    }
}
