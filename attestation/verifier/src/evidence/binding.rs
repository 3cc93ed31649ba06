//! What the evidence is about: the report data that the relying party expects, and the log that explains the registers.
//!
//! | check | what must hold |
//! |---|---|
//! | `bind.report_data` | the report holds exactly these 64 bytes |
//! | `bind.nonce` | it holds the nonce: from the first byte on with zeros behind it, or behind the key; on Azure the TPM's |
//! | `bind.spki` | it names the key: SHA-256 of it in the first half, or SHA-512 of `ratls-cert:` and the key |
//! | `bind.event_log` | replayed, the log gives the registers of the quote |

use std::str::FromStr;

use cloister_attestation::check::{Check, Checklist, Outcome, Planned, Stage};
use cloister_attestation::encoding::Hex;
use cloister_attestation::eventlog::{ccel, dstack};
use cloister_attestation::verify::Hardware;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::args::EvidenceArgs;
use crate::failure::Failure;
use crate::input;

const MAX_KEY_BYTES: usize = 64 << 10;
/// dstack's convention, RA-TLS: what is hashed before the key.
const RATLS_PREFIX: &[u8] = b"ratls-cert:";

const ASK_ANEW: &str =
    "ask for evidence over what you expect, and do not use the connection or file that this came from";

const BINDING: &[Planned] = &[
    Planned::optional("bind.report_data", Stage::Binding, ASK_ANEW),
    Planned::optional("bind.nonce", Stage::Binding, ASK_ANEW),
    Planned::optional("bind.spki", Stage::Binding, ASK_ANEW),
];
const LOG: &[Planned] = &[Planned::optional(
    "bind.event_log",
    Stage::Binding,
    "get the log from the guest again; a log that does not replay says nothing about what was started",
)];

/// 1 to 64 bytes in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nonce(pub(crate) Vec<u8>);

impl FromStr for Nonce {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = hex::decode(text).map_err(|_| "not hex digits, two for each byte")?;
        if (1..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err("not 1 to 64 bytes") }
    }
}

/// What the relying party expects of the report data.
#[derive(Debug)]
pub(super) struct Expected {
    report_data: Option<Hex<64>>,
    nonce: Option<Vec<u8>>,
    /// `SubjectPublicKeyInfo`, DER.
    spki: Option<Vec<u8>>,
}

impl Expected {
    /// Reads what the user named.
    pub(super) fn read(args: &EvidenceArgs) -> Result<Self, Failure> {
        let spki = args.bind_spki.as_deref().map(|path| {
            let bytes = input::read(path, MAX_KEY_BYTES)?;
            let wrong = || Failure::Usage(format!("{}: neither a certificate nor a public key", path.display()));
            spki(&bytes).ok_or_else(wrong)
        });
        let nonce = args.nonce.as_ref().map(|nonce| nonce.0.clone());
        let expected = Self { report_data: args.report_data, nonce, spki: spki.transpose()? };
        if expected.spki.is_some() && expected.nonce.as_ref().is_some_and(|nonce| nonce.len() > 32) {
            return Err(Failure::Usage("beside a key there is room for a nonce of 32 bytes".to_owned()));
        }
        Ok(expected)
    }

