//! The server's side of OPAQUE (RFC 9807): passwords that never reach the server.
//!
//! The suite is that of the npm client `@serenity-kit/opaque` 1.1.0: ristretto255, 3DH with SHA-512, no context, no
//! identifiers. The client alone stretches the password (Argon2id); the server never does. A name that nobody has
//! registered goes through the same steps on a dummy record, so its answer has the same shape, size and cost.
//!
//! Messages are base64url without padding, of exactly one length each; everything else is refused before any
//! cryptography sees it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use opaque_ke::{
    CipherSuite, CredentialFinalization, CredentialRequest, RegistrationRequest, RegistrationUpload, Ristretto255,
    ServerLogin, ServerLoginParameters, ServerRegistration, ServerSetup, TripleDh,
};
use rand_core::OsRng;
use sha2::{Sha256, Sha512};

use super::login::LoginName;
use crate::keys::secret::{Secret, SecretBytes};

/// Bytes of a serialized server setup: OPRF seed 64, private key 32, dummy public key 32.
pub const SETUP_BYTES: usize = 128;
/// Bytes of a `RegistrationRequest`.
pub const REGISTRATION_REQUEST_BYTES: usize = 32;
/// Bytes of a `RegistrationUpload`, which is also the stored record.
pub const RECORD_BYTES: usize = 192;
/// Bytes of `KE1`.
pub const KE1_BYTES: usize = 96;
/// Bytes of `KE3`.
pub const KE3_BYTES: usize = 64;

/// Why a message is refused. It never says which cryptographic step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not base64url, of the wrong length, or not an element of the group.
    #[error("an OPAQUE message is malformed")]
    Malformed,
    /// The last message does not prove knowledge of the password.
    #[error("the password is not proven")]
    Unproven,
    /// The stored setup or record is not what this module wrote.
    #[error("a stored OPAQUE value is malformed")]
    Stored,
}

/// The cipher suite.
#[derive(Debug)]
pub struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, Sha512>;
    type Ksf = opaque_ke::ksf::Identity;
}

/// The server's long-lived OPAQUE secrets, and the keys that hide login names, which are derived from them.
pub struct Setup {
    setup: ServerSetup<Suite>,
    index_key: Secret<32>,
    credential_key: Secret<32>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Setup(…)")
    }
}

/// The server's state between the two messages of a login.
pub struct Started(ServerLogin<Suite>);

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Started(…)")
    }
}

/// Makes the secrets of a new appliance. Losing them loses every password.
#[must_use]
pub fn generate() -> SecretBytes {
    SecretBytes::new(ServerSetup::<Suite>::new(&mut OsRng).serialize().to_vec())
}

impl Setup {
    /// Takes the secrets that [`generate`] made.
    ///
    /// # Errors
    /// [`Error::Stored`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != SETUP_BYTES {
            return Err(Error::Stored);
        }
        let setup = ServerSetup::deserialize(bytes).map_err(|_| Error::Stored)?;
        let hkdf = Hkdf::<Sha256>::new(None, bytes);
        let derive = |info: &[u8]| {
            let mut key = [0; 32];
            hkdf.expand(info, &mut key).expect("HKDF-SHA256 gives up to 8,160 bytes");
            Secret::new(key)
        };
        let (index_key, credential_key) =
            (derive(b"cloister/login-index/v1"), derive(b"cloister/opaque-credential/v1"));
        Ok(Self { setup, index_key, credential_key })
    }

    /// The static public key: `opaque_pk` of the attested statement, which clients compare with what they see.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.setup.keypair().public().serialize().into()
    }

    /// What an account is found by: a keyed digest, so that a stored index shows no name (C-05).
    #[must_use]
    pub fn login_index(&self, login: &LoginName) -> [u8; 32] {
        keyed(&self.index_key, login)
    }

    /// Answers a `RegistrationRequest`.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn start_registration(&self, login: &LoginName, request: &str) -> Result<String, Error> {
        let request = decode::<REGISTRATION_REQUEST_BYTES>(request)?;
        let request = RegistrationRequest::deserialize(&request).map_err(|_| Error::Malformed)?;
        let credential = keyed(&self.credential_key, login);
        let started = ServerRegistration::start(&self.setup, request, &credential).map_err(|_| Error::Malformed)?;
        Ok(URL_SAFE_NO_PAD.encode(started.message.serialize()))
    }

    /// Answers `KE1`. `record` is the account's record, or nothing for a name that nobody has.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Stored`] for a damaged record.
    pub fn start_login(
        &self,
        login: &LoginName,
        record: Option<&Record>,
        ke1: &str,
    ) -> Result<(Started, String), Error> {
        let ke1 = decode::<KE1_BYTES>(ke1)?;
        let ke1 = CredentialRequest::deserialize(&ke1).map_err(|_| Error::Malformed)?;
        let record = record.map(|r| ServerRegistration::deserialize(&r.0).map_err(|_| Error::Stored)).transpose()?;
        let credential = keyed(&self.credential_key, login);
        let parameters = ServerLoginParameters::default();
        let started = ServerLogin::start(&mut OsRng, &self.setup, record, ke1, &credential, parameters)
            .map_err(|_| Error::Malformed)?;
        Ok((Started(started.state), URL_SAFE_NO_PAD.encode(started.message.serialize())))
    }
}

impl Started {
    /// Checks `KE3` and gives the 64 bytes of the session key, which the client has too.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Unproven`] when the client does not know the password.
    pub fn finish(self, ke3: &str) -> Result<Secret<64>, Error> {
        let ke3 = decode::<KE3_BYTES>(ke3)?;
        let ke3 = CredentialFinalization::deserialize(&ke3).map_err(|_| Error::Malformed)?;
        let finished = self.0.finish(ke3, ServerLoginParameters::default()).map_err(|_| Error::Unproven)?;
        Secret::from_slice(&finished.session_key).ok_or(Error::Unproven)
    }
}

/// A registration record: what the server keeps instead of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Record([u8; RECORD_BYTES]);

impl Record {
    /// Takes an uploaded or a stored record: base64url of 192 bytes that are a public key, a masking key and an envelope.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = decode::<RECORD_BYTES>(text)?;
        let upload = RegistrationUpload::<Suite>::deserialize(&bytes).map_err(|_| Error::Malformed)?;
        let record = ServerRegistration::finish(upload).serialize();
        Ok(Self(record.as_slice().try_into().map_err(|_| Error::Malformed)?))
    }

    /// The form in which it is stored.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Record(…)")
    }
}

fn keyed(key: &Secret<32>, login: &LoginName) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key.expose_secret()).expect("HMAC takes any key");
    mac.update(login.expose_folded().as_bytes());
    mac.finalize().into_bytes().into()
}

/// Exactly `N` bytes of base64url without padding.
fn decode<const N: usize>(text: &str) -> Result<[u8; N], Error> {
    if text.len() != (N * 4).div_ceil(3) {
        return Err(Error::Malformed);
    }
    URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(Error::Malformed)
}
