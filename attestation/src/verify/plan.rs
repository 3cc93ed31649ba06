//! The checks of a document: those before its evidence, those of the evidence's kind, and those after it.

use crate::azure;
use crate::check::{Check, Checklist, Planned, Stage};
use crate::document::Tee;
use crate::{snp, tdx};

/// Those before the evidence is looked at.
pub(super) const BEFORE: &[Planned] = &[
    Planned::required(
        "doc.format",
        Stage::Format,
        "fetch the document again; if it stays malformed, this is no Cloister appliance",
    ),
    Planned::required("evidence.tee", Stage::Evidence, "use a verifier that knows this kind of evidence"),
    Planned::optional(
        "nonce.match",
        Stage::Evidence,
        "ask the appliance with a fresh nonce; an old answer may be a replay",
    ),
];

/// Those of the development TEE.
pub(super) const DEVELOPMENT: &[Planned] = &[
    Planned::required("dev.format", Stage::Evidence, "fetch the document again"),
    Planned::required("dev.signature", Stage::Evidence, "do not use this appliance: the report was altered"),
];

/// Those after the evidence was found to be true.
pub(super) const AFTER: &[Planned] = &[
    Planned::required(
        "statement.report_data",
        Stage::Statement,
        "do not use this appliance: the statement was altered",
    ),
    Planned::required("statement.not_after", Stage::Statement, "fetch a new document, and check this machine's clock"),
    Planned::required("statement.keys", Stage::Statement, "report this to the operator of the appliance"),
    Planned::optional("channel.match", Stage::Channel, "ask for evidence over the connection that you want to use"),
];

/// The checks of a kind of evidence, none of them made.
pub(super) fn of_kind(tee: Tee) -> Vec<Check> {
    match tee {
        Tee::Development => Checklist::new(DEVELOPMENT).into_checks(),
        Tee::SevSnp => Checklist::new(snp::PLAN).into_checks(),
        Tee::Tdx => Checklist::new(tdx::PLAN).into_checks(),
        Tee::AzSnp => azure::unmade_checks(snp::PLAN),
        Tee::AzTdx => azure::unmade_checks(tdx::PLAN),
    }
}
