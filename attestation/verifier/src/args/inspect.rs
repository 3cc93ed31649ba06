//! Arguments of `inspect`.

use std::path::PathBuf;

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is verified: no signature, no certificate, no time. Whoever handed you the file may have written every value in
it. Use `evidence` or `appliance` to find out what is true.

Exit codes: 0, or 30 if the file is not well formed, 1 if it cannot be read.

Examples:
  cloister-verify inspect report.bin
  cloister-verify inspect document.json --json")]
pub(crate) struct InspectArgs {
    /// A SEV-SNP report or certificate table, TDX quote, Azure HCL report, attestation document or CMW record.
    pub(crate) file: PathBuf,
}
