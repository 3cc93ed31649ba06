//! Which collateral evidence needs, where AMD and Intel publish it, and how their answers become what a document carries.
//!
//! Nothing is fetched here: [`plan`] says what to ask for, [`assemble`] makes collateral of the answers, and [`verify`] says
//! until when it holds. Whoever fetches (the appliance in the background, `cloister-verify collateral fetch`) brings
//! sockets and clock. Answers are the network's word: [`assemble`] reads their form only, and collateral that has not been
//! through [`verify`] is worth nothing.
//!
//! | evidence | asked for | of whom |
//! |---|---|---|
//! | `sev-snp`, `az-snp` | VCEK by chip and TCB, chain of the intermediate, revocation list | AMD's KDS (57230) |
//! | | signed by a VLEK: the last two only, since AMD hands VLEKs to providers and no one else | |
//! | `tdx`, `az-tdx` | TCB info by FMSPC, TD QE identity, revocation lists of PCK CA and root | Intel's PCS, version 4 |
//! | `development` | nothing | |

mod amd;
mod intel;
mod judge;
mod services;

pub use judge::verify;
pub use services::{Services, Update};

use crate::azure::{self, HclReport, ReportKind};
use crate::document::{Collateral, Evidence, SnpCollateral, Tee};
use crate::snp::{self, Product};
use crate::tdx;

/// The most bytes that assembled collateral may hold: what is left for it in a document.
pub const MAX_BYTES: usize = 192 * 1024;

/// One thing that AMD or Intel publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The certificate of the key that signed an SEV-SNP report, DER.
    Vcek,
    /// ASK or ASVK, and ARK, PEM.
    AmdChain,
    /// The ARK's revocation list, DER.
    AmdCrl,
    /// TCB info of a model of platform, signed JSON.
    TcbInfo,
    /// Identity of the TD quoting enclave, signed JSON.
    QeIdentity,
    /// Revocation list of the CA that issued the PCK certificate, DER.
    PckCrl,
    /// Revocation list of Intel's root, DER, or in hex as caching services have it.
    RootCrl,
}

impl Kind {
    /// A name for logs and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vcek => "vcek",
            Self::AmdChain => "amd-chain",
            Self::AmdCrl => "amd-crl",
            Self::TcbInfo => "tcb-info",
            Self::QeIdentity => "qe-identity",
            Self::PckCrl => "pck-crl",
            Self::RootCrl => "root-crl",
        }
    }

    /// The most bytes that an answer may have. Genuine ones have a tenth of it.
    #[must_use]
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Vcek => snp::MAX_CERTIFICATE_BYTES,
            Self::AmdChain => 4 * snp::MAX_CERTIFICATE_BYTES,
            Self::AmdCrl | Self::TcbInfo | Self::QeIdentity | Self::PckCrl | Self::RootCrl => 128 * 1024,
        }
    }

    /// The response headers, by preference, in one of which the PEM chain of the issuer comes, percent-encoded.
    #[must_use]
    pub const fn issuer_chain_headers(self) -> &'static [&'static str] {
        match self {
            Self::Vcek | Self::AmdChain | Self::AmdCrl | Self::RootCrl => &[],
            Self::TcbInfo => &["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"],
            Self::QeIdentity => &["SGX-Enclave-Identity-Issuer-Chain"],
            Self::PckCrl => &["SGX-PCK-CRL-Issuer-Chain"],
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Something to ask for, by GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub url: String,
}

/// What was answered with status 200; redirections are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What was asked for.
    pub kind: Kind,
    /// The body.
    pub body: Vec<u8>,
    /// The value of the first of [`Kind::issuer_chain_headers`] that the answer has, as it came.
    pub issuer_chain: Option<String>,
}

