//! Fuzz targets: one plain function for each parser that reads a peer's bytes.
//!
//! A target takes any bytes and must return. What it asserts beyond that is what must hold of *every* input: reading,
//! writing and reading again gives the same; a refusal names exactly one failed check, of the stage of its error; evidence
//! that is accepted is no longer accepted with one bit of what was signed turned over. A failed assertion is a finding, and
//! so is an allocation beyond [`ALLOCATION_LIMIT`], which ends the process.
//!
//! `deploy/fuzz` runs them under libFuzzer on a corpus made from the published cases ([`corpus`]); `deploy/test` runs
//! each once over that corpus, over damaged copies of it and over every input that ever found something
//! (`regressions/`), so that a target cannot rot.

pub mod corpus;
mod parts;
mod targets;

pub use parts::join;

use cap::Cap;

/// The most that a target may hold at once beyond what was held before it ran. Documents are read within the bounds of
/// the worker's `Limits`, everything else within a few times its input.
pub const ALLOCATION_LIMIT: usize = 256 << 20;

/// The allocator of whatever links this crate: it refuses what is over the limit, and the process ends.
#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// A parser and what must hold of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name that `deploy/fuzz` knows it by.
    pub name: &'static str,
    /// The longest input that is worth trying: just over the parser's own bound where that is small.
    pub max_bytes: usize,
    function: fn(&[u8]),
}

impl Target {
    /// Runs it on one input.
    ///
    /// # Panics
    ///
    /// If something does not hold: that is a finding.
    pub fn run(&self, data: &[u8]) {
        // Nothing else runs beside a target, so what is held now is the base.
        let held = ALLOCATOR.allocated();
        if ALLOCATOR.set_limit(held.saturating_add(ALLOCATION_LIMIT)).is_ok() {
            (self.function)(data);
        }
        let _: Result<(), ()> = ALLOCATOR.set_limit(usize::MAX);
    }
}

/// The targets of the verifier.
const VERIFIER: &[Target] = &[
    target("document", 64 << 10, targets::document::verify),
    target("statement", 16 << 10, targets::document::statement),
    target("development", 256, targets::document::development),
    target("snp", 32 << 10, targets::snp::verify),
    target("snp_table", 33 << 10, targets::snp::table),
    target("snp_firmware", 64 << 10, targets::snp::firmware),
    target("tdx", 64 << 10, targets::tdx::verify),
    target("tdx_quote", 8 << 10, targets::tdx::quote),
    target("tdx_collateral", 64 << 10, targets::tdx::collateral),
    target("azure", 32 << 10, targets::azure::verify),
    target("azure_hcl", 8 << 10, targets::azure::hcl),
    target("azure_quote", 4 << 10, targets::azure::quote),
    target("eventlog_ccel", 64 << 10, targets::eventlog::ccel),
    target("eventlog_dstack", 64 << 10, targets::eventlog::dstack),
    target("note", 8 << 10, targets::log::note),
    target("proof", 8 << 10, targets::log::proof),
    target("bundle", 8 << 10, targets::log::bundle),
    target("export", 128 << 10, targets::log::export),
    target("receipt", 16 << 10, targets::log::receipt),
    target("aci_receipt", 16 << 10, targets::log::aci_receipt),
];

/// The targets of everything else.
const APPLIANCE: &[Target] = &[
    target("policy", 8 << 10, targets::policy::appraisal),
    target("appraisal", 64 << 10, targets::policy::appraise),
    target("configuration", 8 << 10, targets::policy::configuration),
    target("proxy_header", 600, targets::wire::proxy_header),
    target("ehbp", 16 << 10, targets::wire::ehbp),
    target("request_signature", 4 << 10, targets::wire::request_signature),
    target("opaque", 512, targets::wire::opaque),
    target("backup", 64 << 10, targets::store::backup),
    target("names", 512, targets::wire::names),
    target("worker_reply", 16 << 10, targets::documents::worker_reply),
    target("html", 32 << 10, targets::documents::html),
    target("markdown", 32 << 10, targets::documents::markdown),
    target("text", 32 << 10, targets::documents::text),
    target("pdf", 64 << 10, targets::documents::pdf),
];

/// Every target.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    VERIFIER.iter().chain(APPLIANCE)
}

const fn target(name: &'static str, max_bytes: usize, function: fn(&[u8])) -> Target {
    Target { name, max_bytes, function }
}

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    targets().find(|target| target.name == name)
}
