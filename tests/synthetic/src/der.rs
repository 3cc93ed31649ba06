//! Just enough DER to write certificates of any shape.

/// A tag, a length and a content.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    match content.len() {
        short @ 0..=127 => encoded.push(u8::try_from(short).unwrap_or_default()),
        long => {
            let bytes = long.to_be_bytes();
            let digits: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            encoded.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            encoded.extend(digits);
        }
    }
    encoded.extend_from_slice(content);
    encoded
}

/// SEQUENCE
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// INTEGER of a small number.
pub(crate) fn integer(number: u8) -> Vec<u8> {
    if number < 0x80 { tlv(2, &[number]) } else { tlv(2, &[0, number]) }
}

/// BIT STRING of whole bytes.
pub(crate) fn bits(content: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], content].concat())
}

/// OCTET STRING
pub(crate) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(4, content)
}

/// OBJECT IDENTIFIER, its content given.
pub(crate) fn oid(content: &[u8]) -> Vec<u8> {
    tlv(6, content)
}
