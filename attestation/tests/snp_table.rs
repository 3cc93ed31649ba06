//! The host's certificate table: what is in it, and every way of being none.

use cloister_attestation::snp::MAX_CERTIFICATE_BYTES;
use cloister_attestation::snp::table::{MAX_TABLE_BYTES, Table, TableError};
use proptest::prelude::*;

const VCEK: &str = "63da758de6644564adc5f4b93be8accd";
const VLEK: &str = "a8074bc2a25a483eaae639c045a0b8a1";
const ASK: &str = "4ab7b379bbac4fe4a02f05aef327c782";
const ARK: &str = "c0b406a4a803495297433fb6014cd0ae";
const CRL: &str = "92f81bc358114d3d97ffd19f88dc67ea";

fn entry(guid: &str, offset: usize, length: usize) -> Vec<u8> {
    let mut entry = hex::decode(guid).expect("hex");
    entry.extend(u32::try_from(offset).expect("small").to_le_bytes());
    entry.extend(u32::try_from(length).expect("small").to_le_bytes());
    entry
}

/// A table as a host of good will writes it.
fn table(certificates: &[(&str, &[u8])]) -> Vec<u8> {
    let mut offset = (certificates.len() + 1) * 24;
    let (mut entries, mut contents) = (Vec::new(), Vec::new());
    for (guid, certificate) in certificates {
        entries.extend(entry(guid, offset, certificate.len()));
        contents.extend_from_slice(certificate);
        offset += certificate.len();
    }
    [entries, vec![0; 24], contents].concat()
}

#[test]
fn finds_each_certificate_by_its_guid_and_passes_over_others() {
    let bytes = table(&[(ARK, b"ark"), (CRL, b"a list"), (VCEK, b"the leaf"), (ASK, b"ask")]);
    let parsed = Table::parse(&bytes).expect("a table");
    assert_eq!(parsed, Table { vcek: Some(b"the leaf"), vlek: None, ask: Some(b"ask"), ark: Some(b"ark") });
    assert_eq!(parsed.leaf(0), Some(b"the leaf".as_slice()));
    assert_eq!(parsed.leaf(1), None, "a report that a VLEK signed has no use for a VCEK");
    assert_eq!(parsed.leaf(7), None);
    let provider = table(&[(VLEK, b"leaf")]);
    assert_eq!(Table::parse(&provider).expect("a table").leaf(1), Some(b"leaf".as_slice()));
}

#[test]
fn nothing_is_a_table_of_nothing() {
    assert_eq!(Table::parse(&[]), Ok(Table::default()));
    assert_eq!(Table::parse(&[0; 24]), Ok(Table::default()));
    assert_eq!(Table::parse(&[0; 4096]), Ok(Table::default()), "a page of zeros");
}

#[test]
fn each_way_of_being_malformed_has_its_own_name() {
    let parse = |bytes: &[u8]| Table::parse(bytes).map(drop);
    assert_eq!(parse(&vec![0; MAX_TABLE_BYTES + 1]), Err(TableError::TooLarge));
    assert_eq!(parse(&[0; 23]), Err(TableError::Unterminated));
    assert_eq!(parse(&entry(VCEK, 24, 1)), Err(TableError::Unterminated));
    assert_eq!(parse(&[entry(CRL, 408, 0).repeat(17), vec![0; 24]].concat()), Err(TableError::TooManyEntries));
    assert_eq!(parse(&table(&[(VCEK, b"one"), (VCEK, b"two")])), Err(TableError::Twice));

    let with = |offset: usize, length: usize| [entry(VCEK, offset, length), vec![0; 24], vec![7; 100]].concat();
    assert_eq!(parse(&with(48, 100)), Ok(()));
    assert_eq!(parse(&with(48, 101)), Err(TableError::Astray), "one byte past the end");
    assert_eq!(parse(&with(47, 100)), Err(TableError::Astray), "into the entries");
    assert_eq!(parse(&with(48, 0)), Err(TableError::Astray), "a certificate of nothing");
    assert_eq!(parse(&with(u32::MAX as usize, u32::MAX as usize)), Err(TableError::Astray));
    let large = [entry(CRL, 48, MAX_CERTIFICATE_BYTES + 1), vec![0; 24], vec![7; 20_000]].concat();
    assert_eq!(parse(&large), Err(TableError::Astray), "of whatever kind");
}

proptest! {
    #[test]
    fn what_was_written_is_read(leaf in proptest::collection::vec(any::<u8>(), 1..2000), other in proptest::collection::vec(any::<u8>(), 1..2000)) {
        let bytes = table(&[(ASK, &other), (VCEK, &leaf)]);
        let parsed = Table::parse(&bytes).expect("a table");
        prop_assert_eq!(parsed.vcek, Some(leaf.as_slice()));
        prop_assert_eq!(parsed.ask, Some(other.as_slice()));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 0usize..600) {
        let mut valid = table(&[(VCEK, b"leaf"), (ARK, b"root")]);
        let place = at % valid.len();
        valid[place] = bytes.first().copied().unwrap_or(255);
        let _ = Table::parse(&valid);
        let _ = Table::parse(&bytes);
    }
}
