//! Where fuzzing starts: the published cases, and the few kinds of input that only we make.
//!
//! The cases stay where they are (`CLOISTER_VECTORS`); a corpus made from them belongs under `var/`, never into the
//! repository.

mod appliance;
mod made;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloister_attestation::azure::TpmQuote;
use cloister_attestation::document::{Document, Evidence, Tee};
use serde_json::{Map, Value};

use crate::parts::join;

/// An input of a target.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The target.
    pub target: &'static str,
    /// Where it comes from, as a file name.
    pub name: String,
    /// The input.
    pub data: Vec<u8>,
}

/// Every seed, from the folder of the published cases.
///
/// # Errors
///
/// If a case cannot be read.
pub fn seeds(vectors: &Path) -> anyhow::Result<Vec<Seed>> {
    let cases = vectors.join("attestation");
    anyhow::ensure!(cases.is_dir(), "no {}: name the folder of the case sets by CLOISTER_VECTORS", cases.display());
    let mut seeds = made::seeds()?;
    for folder in folders(&cases.join("snp"))? {
        add(&mut seeds, "snp", &folder, snp(&folder)?);
        add(&mut seeds, "appraisal", &folder, appraisal(&folder)?);
        add(&mut seeds, "snp_table", &folder, table(&folder));
        if is_genuine(&folder) {
            add(&mut seeds, "document", &folder, document(&folder, snp_evidence(&folder), snp_collateral(&folder))?);
        }
    }
    for folder in folders(&cases.join("tdx"))? {
        let quote = read(&folder, "quote.bin")?;
        let collateral = read(&folder, "collateral.json")?;
        let root = if wants_root(&folder)? { read(&folder, "root.der")? } else { Vec::new() };
        add(&mut seeds, "tdx", &folder, join(&[&verify_at(&folder)?, &root, &collateral, &quote]));
        add(&mut seeds, "tdx", &folder, join(&[&verify_at(&folder)?, &root, &[], &quote]));
        if is_genuine(&folder) {
            let evidence = Evidence::new(Tee::Tdx, quote.clone());
            add(&mut seeds, "document", &folder, document(&folder, evidence, serde_json::from_slice(&collateral)?)?);
        }
        add(&mut seeds, "tdx_quote", &folder, quote);
        add(&mut seeds, "tdx_collateral", &folder, collateral);
    }
    for folder in folders(&cases.join("azure"))? {
        let [vek, quote, tpm, hcl] =
            ["vcek.der", "quote.bin", "tpm_quote.json", "hcl_report.bin"].map(|name| optional(&folder, name));
        add(&mut seeds, "azure", &folder, join(&[&verify_at(&folder)?, &vek, &quote, &tpm, &hcl]));
        if let Ok(tpm) = TpmQuote::from_json(&tpm) {
            let guest = document(&folder, azure_evidence(&hcl, &quote, tpm), snp_collateral(&folder))?;
            add(&mut seeds, "document", &folder, guest);
        }
        add(&mut seeds, "azure_hcl", &folder, hcl);
        add(&mut seeds, "azure_quote", &folder, tpm);
    }
    for folder in folders(&cases.join("eventlog"))? {
        // The log's last 200 KB are filler; a fuzzer gets further with a short one.
        let log = optional(&folder, "ccel.bin");
        let filler = log.iter().rev().take_while(|byte| matches!(byte, 0 | 0xff)).count();
        add(
            &mut seeds,
            "eventlog_ccel",
            &folder,
            log.get(..(log.len() - filler + 64).min(log.len())).unwrap_or_default().to_vec(),
        );
        add(&mut seeds, "eventlog_dstack", &folder, optional(&folder, "event_log.json"));
    }
    for image in ["ovmf_AmdSev_suffix.bin", "ovmf_OvmfX64_suffix.bin"] {
        let folder = cases.join("measurement/snp-launch-digest-suite-qemu");
        seeds.push(Seed { target: "snp_firmware", name: image.to_owned(), data: read(&folder, image)? });
    }
    seeds.retain(|seed| !seed.data.is_empty());
    Ok(seeds)
}

