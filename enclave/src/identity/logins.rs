//! Login: two messages, and the same answers whether or not anybody has the name.
//!
//! For a name that nobody has, every step is taken on a dummy: the same counts, the same cryptography, the same number of
//! writes. What differs is only whether the last message can ever be right.

use std::net::IpAddr;
use std::sync::PoisonError;

use cloister_protocol::api::{KsfId, LoggedIn, LoginFinish, LoginParams, LoginParamsRequest, LoginStart, LoginStarted};
use cloister_protocol::ids::{LoginId, OrgId, PersonId};

use super::guesses::AccountGuesses;
use super::login::LoginName;
use super::opaque::{self, Record, Started};
use super::records::{ACCOUNTS, AccountRecord, AccountStatus, LOGIN_GUESSES, LOGIN_INDEX, SessionKind};
use super::signature::RequestKey;
use super::{Error, Identity, login_event};
use crate::audit::{Class, Event, Outcome};
use crate::fresh;
use crate::store::Batch;

/// Under this key the counts of names that nobody has are written, so that a login costs one write either way.
const NOBODY: &str = "nobody";

/// A login between its two messages.
#[derive(Debug)]
pub(super) struct PendingLogin {
    started: Started,
    account: Option<Account>,
    index: [u8; 32],
    source: Option<IpAddr>,
}

/// The account that a login is about.
#[derive(Clone)]
struct Account {
    person: PersonId,
    record: AccountRecord,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("person", &self.person).finish_non_exhaustive()
    }
}

impl Identity {
    /// The key-stretching function of a login name; the usual one for names that nobody has.
    ///
    /// # Errors
    /// [`Error::Login`], [`Error::Store`].
    pub fn login_params(&self, request: &LoginParamsRequest) -> Result<LoginParams, Error> {
        let login: LoginName = request.login.parse()?;
        let account = self.account(&self.setup.login_index(&login))?;
        Ok(LoginParams { ksf: account.map_or(KsfId::MemoryConstrained, |account| account.record.ksf) })
    }

    /// Answers the first message of a login. `source` is where the request says that it comes from.
    ///
    /// # Errors
    /// [`Error::Login`], [`Error::Opaque`], [`Error::TooMany`], [`Error::Store`].
    pub async fn start_login(&self, request: &LoginStart, source: Option<IpAddr>) -> Result<LoginStarted, Error> {
        let now_ms = self.now_ms();
        let login: LoginName = request.login.parse()?;
        let index = self.setup.login_index(&login);
        let account = self.account(&index)?;
        let record = account.as_ref().map(|a| Record::parse(&a.record.opaque_record)).transpose();
        let record = record.map_err(|_| opaque::Error::Stored)?;
        let (started, login_response) =
            self.setup.start_login(&login, record.as_ref(), &request.start_login_request)?;

        let guesses = self.count_guess(index, account.as_ref(), source, now_ms)?;
        let key = account.as_ref().map_or_else(|| NOBODY.to_owned(), |a| a.person.to_string());
        let login_id = fresh::id(LoginId::from_parts, now_ms);
        let given_up = self.pending.insert(login_id, PendingLogin { started, account, index, source }, now_ms);
        let mut batch = self.system().batch();
        batch.put(&LOGIN_GUESSES, &key, &guesses);
        batch.join(self.note_given_up(given_up));
        batch.commit().await?;
        Ok(LoginStarted { login_id, login_response })
    }

    /// Checks the last message of a login and begins a session.
    ///
    /// # Errors
    /// [`Error::LoginFailed`] for whatever is wrong with it; [`Error::Opaque`], [`Error::Store`].
    pub async fn finish_login(&self, request: &LoginFinish) -> Result<LoggedIn, Error> {
        self.end_login(request, SessionKind::Signed).await
    }

    /// [`Self::finish_login`] with a session of this kind.
    pub(super) async fn end_login(&self, request: &LoginFinish, kind: SessionKind) -> Result<LoggedIn, Error> {
        let now_ms = self.now_ms();
        let login = self.pending.take(request.login_id, now_ms).ok_or(Error::LoginFailed)?;
        let PendingLogin { started, account, index, source } = login;
        let session_key = match started.finish(&request.finish_login_request) {
            Ok(session_key) => session_key,
            Err(refused) => return self.fail(account, refused).await,
        };
        // Only the holder of an account's password gets here. The account may have changed since the first message.
        let account = self.account(&index)?.filter(|a| a.record.status == AccountStatus::Approved);
        let Some(account) = account else { return Err(Error::LoginFailed) };
        let guesses = self.lock_guesses().refund(index, source);
        let key = RequestKey::derive(&session_key);
        self.begin_session(&account, (kind, &key), guesses, now_ms).await
    }

