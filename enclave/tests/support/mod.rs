//! What the tests of the service shell share: a real application in a folder of its own, and clients for it.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

pub(crate) mod tiny_embedder;
pub(crate) mod tls_client;

use std::sync::Arc;

use bytes::Bytes;
use cloister_enclave::app::{App, AppState, LoadedModels, unseal};
use cloister_enclave::clock::{Clock, ManualClock};
use cloister_enclave::config::Config;
use cloister_enclave::ehbp::PrivateKey;
use cloister_models::Embedder;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeS, Serializable};
use rand_core::OsRng;

pub(crate) const SAMPLE: &str = include_str!("../../../deploy/config/enclave.development.toml");
pub(crate) const HPKE_SECRET: [u8; 32] = [7; 32];
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

/// The sample configuration inside `dir`, with changes of the form (from, to).
pub(crate) fn config(dir: &std::path::Path, changes: &[(&str, &str)]) -> Config {
    let dir = dir.to_str().unwrap();
    let mut text = SAMPLE.replace("\"var/", &format!("\"{dir}/")).replace("enclave/web/dist", &format!("{dir}/web"));
    text = text.replace("127.0.0.1:9443", "127.0.0.1:0").replace("\"required\"", "\"refused\"");
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in the sample");
        text = text.replace(from, to);
    }
    Config::parse(&text).unwrap()
}

/// A real application with a small embedding model and no chat model.
pub(crate) async fn app(dir: &std::path::Path, changes: &[(&str, &str)]) -> AppState {
    let config = config(dir, changes);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_MS));
    let store = unseal(&config, &clock).unwrap();
    AppState::new(App::assemble(config, clock, store, models(dir)).await.unwrap())
}

pub(crate) fn models(dir: &std::path::Path) -> LoadedModels {
    let path = dir.join("tiny-embedder.gguf");
    let digest = tiny_embedder::write(&path);
    LoadedModels {
        embedder: Arc::new(Embedder::load(&path, &digest, 1).unwrap()),
        embedder_id: "tiny-embedder".to_owned(),
        generator: None,
        generator_id: None,
    }
}

type Sender = hpke::aead::AeadCtxS<AesGcm256, HkdfSha256, X25519HkdfSha256>;

/// An EHBP client, written from the specification and sharing no code with the server's half.
pub(crate) struct EhbpClient {
    pub(crate) enc: [u8; 32],
    sender: Sender,
}

impl EhbpClient {
    pub(crate) fn new(public: &[u8; 32]) -> Self {
        let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(public).unwrap();
        let (enc, sender) = hpke::setup_sender::<AesGcm256, HkdfSha256, X25519HkdfSha256, _>(
            &OpModeS::Base,
            &public,
            b"ehbp request",
            &mut OsRng,
        )
        .unwrap();
        Self { enc: enc.to_bytes().into(), sender }
    }

    pub(crate) fn header(&self) -> String {
        hex::encode(self.enc)
    }

    pub(crate) fn frame(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let ciphertext = self.sender.seal(plaintext, b"").unwrap();
        let mut frame = u32::try_from(ciphertext.len()).unwrap().to_be_bytes().to_vec();
        frame.extend(ciphertext);
        frame
    }

    /// The plaintext frames of a response.
    pub(crate) fn open(&self, nonce_hex: &str, mut body: &[u8]) -> Vec<Bytes> {
        use aes_gcm::KeyInit;
        use aes_gcm::aead::Aead;
        let nonce = hex::decode(nonce_hex).unwrap();
        let mut exported = [0; 32];
        self.sender.export(b"ehbp response", &mut exported).unwrap();
        let salt = [self.enc.as_slice(), &nonce].concat();
        let prk = hkdf::Hkdf::<sha2::Sha256>::new(Some(&salt), &exported);
        let (mut key, mut base) = ([0; 32], [0; 12]);
        prk.expand(b"key", &mut key).unwrap();
        prk.expand(b"nonce", &mut base).unwrap();
        let cipher = aes_gcm::Aes256Gcm::new(&key.into());
        let mut frames = Vec::new();
        while !body.is_empty() {
            let length = u32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
            assert!(length <= 16 * 1024, "response frames are at most 16 KiB");
            let mut nonce = base;
            for (slot, byte) in nonce[4..].iter_mut().zip((frames.len() as u64).to_be_bytes()) {
                *slot ^= byte;
            }
            frames.push(cipher.decrypt(&nonce.into(), &body[4..4 + length]).unwrap().into());
            body = &body[4 + length..];
        }
        frames
    }
}

pub(crate) fn hpke_public() -> [u8; 32] {
    *PrivateKey::from_bytes(&HPKE_SECRET).unwrap().public()
}
