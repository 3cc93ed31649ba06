//! RATS conceptual message wrappers (draft-ietf-rats-msg-wrap, section 3): a JSON record `[type, value, ind]`, where the
//! type is a media type or a CoAP content format, the value base64url without padding, and `ind` says what it is.
//!
//! Only records are read, not collections: a file of evidence is one thing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// One wrapped message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// What kind of message it is, as the wrapper says.
    pub(crate) media_type: String,
    /// The message.
    pub(crate) value: Vec<u8>,
    /// Which conceptual messages it is; none where the wrapper does not say.
    pub(crate) indicator: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Type {
    Media(String),
    ContentFormat(u16),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawRecord {
    Full(Type, String, u32),
    Short(Type, String),
}

/// Whether JSON is a record: an array.
pub(crate) fn is_record(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"[")
}

/// Reads a record.
pub(crate) fn parse(json: &[u8]) -> Result<Record, String> {
    let raw: RawRecord = serde_json::from_slice(json)
        .map_err(|_| "not a CMW record: expected [type, base64url value, indicator]".to_owned())?;
    let (media_type, value, indicator) = match raw {
        RawRecord::Full(media_type, value, indicator) => (media_type, value, Some(indicator)),
        RawRecord::Short(media_type, value) => (media_type, value, None),
    };
    let value = URL_SAFE_NO_PAD.decode(value).map_err(|_| "value of the CMW record is not base64url".to_owned())?;
    let media_type = match media_type {
        Type::Media(name) => name,
        Type::ContentFormat(number) => number.to_string(),
    };
    Ok(Record { media_type, value, indicator })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_the_draft_writes_them() {
        let record = parse(br#"["application/eat+cwt", "AQID", 4]"#).expect("a record");
        let expected =
            Record { media_type: "application/eat+cwt".to_owned(), value: vec![1, 2, 3], indicator: Some(4) };
        assert_eq!(record, expected);
        assert_eq!(parse(br#"[30001, "3q2-7w"]"#).map(|record| record.value), Ok(vec![0xDE, 0xAD, 0xBE, 0xEF]));
        for wrong in
            ["[]", r#"["a"]"#, r#"["a", "AQI="]"#, r#"["a", "AQID", "4"]"#, r#"["a", "AQID", 4, 5]"#, "[1.5, \"\"]"]
        {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
