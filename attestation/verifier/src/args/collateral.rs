//! Arguments of `collateral`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use cloister_attestation::collateral::{Services, Update};
use cloister_attestation::snp::Product;

/// Arguments of `collateral`.
#[derive(Debug, Args)]
pub(crate) struct CollateralArgs {
    /// What to do about it.
    #[command(subcommand)]
    pub(crate) action: CollateralAction,
}

/// What to do about collateral.
#[derive(Debug, Subcommand)]
pub(crate) enum CollateralAction {
    /// Fetch what AMD or Intel publish about the machine that made a piece of evidence, and keep it in a file.
    Fetch(FetchArgs),
}

/// Arguments of `collateral fetch`.
#[derive(Debug, Args)]
#[command(after_help = "\
AMD or Intel learn the chip (SEV-SNP) or the model (TDX) that is asked about, and from where. What they answer is kept
only if the evidence verifies with it; whether the evidence is wanted is for `evidence` and `appliance` to say, which take
the file by --endorsements. Appliances take a folder of such files (attestation.collateral_dir). A VLEK cannot be
fetched: it comes from the cloud provider, in the host's certificate table.

Exit codes: 0; 10 if what was answered does not fit the evidence, 20 for evidence that has no collateral, 30 if it is
not well formed, 1 if the network or a file failed, 2 if the arguments make no sense.

Examples:
  cloister-verify collateral fetch report.bin --out collateral.json
  cloister-verify collateral fetch quote.bin --out collateral.json --update early
  cloister-verify collateral fetch document.json --out c.json --kds https://mirror.example --ca mirror.pem")]
pub(crate) struct FetchArgs {
    /// A SEV-SNP report, TDX quote, Azure HCL report of SEV-SNP, attestation document, or a CMW record around one.
    pub(crate) file: PathBuf,
    /// Where to keep it. An existing file is replaced in one step, and only by something that verifies.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What AMD's host gave beside the report: a VLEK, say.
    #[command(flatten)]
    pub(crate) endorsements: super::EndorsementArgs,
    /// The product of the chip, for reports of version 2, which do not say it.
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) product: Option<ProductArg>,
    /// AMD's key distribution service, or a mirror.
    #[arg(long, value_name = "URL", default_value = Services::KDS, value_parser = base)]
    pub(crate) kds: String,
    /// Intel's provisioning certification service, or a caching one.
    #[arg(long, value_name = "URL", default_value = Services::PCS, value_parser = base)]
    pub(crate) pcs: String,
    /// Revocation list of Intel's root.
    #[arg(long, value_name = "URL", default_value = Services::ROOT_CRL, value_parser = base)]
    pub(crate) root_crl: String,
    /// Which of Intel's sets of TCB data: the one it enforces, or the newest.
    #[arg(long, value_enum, default_value = "standard")]
    pub(crate) update: UpdateArg,
    /// Certificate authorities (PEM) that servers must have a certificate of, in the place of the public ones.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// How often to ask again when a server fails or is busy.
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub(crate) retries: u32,
    /// DER certificate of a test root, as for `evidence`. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) insecure_trust_root: Vec<PathBuf>,
    /// Judge as of this time instead of now, for example 2026-05-01T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = crate::input::parse_time)]
    pub(crate) at: Option<u64>,
}

/// A line of AMD's processors.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ProductArg {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004, 8004.
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl From<ProductArg> for Product {
    fn from(product: ProductArg) -> Self {
        match product {
            ProductArg::Milan => Self::Milan,
            ProductArg::Genoa => Self::Genoa,
            ProductArg::Turin => Self::Turin,
        }
    }
}

/// One of Intel's sets.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum UpdateArg {
    /// What Intel enforces.
    Standard,
    /// The newest.
    Early,
}

impl FetchArgs {
    /// Where to ask.
    pub(crate) fn services(&self) -> Services {
        Services {
            kds: self.kds.clone(),
            pcs: self.pcs.clone(),
            root_crl: self.root_crl.clone(),
            update: match self.update {
                UpdateArg::Standard => Update::Standard,
                UpdateArg::Early => Update::Early,
            },
        }
    }
}

/// An address of HTTPS, without a slash at its end.
fn base(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| "not an address".to_owned())?;
    if uri.scheme_str() != Some("https") || uri.host().is_none() || uri.query().is_some() {
        return Err("not an address of the form https://HOST[:PORT][/PATH]".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}
