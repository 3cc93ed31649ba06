//! Arguments of `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `policy`.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// What to find out about it.
    #[command(subcommand)]
    pub(crate) question: PolicyQuestion,
}

/// What to find out about a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyQuestion {
    /// Look for mistakes: what a policy lets through that its author may not have meant.
    Lint(PolicyFileArgs),
    /// Say in words what a policy asks for, key by key.
    Explain(PolicyFileArgs),
}

/// Which policy.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0, or for `lint` 10 if there is an error among the findings; 30 if the file is no policy (`explain`), 1 if it
cannot be read.

Examples:
  cloister-verify policy lint my-policy.toml
  cloister-verify policy explain default
  cloister-verify policy explain strict --json")]
pub(crate) struct PolicyFileArgs {
    /// A file (TOML), or `strict`, `default`, `development`.
    #[arg(value_name = "FILE|NAME")]
    pub(crate) policy: PathBuf,
}
