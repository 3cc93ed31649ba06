//! The confidential computing event log of UEFI firmware (ACPI table CCEL), with SHA-384 digests.
//!
//! Layout: TCG PC Client Platform Firmware Profile 1.05, section 10 (crypto-agile log); UEFI 2.10, section 38.4, for the
//! numbers of the registers: 0 is MRTD, which nothing can extend, 1 to 4 are RTMR0 to RTMR3. The area that the table
//! names is longer than the log; what follows the last event must be nothing but `ff` or nothing but zeros.

use super::{EV_NO_ACTION, Error, Event, MAX_LOG_BYTES, Verified};
use crate::reader::Reader;
use crate::tdx::Measurement;

const SIGNATURE: &[u8; 16] = b"Spec ID Event03\0";
const SHA384: u16 = 0xc;
const SHA384_BYTES: u16 = 48;
const SHA1_BYTES: usize = 20;

/// Reads the log and compares it with the registers of verified evidence.
///
/// # Errors
///
/// [`Error::Malformed`], [`Error::Mismatch`], or [`Error::EventDigest`] for an event whose type says that its digest is
/// of its data, and is not.
pub fn verify(log: &[u8], quoted: &[Measurement; 4]) -> Result<Verified, Error> {
    let verified = Verified::new(parse(log)?, quoted)?;
    let wrong = |event: &Event| event.must_cover_data() && event.digest != super::sha384(&[&event.data]);
    match verified.events().iter().position(wrong) {
        Some(at) => Err(Error::EventDigest(at)),
        None => Ok(verified),
    }
}

/// Reads the log. Nothing in it is verified.
///
/// # Errors
///
/// [`Error::Malformed`].
pub fn parse(log: &[u8]) -> Result<Vec<Event>, Error> {
    if log.len() > MAX_LOG_BYTES {
        return Err(Error::Malformed("it is longer than 1 MiB"));
    }
    let mut reader = Reader::new(log);
    parse_header(&mut reader).ok_or(Error::Malformed("it does not begin as a SHA-384 log does"))?;
    let mut events = Vec::new();
    while !is_filler(reader.rest()) {
        let event = parse_event(&mut reader).ok_or(Error::Malformed("an event is not a SHA-384 event"))?;
        match (event.event_type, event.register.checked_sub(1)) {
            (EV_NO_ACTION, _) => {}
            (_, Some(register @ 0..=3)) => events.push(Event { register, ..event }),
            (_, Some(_) | None) => return Err(Error::Malformed("an event names a register that cannot be extended")),
        }
    }
    Ok(events)
}

/// The specification event, in the older layout with SHA-1; it is not measured.
fn parse_header(reader: &mut Reader<'_>) -> Option<()> {
    reader.u32()?;
    let event_type = reader.u32()?;
    reader.slice(SHA1_BYTES)?;
    let mut data = Reader::new(reader.slice32()?);
    let signature: &[u8; 16] = data.array()?;
    // Platform class 4, version 3, size of UINTN 1.
    data.slice(8)?;
    let algorithms = data.u32()?;
    let algorithm = (data.u16()?, data.u16()?);
    let vendor_bytes = data.u8()?;
    data.slice(usize::from(vendor_bytes))?;
    let right = event_type == EV_NO_ACTION
        && signature == SIGNATURE
        && algorithms == 1
        && algorithm == (SHA384, SHA384_BYTES)
        && data.rest().is_empty();
    right.then_some(())
}

/// One event; its register is still numbered from MRTD on.
fn parse_event(reader: &mut Reader<'_>) -> Option<Event> {
    let register = u8::try_from(reader.u32()?).ok()?;
    let event_type = reader.u32()?;
    let digests = reader.u32()?;
    let algorithm = reader.u16()?;
    let digest = *reader.array()?;
    let data = reader.slice32()?.to_vec();
    let right = digests == 1 && algorithm == SHA384;
    right.then_some(Event { register, event_type, digest, name: String::new(), data })
}

fn is_filler(rest: &[u8]) -> bool {
    let first = rest.first().copied().unwrap_or_default();
    matches!(first, 0 | 0xff) && rest.iter().all(|&byte| byte == first)
}

/// The value within the data of a UEFI variable event: GUID 16, length of the name, length of the value, name, value.
pub(super) fn variable_value(data: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(data);
    reader.slice(16)?;
    let name_chars = usize::try_from(u64::from_le_bytes(*reader.array()?)).ok()?;
    let value_bytes = usize::try_from(u64::from_le_bytes(*reader.array()?)).ok()?;
    reader.slice(name_chars.checked_mul(2)?)?;
    let value = reader.slice(value_bytes)?;
    reader.rest().is_empty().then_some(value)
}

/// What GRUB measures of an event like `grub_cmd: linux …`: the text after the label, without the final NUL.
pub(super) fn loader_text(data: &[u8]) -> Option<&[u8]> {
    let text = data.strip_suffix(&[0])?;
    let colon = text.windows(2).position(|pair| pair == b": ")?;
    text.get(colon.checked_add(2)?..)
}