/// Why there is no collateral.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Evidence of a kind that this build does not know.
    #[error("evidence is of a kind that this build does not know")]
    UnsupportedTee,
    /// The SEV-SNP report cannot be read.
    #[error("{0}")]
    Snp(snp::Error),
    /// The TDX quote cannot be read.
    #[error("{0}")]
    Tdx(tdx::Error),
    /// The container of the report on Azure cannot be read.
    #[error("{0}")]
    Azure(azure::Error),
    /// The report names no product that is known: its version is 2, or the processor is newer than this build.
    #[error("report names no known product: say which it is")]
    ProductUnknown,
    /// The host masks the chip's identity, so that nobody can ask for its certificate.
    #[error("host masks the chip's identity, so its certificate can come from the host only")]
    ChipMasked,
    /// The evidence has no TDX quote.
    #[error("evidence has no TDX quote")]
    NoQuote,
    /// The quote brings no PCK certificate.
    #[error("quote does not bring its PCK certificate")]
    NoPckCertificate,
    /// An answer is missing.
    #[error("{0} is missing")]
    Missing(Kind),
    /// There are two answers of one kind.
    #[error("{0} was answered twice")]
    Twice(Kind),
    /// An answer has more than [`Kind::max_bytes`], or all together have more than a document takes.
    #[error("{0} is too large")]
    TooLarge(Kind),
    /// An answer is not of the form that it should have.
    #[error("{kind} is malformed: {what}")]
    Malformed {
        /// Which one.
        kind: Kind,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What to ask for, for evidence whose form is right; nobody need have verified it.
///
/// `product` is for SEV-SNP reports of version 2, which do not say of which product the chip is; others do, and then it is
/// not looked at.
///
/// # Errors
///
/// One of the variants that speak of evidence.
pub fn plan(evidence: &Evidence, product: Option<Product>, services: &Services) -> Result<Vec<Request>, Error> {
    match tee(evidence)? {
        Tee::Development => Ok(Vec::new()),
        Tee::SevSnp | Tee::AzSnp => amd::plan(hardware_report(evidence)?, product, services),
        Tee::Tdx | Tee::AzTdx => intel::plan(hardware_report(evidence)?, services),
    }
}

/// Makes collateral of the answers to a [`plan`]. `known` is what came otherwise: a VLEK from the host's table, say; an
/// answer stands before it.
///
/// # Errors
///
/// One of the variants that speak of answers.
pub fn assemble(evidence: &Evidence, known: &Collateral, responses: &[Response]) -> Result<Collateral, Error> {
    let answers = Answers::new(responses)?;
    let collateral = match (tee(evidence)?, known) {
        (Tee::Development, _) => Collateral::None,
        (Tee::SevSnp | Tee::AzSnp, Collateral::Snp(known)) => Collateral::Snp(amd::assemble(known, &answers)?),
        (Tee::SevSnp | Tee::AzSnp, Collateral::None | Collateral::Tdx(_)) => {
            Collateral::Snp(amd::assemble(&SnpCollateral::default(), &answers)?)
        }
        (Tee::Tdx | Tee::AzTdx, _) => Collateral::Tdx(Box::new(intel::assemble(&answers)?)),
    };
    let size: usize = responses.iter().map(|response| response.body.len()).sum();
    match responses.iter().max_by_key(|response| response.body.len()) {
        Some(largest) if size > MAX_BYTES => Err(Error::TooLarge(largest.kind)),
        Some(_) | None => Ok(collateral),
    }
}

/// The answers, at most one of each kind, none larger than it may be.
struct Answers<'a>(&'a [Response]);

impl<'a> Answers<'a> {
    fn new(responses: &'a [Response]) -> Result<Self, Error> {
        for (index, Response { kind, body, issuer_chain }) in responses.iter().enumerate() {
            let chain_bytes = issuer_chain.as_ref().map_or(0, String::len);
            if body.len() > kind.max_bytes() || chain_bytes > services::MAX_CHAIN_BYTES {
                return Err(Error::TooLarge(*kind));
            }
            if responses.iter().skip(index + 1).any(|other| other.kind == *kind) {
                return Err(Error::Twice(*kind));
            }
        }
        Ok(Self(responses))
    }

    fn find(&self, kind: Kind) -> Option<&'a Response> {
        self.0.iter().find(|response| response.kind == kind)
    }

    fn require(&self, kind: Kind) -> Result<&'a Response, Error> {
        self.find(kind).ok_or(Error::Missing(kind))
    }
}

fn tee(evidence: &Evidence) -> Result<Tee, Error> {
    Tee::from_name(&evidence.tee).ok_or(Error::UnsupportedTee)
}

/// The SEV-SNP report or TDX quote; on Azure that of the paravisor.
fn hardware_report(evidence: &Evidence) -> Result<&[u8], Error> {
    match tee(evidence)? {
        Tee::Development | Tee::SevSnp | Tee::Tdx => Ok(&evidence.report.0),
        Tee::AzSnp => {
            let container = HclReport::parse(&evidence.report.0).map_err(Error::Azure)?;
            match container.kind() {
                ReportKind::Snp => Ok(container.hardware_report_unverified()),
                found @ ReportKind::Tdx => Err(Error::Azure(azure::Error::Kind { found, wanted: ReportKind::Snp })),
            }
        }
        Tee::AzTdx => evidence.quote.as_ref().map(|quote| quote.0.as_slice()).ok_or(Error::NoQuote),
    }
}
