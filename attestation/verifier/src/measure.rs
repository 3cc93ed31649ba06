//! `cloister-verify measure`: what must the measurement of a guest be? For whoever publishes or checks reference values.
//!
//! It computes from files alone and judges nothing: no evidence is looked at.

use std::path::Path;

use cloister_attestation::ExitClass;
use cloister_attestation::snp::launch::id_block::{ID_AUTH_BYTES, IdAuth};
use cloister_attestation::snp::launch::{self, DirectBoot, Firmware, Shape, Vmm, launch_digest};
use serde_json::{Map, json};

use crate::args::{MeasureArgs, MeasureKind, MeasureSnpArgs, VmmArg};
use crate::failure::Failure;
use crate::input;
use crate::report::Output;

const MAX_FIRMWARE_BYTES: usize = 64 << 20;
const MAX_KERNEL_BYTES: usize = 1 << 30;

/// Runs the command.
pub(crate) fn run(args: &MeasureArgs) -> Result<Output, Failure> {
    match &args.kind {
        MeasureKind::Snp(args) => snp(args),
    }
}

fn snp(args: &MeasureSnpArgs) -> Result<Output, Failure> {
    let image = input::read(&args.ovmf, MAX_FIRMWARE_BYTES)?;
    let firmware = match Firmware::parse(&image) {
        Ok(firmware) => firmware,
        Err(error) => return Ok(malformed(&args.ovmf, &error)),
    };
    let boot = args.kernel.as_deref().map(|kernel| direct_boot(args, kernel)).transpose()?;
    let cpu = args.vcpu_type.or(args.vcpu_sig).ok_or_else(|| Failure::Usage("give a processor".to_owned()))?;
    let vmm = match args.vmm {
        VmmArg::Qemu => Vmm::Qemu,
        VmmArg::Gce => Vmm::Gce,
    };
    let shape = Shape { vcpus: args.vcpus, cpu, sev_features: args.guest_features.0, vmm };
    let digest = match launch_digest(&firmware, boot.as_ref(), &shape) {
        Ok(digest) => digest,
        Err(error @ launch::Error::Vcpus(_)) => return Err(Failure::Usage(error.to_string())),
        Err(error) => return Ok(malformed(&args.ovmf, &error)),
    };
    let mut values = vec![("launch_digest", hex::encode(digest))];
    if let Some(path) = &args.id_auth {
        match IdAuth::parse(&input::read(path, ID_AUTH_BYTES)?) {
            Ok(auth) => {
                values.push(("id_key_digest", hex::encode(auth.id_key_digest())));
                values.extend(auth.author_key_digest().map(|digest| ("author_key_digest", hex::encode(digest))));
            }
            Err(error) => return Ok(malformed(path, &error)),
        }
    }
    let text = values.iter().map(|(name, value)| format!("{name:<18} {value}\n")).collect();
    let json: Map<_, _> = values.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    Ok(Output { text, json: json.into(), code: ExitClass::Accepted.code() })
}

fn direct_boot(args: &MeasureSnpArgs, kernel: &Path) -> Result<DirectBoot, Failure> {
    let kernel = input::read(kernel, MAX_KERNEL_BYTES)?;
    let initrd = args.initrd.as_deref().map(|path| input::read(path, MAX_KERNEL_BYTES)).transpose()?;
    let append = args.append.as_deref().unwrap_or_default();
    Ok(DirectBoot::hash(&kernel, initrd.as_deref().unwrap_or_default(), append))
}

fn malformed(path: &Path, error: &impl ToString) -> Output {
    let (path, error) = (path.display(), error.to_string());
    Output {
        text: format!("{path}: {error}\n"),
        json: json!({ "exit_class": ExitClass::Malformed, "error": format!("{path}: {error}") }),
        code: ExitClass::Malformed.code(),
    }
}
