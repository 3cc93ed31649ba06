//! What the tests of the service shell share: a real application in a folder of its own, and clients for it.

#![expect(clippy::allow_attributes, reason = "in a test binary that uses all of it, nothing is dead")]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;

use bytes::Bytes;
use cloister_enclave::app::{App, AppState, ServiceKeys};
use cloister_enclave::audit;
use cloister_enclave::clock::ManualClock;
use cloister_enclave::config::Config;
use cloister_enclave::ehbp::PrivateKey;
use cloister_enclave::identity::opaque;
use cloister_enclave::keys::RootKey;
use cloister_enclave::store::Store;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeS, Serializable};
use rand_core::OsRng;
use rustls_pki_types::PrivatePkcs8KeyDer;

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

pub(crate) fn app(dir: &std::path::Path, changes: &[(&str, &str)]) -> AppState {
    let tls = rcgen::KeyPair::generate().unwrap().serialize_der();
    let keys = ServiceKeys {
        tls: PrivatePkcs8KeyDer::from(tls),
        hpke: PrivateKey::from_bytes(&HPKE_SECRET).unwrap(),
        receipt_public: [1; 32],
        opaque: opaque::Setup::from_bytes(opaque::generate().expose_secret()).unwrap(),
    };
    let (config, clock) = (config(dir, changes), Arc::new(ManualClock::new(NOW_MS)));
    let settings = audit::Settings {
        public_host: "appliance.example".to_owned(),
        product_version: "0.1.0".to_owned(),
        measurement: String::new(),
    };
    let root = RootKey::insecure_from_bytes([7; 32]);
    let store = Store::open(&config.data_dir, &root, clock.clone(), settings).unwrap();
    AppState::new(App::build(config, clock, store, keys).unwrap())
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
