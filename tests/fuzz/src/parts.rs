//! Several inputs in one: evidence comes in parts, a fuzzer has one string of bytes.
//!
//! The lengths of all parts but the last stand in front, as 32-bit little-endian numbers, so that a change to one part
//! leaves the others where they are. A length that promises more than there is takes what is there: every string of
//! bytes is some parts.

/// Splits into `N` parts.
pub(crate) fn split<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = [[].as_slice(); N];
    let lengths = data.get(..4 * (N - 1)).unwrap_or_default();
    let mut rest = data.get(lengths.len()..).unwrap_or_default();
    let mut lengths = lengths.as_chunks::<4>().0.iter().map(|length| u32::from_le_bytes(*length));
    for part in &mut parts {
        let length = lengths.next().map_or(rest.len(), |length| usize::try_from(length).unwrap_or(usize::MAX));
        (*part, rest) = rest.split_at(length.min(rest.len()));
    }
    parts
}

/// Joins parts, as the targets split them.
///
/// # Panics
///
/// If a part is longer than 4 GiB.
#[must_use]
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    let all_but_last = parts.split_last().map_or([].as_slice(), |(_, before)| before);
    let length = |part: &&[u8]| u32::try_from(part.len()).expect("parts are files of a few kilobytes").to_le_bytes();
    let lengths = all_but_last.iter().flat_map(length);
    lengths.chain(parts.iter().flat_map(|part| part.iter().copied())).collect()
}

/// The time that a part says, in Unix milliseconds, and the parts after it.
pub(crate) fn milliseconds(seconds: &[u8]) -> u64 {
    let bytes = seconds.first_chunk::<4>().copied().unwrap_or_default();
    u64::from(u32::from_le_bytes(bytes)) * 1000
}

/// A part that may be absent: empty is absent.
pub(crate) const fn optional(part: &[u8]) -> Option<&[u8]> {
    if part.is_empty() { None } else { Some(part) }
}
