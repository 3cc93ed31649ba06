//! The doors of others: every published vector of ACI, and the names of Tinfoil's certificates by a decoder of our own.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use cloister_attestation::aci::{self, Key, Keyset, Receipt, ReceiptError, TlsKey, verify_receipt};
use cloister_attestation::encoding::{Hex, jcs, sha256};
use cloister_attestation::tinfoil;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

const NONCE: [u8; 32] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";

fn keyset() -> Keyset {
    let receipt = SigningKey::from_bytes(&[2; 32]).verifying_key();
    Keyset {
        subject: Some("dstack-app://example-app".to_owned()),
        not_after: 1_800_000_000,
        receipt_signing_keys: vec![Key {
            key_id: "receipt-1".to_owned(),
            algo: aci::ED25519.to_owned(),
            public_key: Hex(receipt.to_bytes()).to_string(),
        }],
        e2ee_public_keys: vec![Key {
            key_id: "e2ee-1".to_owned(),
            algo: "x25519-aes-256-gcm-hkdf-sha256".to_owned(),
            public_key: "5dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22".to_owned(),
        }],
        tls_public_keys: vec![TlsKey { spki_sha256: Hex([0xc0; 32]), domain: Some("api.example.com".to_owned()) }],
    }
}

/// The published receipt, without its signature, from its members in any order.
fn unsigned() -> Value {
    json!({
        "receipt_id": "rcpt-0001", "chat_id": "chatcmpl-123", "model": "demo-model", "api_version": "aci/1",
        "endpoint": "/v1/chat/completions", "method": "POST", "served_at": 1_750_000_000, "key_id": "receipt-1",
        "workload_keyset_digest": "sha256:53a5cd44b30dcc51999754c719f2628a041f174ecbf9662a6f8e898a10cd9371",
        "event_log": [
            { "type": "request.received",
              "body_hash": aci::spelled(&sha256(br#"{"messages":[{"content":"hi","role":"user"}],"model":"demo-model"}"#)) },
            { "type": "request.forwarded",
              "body_hash": "sha256:94d809bf47380d8a2eab0eb6e126d4dda9364b0b4725cdf7ead52dd70b2aa87b" },
            { "type": "upstream.verified", "result": "verified", "required": true, "model_id": "demo-model",
              "session_id": "95ad1cb4dd25445808c2e9d116caf420b05703730b506395e8fc1ca6faeae28f" },
            { "type": "response.returned",
              "body_hash": aci::spelled(&sha256(br#"{"choices":[],"id":"chatcmpl-123"}"#)) },
        ],
    })
}

const SIGNATURE: &str = "d5b005e093bde3b577faf270b7184b09e169cacb0ecb206b103bd2581f997db03da616175454b063323a23ac1dc68f1ce506c2a6eba8aa0561d5e724f0b80c03";

fn receipt() -> Receipt {
    serde_json::from_value::<aci::ReceiptBody>(unsigned()).unwrap().sign(&SigningKey::from_bytes(&[2; 32]))
}

#[test]
fn aci_keyset_digest_is_the_published_one() {
    let digest = keyset().digest().to_string();
    assert_eq!(digest, "53a5cd44b30dcc51999754c719f2628a041f174ecbf9662a6f8e898a10cd9371");
}

#[test]
fn aci_report_data_is_the_published_one_with_and_without_a_nonce() {
    let digest = keyset().digest();
    let fresh = hex::encode(aci::report_data(&digest, Some(&NONCE)));
    assert_eq!(fresh, format!("df2174d28130852b413646a3786927b93e94c11d770268b65def8bdba45cb49e{:064}", 0));
    let unfresh = hex::encode(aci::report_data(&digest, None));
    assert_eq!(unfresh, format!("0633919ca3f00e97bafaa3304278eb22420cc3ff0d19f87dfca2d3f7508150bc{:064}", 0));
}

#[test]
fn aci_receipt_hash_and_signature_are_the_published_ones() {
    let receipt = receipt();
    let hash = sha256(&receipt.body.signed_bytes()).to_string();
    assert_eq!(hash, "1bd328e6880a5a12b3915af95ea32111310e04ab9e21ac3d71ce268e33b965c9");
    assert_eq!(receipt.signature.to_string(), SIGNATURE);
    verify_receipt(&receipt, &keyset()).unwrap();
    // As served: the body's members and the signature side by side, and nothing else.
    let mut served = unsigned();
    served["signature"] = json!(SIGNATURE);
    assert_eq!(jcs(&receipt), jcs(&served));
    assert_eq!(Receipt::parse(&serde_json::to_vec_pretty(&served).unwrap()).unwrap(), receipt);
    served["note"] = json!("covered by no signature");
    assert_eq!(Receipt::parse(&serde_json::to_vec(&served).unwrap()), Err(ReceiptError::Malformed));
}

#[test]
fn aci_receipts_are_refused_for_what_is_wrong_with_them() {
    let wrong = |change: fn(&mut Receipt)| {
        let mut receipt = receipt();
        change(&mut receipt);
        verify_receipt(&receipt, &keyset())
    };
    assert_eq!(wrong(|r| r.body.api_version = "aci/2".to_owned()), Err(ReceiptError::Version));
    assert_eq!(wrong(|r| r.body.workload_keyset_digest.push('0')), Err(ReceiptError::OtherKeyset));
    assert_eq!(wrong(|r| drop(r.body.event_log.remove(0))), Err(ReceiptError::FirstEvent));
    assert_eq!(wrong(|r| r.body.served_at = u64::MAX), Err(ReceiptError::Integer));
    assert_eq!(wrong(|r| r.body.key_id = "e2ee-1".to_owned()), Err(ReceiptError::UnknownKey));
    assert_eq!(wrong(|r| r.body.model = None), Err(ReceiptError::Signature));
    assert_eq!(wrong(|r| r.signature.0 = [0; 64]), Err(ReceiptError::Signature));
}

/// What Tinfoil's clients do: sort by number, join the chunks, decode.
fn decode(names: &[String], label: &str, domain: &str) -> Vec<u8> {
    let suffix = format!(".{label}.{domain}");
    let mut chunks: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(&suffix)).collect();
    chunks.sort_unstable();
    let text: String = chunks.iter().filter_map(|chunk| chunk.get(2..)).collect();
    data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).unwrap()
}

#[test]
fn tinfoil_names_carry_key_and_document_and_fit() {
    let (key, document) = ([0x5a; 32], tinfoil::document_hash(tinfoil::DEVELOPMENT_FORMAT, "ab"));
    assert_eq!(document, sha256(b"https://tinfoil.sh/predicate/dummy/v2ab"));
    for domain in ["a.io", "appliance.example.org", &"x".repeat(53)] {
        let mut names = tinfoil::certificate_names(domain, &key, &document).unwrap();
        assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
        assert!(names.first().unwrap().starts_with("00"));
        names.reverse();
        assert_eq!(decode(&names, "hpke", domain), key, "{domain}");
        assert_eq!(decode(&names, "hatt", domain), document.to_string().as_bytes(), "{domain}");
    }
    assert_eq!(tinfoil::certificate_names(&"x".repeat(54), &key, &document), None, "no room is said, not squeezed");
}

#[test]
fn tinfoil_report_data_is_the_two_keys() {
    let report_data = tinfoil::report_data(&Hex([1; 32]), &[2; 32]);
    assert_eq!(report_data.as_slice(), [[1; 32], [2; 32]].concat());
}
