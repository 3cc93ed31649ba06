//! The oldest login (S0-01): name and password in one message, answered with a bearer token.
//!
//! Both halves of OPAQUE run in here, so that there is one kind of account and one count of guesses. It exists for
//! clients that cannot do better and is off unless the configuration says `legacy_login = true`: the enclave sees the
//! password for a moment, and whoever sees the token can use it. Clients that can, log in by OPAQUE.

use std::net::IpAddr;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_protocol::api::{KsfId, LoginFinish, LoginParamsRequest, LoginStart};
use opaque_ke::errors::InternalError;
use opaque_ke::generic_array::{ArrayLength, GenericArray};
use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, CredentialResponse, Identifiers, Ristretto255, TripleDh,
};
use rand_core::OsRng;
use sha2::Sha512;
use zeroize::Zeroizing;

use super::records::SessionKind;
use super::{Error, Identity};

/// Passwords that are stretched at once, at 64 MiB each.
pub(super) const STRETCHING: usize = 2;

/// The suite of [`super::opaque::Suite`] with the key stretching of the npm client.
struct ClientSuite;

impl CipherSuite for ClientSuite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, Sha512>;
    type Ksf = MemoryConstrained;
}

/// Argon2id with the second recommendation of RFC 9106, over a salt of zeros: OPAQUE's own output salts it.
struct MemoryConstrained(Argon2<'static>);

impl Default for MemoryConstrained {
    fn default() -> Self {
        let params = Params::new(65_536, 3, 4, Some(64)).expect("constants within the bounds of Argon2");
        Self(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

impl opaque_ke::ksf::Ksf for MemoryConstrained {
    fn hash<L: ArrayLength<u8>>(&self, input: GenericArray<u8, L>) -> Result<GenericArray<u8, L>, InternalError> {
        let mut output = GenericArray::default();
        self.0.hash_password_into(&input, &[0; 16], &mut output).map_err(|_| InternalError::KsfError)?;
        Ok(output)
    }
}

impl Identity {
    /// Whether the configuration allows it.
    #[must_use]
    pub const fn allows_legacy_login(&self) -> bool {
        self.settings.legacy_login
    }

    /// Logs somebody in by name and password, and answers the token of a session that needs no signature.
    ///
    /// # Errors
    /// [`Error::LoginFailed`] for an unknown name and a wrong password alike; [`Error::Login`], [`Error::TooMany`],
    /// [`Error::Store`].
    pub async fn login_with_password(
        &self,
        login: &str,
        password: Zeroizing<String>,
        source: Option<IpAddr>,
    ) -> Result<String, Error> {
        let _slot = self.stretching.acquire().await.map_err(|_| Error::LoginFailed)?;
        let params = self.login_params(&LoginParamsRequest { login: login.to_owned() })?;
        let started = ClientLogin::<ClientSuite>::start(&mut OsRng, password.as_bytes());
        let started = started.map_err(|_| Error::LoginFailed)?;
        let start_login_request = URL_SAFE_NO_PAD.encode(started.message.serialize());
        let start = LoginStart { login: login.to_owned(), start_login_request };
        let answered = self.start_login(&start, source).await?;
        // Stretching takes a good part of a second, and two gigabytes for those who chose the other function.
        let response = answered.login_response;
        let finish = move || finish(started.state, &password, &response, params.ksf);
        let finish_login_request = tokio::task::spawn_blocking(finish).await.map_err(|_| Error::LoginFailed)?;
        let Some(finish_login_request) = finish_login_request else {
            return self.give_up_login(answered.login_id).await;
        };
        let finish = LoginFinish { login_id: answered.login_id, finish_login_request };
        Ok(self.end_login(&finish, SessionKind::Bearer).await?.session)
    }
}

/// The client's last message, if the password is right.
fn finish(state: ClientLogin<ClientSuite>, password: &str, response: &str, ksf: KsfId) -> Option<String> {
    if ksf != KsfId::MemoryConstrained {
        return None;
    }
    let response = CredentialResponse::deserialize(&URL_SAFE_NO_PAD.decode(response).ok()?).ok()?;
    let stretch = MemoryConstrained::default();
    let parameters = ClientLoginFinishParameters::new(None, Identifiers::default(), Some(&stretch));
    let finished = state.finish(&mut OsRng, password.as_bytes(), response, parameters).ok()?;
    Some(URL_SAFE_NO_PAD.encode(finished.message.serialize()))
}