    /// Names of what was expected.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let named = [
            ("report_data", self.report_data.is_some()),
            ("nonce", self.nonce.is_some()),
            ("spki", self.spki.is_some()),
        ];
        named.into_iter().filter(|(_, expected)| *expected).map(|(name, _)| name).collect()
    }

    /// Whether the checks say that the evidence was made for us: over our nonce, or over bytes that we chose.
    pub(super) fn is_fresh(&self, checks: &[Check]) -> bool {
        let chosen = |check: &&Check| matches!(check.id, "bind.report_data" | "bind.nonce");
        checks.iter().filter(chosen).any(|check| check.result == Outcome::Pass)
    }

    /// The checks where the evidence itself is not true.
    pub(super) fn not_reached(&self) -> Vec<Check> {
        Checklist::new(BINDING).into_checks()
    }

    /// Compares.
    pub(super) fn check(&self, hardware: &Hardware) -> Vec<Check> {
        let mut list = Checklist::new(BINDING);
        let data = report_data(hardware);
        match &self.report_data {
            None => list.not_done("bind.report_data", "nothing was expected (--report-data)"),
            Some(expected) => {
                let held = data.is_some_and(|data| data.ct_eq(&expected.0).into());
                verdict(
                    &mut list,
                    "bind.report_data",
                    held,
                    "the report holds the 64 bytes",
                    "the report holds other bytes",
                );
            }
        }
        match &self.nonce {
            None => list.not_done("bind.nonce", "no nonce is known (--nonce), so this may be old"),
            Some(nonce) => {
                let held = self.holds_nonce(hardware, nonce);
                verdict(
                    &mut list,
                    "bind.nonce",
                    held,
                    "the evidence answers the nonce",
                    "the evidence does not hold the nonce",
                );
            }
        }
        match &self.spki {
            None => list.not_done("bind.spki", "no key was expected (--bind-spki)"),
            Some(spki) => {
                let held = data.is_some_and(|data| names_key(data, spki));
                verdict(&mut list, "bind.spki", held, "the report names the key", "the report does not name the key");
            }
        }
        list.into_checks()
    }

    fn holds_nonce(&self, hardware: &Hardware, nonce: &[u8]) -> bool {
        match (hardware, &self.spki) {
            // The verification compared it with what the TPM signed.
            (Hardware::AzSnp(guest), _) => guest.is_fresh(),
            (Hardware::AzTdx(guest), _) => guest.is_fresh(),
            (Hardware::Snp(_) | Hardware::Tdx(_), spki) => report_data(hardware).is_some_and(|data| {
                let (_, second) = data.split_at(32);
                let (place, length) = if spki.is_some() { (second, 32) } else { (data.as_slice(), 64) };
                let padded: Vec<u8> = nonce.iter().copied().chain(std::iter::repeat(0)).take(length).collect();
                place.ct_eq(&padded).into()
            }),
        }
    }
}

/// The 64 bytes that the guest chose; on Azure they are the paravisor's.
fn report_data(hardware: &Hardware) -> Option<&[u8; 64]> {
    match hardware {
        Hardware::Snp(report) => Some(&report.claims().report_data),
        Hardware::Tdx(quote) => Some(&quote.report().report_data),
        Hardware::AzSnp(_) | Hardware::AzTdx(_) => None,
    }
}

fn names_key(data: &[u8; 64], spki: &[u8]) -> bool {
    let ratls = Sha512::new_with_prefix(RATLS_PREFIX).chain_update(spki).finalize();
    let (first, _) = data.split_at(32);
    let first: bool = first.ct_eq(&Sha256::digest(spki)).into();
    first || data.ct_eq(ratls.as_slice()).into()
}

/// The public key of a certificate, or the key itself; PEM or DER.
fn spki(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
        let certificate = CertificateDer::from_pem_slice(bytes).ok().and_then(|der| of_certificate(&der));
        return certificate.or_else(|| SubjectPublicKeyInfoDer::from_pem_slice(bytes).ok().map(|key| key.to_vec()));
    }
    let key = || SubjectPublicKeyInfoRef::from_der(bytes).ok().map(|_| bytes.to_vec());
    of_certificate(bytes).or_else(key)
}

fn of_certificate(der: &[u8]) -> Option<Vec<u8>> {
    Certificate::from_der(der).ok()?.tbs_certificate.subject_public_key_info.to_der().ok()
}

/// The check of a log where the evidence itself is not true; nothing where no log was given.
pub(super) fn log_not_reached(given: bool) -> Vec<Check> {
    if given { Checklist::new(LOG).into_checks() } else { Vec::new() }
}

/// Replays the log against the registers of the quote. JSON is dstack's, anything else the firmware's.
pub(super) fn check_log(log: &[u8], hardware: &Hardware) -> Vec<Check> {
    let mut list = Checklist::new(LOG);
    match hardware.tdx() {
        None => list.fail("bind.event_log", "an event log explains the registers of TDX, and this is not TDX"),
        Some(quote) => {
            let registers = &quote.report().rtmr;
            let json = log.trim_ascii_start().starts_with(b"[");
            let replayed = if json { dstack::verify(log, registers) } else { ccel::verify(log, registers) };
            // The outcome is in the list.
            let _ = list.step(
                "bind.event_log",
                |log| format!("{} events give the registers", log.events().len()),
                replayed,
            );
        }
    }
    list.into_checks()
}

fn verdict(list: &mut Checklist, id: &'static str, held: bool, yes: &str, no: &str) {
    if held { list.pass(id, yes) } else { list.fail(id, no) }
}
