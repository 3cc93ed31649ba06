//! What a reader of a policy should know about it: [`lint`] says what it lets through, [`explain`] what each key means.
//!
//! Neither judges anything: a policy that lint complains about is applied as it is written.

use cloister_attestation::snp::Product;

use super::file::{AppraisalPolicy, Error, RawPolicy};
use super::snp::SnpPolicy;
use super::tdx::TdxPolicy;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The text is no policy.
    Error,
    /// The policy accepts, or refuses, more than its writer may think.
    Warning,
}

/// Something about a policy that its writer should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The key that it is about, with its table; for a text that is no policy, `policy`.
    pub key: &'static str,
    /// What it is, and what to do.
    pub message: String,
}

/// Finds what a policy lets through. The time is that of the reader, Unix milliseconds: entries expire.
#[must_use]
pub fn lint(text: &str, now_ms: u64) -> Vec<Finding> {
    let policy = match AppraisalPolicy::from_toml(text) {
        Ok(policy) => policy,
        Err(error) => return vec![Finding { level: Level::Error, key: key_of(&error), message: error.to_string() }],
    };
    let raw = policy.raw();
    let mut found = general(raw, now_ms);
    if raw.tee.iter().any(|tee| tee.is_hardware()) {
        found.extend(raw.snp.iter().flat_map(snp));
        found.extend(raw.tdx.iter().flat_map(tdx));
        found.extend(unpinned(raw));
    }
    found.into_iter().map(|(key, message)| Finding { level: Level::Warning, key, message }).collect()
}

type Found = (&'static str, String);

const fn key_of(error: &Error) -> &'static str {
    match error {
        Error::Toml { .. } => "policy",
        Error::Version(_) => "v",
        Error::Kinds | Error::Table { .. } => "tee",
        Error::Measurement { .. } => "reference.measurement",
    }
}

fn general(raw: &RawPolicy, now_ms: u64) -> Vec<Found> {
    let mut found = Vec::new();
    if !raw.require_fresh {
        found.push(("require_fresh", "an old answer is accepted as if it were new; write true".to_owned()));
    }
    for image in raw.reference.measurement.iter().flatten().filter(|image| !image.is_valid_at(now_ms)) {
        found.push((
            "reference.measurement",
            format!("`{}` is not valid now and accepts nothing; renew its dates or delete it", image.name),
        ));
    }
    let lists = [
        ("reference.commits", raw.reference.commits.as_ref().map(Vec::len)),
        ("reference.policies_sha256", raw.reference.policies_sha256.as_ref().map(Vec::len)),
        ("reference.egress_sha256", raw.reference.egress_sha256.as_ref().map(Vec::len)),
        ("reference.models_sha256", raw.reference.models_sha256.as_ref().map(Vec::len)),
        ("reference.measurement", raw.reference.measurement.as_ref().map(Vec::len)),
    ];
    let empty = lists.into_iter().filter(|(_, length)| *length == Some(0));
    found.extend(empty.map(|(key, _)| (key, "an empty list accepts nothing; fill it or delete the key".to_owned())));
    found
}

/// A policy about hardware that says nothing about what runs on it.
fn unpinned(raw: &RawPolicy) -> Option<Found> {
    let snp = raw.snp.as_ref().is_none_or(|snp| snp.measurements.is_some() || snp.id_key_digests.is_some());
    let tdx = raw.tdx.as_ref().is_none_or(|tdx| tdx.mrtd.is_some() && tdx.rtmr1.is_some() && tdx.rtmr2.is_some());
    let registers = raw.azure.as_ref().is_some_and(|azure| azure.pcrs.is_some());
    let pinned = raw.reference.measurement.is_some() || registers || (snp && tdx);
    let message =
        "no measurement is pinned, so ANY software on such hardware is accepted; add [[reference.measurement]]";
    (!pinned).then(|| ("reference.measurement", message.to_owned()))
}

fn snp(policy: &SnpPolicy) -> Vec<Found> {
    let milan = policy.allowed_products.as_ref().is_none_or(|products| products.contains(&Product::Milan));
    let no_floor = policy.min_reported_tcb.is_none() && policy.min_reported_tcb_by_product.is_none();
    let level = policy.max_vmpl.is_none_or(|level| level > 0);
    let rules = [
        (
            milan,
            "snp.allowed_products",
            "Milan is accepted although the seed of its keys was extracted (arXiv 2605.12990); list the others",
        ),
        (
            policy.allow_debug != Some(false),
            "snp.allow_debug",
            "a machine whose memory the host can read is accepted; write false",
        ),
        (
            policy.allow_migrate_ma != Some(false),
            "snp.allow_migrate_ma",
            "a machine that an agent may move is accepted; write false",
        ),
        (
            level,
            "snp.max_vmpl",
            "a report from a lower privilege level is accepted; write 0 unless a paravisor is meant",
        ),
        (no_floor, "snp.min_reported_tcb_by_product", "firmware of any age is accepted; give a floor per product"),
        (
            policy.require_alias_check != Some(true),
            "snp.require_alias_check",
            "memory with aliases (BadRAM) is accepted; write true",
        ),
        (
            policy.require_crl != Some(true),
            "snp.require_crl",
            "revocation is not asked for; write true once documents bring the list",
        ),
    ];
    list(rules)
}

fn tdx(policy: &TdxPolicy) -> Vec<Found> {
    let rules = [
        (
            policy.allow_debug != Some(false),
            "tdx.allow_debug",
            "a domain whose memory the host can read is accepted; write false",
        ),
        (
            policy.accept_tcb_status.is_none(),
            "tdx.accept_tcb_status",
            "platforms that lack patches are accepted; list the statuses",
        ),
        (
            policy.min_tcb_evaluation_data_number.is_none(),
            "tdx.min_tcb_evaluation_data_number",
            "old collateral can hide a later recovery; give the least number",
        ),
        (
            policy.require_sept_ve_disable != Some(true),
            "tdx.require_sept_ve_disable",
            "the host may inject exceptions; write true",
        ),
        (
            policy.allow_migratable != Some(false),
            "tdx.allow_migratable",
            "a domain that may be migrated is accepted; write false",
        ),
    ];
    list(rules)
}

fn list<const N: usize>(rules: [(bool, &'static str, &str); N]) -> Vec<Found> {
    rules.into_iter().filter(|(holds, ..)| *holds).map(|(_, key, message)| (key, message.to_owned())).collect()
}

/// Says what every key of a policy means, with its value, in the order of the tables.
#[must_use]
pub fn explain(policy: &AppraisalPolicy) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    walk("", policy.written(), &mut keys);
    keys.into_iter()
        .map(|(key, value)| {
            let meaning = super::words::MEANINGS.iter().find(|(known, _)| *known == key).map_or("", |(_, text)| text);
            let sentence = format!("{meaning} Here: {value}.");
            (key, sentence)
        })
        .collect()
}

fn walk(prefix: &str, table: &toml::Table, keys: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value.as_table() {
            Some(inner) if !super::words::is_value(&key) => walk(&key, inner, keys),
            Some(_) | None => keys.push((key, value.to_string())),
        }
    }
}
