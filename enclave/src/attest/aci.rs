//! The report of the ACI door (specification, section 4).
//!
//! `tee_type` is `tdx` or `sev_snp` for hardware. The development TEE calls itself `development`, which the
//! specification leaves to extensions, so that every verifier without one refuses it.

use bytes::Bytes;
use cloister_attestation::aci::{self, Keyset, VERSION, spelled};
use cloister_attestation::document::{Evidence, Tee};
use cloister_attestation::encoding::Hex;
use serde_json::{Value, json};

use super::{Asked, Attestation, Door, Error};

/// Where the code comes from, as far as this build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance<'a> {
    /// Commit it was built from; null in the report if unknown.
    pub commit: Option<&'a str>,
}

impl Attestation {
    /// The report for `nonce`, as JSON. May block for as long as the hardware takes.
    ///
    /// # Errors
    /// [`Error::Report`].
    pub fn aci_report(
        &self,
        nonce: Option<[u8; 32]>,
        keyset: &Keyset,
        provenance: Provenance<'_>,
        now_ms: u64,
    ) -> Result<Bytes, Error> {
        let digest = keyset.digest();
        self.recent.share(Asked { door: Door::Aci, nonce, about: digest.0 }, now_ms, || {
            let report_data = aci::report_data(&digest, nonce.as_ref());
            let evidence = evidence(self.tee(), &report_data, &self.platform.report(&report_data)?.evidence);
            let (bound, _zeros) = report_data.split_at(32);
            let report = json!({
                "api_version": VERSION,
                "workload_keyset_digest": spelled(&digest),
                "attestation": {
                    "tee_type": tee_type(self.tee()),
                    "workload_keyset": keyset,
                    "report_data": hex::encode(bound),
                    "source_provenance": {
                        "repo_url": null,
                        "repo_commit": provenance.commit,
                        "image_digest": null,
                        "image_provenance": null,
                    },
                    "evidence": evidence,
                },
                "service_capabilities": { "supported_e2ee_versions": [], "serving": "direct" },
            });
            serde_json::to_vec(&report).map(Bytes::from).map_err(|_| Error::SelfCheck)
        })
    }
}

const fn tee_type(tee: Tee) -> &'static str {
    match tee {
        Tee::Development => "development",
        Tee::SevSnp => "sev_snp",
        Tee::Tdx => "tdx",
        // Behind Azure's paravisor the report speaks of a virtual TPM: not what the specification's two kinds are.
        Tee::AzSnp => "az_snp",
        Tee::AzTdx => "az_tdx",
    }
}

/// The report in the spelling of its kind; the layout of the development TEE under a name that is nobody else's.
fn evidence(tee: Tee, report_data: &[u8; 64], evidence: &Evidence) -> Value {
    let report = &evidence.report;
    match tee {
        Tee::Development => json!({ "development_report_b64": report }),
        Tee::SevSnp => json!({ "report_b64": report }),
        Tee::Tdx => json!({ "quote": hex::encode(&report.0), "quote_report_data": Hex(*report_data) }),
        Tee::AzSnp | Tee::AzTdx => json!(evidence),
    }
}
