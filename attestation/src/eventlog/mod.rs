//! Does an event log explain the runtime measurements of a TD?
//!
//! The four RTMRs of a quote are hash chains: `new = SHA-384(old ‖ digest)`. A log is the list of these digests, with
//! what each was taken of. Two kinds are read: the CCEL of the firmware ([`ccel`]) and the JSON of dstack ([`dstack`]).
//!
//! That a log replays proves that its list of digests is whole and in order, not that what was measured is good: each
//! event still has to be looked at. Nor does a digest vouch for the data beside it, unless it is a digest *of* that
//! data, which [`Event::covers`] tells. Registers must come from verified evidence, or the result means nothing.

pub mod ccel;
pub mod dstack;

use sha2::{Digest as _, Sha384};

use crate::check::{ExitClass, Stage};
use crate::tdx::Measurement;

/// The longest log that is looked at.
pub const MAX_LOG_BYTES: usize = 1024 * 1024;

/// `EV_NO_ACTION`: information that is not measured.
pub const EV_NO_ACTION: u32 = 3;
/// `EV_SEPARATOR`: end of the firmware's own measurements.
pub const EV_SEPARATOR: u32 = 4;
/// `EV_IPL`: boot loaders measure their commands and files with it.
pub const EV_IPL: u32 = 0xd;
/// `EV_EFI_VARIABLE_DRIVER_CONFIG`: secure boot variables.
pub const EV_EFI_VARIABLE_DRIVER_CONFIG: u32 = 0x8000_0001;
/// `EV_EFI_VARIABLE_BOOT`: boot order and boot options.
pub const EV_EFI_VARIABLE_BOOT: u32 = 0x8000_0002;
/// `EV_EFI_ACTION`: a text for something that was done.
pub const EV_EFI_ACTION: u32 = 0x8000_0007;

/// Why a log does not explain the registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a log of this kind.
    #[error("event log is malformed: {0}")]
    Malformed(&'static str),
    /// Replaying it leads to another value.
    #[error("event log does not lead to the quoted value of RTMR{0}")]
    Mismatch(u8),
    /// The digest of an event is not that of its data.
    #[error("digest of event {0} is not that of its data")]
    EventDigest(usize),
}

impl Error {
    /// The stable code of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "EVENTLOG_MALFORMED",
            Self::Mismatch(_) => "EVENTLOG_MISMATCH",
            Self::EventDigest(_) => "EVENT_DIGEST_MISMATCH",
        }
    }

    /// The stage of the trust path at which it was refused.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Malformed(_) => Stage::Parse,
            Self::Mismatch(_) | Self::EventDigest(_) => Stage::Policy,
        }
    }

    /// What kind of refusal it is.
    #[must_use]
    pub const fn class(&self) -> ExitClass {
        match self {
            Self::Malformed(_) => ExitClass::Malformed,
            Self::Mismatch(_) | Self::EventDigest(_) => ExitClass::Rejected,
        }
    }
}

/// One measurement, as a log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which RTMR it extended, 0 to 3.
    pub register: u8,
    /// Its type: TCG's numbers, or dstack's.
    pub event_type: u32,
    /// What the register was extended with.
    pub digest: Measurement,
    /// Name of the event; only dstack's have one.
    pub name: String,
    /// What the log says was measured.
    pub data: Vec<u8>,
}

/// How much of an event's data its digest vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    Data,
    /// Name, type and payload, by dstack's rule.
    Runtime,
    /// The value of a UEFI variable, not its name.
    VariableValue,
    /// The text after the boot loader's label.
    Text,
    /// None of it: the digest is of something that the log does not carry, such as a kernel.
    Nothing,
}

impl Event {
    /// How much of the data the digest vouches for.
    #[must_use]
    pub fn covers(&self) -> Coverage {
        if self.digest == sha384(&[&self.data]) {
            Coverage::Data
        } else if self.event_type == dstack::RUNTIME_EVENT && self.digest == dstack::runtime_digest(self) {
            Coverage::Runtime
        } else if self.covers_part(EV_EFI_VARIABLE_BOOT, ccel::variable_value) {
            Coverage::VariableValue
        } else if self.covers_part(EV_IPL, ccel::loader_text) {
            Coverage::Text
        } else {
            Coverage::Nothing
        }
    }

    fn covers_part(&self, event_type: u32, part: fn(&[u8]) -> Option<&[u8]>) -> bool {
        self.event_type == event_type && part(&self.data).is_some_and(|part| self.digest == sha384(&[part]))
    }

    /// Whether its type says that the digest is of the whole data.
    const fn must_cover_data(&self) -> bool {
        matches!(self.event_type, EV_SEPARATOR | EV_EFI_VARIABLE_DRIVER_CONFIG | EV_EFI_ACTION)
    }
}

/// A log that leads to the registers it was compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    events: Vec<Event>,
}

impl Verified {
    /// The events, in the order in which they were measured.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Compares the events with the registers.
    fn new(events: Vec<Event>, quoted: &[Measurement; 4]) -> Result<Self, Error> {
        for ((replayed, quoted), register) in replay(&events).iter().zip(quoted).zip(0..) {
            if replayed != quoted {
                return Err(Error::Mismatch(register));
            }
        }
        Ok(Self { events })
    }
}

/// The values that the events lead to, from zero.
#[must_use]
pub fn replay(events: &[Event]) -> [Measurement; 4] {
    let mut registers = [[0; 48]; 4];
    for event in events {
        if let Some(register) = registers.get_mut(usize::from(event.register)) {
            *register = sha384(&[register.as_slice(), &event.digest]);
        }
    }
    registers
}

fn sha384(parts: &[&[u8]]) -> Measurement {
    parts.iter().fold(Sha384::new(), |hash, part| hash.chain_update(part)).finalize().into()
}
