//! The command line.

mod cases;
mod collateral;
mod evidence;
mod inspect;
mod measure;
mod policy;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use cloister_attestation::encoding::Hex;

use crate::input;
use crate::live::ChannelArgs;
use crate::proxy::ProxyArgs;

pub(crate) use cases::CasesArgs;
pub(crate) use collateral::{CollateralAction, CollateralArgs, FetchArgs};
pub(crate) use evidence::EvidenceArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use measure::{MeasureArgs, MeasureKind, MeasureSnpArgs, VmmArg};
pub(crate) use policy::{PolicyArgs, PolicyQuestion};

const EXIT_CODES: &str = "\
Exit codes:
  0   accepted: every required check passed
  10  rejected: something is not true, or not what the policy accepts
  20  unsupported: a kind of evidence or a version that this build cannot judge
  30  malformed: not even well formed
  40  incomplete: something needed for judging is missing; give it and try again
  1   no verdict: a file or the network failed
  2   no verdict: the arguments make no sense

Every check is listed by a stable id as PASS, FAIL or SKIP, with the reason and what to do. SKIP means not done, and
is never counted as passed.";

const EXAMPLES: &str = "\
Examples:
  Is this appliance what it claims to be?
    cloister-verify appliance https://appliance.example

  The same on a machine without confidential computing, for trying things out (NOT CONFIDENTIAL):
    cloister-verify appliance https://localhost:8443 --insecure-allow-development-tee

  Let a client that knows nothing of attestation use http://127.0.0.1:8399/v1, verified and encrypted
    cloister-verify proxy https://appliance.example

  Was this answer made from these documents by that appliance?
    cloister-verify receipt receipt.json --document document.json --answer answer.txt

  Is this export of the audit log whole, and does it continue the one that I saw last time?
    cloister-verify audit export.tar.age --identity officer.key --previous checkpoint.txt
";

/// Finds out whether a Cloister appliance, a receipt or an audit export is true.
#[derive(Debug, Parser)]
#[command(name = "cloister-verify", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// Print the verdict as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to verify.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to verify.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verify a running appliance, or a document that was saved from one.
    Appliance(ApplianceArgs),
    /// Verify a piece of hardware evidence from a file: a SEV-SNP report, TDX quote or Azure HCL report.
    Evidence(EvidenceArgs),
    /// Turn any OpenAI client into a verified one: a local port that verifies the appliance and encrypts to it.
    Proxy(ProxyArgs),
    /// Verify the receipt of an answer.
    Receipt(ReceiptArgs),
    /// Verify an export of an audit log.
    Audit(AuditArgs),
    /// Fetch what AMD and Intel publish about a machine.
    Collateral(CollateralArgs),
    /// Show what a piece of evidence says, without verifying it.
    Inspect(InspectArgs),
    /// Run a folder of test cases through this verifier.
    Cases(CasesArgs),
    /// Compute the measurement that a guest must have, for reference values.
    Measure(MeasureArgs),
    /// Look for mistakes in an appraisal policy, or explain it.
    Policy(PolicyArgs),
}

/// How true evidence is judged.
#[derive(Debug, clap::Args)]
pub(crate) struct JudgeArgs {
    /// Appraisal policy: a file (TOML), or `strict`, `default`, `development`. Without it `default`: hardware only.
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) policy: Option<PathBuf>,
    /// DER certificate of a test root (`ARK-…`, or one in the place of Intel's) to trust. Whoever holds its key can make
    /// any evidence: the result is never that of hardware. May be repeated; the last one of each kind counts.
    #[arg(long, value_name = "FILE")]
    pub(crate) insecure_trust_root: Vec<PathBuf>,
    /// Accept an appliance without confidential computing. Whoever runs that machine can read everything on it.
    #[arg(long)]
    pub(crate) insecure_allow_development_tee: bool,
    /// Judge as of this time instead of now, for example 2026-05-01T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = input::parse_time)]
    pub(crate) at: Option<u64>,
}

/// What the user has of AMD and Intel.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct EndorsementArgs {
    /// What AMD or Intel publish about the machine: collateral (JSON), certificates (DER or PEM), AMD's revocation list,
    /// the host's certificate table, or a folder of these. Takes the place of what a document carries. May be repeated.
    #[arg(long, value_name = "PATH")]
    pub(crate) endorsements: Vec<PathBuf>,
}

