//! Arguments of `cases`.

use std::path::PathBuf;

/// Arguments of `cases`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A case is a folder with a case.json: evidence, the time to verify for, a policy, and the verdict that a correct verifier
gives. DIR may be one case, a folder of cases, or a folder of such folders. Of each case verdict, stage and reason code
are compared, and so are the TCB status, the advisories and the launch digest where the case names them. A case whose
files are not those that it lists, or that cannot be read, counts as failed. Keys that a case's policy does not have are
not checked. The built-in roots are trusted; a case that says so (requires: root-injection) brings a root of its own.

Exit codes: 0 if all cases passed, 10 if one failed, 1 if the folder cannot be read, 2 if there is no case in it.

Examples:
  cloister-verify cases vectors/attestation
  cloister-verify cases vectors/attestation/snp
  cloister-verify cases vectors/attestation/tdx/tdx-real-v4-dstack-2025 --json")]
pub(crate) struct CasesArgs {
    /// The folder.
    pub(crate) dir: PathBuf,
}
