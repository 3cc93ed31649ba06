//! `--sign-with`: a result signed by a key that openssl made, verified by somebody else's code.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod tool;

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tool::{arg, vectors, verify};

const MILAN: &str = "snp/snp-real-milan-v3-dstack";

fn openssl(args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(args).output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn key(folder: &TempDir, name: &str, algorithm: &[&str]) -> PathBuf {
    let path = folder.path().join(name);
    openssl(&[&["genpkey"], algorithm, &["-out", arg(&path)]].concat());
    path
}

/// The arguments that have a report judged, whatever comes of it.
fn evidence() -> [String; 2] {
    ["evidence".to_owned(), arg(&vectors("attestation").join(MILAN).join("report.bin")).to_owned()]
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let evidence = evidence();
    let output = verify(&[&[evidence[0].as_str(), evidence[1].as_str()], args].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// RFC 7638 by hand, over the public key as openssl writes it.
fn thumbprint(key: &std::path::Path, algorithm: &str) -> String {
    let der = openssl(&["pkey", "-in", arg(key), "-pubout", "-outform", "DER"]);
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = match algorithm {
        "EdDSA" => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(&der[der.len() - 32..])),
        _ => {
            let (x, y) = der[der.len() - 64..].split_at(32);
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
        }
    };
    URL_SAFE_NO_PAD.encode(cloister_attestation::encoding::sha256(jwk.as_bytes()).0)
}

/// Whether the signature is that of the key's public half, as rustls' verifiers see it.
fn holds(key: &std::path::Path, algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
    let der = openssl(&["pkey", "-in", arg(key), "-pubout", "-outform", "DER"]);
    let (kind, length): (&dyn VerificationAlgorithm, usize) =
        if algorithm == "EdDSA" { (&ED25519, 32) } else { (&ECDSA_P256_SHA256_FIXED, 65) };
    UnparsedPublicKey::new(kind, &der[der.len() - length..]).verify(signed, signature).is_ok()
}

#[test]
fn s3_19_a_result_is_signed_by_the_users_key_and_says_the_same_as_the_unsigned_one() {
    let folder = TempDir::new().unwrap();
    let p256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let keys = [
        ("EdDSA", key(&folder, "ed25519.pem", &["-algorithm", "ed25519"])),
        ("ES256", key(&folder, "p256.pem", &p256)),
    ];
    let at = ["--at", "2026-09-01T00:00:00Z"];
    let (unsigned_code, unsigned, _) = run(&[&["--ear"], &at[..]].concat());
    for (algorithm, key) in &keys {
        let sign = ["--sign-with", arg(key)];
        let (code, token, _) = run(&[&["--ear"], &sign[..], &at[..]].concat());
        assert_eq!(code, unsigned_code, "a signature changes no verdict");
        let parts: Vec<&str> = token.trim_end().split('.').collect();
        let [header, claims, signature] = parts[..] else { panic!("{token}") };
        assert_eq!(decode(header), json!({ "alg": algorithm, "typ": "eat+jwt", "kid": thumbprint(key, algorithm) }));
        assert_eq!(decode(claims), serde_json::from_str::<Value>(&unsigned).unwrap());
        let signed = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(holds(key, algorithm, signed.as_bytes(), &signature));
        assert!(!holds(key, algorithm, signed.replace('.', "x").as_bytes(), &signature));

        let [command, report] = &evidence();
        let (_, json) = tool::json(&[&[command.as_str(), report, "--ear"], &sign[..], &at[..]].concat());
        assert!(json.is_string(), "{json}");
        let (_, record, _) = run(&[&["--cmw"], &sign[..], &at[..]].concat());
        let record: Value = serde_json::from_str(&record).unwrap();
        assert!(record[0].as_str().unwrap().starts_with("application/eat+jwt;"), "{record}");
        let inner = URL_SAFE_NO_PAD.decode(record[1].as_str().unwrap()).unwrap();
        assert_eq!(String::from_utf8(inner).unwrap().split('.').count(), 3);
    }
}

#[test]
fn what_is_no_key_of_these_kinds_is_refused_before_anything_is_judged() {
    let folder = TempDir::new().unwrap();
    let rsa = key(&folder, "rsa.pem", &["-algorithm", "RSA"]);
    let p384 = key(&folder, "p384.pem", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let sealed = ["-algorithm", "ed25519", "-aes256", "-pass", "pass:secret"];
    let sealed = key(&folder, "sealed.pem", &sealed);
    let public = folder.path().join("public.pem");
    let ed25519 = key(&folder, "ed25519.pem", &["-algorithm", "ed25519"]);
    openssl(&["pkey", "-in", arg(&ed25519), "-pubout", "-out", arg(&public)]);
    for bad in [&rsa, &p384, &sealed, &public] {
        let (code, out, err) = run(&["--ear", "--sign-with", arg(bad)]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{}", bad.display());
        assert!(err.contains("openssl genpkey -algorithm ed25519"), "{err}");
    }
    let (code, _, err) = run(&["--ear", "--sign-with", arg(&folder.path().join("missing.pem"))]);
    assert_eq!(code, Some(1), "{err}");
    let (code, ..) = run(&["--sign-with", arg(&ed25519)]);
    assert_eq!(code, Some(2), "a report in words is not signed");
}
