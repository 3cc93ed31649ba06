//! Identities in a temporary store, with a clock moved by hand, and an OPAQUE client that does not stretch.

#![allow(dead_code, reason = "each test binary uses some of it")]

pub(crate) mod layer;
#[path = "../opened/mod.rs"]
mod opened;
pub(crate) mod signed;

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_enclave::access::{Access, Action, Authorized, Caller, Target};
use cloister_enclave::clock::ManualClock;
use cloister_enclave::identity::opaque::{Setup, Suite};
use cloister_enclave::identity::signature::RequestKey;
use cloister_enclave::identity::{Authenticated, Error, Identity, Settings, opaque};
use cloister_enclave::keys::RootKey;
use cloister_enclave::keys::secret::Secret;
use cloister_enclave::store::Store;
use cloister_policies::access::Engine;
use cloister_protocol::api::{
    CreateEnrolment, KsfId, LoggedIn, LoginFinish, LoginStart, RegisterFinish, RegisterStart, Registered, Role,
};
use opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration, ClientRegistrationFinishParameters,
    CredentialResponse, RegistrationResponse,
};
use rand_core::OsRng;
use tempfile::TempDir;

pub(crate) const START_MS: u64 = 1_790_000_000_000;
pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Everything that identity needs, and what would survive a restart.
pub(crate) struct World {
    pub(crate) identity: Arc<Identity>,
    pub(crate) access: Arc<Access>,
    pub(crate) clock: ManualClock,
    pub(crate) store: Store,
    secrets: Vec<u8>,
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let secrets = opaque::generate().expose_secret().to_vec();
        Self::open(dir, secrets, ManualClock::new(START_MS))
    }

    fn open(dir: TempDir, secrets: Vec<u8>, clock: ManualClock) -> Self {
        let root = RootKey::insecure_from_bytes(opened::ROOT);
        let store =
            Store::open(dir.path(), &root, Arc::new(clock.clone()), opened::settings()).expect("the store opens");
        let setup = Setup::from_bytes(&secrets).expect("what was generated");
        let identity = Identity::new(store.clone(), Arc::new(clock.clone()), setup, Settings::standard());
        let engine = Engine::shipped().expect("the shipped policies are valid");
        let access = Arc::new(Access::new(engine, identity.tenancy().clone()));
        Self { identity: Arc::new(identity), access, clock, store, secrets, dir }
    }

    /// Stops and starts the appliance: what is in memory only is gone.
    pub(crate) async fn restart(self) -> Self {
        let Self { identity, access, clock, store, secrets, dir } = self;
        store.close().await;
        drop((identity, access, store));
        Self::open(dir, secrets, clock)
    }

    /// Everything that is on the disk after a clean stop.
    pub(crate) async fn into_files(self) -> Vec<u8> {
        let Self { identity, access, store, dir, .. } = self;
        store.close().await;
        drop((identity, access, store));
        let (mut bytes, mut folders) = (Vec::new(), vec![dir.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("readable") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    bytes.extend(std::fs::read(path).expect("readable"));
                }
            }
        }
        bytes
    }

    /// The first owner, registered.
    pub(crate) async fn owner(&self, login: &str) -> Registered {
        let enrolment =
            self.identity.first_owner_code().await.expect("the store answers").expect("there is no owner yet");
        self.register(&enrolment.code, login, PASSWORD).await.expect("a fresh code")
    }

    /// A person whom `by` has invited.
    pub(crate) async fn invited(&self, by: &Registered, login: &str, role: Role) -> Registered {
        let owner = self.authorize(by, Action::CreateEnrolment, Target::Organisation);
        let enrolment =
            self.identity.create_enrolment(&owner, &CreateEnrolment { role }).await.expect("an owner invites");
        self.register(&enrolment.code, login, PASSWORD).await.expect("a fresh code")
    }

    pub(crate) async fn register(&self, code: &str, login: &str, password: &str) -> Result<Registered, Error> {
        let finish = self.prepare(code, login, password)?;
        self.identity.finish_registration(&finish).await
    }

    /// The last message of a registration, ready to be sent.
    pub(crate) fn prepare(&self, code: &str, login: &str, password: &str) -> Result<RegisterFinish, Error> {
        let started = ClientRegistration::<Suite>::start(&mut OsRng, password.as_bytes()).expect("randomness");
        let answer = self.identity.start_registration(&RegisterStart {
            enrolment_code: code.to_owned(),
            login: login.to_owned(),
            registration_request: encode(&started.message.serialize()),
        })?;
        let response = RegistrationResponse::deserialize(&decode(&answer.registration_response)).expect("a response");
        let parameters = ClientRegistrationFinishParameters::default();
        let finished = started.state.finish(&mut OsRng, password.as_bytes(), response, parameters).expect("a record");
        Ok(RegisterFinish {
            enrolment_code: code.to_owned(),
            login: login.to_owned(),
            registration_record: encode(&finished.message.serialize()),
            ksf: KsfId::MemoryConstrained,
        })
    }

    pub(crate) async fn login(&self, login: &str, password: &str) -> Result<(LoggedIn, RequestKey), Error> {
        let (finish, key) = self.prove(login, password, None).await?.ok_or(Error::LoginFailed)?;
        Ok((self.identity.finish_login(&finish).await?, key))
    }

    /// The last message of a login and the request key, if the password is right.
    pub(crate) async fn prove(
        &self,
        login: &str,
        password: &str,
        source: Option<IpAddr>,
    ) -> Result<Option<(LoginFinish, RequestKey)>, Error> {
        let started = ClientLogin::<Suite>::start(&mut OsRng, password.as_bytes()).expect("randomness");
        let request = LoginStart { login: login.to_owned(), start_login_request: encode(&started.message.serialize()) };
        let answer = self.identity.start_login(&request, source).await?;
        let response = CredentialResponse::deserialize(&decode(&answer.login_response)).expect("KE2");
        let parameters = ClientLoginFinishParameters::default();
        let Ok(finished) = started.state.finish(&mut OsRng, password.as_bytes(), response, parameters) else {
            return Ok(None);
        };
        let finish =
            LoginFinish { login_id: answer.login_id, finish_login_request: encode(&finished.message.serialize()) };
        let key = RequestKey::derive(&Secret::from_slice(&finished.session_key).expect("64 bytes"));
        Ok(Some((finish, key)))
    }

    /// The person as a caller, by way of an API key or, with the credential of a session that is not one, without.
    pub(crate) fn caller(&self, who: Authenticated) -> Caller {
        self.access.caller(who).expect("a member")
    }

    pub(crate) fn authorize(&self, who: &Registered, action: Action, target: Target) -> Authorized {
        self.session_of(who).authorize(action, target).expect("permitted")
    }

    /// A caller with a session that was never stored.
    pub(crate) fn session_of(&self, who: &Registered) -> Caller {
        let digest = cloister_enclave::identity::token::Token::<32>::generate().digest();
        self.caller(Authenticated {
            person: who.person_id,
            org: who.org_id,
            credential: cloister_enclave::identity::Credential::Session(digest),
        })
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}
