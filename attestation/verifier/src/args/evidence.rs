//! Arguments of `evidence`.

use std::path::PathBuf;

use cloister_attestation::encoding::Hex;

use super::{EndorsementArgs, Form, JudgeArgs};
use crate::evidence::Nonce;

/// Arguments of `evidence`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is fetched. Give what AMD or Intel publish about the machine by --endorsements; `collateral fetch` gets it.
What the evidence is about only its report data can tell: give what you expect there, or it may be anybody's.

Examples:
  cloister-verify evidence report.bin --endorsements vcek.der --report-data 5b2e…128 hex digits…
  cloister-verify evidence quote.bin --endorsements collateral.json --event-log ccel.bin --policy my-policy.toml
  cloister-verify evidence hcl_report.bin --tpm-quote tpm_quote.json --endorsements certs/ --nonce 00ff…
  cloister-verify evidence document.json --ear")]
pub(crate) struct EvidenceArgs {
    /// A SEV-SNP report, TDX quote, Azure HCL report, attestation document, or a CMW record around one of these.
    pub(crate) file: PathBuf,
    /// The 64 bytes that the report must hold: 128 hex digits.
    #[arg(long, value_name = "HEX", conflicts_with_all = ["nonce", "bind_spki"])]
    pub(crate) report_data: Option<Hex<64>>,
    /// The nonce that was sent, 1 to 64 bytes in hex: the report data begins with it, and the rest is zero. With
    /// --bind-spki it is the second half. In Azure's evidence it is the TPM's, in a document the document's (32 bytes).
    #[arg(long, value_name = "HEX")]
    pub(crate) nonce: Option<Nonce>,
    /// A certificate or public key (PEM or DER) that the report data must name: as SHA-256 of the key in the first
    /// half, or as SHA-512 of `ratls-cert:` and the key.
    #[arg(long, value_name = "FILE")]
    pub(crate) bind_spki: Option<PathBuf>,
    /// Event log (CCEL, or dstack's JSON) that must explain the registers of a TDX quote.
    #[arg(long, value_name = "FILE")]
    pub(crate) event_log: Option<PathBuf>,
    /// Quote of the virtual TPM beside an Azure HCL report (JSON).
    #[arg(long, value_name = "FILE")]
    pub(crate) tpm_quote: Option<PathBuf>,
    /// TDX quote beside an Azure HCL report of TDX.
    #[arg(long, value_name = "FILE", requires = "tpm_quote")]
    pub(crate) td_quote: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) endorsements: EndorsementArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) form: Form,
}