/// Writes seeds as files: a folder for each target.
///
/// # Errors
///
/// As the file system says.
pub fn write(seeds: &[Seed], into: &Path) -> anyhow::Result<()> {
    for (number, seed) in seeds.iter().enumerate() {
        let folder = into.join(seed.target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{number:04}-{}", seed.name)), &seed.data)?;
    }
    Ok(())
}

fn add(seeds: &mut Vec<Seed>, target: &'static str, case: &Path, data: Vec<u8>) {
    let name = case.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    seeds.push(Seed { target, name, data });
}

fn snp(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let [ark, ask, vek, crl, report] =
        ["ark.der", "ask.der", "vek.der", "crl.der", "report.bin"].map(|name| optional(folder, name));
    let root = if wants_root(folder)? { ark.as_slice() } else { &[] };
    Ok(join(&[&verify_at(folder)?, root, &ark, &ask, &vek, &crl, &report]))
}

fn appraisal(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let policy = label(folder)?.get("policy").map_or_else(String::new, Value::to_string);
    let [vek, report] = ["vek.der", "report.bin"].map(|name| optional(folder, name));
    Ok(join(&[policy.as_bytes(), &verify_at(folder)?, &vek, &report]))
}

/// The host's table with the case's certificates: entries of GUID, offset and length, then the certificates.
fn table(folder: &Path) -> Vec<u8> {
    const GUIDS: [(&str, u128); 3] = [
        ("vek.der", 0x63da_758d_e664_4564_adc5_f4b9_3be8_accd),
        ("ask.der", 0x4ab7_b379_bbac_4fe4_a02f_05ae_f327_c782),
        ("ark.der", 0xc0b4_06a4_a803_4952_9743_3fb6_014c_d0ae),
    ];
    let (mut entries, mut certificates) = (Vec::new(), Vec::new());
    for (name, guid) in GUIDS {
        let certificate = optional(folder, name);
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or_default().to_le_bytes();
        entries.extend_from_slice(&guid.to_be_bytes());
        entries.extend_from_slice(&length(24 * (GUIDS.len() + 1) + certificates.len()));
        entries.extend_from_slice(&length(certificate.len()));
        certificates.extend(certificate);
    }
    [entries, vec![0; 24], certificates].concat()
}

/// A document around genuine evidence. It speaks of another statement, which is what its verification ends with.
fn document(folder: &Path, evidence: Evidence, collateral: Map<String, Value>) -> anyhow::Result<Vec<u8>> {
    let document = Document::new(None, made::statement(), evidence, collateral);
    Ok(join(&[&verify_at(folder)?, &serde_json::to_vec(&document)?]))
}

fn snp_evidence(folder: &Path) -> Evidence {
    Evidence::new(Tee::SevSnp, optional(folder, "report.bin"))
}

fn azure_evidence(hcl: &[u8], quote: &[u8], tpm: TpmQuote) -> Evidence {
    if quote.is_empty() {
        return Evidence::azure_snp(hcl.to_vec(), tpm);
    }
    Evidence::azure_tdx(hcl.to_vec(), quote.to_vec(), tpm)
}

/// The certificates of a case, as a document carries them.
fn snp_collateral(folder: &Path) -> Map<String, Value> {
    let files = [("vek", "vek.der"), ("vek", "vcek.der"), ("ask", "ask.der"), ("ark", "ark.der"), ("crl", "crl.der")];
    let parts = files.map(|(name, file)| (name.to_owned(), optional(folder, file)));
    let there = parts.into_iter().filter(|(_, der)| !der.is_empty());
    there.map(|(name, der)| (name, Value::from(STANDARD.encode(der)))).collect()
}

fn is_genuine(folder: &Path) -> bool {
    label(folder).is_ok_and(|label| label.get("class") == Some(&Value::from("real")))
}

fn folders(of: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(of).with_context(|| of.display().to_string())?;
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    folders.sort();
    Ok(folders)
}

fn read(folder: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    fs::read(folder.join(name)).with_context(|| format!("{}/{name}", folder.display()))
}

fn optional(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap_or_default()
}

fn label(folder: &Path) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&read(folder, "case.json")?)?)
}

fn verify_at(folder: &Path) -> anyhow::Result<[u8; 4]> {
    let seconds = label(folder)?.get("verify_at").and_then(Value::as_u64).unwrap_or_default();
    Ok(u32::try_from(seconds)?.to_le_bytes())
}

fn wants_root(folder: &Path) -> anyhow::Result<bool> {
    let label = label(folder)?;
    let requires = label.get("requires").and_then(Value::as_array);
    Ok(requires.is_some_and(|requires| requires.contains(&Value::from("root-injection"))))
}
