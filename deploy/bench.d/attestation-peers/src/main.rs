//! What `sev` and `dcap-qvl` say of a case when they are used as their documentation shows, and how long they take.
//!
//! Each line of JSON, a folder of a published case and a number of rounds, is answered by a line of JSON: whether the
//! evidence is accepted, and the milliseconds of one round. No policy is applied: neither library has one for SEV-SNP,
//! and that of `dcap-qvl` is the one inside its `verify`.

use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::config::Config;
use dcap_qvl::configs::{RingConfig, RustCryptoConfig};
use dcap_qvl::verify::QuoteVerifier;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sev::certs::snp::{Chain, Verifiable as _};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser as _;

#[derive(Deserialize)]
struct Question {
    case: PathBuf,
    peer: Peer,
    rounds: u32,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Peer {
    Sev,
    DcapQvlRustcrypto,
    DcapQvlRing,
}

#[derive(Serialize)]
struct Answer {
    accepted: bool,
    milliseconds: f64,
}

fn main() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&serde_json::from_str(&line?)?)?;
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    Ok(())
}

fn answer(question: &Question) -> anyhow::Result<Answer> {
    let case = Case::read(&question.case)?;
    let mut accepted = false;
    let begun = Instant::now();
    for _ in 0..question.rounds {
        accepted = match question.peer {
            Peer::Sev => case.sev(),
            Peer::DcapQvlRustcrypto => case.dcap_qvl::<RustCryptoConfig>(),
            Peer::DcapQvlRing => case.dcap_qvl::<RingConfig>(),
        };
    }
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0 / f64::from(question.rounds);
    Ok(Answer { accepted, milliseconds })
}

/// The files of a case.
struct Case {
    folder: PathBuf,
    verify_at: u64,
    /// None for Intel's own.
    root: Option<Vec<u8>>,
}

impl Case {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let label = fs::read(folder.join("case.json")).with_context(|| folder.display().to_string())?;
        let label: Value = serde_json::from_slice(&label)?;
        let injected = label["requires"].as_array().is_some_and(|requires| requires.contains(&"root-injection".into()));
        let root = injected.then(|| fs::read(folder.join("root.der")).unwrap_or_default());
        let verify_at = label["verify_at"].as_u64().unwrap_or_default();
        Ok(Self { folder: folder.to_owned(), verify_at, root })
    }

    /// A file that a case may lack: then it is empty.
    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap_or_default()
    }

    /// The chain and, where there is one, the report: `(&chain, &report).verify()`.
    fn sev(&self) -> bool {
        let Ok(chain) = Chain::from_der(&self.file("ark.der"), &self.file("ask.der"), &self.file("vek.der")) else {
            return false;
        };
        if !self.folder.join("report.bin").exists() {
            return chain.verify().is_ok();
        }
        AttestationReport::from_bytes(&self.file("report.bin")).is_ok_and(|report| (&chain, &report).verify().is_ok())
    }

    /// `QuoteVerifier::verify`.
    fn dcap_qvl<C: Config>(&self) -> bool {
        let Ok(collateral) = serde_json::from_slice::<QuoteCollateralV3>(&self.file("collateral.json")) else {
            return false;
        };
        let verifier = self.root.clone().map_or_else(QuoteVerifier::new_prod, QuoteVerifier::new).with_config::<C>();
        verifier.verify(&self.file("quote.bin"), &collateral, self.verify_at).is_ok()
    }
}
