//! The part of a policy that is about hardware: which tables judge it, and whether its image is a named one.

use cloister_attestation::azure;
use cloister_attestation::check::{Check, Checklist, Planned, Rejected, Stage};
use cloister_attestation::encoding::Hex;
use cloister_attestation::verify::Hardware;

use super::file::{Image, RawPolicy};
use super::{azure as azure_policy, snp, tdx};

pub(super) const PLAN: &[Planned] = &[
    Planned::required(
        "policy.table",
        Stage::Policy,
        "give the policy a table [snp], [tdx] or [azure] that says what is accepted of such hardware",
    ),
    Planned::optional(
        "policy.image",
        Stage::Policy,
        "run a release whose measurements you have pinned, or pin these after review ([[reference.measurement]])",
    ),
];

/// What came of it.
pub(super) struct Judged {
    pub(super) checks: Vec<Check>,
    /// The name of the image.
    pub(super) image: Option<String>,
}

/// Judges the hardware; nothing where there is none.
pub(super) fn judge(hardware: Option<&Hardware>, policy: &RawPolicy) -> Judged {
    let Some(hardware) = hardware else { return Judged { checks: Vec::new(), image: None } };
    let mut list = Checklist::new(PLAN);
    match policy.missing_table(hardware.tee()) {
        None => list.pass("policy.table", "the policy judges hardware of this kind"),
        Some(table) => list.fail("policy.table", format!("the policy has no table [{table}]")),
    }
    let image = check_image(&mut list, hardware, policy);
    let tables = [
        policy.snp.as_ref().zip(hardware.snp()).map(|(policy, report)| made(snp::check(report, policy))),
        policy.tdx.as_ref().zip(hardware.tdx()).map(|(policy, quote)| made(tdx::check(quote, policy))),
        policy.azure.as_ref().and_then(|policy| match hardware {
            Hardware::AzSnp(guest) => Some(check_guest(guest, policy)),
            Hardware::AzTdx(guest) => Some(check_guest(guest, policy)),
            Hardware::Snp(_) | Hardware::Tdx(_) => None,
        }),
    ];
    let checks = list.into_checks().into_iter().chain(tables.into_iter().flatten().flatten()).collect();
    Judged { checks, image }
}

/// Whether a failed check could be made, and perhaps pass, with collateral that is missing.
pub(super) fn awaits_collateral(id: &str, hardware: Option<&Hardware>) -> bool {
    let without_tcb = hardware.and_then(Hardware::tdx).is_some_and(|quote| quote.tcb().is_none());
    match id {
        "policy.snp.crl" => true,
        "policy.tdx.tcb_status" | "policy.tdx.advisories" | "policy.tdx.evaluation_number" => without_tcb,
        _ => false,
    }
}

fn check_guest<H>(guest: &azure::Verified<H>, policy: &azure_policy::AzurePolicy) -> Vec<Check> {
    made(azure_policy::check(guest, policy))
}

/// The checks of a table, whatever came of them: a failed one is a failed one in the list as well.
fn made<E>(outcome: Result<Vec<Check>, Rejected<E>>) -> Vec<Check> {
    outcome.unwrap_or_else(|rejected| rejected.checks)
}

/// An image is one entry as a whole: firmware of one release and kernel of another are no release.
fn check_image(list: &mut Checklist, hardware: &Hardware, policy: &RawPolicy) -> Option<String> {
    let Some(images) = &policy.reference.measurement else {
        list.not_done("policy.image", "the policy names no image: any software is accepted");
        return None;
    };
    let same = |image: &&Image| image.tee == hardware.tee() && is_of(hardware, image);
    let (valid, ended): (Vec<&Image>, Vec<&Image>) =
        images.iter().filter(same).partition(|image| image.is_valid_at(hardware.verified_at_ms()));
    match (valid.first(), ended.first()) {
        (Some(image), _) => {
            list.pass("policy.image", format!("this is {}", image.name));
            Some(image.name.clone())
        }
        (None, Some(image)) => {
            list.fail("policy.image", format!("this is {}, whose entry is not valid at this time", image.name));
            None
        }
        (None, None) if images.is_empty() => {
            list.fail("policy.image", "the policy's list is empty, and an empty list accepts nothing");
            None
        }
        (None, None) => {
            list.fail("policy.image", "the launch measurements are those of no entry");
            None
        }
    }
}

fn is_of(hardware: &Hardware, image: &Image) -> bool {
    match (hardware.snp(), hardware.tdx()) {
        (Some(report), _) => image.measurement == Some(Hex(report.claims().measurement)),
        (None, Some(quote)) => {
            let report = quote.report();
            let [rtmr0, rtmr1, rtmr2, _] = report.rtmr;
            image.registers() == [report.mr_td, rtmr0, rtmr1, rtmr2].map(|value| Some(Hex(value)))
        }
        (None, None) => false,
    }
}