/// In which form the verdict is printed, beside text and JSON.
#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("result").args(["ear", "cmw"])))]
pub(crate) struct Form {
    /// Print the verdict as an EAT attestation result (draft-ietf-rats-ear-04): JSON, or a signed token with --sign-with.
    #[arg(long)]
    pub(crate) ear: bool,
    /// Print that result in a conceptual message wrapper (a CMW record, JSON).
    #[arg(long)]
    pub(crate) cmw: bool,
    /// Sign the result with this key of yours, Ed25519 or P-256 (PKCS#8, PEM, unencrypted): a JWT whose `kid` is the key's
    /// thumbprint (RFC 7638).
    #[arg(long, value_name = "FILE", requires = "result")]
    pub(crate) sign_with: Option<PathBuf>,
}

/// Arguments of `appliance`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The certificate of the appliance need not be known to anyone: it is trusted because the evidence names its key, not
because an authority signed it. The evidence is asked for over the connection itself and has to name it, so that nobody
can pass on the evidence of another appliance. That it is yours and not somebody else's, only a pin can tell.

Examples:
  cloister-verify appliance https://appliance.example --save document.json
  cloister-verify appliance https://appliance.example --pin 5b2e…64 hex digits… --remember seen.json
  cloister-verify appliance --document document.json --at 2026-05-01T12:00:00Z")]
#[command(group(clap::ArgGroup::new("source").required(true).args(["url", "document"])))]
pub(crate) struct ApplianceArgs {
    /// Address of the appliance: `https://HOST[:PORT]`.
    pub(crate) url: Option<String>,
    /// Verify this saved document instead, without a network.
    #[arg(long, value_name = "FILE")]
    pub(crate) document: Option<PathBuf>,
    /// Save the document that the appliance answered, whatever the verdict.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) save: Option<PathBuf>,
    /// Remember in this file how far the state of the appliance has come, and refuse an appliance whose state went backwards
    /// since. Keep it where the operator of the appliance cannot write.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) remember: Option<PathBuf>,
    /// The nonce: 64 hex digits; without it 32 random bytes are sent. For a saved document, the one it was asked with.
    #[arg(long, value_name = "HEX")]
    pub(crate) nonce: Option<Hex<32>>,
    #[command(flatten)]
    pub(crate) channel: ChannelArgs,
    #[command(flatten)]
    pub(crate) endorsements: EndorsementArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) form: Form,
}

/// Arguments of `receipt`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key that signed the receipt is attested by the document, or by the export; --key pins it without evidence.

Examples:
  cloister-verify receipt receipt.json --document document.json
  cloister-verify receipt receipt.json --export export.tar --question question.txt --answer answer.txt")]
pub(crate) struct ReceiptArgs {
    /// The receipt (JSON).
    pub(crate) file: PathBuf,
    /// Attestation document that names the signing key.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) document: Option<PathBuf>,
    /// The signing key itself: 64 hex digits of an Ed25519 public key that you trust for a reason of your own.
    #[arg(long, value_name = "HEX")]
    pub(crate) key: Option<Hex<32>>,
    /// Export of the audit log, to prove that the receipt is recorded there.
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    /// age identity to decrypt the export with.
    #[arg(long, value_name = "FILE", requires = "export")]
    pub(crate) identity: Option<PathBuf>,
    /// The question as it was asked, UTF-8; one final line break more is forgiven.
    #[arg(long, value_name = "FILE")]
    pub(crate) question: Option<PathBuf>,
    /// The answer as it was given, UTF-8; one final line break more is forgiven.
    #[arg(long, value_name = "FILE")]
    pub(crate) answer: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Save the checkpoint each time: the next verification compares with it, and nobody can then rewrite what you have seen.

Examples:
  cloister-verify audit export.tar --save-checkpoint checkpoint.txt
  cloister-verify audit export.tar.age --identity officer.key --previous checkpoint.txt")]
pub(crate) struct AuditArgs {
    /// The export: .tar, or .tar.age together with --identity.
    pub(crate) export: PathBuf,
    /// age identity (AGE-SECRET-KEY-1…) to decrypt the export with.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Attestation document to use in the place of the one in the export.
    #[arg(long, value_name = "FILE")]
    pub(crate) document: Option<PathBuf>,
    /// The checkpoint that you saved from an earlier export.
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// Save the checkpoint of this export, if it is accepted.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_checkpoint: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}
