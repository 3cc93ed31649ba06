//! Cases of hardware evidence and of event logs, put before the verifiers and the policies of the product.

use cloister_attestation::Stage;
use cloister_attestation::azure::{self, HclReport, ReportKind, TpmQuote};
use cloister_attestation::encoding::sha256;
use cloister_attestation::eventlog::{self, ccel, dstack};
use cloister_attestation::snp::{self, Endorsements};
use cloister_attestation::tdx::{self, Collateral, Quote};
use cloister_policies::appraisal::azure::{self as azure_policy, AzurePolicy};
use cloister_policies::appraisal::snp::{self as snp_policy, SnpPolicy};
use cloister_policies::appraisal::tdx::{self as tdx_policy, TdxPolicy};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::case::Case;
use super::expect::Found;

/// What was found, or why nothing could be.
type Judged = Result<Found, String>;

/// Keys of an Azure case's policy that speak of the guest; the others speak of the hardware.
const GUEST_KEYS: [&str; 5] = ["pcrs", "require_fresh", "require_secure_boot", "vm_unique_ids", "user_data"];

/// A SEV-SNP report, or a chain alone.
pub(super) fn snp(case: &Case) -> Judged {
    let roots = match snp_roots(case)? {
        Ok(roots) => roots,
        Err(error) => return Ok(Found::refused(error.stage(), error.code())),
    };
    let endorsements = endorsements(case, "vek.der");
    let Some(report) = case.file("report.bin") else {
        return Ok(match snp::verify_endorsement(&endorsements, &roots, case.now_ms()?) {
            Ok(_) => Found::accepted(),
            Err(rejected) => Found::refused(rejected.error.stage(), rejected.error.code()),
        });
    };
    Ok(match snp::verify(&snp::Evidence { report, endorsements }, &roots, case.now_ms()?) {
        Ok(verified) => appraise_snp(&verified, case.policy()),
        Err(rejected) => Found::refused(rejected.error.stage(), rejected.error.code()),
    })
}

fn snp_roots(case: &Case) -> Result<Result<snp::Roots, snp::Error>, String> {
    Ok(match case.injects_root() {
        true => snp::Roots::insecure_with_ark(case.needs("ark.der")?),
        false => Ok(snp::Roots::pinned()),
    })
}

fn endorsements<'a>(case: &'a Case, vek: &str) -> Endorsements<'a> {
    Endorsements {
        vek: case.file(vek),
        ask: case.file("ask.der"),
        ark: case.file("ark.der"),
        crl: case.file("crl.der"),
    }
}

fn appraise_snp(verified: &snp::Verified, policy: &Map<String, Value>) -> Found {
    let Some(policy) = read_policy::<SnpPolicy>(policy) else { return malformed_policy() };
    match snp_policy::check(verified, &policy) {
        Ok(_) => Found::accepted(),
        Err(rejected) => Found::refused(rejected.error.stage(), rejected.error.code()),
    }
}

/// A TDX quote with its collateral.
pub(super) fn tdx(case: &Case) -> Judged {
    Ok(match verify_quote(case)? {
        Ok(verified) => appraise_tdx(&verified, case.policy()).with_tcb(verified.tcb()),
        Err(refused) => refused,
    })
}

/// Verifies `quote.bin`: what is true, or the refusal.
fn verify_quote(case: &Case) -> Result<Result<tdx::Verified, Found>, String> {
    let (roots, collateral) = match published(case)? {
        Ok(published) => published,
        Err(refused) => return Ok(Err(refused)),
    };
    let evidence = tdx::Evidence { quote: case.needs("quote.bin")?, collateral: collateral.as_ref() };
    let refused = |error: &tdx::Error| Found::refused(error.stage(), error.code());
    Ok(tdx::verify(&evidence, &roots, case.now_ms()?).map_err(|rejected| refused(&rejected.error)))
}

/// The roots to trust and what Intel published, or the refusal.
fn published(case: &Case) -> Result<Result<(tdx::Roots, Option<Collateral>), Found>, String> {
    let roots = match case.injects_root() {
        true => tdx::Roots::insecure_with_root(case.needs("root.der")?.to_vec()),
        false => tdx::Roots::pinned(),
    };
    Ok(match case.file("collateral.json").map(Collateral::from_json).transpose() {
        Ok(collateral) => Ok((roots, collateral)),
        Err(error) => {
            let error = tdx::Error::Collateral(error);
            Err(Found::refused(error.stage(), error.code()))
        }
    })
}

fn appraise_tdx(verified: &tdx::Verified, policy: &Map<String, Value>) -> Found {
    let Some(policy) = read_policy::<TdxPolicy>(policy) else { return malformed_policy() };
    match tdx_policy::check(verified, &policy) {
        Ok(_) => Found::accepted(),
        Err(rejected) => Found::refused(rejected.error.stage(), rejected.error.code()),
    }
}

