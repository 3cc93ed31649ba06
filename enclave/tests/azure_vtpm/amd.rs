//! A small AMD of our own: root, intermediate and one chip whose key signs whatever a test wants signed.
//!
//! It lives in the tests and only there: the product holds nothing that can make evidence. Certificates come from
//! OpenSSL's command, since AMD signs them with RSA-4096 and PSS.

use std::fs;
use std::path::Path;
use std::process::Command;

use cloister_attestation::snp::{Endorsements, Roots};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};

const SIGNED_BYTES: usize = 0x2A0;
const CHIP: [u8; 64] = [0xC5; 64];
/// Boot loader 3, TEE 0, SNP 8, microcode 115.
const TCB: [u8; 8] = [3, 0, 0, 0, 0, 0, 8, 115];
const PSS: [&str; 5] = ["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:48"];
const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";

pub(crate) struct Amd {
    ark: Vec<u8>,
    ask: Vec<u8>,
    vcek: Vec<u8>,
    key: EcdsaKeyPair,
}

impl Amd {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8.as_ref(), &SystemRandom::new());
        fs::write(at.join("vcek.p8"), pkcs8.as_ref()).unwrap();
        openssl(at, &["pkey", "-inform", "DER", "-in", "vcek.p8", "-out", "vcek.key"]);
        fs::write(at.join("ca.ext"), CA).unwrap();
        fs::write(at.join("vcek.ext"), vcek_extensions()).unwrap();
        for name in ["ark", "ask"] {
            let out = format!("{name}.key");
            openssl(at, &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-out", &out]);
        }
        issue(at, "ark", "ARK-Milan", "ca.ext", &["-signkey", "ark.key"]);
        issue(at, "ask", "SEV-Milan", "ca.ext", &["-CA", "ark.pem", "-CAkey", "ark.key", "-set_serial", "2"]);
        issue(at, "vcek", "SEV-VCEK", "vcek.ext", &["-CA", "ask.pem", "-CAkey", "ask.key", "-set_serial", "3"]);
        let der = |name: &str| fs::read(at.join(format!("{name}.der"))).unwrap();
        Self { ark: der("ark"), ask: der("ask"), vcek: der("vcek"), key: key.unwrap() }
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::insecure_with_ark(&self.ark).unwrap()
    }

    pub(crate) fn endorsements(&self) -> Endorsements<'_> {
        Endorsements { vek: Some(&self.vcek), ask: Some(&self.ask), ark: Some(&self.ark), crl: None }
    }

    /// A report of version 2 that says `report_data`.
    pub(crate) fn report(&self, report_data: &[u8; 64]) -> Vec<u8> {
        let mut report = vec![0; 1184];
        let mut put = |offset: usize, bytes: &[u8]| report[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(0x000, &2_u32.to_le_bytes());
        put(0x008, &0x3_0000_u64.to_le_bytes());
        put(0x034, &1_u32.to_le_bytes());
        put(0x050, report_data);
        put(0x1A0, &CHIP);
        for tcb in [0x038, 0x180, 0x1E0, 0x1F0] {
            put(tcb, &TCB);
        }
        let signature = self.key.sign(&SystemRandom::new(), &report[..SIGNED_BYTES]).unwrap();
        let (r, s) = signature.as_ref().split_at(48);
        for (number, offset) in [(r, 0x2A0), (s, 0x2E8)] {
            let place = &mut report[offset..offset + 48];
            place.copy_from_slice(number);
            place.reverse();
        }
        report
    }
}

/// AMD's extensions: structure version, product, TCB and chip.
fn vcek_extensions() -> String {
    let [bootloader, tee, .., snp, microcode] = TCB;
    let numbers = [("1", 0), ("3.1", bootloader), ("3.2", tee), ("3.3", snp), ("3.8", microcode)];
    let numbers = numbers.map(|(id, number)| format!("1.3.6.1.4.1.3704.1.{id}=DER:0201{number:02x}\n"));
    let product = hex::encode("Milan");
    let chip = hex::encode(CHIP);
    format!("{}1.3.6.1.4.1.3704.1.2=DER:1605{product}\n1.3.6.1.4.1.3704.1.4=DER:{chip}\n", numbers.concat())
}

/// Has a certificate issued over the key `{name}.key`, as PEM and as DER.
fn issue(at: &Path, name: &str, common_name: &str, extensions: &str, issuer: &[&str]) {
    let file = |ending: &str| format!("{name}.{ending}");
    let subject = format!("/CN={common_name}");
    openssl(at, &["req", "-new", "-key", &file("key"), "-subj", &subject, "-out", &file("csr")]);
    let request = ["x509", "-req", "-in", &file("csr"), "-days", "30", "-extfile", extensions, "-out", &file("pem")];
    openssl(at, &[&request, issuer, &PSS].concat());
    openssl(at, &["x509", "-in", &file("pem"), "-outform", "DER", "-out", &file("der")]);
}

fn openssl(at: &Path, arguments: &[&str]) {
    let run = Command::new("openssl").args(arguments).current_dir(at).output();
    let run = run.expect("the command openssl is needed; deploy/test installs it");
    assert!(run.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
}
