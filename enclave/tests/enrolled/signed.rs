//! Signed requests, written from the specification and not with the server's code.

#![allow(dead_code, reason = "each test binary uses some of it")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloister_enclave::identity::signature::RequestKey;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// What a request is made of; a test changes one part and signs or does not sign again.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

#[derive(Clone)]
pub(crate) struct Signer<'a> {
    pub(crate) key: &'a RequestKey,
    pub(crate) session: &'a str,
    pub(crate) created_s: u64,
    pub(crate) nonce: String,
}

pub(crate) const ENC: &str = "493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d";

impl Signer<'_> {
    /// A signed POST with a body that this layer does not look into.
    pub(crate) fn post(&self, uri: &str, body: &[u8]) -> Parts {
        self.post_sealed(uri, body, ENC)
    }

    /// A signed POST of a body that is sealed under this encapsulated key.
    pub(crate) fn post_sealed(&self, uri: &str, body: &[u8], enc: &str) -> Parts {
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)));
        let parameters = format!(
            "(\"@method\" \"@path\" \"@query\" \"content-digest\" \"ehbp-encapsulated-key\");created={};nonce=\"{}\";\
             keyid=\"{}\";alg=\"hmac-sha256\";tag=\"cloister-request/v1\"",
            self.created_s, self.nonce, self.session
        );
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let base = format!(
            "\"@method\": POST\n\"@path\": {path}\n\"@query\": ?{query}\n\"content-digest\": {digest}\n\
             \"ehbp-encapsulated-key\": {enc}\n\"@signature-params\": {parameters}"
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).expect("any key");
        mac.update(base.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        Parts {
            method: "POST",
            uri: uri.to_owned(),
            body: body.to_vec(),
            headers: vec![
                ("ehbp-encapsulated-key", enc.to_owned()),
                ("content-digest", digest),
                ("signature-input", format!("cloister={parameters}")),
                ("signature", format!("cloister=:{signature}:")),
            ],
        }
    }
}

impl Parts {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(n, _)| *n != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| *n != name);
        self
    }
}
