//! Cases with known answers of launch measurements: what can be computed from their files is, and is compared.

use cloister_attestation::encoding::Hex;
use cloister_attestation::snp::launch::id_block::IdAuth;
use cloister_attestation::snp::launch::{
    CpuSignature, DirectBoot, Firmware, Section, SectionKind, Shape, Vmm, launch_digest,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::case::Case;
use super::expect::Found;

/// What stands for an empty file.
const NO_FILE: &str = "/dev/null";

/// A launch whose firmware is given by what of it enters the digest.
#[derive(Deserialize)]
struct Input {
    base_cmdline: String,
    ovmf_hash: Hex<48>,
    kernel_hash: Hex<32>,
    initrd_hash: Hex<32>,
    sev_hashes_table_gpa: u32,
    sev_es_reset_eip: u32,
    vcpus: u32,
    vcpu_type: String,
    guest_features: u64,
    ovmf_sections: Vec<RawSection>,
}

#[derive(Deserialize)]
struct RawSection {
    gpa: u64,
    size: u64,
    section_type: u32,
}

/// A launch whose firmware is a file of the case.
#[derive(Deserialize)]
struct Launch {
    name: String,
    mode: String,
    vcpus: u32,
    vcpu_type: String,
    ovmf: String,
    kernel: Option<String>,
    initrd: Option<String>,
    append: Option<String>,
    guest_features: String,
    vmm: String,
    launch_digest: Hex<48>,
}

/// Computes what the case's files allow.
pub(super) fn run(case: &Case) -> Result<Found, String> {
    let mut computed = 0;
    if let Some(input) = case.file("input.json") {
        let expected = case.expect().launch_digest.as_ref().ok_or("names no launch digest")?;
        let digest = hex::encode(measure_input(input)?);
        if digest != *expected {
            return Err(format!("the launch digest is {digest}, not {expected}"));
        }
        computed += 1;
    }
    if let Some(launches) = case.file("cases.json") {
        let launches: Vec<Launch> = serde_json::from_slice(launches).map_err(|error| format!("cases.json: {error}"))?;
        for launch in &launches {
            let digest = launch.measure(case).map_err(|error| format!("{}: {error}", launch.name))?;
            if digest != launch.launch_digest {
                return Err(format!("{}: the launch digest is {digest}, not {}", launch.name, launch.launch_digest));
            }
            computed += 1;
        }
    }
    if let Some(page) = case.file_ending("auth_block.bin") {
        check_id_auth(case, page)?;
        computed += 1;
    }
    if computed == 0 && !case.expect().is_information() {
        return Err("has no file that a measurement could be computed from".to_owned());
    }
    Ok(Found::accepted())
}

fn cpu(name: &str) -> Result<CpuSignature, String> {
    CpuSignature::from_qemu_model(name).ok_or_else(|| format!("unknown processor model {name}"))
}

fn measure_input(json: &[u8]) -> Result<[u8; 48], String> {
    let input: Input = serde_json::from_slice(json).map_err(|error| format!("input.json: {error}"))?;
    let section = |raw: &RawSection| {
        let kind = SectionKind::from_value(raw.section_type).ok_or("input.json: a section of an unknown kind")?;
        Ok(Section { gpa: raw.gpa, size_bytes: raw.size, kind })
    };
    let firmware = Firmware {
        pages_digest: input.ovmf_hash.0,
        sections: input.ovmf_sections.iter().map(section).collect::<Result<_, String>>()?,
        hashes_gpa: Some(input.sev_hashes_table_gpa),
        reset_eip: Some(input.sev_es_reset_eip),
    };
    let boot = DirectBoot {
        kernel_sha256: input.kernel_hash.0,
        initrd_sha256: input.initrd_hash.0,
        cmdline_sha256: Sha256::new().chain_update(&input.base_cmdline).chain_update([0]).finalize().into(),
    };
    let shape =
        Shape { vcpus: input.vcpus, cpu: cpu(&input.vcpu_type)?, sev_features: input.guest_features, vmm: Vmm::Qemu };
    launch_digest(&firmware, Some(&boot), &shape).map_err(|error| error.to_string())
}

impl Launch {
    fn measure(&self, case: &Case) -> Result<Hex<48>, String> {
        if !self.mode.eq_ignore_ascii_case("snp") {
            return Err(format!("the mode {} is not SNP", self.mode));
        }
        let vmm = Vmm::from_name(&self.vmm).ok_or_else(|| format!("unknown VMM {}", self.vmm))?;
        let features = self.guest_features.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let shape = Shape {
            vcpus: self.vcpus,
            cpu: cpu(&self.vcpu_type)?,
            sev_features: features.ok_or("guest features are not a hexadecimal number")?,
            vmm,
        };
        let file = |name: &Option<String>| match name.as_deref() {
            None | Some(NO_FILE) => Ok(&[][..]),
            Some(name) => case.needs(name),
        };
        let boot = match &self.kernel {
            None => None,
            Some(_) => {
                let append = self.append.as_deref().unwrap_or_default();
                Some(DirectBoot::hash(file(&self.kernel)?, file(&self.initrd)?, append))
            }
        };
        let firmware = Firmware::parse(case.needs(&self.ovmf)?).map_err(|error| error.to_string())?;
        launch_digest(&firmware, boot.as_ref(), &shape).map(Hex).map_err(|error| error.to_string())
    }
}

/// The author signed the ID key, and the signatures that lie beside the page are those in it.
fn check_id_auth(case: &Case, page: &[u8]) -> Result<(), String> {
    let auth = IdAuth::parse(page).map_err(|error| error.to_string())?;
    let beside = [("id_sig.bin", auth.id_block_signature()), ("auth_sig.bin", auth.id_key_signature())];
    let differs = beside.iter().find(|(end, own)| case.file_ending(end).is_some_and(|file| file != *own));
    differs.map_or(Ok(()), |(end, _)| Err(format!("the signature in …{end} is not that of the page")))
}
