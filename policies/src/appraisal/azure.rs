//! Do we accept this guest on Azure? Judgement over a virtual TPM that `cloister-attestation` found to be true.
//!
//! This is about the guest: what its boot measured into the registers, and what the paravisor says about the machine.
//! The hardware below is judged by [`super::snp`] on `verified.hardware()`. Absent keys are not checked and reported as
//! not done; a register with an empty list accepts nothing.
//!
//! | check | keys |
//! |---|---|
//! | `policy.az.pcrs` | `pcrs`: by number, the values that are accepted |
//! | `policy.az.fresh` | `require_fresh`: the quote answers a nonce of ours |
//! | `policy.az.secure_boot` | `require_secure_boot` |
//! | `policy.az.vm` | `vm_unique_ids`: the machines that are accepted |
//! | `policy.az.user_data` | `user_data`: what the guest wrote for its report |

use std::collections::BTreeMap;

use cloister_attestation::azure::Verified;
use cloister_attestation::check::{Check, Checklist, ExitClass, Planned, Rejected, Stage};
use cloister_attestation::encoding::Hex;
use serde::Deserialize;

const IMAGE: &str = "boot an image whose registers you have pinned, or pin these after review";

pub(super) const PLAN: &[Planned] = &[
    Planned::optional("policy.az.pcrs", Stage::Policy, IMAGE),
    Planned::optional("policy.az.fresh", Stage::Policy, "ask the guest's TPM for a quote over a fresh nonce"),
    Planned::optional("policy.az.secure_boot", Stage::Policy, "create the machine with secure boot"),
    Planned::optional("policy.az.vm", Stage::Policy, "connect to the machine that you mean"),
    Planned::optional("policy.az.user_data", Stage::Policy, "ask for evidence over the connection that you use"),
];

/// What is accepted. Absent keys are not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is explained in the table of the module")]
pub struct AzurePolicy {
    pub pcrs: Option<BTreeMap<Pcr, Vec<Hex<32>>>>,
    pub require_fresh: Option<bool>,
    pub require_secure_boot: Option<bool>,
    pub vm_unique_ids: Option<Vec<String>>,
    pub user_data: Option<Hex<64>>,
}

/// The number of a register, written as a string as keys of TOML and JSON are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Pcr(pub u8);

impl TryFrom<String> for Pcr {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let number = text.parse().ok().filter(|number| *number < 24 && text == format!("{number}"));
        number.map(Self).ok_or("not a register from 0 to 23")
    }
}

/// Why a guest is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The policy is none. The text of the parser, which names the key.
    #[error("Azure policy is not well formed: {0}")]
    Malformed(String),
    /// A register holds another value than the pinned ones, or is not covered by the quote.
    #[error("register {0} does not hold one of the pinned values")]
    Pcr(u8),
    /// Nobody can tell whether the quote is new.
    #[error("the quote does not answer a nonce of ours")]
    NotFresh,
    /// Secure boot is off, or the paravisor does not say.
    #[error("secure boot is not on")]
    SecureBoot,
    /// Another machine, or the paravisor does not say which.
    #[error("machine is not one of the accepted ones")]
    Machine,
    /// The guest said something else.
    #[error("user data is not the expected one")]
    UserData,
}

impl PolicyError {
    /// The reason code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "POLICY_MALFORMED",
            Self::Pcr(_) => "PCR",
            Self::NotFresh => "TPM_NONCE",
            Self::SecureBoot => "SECURE_BOOT",
            Self::Machine => "VM_ID",
            Self::UserData => "USER_DATA",
        }
    }

    /// Where the evidence failed: always at the policy.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        Stage::Policy
    }

    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        ExitClass::Rejected
    }
}

impl AzurePolicy {
    /// Reads a policy from TOML.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Malformed`], with the parser's text.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error| PolicyError::Malformed(error.message().to_owned()))
    }
}

/// Judges a true guest by a policy.
///
/// # Errors
///
/// The first thing that the policy does not accept, together with all checks.
pub fn check<H>(guest: &Verified<H>, policy: &AzurePolicy) -> Result<Vec<Check>, Rejected<PolicyError>> {
    let runtime = guest.runtime();
    let pinned = |found: bool, error| if found { Ok(()) } else { Err(error) };
    let known = |ids: &Vec<String>| runtime.vm_unique_id.as_ref().is_some_and(|own| ids.contains(own));
    let outcomes = [
        ("policy.az.pcrs", policy.pcrs.as_ref().map(|pcrs| registers(guest, pcrs))),
        ("policy.az.fresh", asked(policy.require_fresh).map(|()| pinned(guest.is_fresh(), PolicyError::NotFresh))),
        (
            "policy.az.secure_boot",
            asked(policy.require_secure_boot)
                .map(|()| pinned(runtime.secure_boot == Some(true), PolicyError::SecureBoot)),
        ),
        ("policy.az.vm", policy.vm_unique_ids.as_ref().map(|ids| pinned(known(ids), PolicyError::Machine))),
        (
            "policy.az.user_data",
            policy.user_data.map(|data| pinned(runtime.user_data == Some(data.0), PolicyError::UserData)),
        ),
    ];
    let mut list = Checklist::new(PLAN);
    let mut first = None;
    for (id, outcome) in outcomes {
        match outcome {
            None => list.not_done(id, "the policy does not ask for it"),
            Some(Ok(())) => list.pass(id, "as the policy wants it"),
            Some(Err(error)) => {
                list.fail(id, error.to_string());
                first.get_or_insert(error);
            }
        }
    }
    let checks = list.into_checks();
    match first {
        None => Ok(checks),
        Some(error) => Err(Rejected { checks, error }),
    }
}

fn asked(key: Option<bool>) -> Option<()> {
    key.filter(|key| *key).map(|_| ())
}

fn registers<H>(guest: &Verified<H>, pinned: &BTreeMap<Pcr, Vec<Hex<32>>>) -> Result<(), PolicyError> {
    let wrong = pinned.iter().find(|(pcr, values)| {
        let own = guest.pcrs().get(&pcr.0);
        !own.is_some_and(|own| values.contains(&Hex(*own)))
    });
    wrong.map_or(Ok(()), |(pcr, _)| Err(PolicyError::Pcr(pcr.0)))
}
