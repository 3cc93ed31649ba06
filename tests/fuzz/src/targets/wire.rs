//! What reaches the enclave before anybody is known: PROXY header, encrypted bodies, signature headers, names.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use cloister_enclave::ehbp::{Error, FrameLimits, KeyRing, Opener, PrivateKey};
use cloister_enclave::identity::login::LoginName;
use cloister_enclave::identity::opaque::{self, Record, Setup};
use cloister_enclave::identity::signature::{Claim, Refused, RequestKey, verify};
use cloister_enclave::identity::token::Token;
use cloister_enclave::keys::secret::Secret;
use cloister_enclave::serve::proxy;
use cloister_protocol::ids::{AssistantId, DocumentId, WorkspaceId};

use crate::parts::split;

/// The private key that sealed bodies of the corpus are for.
pub(crate) const EHBP_KEY: [u8; 32] = [7; 32];
const LIMITS: FrameLimits = FrameLimits { frame_bytes: 4096, empty_frames: 4 };

/// A header from the relay; and what our relay writes is read as what it meant.
pub(crate) fn proxy_header(data: &[u8]) {
    if let Some((fixed, payload)) = data.split_first_chunk::<16>()
        && let Ok(head) = proxy::Head::parse(fixed)
    {
        assert!(head.payload_bytes() <= 520);
        if let Some(payload) = payload.get(..head.payload_bytes()) {
            let _ = head.source(payload);
        }
    }
    let Some((address, ports)) = data.split_first_chunk::<16>() else { return };
    let Some(port) = ports.first_chunk::<2>().map(|port| u16::from_be_bytes(*port)) else { return };
    let source = SocketAddr::new(IpAddr::from(*address), port);
    let destination = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 443);
    let written = cloister_host::proxy_protocol::header(source, destination);
    let (fixed, payload) = written.split_first_chunk::<16>().expect("a header has its fixed part");
    let head = proxy::Head::parse(fixed).expect("our own header");
    assert_eq!(head.payload_bytes(), payload.len());
    assert_eq!(head.source(payload), Ok(Some(source.ip().to_canonical())));
}

/// Parts: the encapsulated key's header, how the body arrives in pieces, the body.
pub(crate) fn ehbp(data: &[u8]) {
    let [header, pieces, body] = split(data);
    let key = |bytes| PrivateKey::from_bytes(bytes).expect("any 32 bytes are a key");
    let ring = KeyRing::new(key(&[8; 32]), Some(key(&EHBP_KEY)));
    let Ok(mut whole) = Opener::new(&ring, header, LIMITS) else { return };
    let Ok(mut in_pieces) = Opener::new(&ring, header, LIMITS) else { return };
    whole.push(body);
    let at_once = drain(&mut whole);

    let mut frames = Vec::new();
    let mut rest = body;
    let mut outcome = Ok(());
    let mut sizes = pieces.iter().map(|size| usize::from(*size) + 1);
    while !rest.is_empty() && outcome.is_ok() {
        let (piece, after) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
        in_pieces.push(piece);
        let (more, result) = drain(&mut in_pieces);
        frames.extend(more);
        outcome = result;
        rest = after;
    }
    assert_eq!((frames, outcome), at_once, "how a body arrives changes what it says");
    if at_once.1.is_ok() {
        assert_eq!(whole.finish(), in_pieces.finish());
    }
    assert_eq!(whole.sealer([9; 32]).is_ok(), whole.is_authenticated());
}

fn drain(opener: &mut Opener) -> (Vec<Vec<u8>>, Result<(), Error>) {
    let mut frames = Vec::new();
    loop {
        match opener.next_frame() {
            Ok(Some(frame)) => frames.push(frame.to_vec()),
            Ok(None) => return (frames, Ok(())),
            Err(error) => return (frames, Err(error)),
        }
    }
}

/// The headers of a signed request, one a line. What is claimed stands in them; nobody here knows the key.
pub(crate) fn request_signature(data: &[u8]) {
    let mut request = http::Request::builder().method("POST").uri("/api/v1/ask");
    let names = ["signature-input", "signature", "content-digest", "ehbp-encapsulated-key"];
    for (name, value) in names.into_iter().zip(data.split(|byte| *byte == b'\n')) {
        request = request.header(name, value);
    }
    let Ok((parts, ())) = request.body(()).map(http::Request::into_parts) else { return };
    let Ok(Some(claim)) = Claim::parse(&parts.headers) else { return };
    let input = parts.headers.get("signature-input").and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(input.contains(&format!("\"{}\"", claim.nonce())) && input.contains(&claim.created_s().to_string()));
    let key = RequestKey::from_secret(Secret::new([1; 32]));
    assert_eq!(verify(&parts, &claim, &key, 0, claim.created_s().saturating_mul(1000)), Err(Refused::Signature));
}

/// The messages of OPAQUE that come before anybody is known, as the text that they are.
pub(crate) fn opaque(data: &[u8]) {
    static SETUP: LazyLock<Setup> =
        LazyLock::new(|| Setup::from_bytes(opaque::generate().expose_secret()).expect("secrets that were just made"));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let login: LoginName = "somebody".parse().expect("a login name");
    let _ = SETUP.start_registration(&login, text);
    let _ = Record::parse(text);
    if let Ok((started, _)) = SETUP.start_login(&login, None, text) {
        assert!(started.finish(text).is_err(), "somebody without an account gets in");
    }
}

/// Ids, tokens and login names: what is accepted has one spelling.
pub(crate) fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(token) = Token::<32>::parse(text) {
        assert_eq!(token.expose(), text);
    }
    if let Ok(id) = text.parse::<DocumentId>() {
        assert_eq!(id.to_string(), text);
    }
    let _ = (text.parse::<WorkspaceId>(), text.parse::<AssistantId>(), text.parse::<LoginName>());
    let _ = cloister_enclave::documents::intake::file_name(text);
}
