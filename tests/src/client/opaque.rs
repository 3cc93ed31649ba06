//! The client's half of OPAQUE (RFC 9807), as the npm client `@serenity-kit/opaque` does it: ristretto255, 3DH over
//! SHA-512, Argon2id over a salt of 16 zero bytes, base64 URL-safe without padding.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_protocol::api::KsfId;
use opaque_ke::errors::InternalError;
use opaque_ke::generic_array::{ArrayLength, GenericArray};
use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration, ClientRegistrationFinishParameters,
    CredentialResponse, Identifiers, RegistrationResponse, TripleDh,
};
use rand_core::OsRng;

use super::Error;
use super::signature::RequestKey;

struct Suite;

impl CipherSuite for Suite {
    type OprfCs = opaque_ke::Ristretto255;
    type KeyExchange = TripleDh<opaque_ke::Ristretto255, sha2::Sha512>;
    type Ksf = Stretch;
}

/// Argon2id with the parameters of a [`KsfId`].
struct Stretch(Argon2<'static>);

impl Default for Stretch {
    fn default() -> Self {
        Self::of(KsfId::MemoryConstrained)
    }
}

impl Stretch {
    fn of(id: KsfId) -> Self {
        let (memory_kib, passes) = match id {
            KsfId::MemoryConstrained => (65_536, 3),
            KsfId::RfcRecommended => ((1 << 21) - 1, 1),
        };
        let params = Params::new(memory_kib, passes, 4, Some(64)).expect("constants within Argon2's bounds");
        Self(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

impl opaque_ke::ksf::Ksf for Stretch {
    fn hash<L: ArrayLength<u8>>(&self, input: GenericArray<u8, L>) -> Result<GenericArray<u8, L>, InternalError> {
        let mut output = GenericArray::default();
        self.0.hash_password_into(&input, &[0; 16], &mut output).map_err(|_| InternalError::KsfError)?;
        Ok(output)
    }
}

/// A password on its way through a login.
pub struct Opaque {
    password: Vec<u8>,
    state: ClientLogin<Suite>,
}

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opaque").finish_non_exhaustive()
    }
}

impl Opaque {
    /// Begins a login; the text is `startLoginRequest`.
    ///
    /// # Errors
    /// If randomness fails.
    pub fn start_login(password: &str) -> Result<(Self, String), Error> {
        let started = ClientLogin::<Suite>::start(&mut OsRng, password.as_bytes()).map_err(|_| Error::Login)?;
        let message = URL_SAFE_NO_PAD.encode(started.message.serialize());
        Ok((Self { password: password.as_bytes().to_vec(), state: started.state }, message))
    }

    /// Ends a login: `finishLoginRequest`, the request key, and the server's static public key to compare with the
    /// attested one.
    ///
    /// # Errors
    /// [`Error::Login`] for a wrong password or an unknown name.
    pub fn finish_login(self, response: &str, ksf: KsfId) -> Result<(String, RequestKey, Vec<u8>), Error> {
        let bytes = URL_SAFE_NO_PAD.decode(response).map_err(|_| Error::Protocol("KE2 is not base64"))?;
        let response = CredentialResponse::deserialize(&bytes).map_err(|_| Error::Protocol("KE2"))?;
        let stretch = Stretch::of(ksf);
        let parameters = ClientLoginFinishParameters::new(None, Identifiers::default(), Some(&stretch));
        let finished = self.state.finish(&mut OsRng, &self.password, response, parameters).map_err(|_| Error::Login)?;
        let message = URL_SAFE_NO_PAD.encode(finished.message.serialize());
        Ok((message, RequestKey::derive(&finished.session_key), finished.server_s_pk.serialize().to_vec()))
    }
}

/// A password on its way through a registration.
pub struct Registration {
    password: Vec<u8>,
    state: ClientRegistration<Suite>,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

impl Registration {
    /// Begins a registration; the text is `registrationRequest`.
    ///
    /// # Errors
    /// If randomness fails.
    pub fn start(password: &str) -> Result<(Self, String), Error> {
        let started = ClientRegistration::<Suite>::start(&mut OsRng, password.as_bytes()).map_err(|_| Error::Login)?;
        let message = URL_SAFE_NO_PAD.encode(started.message.serialize());
        Ok((Self { password: password.as_bytes().to_vec(), state: started.state }, message))
    }

    /// Ends a registration: `registrationRecord`, and the server's static public key.
    ///
    /// # Errors
    /// If the response is malformed.
    pub fn finish(self, response: &str) -> Result<(String, Vec<u8>), Error> {
        let bytes = URL_SAFE_NO_PAD.decode(response).map_err(|_| Error::Protocol("response is not base64"))?;
        let response = RegistrationResponse::deserialize(&bytes).map_err(|_| Error::Protocol("response"))?;
        let stretch = Stretch::of(KsfId::MemoryConstrained);
        let parameters = ClientRegistrationFinishParameters::new(Identifiers::default(), Some(&stretch));
        let finished = self.state.finish(&mut OsRng, &self.password, response, parameters).map_err(|_| Error::Login)?;
        Ok((URL_SAFE_NO_PAD.encode(finished.message.serialize()), finished.server_s_pk.serialize().to_vec()))
    }
}
