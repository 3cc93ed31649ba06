//! The event log of dstack: JSON, with runtime events in RTMR3 whose digests cover their payloads.
//!
//! `digest = SHA-384(LE32(type) ‖ ":" ‖ event ‖ ":" ‖ payload)`. The digest is computed again for every event of RTMR3; one
//! that is merely believed would let a log carry any payload beside a genuine digest. Events of the firmware (RTMR0 to
//! RTMR2) are replayed by their digests; dstack leaves out some of their payloads. The rule does not say where a name ends
//! that holds a colon, so a runtime event with such a name is refused.

use serde::Deserialize;

use super::{Error, Event, MAX_LOG_BYTES, Verified, sha384};
use crate::encoding::Hex;
use crate::tdx::{HexBytes, Measurement};

/// The type of dstack's runtime events.
pub const RUNTIME_EVENT: u32 = 0x0800_0001;

const RUNTIME_REGISTER: u8 = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    imr: u8,
    event_type: u32,
    digest: Hex<48>,
    event: String,
    event_payload: HexBytes,
}

/// Reads the log and compares it with the registers of verified evidence.
///
/// # Errors
///
/// [`Error::Malformed`], [`Error::Mismatch`], or [`Error::EventDigest`] for an event of RTMR3 whose digest is not that of
/// its type, name and payload.
pub fn verify(json: &[u8], quoted: &[Measurement; 4]) -> Result<Verified, Error> {
    let events = parse(json)?;
    let wrong = |event: &Event| event.register == RUNTIME_REGISTER && event.digest != runtime_digest(event);
    match events.iter().position(wrong) {
        Some(at) => Err(Error::EventDigest(at)),
        None => Verified::new(events, quoted),
    }
}

/// Reads the log. Nothing in it is verified.
///
/// # Errors
///
/// [`Error::Malformed`].
pub fn parse(json: &[u8]) -> Result<Vec<Event>, Error> {
    if json.len() > MAX_LOG_BYTES {
        return Err(Error::Malformed("it is longer than 1 MiB"));
    }
    let raw: Vec<RawEvent> =
        serde_json::from_slice(json).map_err(|_| Error::Malformed("not JSON of the right shape"))?;
    if raw.iter().any(|event| event.imr > RUNTIME_REGISTER) {
        return Err(Error::Malformed("an event names a register that does not exist"));
    }
    if raw.iter().any(|event| event.imr == RUNTIME_REGISTER && event.event.contains(':')) {
        return Err(Error::Malformed("the name of a runtime event holds a colon"));
    }
    let event = |raw: RawEvent| Event {
        register: raw.imr,
        event_type: raw.event_type,
        digest: raw.digest.0,
        name: raw.event,
        data: raw.event_payload.0,
    };
    Ok(raw.into_iter().map(event).collect())
}

/// The digest that an event of RTMR3 must have.
pub(super) fn runtime_digest(event: &Event) -> Measurement {
    sha384(&[&event.event_type.to_le_bytes(), b":", event.name.as_bytes(), b":", &event.data])
}
