//! Arguments of `measure`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use cloister_attestation::snp::launch::CpuSignature;
use cloister_policies::appraisal::snp::Mask;

/// Arguments of `measure`.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) kind: MeasureKind,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum MeasureKind {
    /// Compute the launch digest that an SEV-SNP guest must have, from what it is launched with.
    Snp(MeasureSnpArgs),
}

/// Arguments of `measure snp`.
#[derive(Debug, Args)]
#[command(after_help = "\
The digest is what a report of the guest has as MEASUREMENT, and what a policy pins under [snp] measurements. It depends
on the exact firmware file, on kernel, initrd and command line where the host loads them directly (kernel-hashes=on), on
the number of vCPUs, on the processor model that the guest sees, and on the VMM. Amazon's VMM is not supported: the
public tools disagree about it.

Exit codes: 0, or 30 if a file is not what it should be, 1 if it cannot be read, 2 if the arguments make no sense.

Examples:
  cloister-verify measure snp --ovmf OVMF.fd --kernel vmlinuz --initrd initrd.img --append 'console=ttyS0' \\
    --vcpus 4 --vcpu-type EPYC-Genoa
  cloister-verify measure snp --ovmf OVMF.fd --vcpus 1 --vcpu-sig 0x00a10f11 --guest-features 0x21 --json
  cloister-verify measure snp --ovmf OVMF.fd --vcpus 2 --vcpu-type EPYC-v4 --id-auth id-auth.bin")]
#[command(group(clap::ArgGroup::new("cpu").required(true).args(["vcpu_type", "vcpu_sig"])))]
pub(crate) struct MeasureSnpArgs {
    /// The firmware image (OVMF), whole.
    #[arg(long, value_name = "FILE")]
    pub(crate) ovmf: PathBuf,
    /// The kernel, where the host loads it directly.
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel: Option<PathBuf>,
    /// The initial RAM disk beside it.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub(crate) initrd: Option<PathBuf>,
    /// The kernel's command line, exactly.
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    pub(crate) append: Option<String>,
    /// How many vCPUs the guest starts with.
    #[arg(long, value_name = "N")]
    pub(crate) vcpus: u32,
    /// QEMU's model of processor, for example EPYC-v4 or EPYC-Genoa.
    #[arg(long, value_name = "NAME", value_parser = cpu_model)]
    pub(crate) vcpu_type: Option<CpuSignature>,
    /// The processor by CPUID 1 EAX, in hex, for example 0x00a10f11.
    #[arg(long, value_name = "HEX", value_parser = cpu_signature)]
    pub(crate) vcpu_sig: Option<CpuSignature>,
    /// SEV features of every vCPU: 0x1 is SNP alone, 0x21 with debug swap.
    #[arg(long, value_name = "HEX", default_value = "0x1")]
    pub(crate) guest_features: Mask,
    /// Who launches the guest.
    #[arg(long, value_enum, default_value_t = VmmArg::Qemu)]
    pub(crate) vmm: VmmArg,
    /// ID authentication information that the host hands over at launch: its key digests are printed as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) id_auth: Option<PathBuf>,
}

/// Who launches the guest.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum VmmArg {
    /// QEMU with KVM.
    Qemu,
    /// Google Compute Engine.
    Gce,
}

fn cpu_model(name: &str) -> Result<CpuSignature, &'static str> {
    CpuSignature::from_qemu_model(name).ok_or("unknown model; give its CPUID signature by --vcpu-sig")
}

fn cpu_signature(text: &str) -> Result<CpuSignature, &'static str> {
    let Mask(number) = text.parse().map_err(|_| "not a hexadecimal number such as 0x00a10f11")?;
    u32::try_from(number).map(CpuSignature).map_err(|_| "more than 32 bits")
}
