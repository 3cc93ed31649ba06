//! Inputs of the appliance's own targets: policies, bodies, headers, and a little of each format of documents.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, OpModeS, Serializable as _, setup_sender};
use rand_core::OsRng;
use serde_json::json;

use super::Seed;
use crate::parts::join;
use crate::targets::wire::EHBP_KEY;

const MARKDOWN: &str = "# Leave\n\nStaff have *28* days.[^1]\n\n- one\n- two\n  1. three\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n\
    ```rust\nfn main() {}\n```\n\n> quoted <b>text</b> &amp; more\n\n## Second\n\n[link](x) ![image](y)\n\n[^1]: note\n";
const HTML: &str = "<!doctype html><html><head><title>T</title><style>p{}</style></head><body><h1>One</h1><p>Text<br>\
    more <script>x()</script><table><tr><th>a<td>b</table><ul><li>x<li hidden>y</ul><pre> a\n b</pre><h3>Deep</h3>\
    <template><p>no</template><svg><text>t</svg><p style='display:none'>hidden</p></body></html>";
const PDF: &str = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
    3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 5 0 R>>>>/Contents 4 0 R>>endobj\n\
    4 0 obj<</Length 62>>stream\nBT /F1 16 Tf 72 700 Td (Leave) Tj 0 -40 Td (28 days) Tj ET    \n\nendstream endobj\n\
    5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>endobj\n\
    xref\n0 6\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \n0000000101 00000 n \n0000000212 00000 n \n\
    0000000324 00000 n \ntrailer<</Size 6/Root 1 0 R>>\nstartxref\n412\n%%EOF\n";

pub(super) fn seeds() -> anyhow::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, data: Vec<u8>| seeds.push(Seed { target, name: name.to_owned(), data });
    add("policy", "default", cloister_policies::appraisal::DEFAULT.as_bytes().to_vec());
    add("policy", "development", cloister_policies::appraisal::DEVELOPMENT.as_bytes().to_vec());
    add("policy", "strict", cloister_policies::appraisal::STRICT.as_bytes().to_vec());
    add("policy", "snp", b"allow_debug = false\nmax_vmpl = 0\nmin_policy_abi = '1.55'\nallowed_products = ['Genoa']\n\
        min_reported_tcb = { bootloader = 1, tee = 0, snp = 22, microcode = 72 }\nrequired_launch_mitigations = '0xb'\n".to_vec());
    add("policy", "azure", b"require_fresh = true\n[pcrs]\n0 = ['00']\n".to_vec());
    add("configuration", "enclave", include_bytes!("../../../../deploy/config/enclave.development.toml").to_vec());
    add("configuration", "host", include_bytes!("../../../../deploy/config/host.toml").to_vec());
    let address = std::net::SocketAddr::from(([192, 0, 2, 1], 55_000));
    add("proxy_header", "v4", cloister_host::proxy_protocol::header(address, address));
    add("ehbp", "two-frames", sealed_body()?);
    add("request_signature", "signed", REQUEST.as_bytes().to_vec());
    for (name, message) in [
        ("registration-request", POINT.to_vec()),
        ("ke1", [POINT, [0; 32], POINT].concat()),
        ("record", [POINT.as_slice(), &[0; 160]].concat()),
    ] {
        add("opaque", name, URL_SAFE_NO_PAD.encode(message).into_bytes());
    }
    add("backup", "two-records", backup());
    add("names", "id", b"doc_01jd5h8z0000000000000000aa".to_vec());
    add("names", "token", [b'A'; 43].to_vec());
    add("names", "login", "Zoë.Example@example.org".as_bytes().to_vec());
    add(
        "worker_reply",
        "parsed",
        serde_json::to_vec(&json!({ "parsed": { "title": "T", "page_count": 1, "sections": [
        { "path": ["A"], "blocks": [{ "text": "Staff have 28 days. They may keep 5.", "page": 1 }] } ] } }))?,
    );
    for (target, text) in [("markdown", MARKDOWN), ("html", HTML), ("text", MARKDOWN), ("pdf", PDF)] {
        add(target, "small", text.as_bytes().to_vec());
    }
    Ok(seeds)
}

/// Key slots, a record, a deletion, and the end.
fn backup() -> Vec<u8> {
    let mut backup = b"cloister-backup/v1\n\0\0\0\x02{}".to_vec();
    backup.extend([&[1, 24][..], &[7; 24], &[0, 0, 0, 40], &[9; 40]].concat());
    backup.extend([&[2, 32][..], &[8; 32]].concat());
    backup.push(0);
    backup.extend(5_u64.to_be_bytes());
    let digest = cloister_attestation::encoding::sha256(&backup);
    backup.extend(digest.0);
    backup
}

/// The generator of ristretto255 (RFC 9496, A.1): a message of OPAQUE wants an element of the group.
const POINT: [u8; 32] = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f, 0x58, 0xe3, 0x0b,
    0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];

const REQUEST: &str = concat!(
    r#"cloister=("@method" "@path" "@query" "content-digest" "ehbp-encapsulated-key");created=1790000000;"#,
    r#"nonce="AAAAAAAAAAAAAAAAAAAAAA";keyid="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";"#,
    r#"alg="hmac-sha256";tag="cloister-request/v1""#,
    "\ncloister=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\n",
    "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\n",
    "0707070707070707070707070707070707070707070707070707070707070707"
);

fn sealed_body() -> anyhow::Result<Vec<u8>> {
    let key = cloister_enclave::ehbp::PrivateKey::from_bytes(&EHBP_KEY)?;
    let point = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(key.public());
    let point = point.map_err(|error| anyhow::anyhow!("{error}"))?;
    let sender =
        setup_sender::<AesGcm256, HkdfSha256, X25519HkdfSha256, _>(&OpModeS::Base, &point, b"ehbp request", &mut OsRng);
    let (enc, mut context) = sender.map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut body = Vec::new();
    for text in ["{\"question\":", "\"how many?\"}"] {
        let sealed = context.seal(text.as_bytes(), b"").map_err(|error| anyhow::anyhow!("{error}"))?;
        body.extend_from_slice(&u32::try_from(sealed.len())?.to_be_bytes());
        body.extend_from_slice(&sealed);
        body.extend_from_slice(&[0; 4]);
    }
    Ok(join(&[hex::encode(enc.to_bytes()).as_bytes(), &[3, 16, 9], &body]))
}