/// A guest on Azure over SEV-SNP, or the paravisor's container alone.
pub(super) fn az_snp(case: &Case) -> Judged {
    let hcl_report = case.needs("hcl_report.bin")?;
    let quote = match tpm_quote(case)? {
        Ok(Some(quote)) => quote,
        Ok(None) => return container(case, hcl_report, ReportKind::Snp),
        Err(refused) => return Ok(refused),
    };
    let roots = match snp_roots(case)? {
        Ok(roots) => roots,
        Err(error) => return Ok(Found::refused(error.stage(), error.code())),
    };
    let vek = if case.file("vek.der").is_some() { "vek.der" } else { "vcek.der" };
    let evidence = azure::Evidence { hcl_report, quote: &quote, nonce: None };
    Ok(match azure::verify_snp(&evidence, &endorsements(case, vek), &roots, case.now_ms()?) {
        Ok(guest) => appraise_guest(&guest, case.policy(), appraise_snp),
        Err(rejected) => Found::refused(rejected.error.stage(), rejected.error.code()),
    })
}

/// A guest on Azure over TDX, or the paravisor's container alone.
pub(super) fn az_tdx(case: &Case) -> Judged {
    let hcl_report = case.needs("hcl_report.bin")?;
    let quote = match tpm_quote(case)? {
        Ok(Some(quote)) => quote,
        Ok(None) => return container(case, hcl_report, ReportKind::Tdx),
        Err(refused) => return Ok(refused),
    };
    let (roots, collateral) = match published(case)? {
        Ok(published) => published,
        Err(refused) => return Ok(refused),
    };
    let below = tdx::Evidence { quote: case.needs("quote.bin")?, collateral: collateral.as_ref() };
    let evidence = azure::Evidence { hcl_report, quote: &quote, nonce: None };
    Ok(match azure::verify_tdx(&evidence, &below, &roots, case.now_ms()?) {
        Ok(guest) => appraise_guest(&guest, case.policy(), appraise_tdx).with_tcb(guest.hardware().tcb()),
        Err(rejected) => Found::refused(rejected.error.stage(), rejected.error.code()),
    })
}

fn tpm_quote(case: &Case) -> Result<Result<Option<TpmQuote>, Found>, String> {
    let quote = case.file("tpm_quote.json").map(TpmQuote::from_json).transpose();
    Ok(quote.map_err(|error| Found::refused(error.stage(), error.code())))
}

/// A container without a TPM's quote: only its form and that it belongs together can be judged.
fn container(case: &Case, hcl_report: &[u8], kind: ReportKind) -> Judged {
    if !case.policy().is_empty() {
        return Err("has a policy, and no TPM quote to judge by it".to_owned());
    }
    let refused = |error: &azure::Error| Ok(Found::refused(error.stage(), error.code()));
    let report = match HclReport::parse(hcl_report) {
        Ok(report) => report,
        Err(error) => return refused(&error),
    };
    if report.kind() != kind {
        return refused(&azure::Error::Kind { found: report.kind(), wanted: kind });
    }
    let hash = sha256(report.runtime_data_unverified()).to_string();
    if case.expect().var_data_sha256.as_ref().is_some_and(|own| *own != hash) {
        return Err(format!("the runtime data has the SHA-256 {hash}, not the expected one"));
    }
    report.check_own_binding().map_or_else(|error| refused(&error), |()| Ok(Found::accepted()))
}

/// The hardware first, then what the guest's TPM says.
fn appraise_guest<H>(
    guest: &azure::Verified<H>,
    policy: &Map<String, Value>,
    hardware: fn(&H, &Map<String, Value>) -> Found,
) -> Found {
    let (of_guest, of_hardware): (Map<_, _>, Map<_, _>) =
        policy.clone().into_iter().partition(|(key, _)| GUEST_KEYS.contains(&key.as_str()));
    let found = hardware(guest.hardware(), &of_hardware);
    if !found.is_accepted() {
        return found;
    }
    let Some(policy) = read_policy::<AzurePolicy>(&of_guest) else { return malformed_policy() };
    match azure_policy::check(guest, &policy) {
        Ok(_) => found,
        Err(rejected) => Found::refused(rejected.error.stage(), rejected.error.code()),
    }
}

/// A log and the quote whose registers it must explain. The quote is verified where the case says for which time.
pub(super) fn eventlog(case: &Case) -> Judged {
    let registers = if case.has_time() {
        match verify_quote(case)? {
            Ok(verified) => verified.report().rtmr,
            Err(refused) => return Ok(refused),
        }
    } else {
        match Quote::parse(case.needs("quote.bin")?) {
            Ok(quote) => quote.report.rtmr,
            Err(error) => {
                let error = tdx::Error::Quote(error);
                return Ok(Found::refused(error.stage(), error.code()));
            }
        }
    };
    let (verified, events) = match (case.file("ccel.bin"), case.file("event_log.json")) {
        (Some(log), None) => (ccel::verify(log, &registers), ccel::parse(log)),
        (None, Some(log)) => (dstack::verify(log, &registers), dstack::parse(log)),
        (Some(_), Some(_)) => return Err("lists two event logs".to_owned()),
        (None, None) => return Err("lists neither ccel.bin nor event_log.json".to_owned()),
    };
    let found = verified.map_or_else(|error| Found::refused(error.stage(), error.code()), |_| Found::accepted());
    Ok(match events {
        Ok(events) => found.with_registers(&eventlog::replay(&events)),
        Err(_) => found,
    })
}

fn read_policy<P: DeserializeOwned>(policy: &Map<String, Value>) -> Option<P> {
    serde_json::from_value(Value::Object(policy.clone())).ok()
}

const fn malformed_policy() -> Found {
    Found::refused(Stage::Policy, "POLICY_MALFORMED")
}