    /// Ends a login whose client has found that its password is wrong.
    pub(super) async fn give_up_login<T>(&self, id: LoginId) -> Result<T, Error> {
        let account = self.pending.take(id, self.now_ms()).and_then(|login| login.account);
        self.fail(account, opaque::Error::Unproven).await
    }

    async fn begin_session(
        &self,
        account: &Account,
        (kind, key): (SessionKind, &RequestKey),
        guesses: AccountGuesses,
        now_ms: u64,
    ) -> Result<LoggedIn, Error> {
        let Account { person, record } = account;
        let role = self.tenancy.role(record.org, *person)?.ok_or(Error::LoginFailed)?;
        let org_name = self.tenancy.organisation_name(record.org)?.ok_or(Error::LoginFailed)?;
        let mut batch = self.system().batch();
        let (session, written) = self.new_session((*person, record.org), kind, key, now_ms);
        batch.join(written);
        batch.put(&LOGIN_GUESSES, &person.to_string(), &guesses);
        let mut tenant = self.organisation(record.org).batch();
        tenant.audit(login_event("auth.login", *person, &record.login));
        batch.join(tenant);
        batch.commit().await?;
        Ok(LoggedIn {
            session: session.expose(),
            person_id: *person,
            org_id: record.org,
            org_name,
            role,
            expires_ms: now_ms.saturating_add(self.settings.session_absolute_ms),
            idle_ms: self.settings.session_idle_ms,
        })
    }

    /// Writes down that a login failed: in the organisation's log, or, for a name that nobody has, in the appliance's.
    async fn fail<T>(&self, account: Option<Account>, refused: opaque::Error) -> Result<T, Error> {
        let batch = match account {
            Some(account) => self.failure(&account, "password"),
            None => {
                let mut batch = self.system().batch();
                let event = Event::new(Class::Logon, "auth.login").outcome(Outcome::Failure);
                batch.audit(event.detail("method", "opaque").detail("reason", "unknown"));
                batch
            }
        };
        batch.commit().await?;
        Err(match refused {
            opaque::Error::Malformed => refused.into(),
            opaque::Error::Unproven | opaque::Error::Stored => Error::LoginFailed,
        })
    }

    fn failure(&self, account: &Account, reason: &'static str) -> Batch {
        let mut tenant = self.organisation(account.record.org).batch();
        let event = login_event("auth.login", account.person, &account.record.login);
        tenant.audit(event.outcome(Outcome::Failure).detail("reason", reason));
        tenant
    }

    /// An OPAQUE client that finds its password wrong says nothing more: a login that was begun and not ended is one that
    /// failed.
    pub(super) fn note_given_up(&self, logins: Vec<PendingLogin>) -> Batch {
        let mut batch = self.system().batch();
        for account in logins.into_iter().filter_map(|login| login.account) {
            batch.join(self.failure(&account, "not finished"));
        }
        batch
    }

    fn count_guess(
        &self,
        index: [u8; 32],
        account: Option<&Account>,
        source: Option<IpAddr>,
        now_ms: u64,
    ) -> Result<AccountGuesses, Error> {
        let mut guesses = self.lock_guesses();
        if let Some(account) = account
            && !guesses.knows(index)
        {
            let stored = self.system().get(&LOGIN_GUESSES, &account.person.to_string())?;
            guesses.load(index, stored.unwrap_or_default());
        }
        Ok(guesses.count(index, source, now_ms)?)
    }

    fn lock_guesses(&self) -> std::sync::MutexGuard<'_, super::Guesses> {
        // Counts stay counts, whatever panics elsewhere.
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, index: &[u8; 32]) -> Result<Option<Account>, Error> {
        let system = self.system();
        let Some(found) = system.get(&LOGIN_INDEX, &hex::encode(index))? else { return Ok(None) };
        let record = system.get(&ACCOUNTS, &found.person.to_string())?;
        Ok(record.map(|record| Account { person: found.person, record }))
    }

    /// The login name of a person, for that person; nothing when the account is suspended or gone.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn login_of(&self, person: PersonId, org: OrgId) -> Result<Option<String>, Error> {
        let account = self.system().get(&ACCOUNTS, &person.to_string())?;
        let account = account.filter(|a| a.status == AccountStatus::Approved && a.org == org);
        Ok(account.map(|account| account.login))
    }
}
