//! A paravisor of our own: it asks the hardware for a report over the key of its virtual TPM, and that TPM quotes
//! registers.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_attestation::azure::{HexBytes, TpmQuote};
use cloister_attestation::document::Evidence;
use cloister_attestation::encoding::{Hex, sha256};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Map, Value, json};

use crate::amd::{Amd, REPORT_BYTES, rsa_key};
use crate::document::members;
use crate::intel::Intel;

/// The values of all 24 registers.
const PCRS: [Hex<32>; 24] = [Hex([0x9C; 32]); 24];

/// The hardware below a paravisor.
#[derive(Debug)]
pub enum Chip {
    /// One of AMD's.
    Amd(Arc<Amd>),
    /// A platform of Intel's.
    Intel(Box<Intel>),
}

/// A paravisor, the chip below it and the TPM above it.
pub struct Paravisor {
    chip: Chip,
    attestation_key: RsaKeyPair,
}

impl std::fmt::Debug for Paravisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paravisor").field("chip", &self.chip).finish_non_exhaustive()
    }
}

impl Paravisor {
    /// A paravisor on this chip, with a TPM that has a new key.
    ///
    /// # Errors
    /// If the key cannot be made.
    pub fn new(chip: Chip) -> anyhow::Result<Self> {
        Ok(Self { chip, attestation_key: rsa_key(2048)? })
    }

    /// Evidence whose TPM says these 32 bytes.
    #[must_use]
    pub fn evidence(&self, extra_data: &[u8; 32]) -> Evidence {
        let (runtime_data, quote) = (self.runtime_data(), self.quote(extra_data));
        let mut report_data = [0; 64];
        report_data.split_at_mut(32).0.copy_from_slice(&sha256(runtime_data.as_bytes()).0);
        match &self.chip {
            Chip::Amd(amd) => Evidence::azure_snp(container(2, amd.report(&report_data), runtime_data), quote),
            Chip::Intel(intel) => {
                // What would be a TDREPORT here can be checked on its own machine only: the quote stands for it.
                let container = container(4, vec![0; REPORT_BYTES], runtime_data);
                Evidence::azure_tdx(container, intel.quote(&report_data), quote)
            }
        }
    }

    /// The collateral of the chip, as the members of a document.
    #[must_use]
    pub fn collateral(&self) -> Map<String, Value> {
        match &self.chip {
            Chip::Amd(amd) => members(&amd.collateral()),
            Chip::Intel(intel) => members(&intel.collateral),
        }
    }

    /// What the paravisor says about the machine: the key of its TPM.
    fn runtime_data(&self) -> String {
        let modulus = PublicKeyComponents::<Vec<u8>>::from(self.attestation_key.public()).n;
        let key = json!({ "kid": "HCLAkPub", "kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(modulus) });
        json!({ "keys": [key], "vm-configuration": { "secure-boot": true } }).to_string()
    }

    /// The TPM's quote over all registers and these 32 bytes.
    fn quote(&self, extra_data: &[u8; 32]) -> TpmQuote {
        let values: Vec<u8> = PCRS.iter().flat_map(|value| value.0).collect();
        let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat();
        let message = [
            // TPM_GENERATED_VALUE, a quote, by a key whose name nobody looks at.
            vec![0xff, 0x54, 0x43, 0x47, 0x80, 0x18],
            sized(&[0; 34]),
            sized(extra_data),
            // Clock, resets, restarts, whether the clock is safe, firmware.
            vec![1; 8 + 4 + 4 + 1 + 8],
            // One bank, SHA-256, three bytes of selected registers.
            vec![0, 0, 0, 1, 0, 0x0B, 3, 0xff, 0xff, 0xff],
            sized(&sha256(&values).0),
        ]
        .concat();
        let mut signature = vec![0; self.attestation_key.public().modulus_len()];
        let signed = self.attestation_key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature);
        signed.expect("the system has randomness");
        TpmQuote { message: HexBytes(message), signature: HexBytes(signature), pcrs: PCRS.to_vec() }
    }
}

/// The container in the TPM's index 0x01400001: a hardware report of this kind, and the runtime data that it speaks of.
fn container(kind: u32, hardware: Vec<u8>, runtime_data: String) -> Vec<u8> {
    let length = u32::try_from(runtime_data.len()).expect("short");
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let header = [b"HCLA".to_vec(), words(&[2, length + 1236, 2, 0, 0, 0, 0])].concat();
    [header, hardware, words(&[length + 20, 1, kind, 1, length]), runtime_data.into_bytes()].concat()
}
