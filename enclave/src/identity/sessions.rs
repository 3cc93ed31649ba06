//! Sessions: 32 random bytes that name one (S1-07), and a key that never travels and signs its requests.
//!
//! A session ends at its absolute time, when idle for too long, or by logout. It survives a restart (S2-04).

use cloister_protocol::ids::{OrgId, PersonId};

use super::records::{ACCOUNTS, AccountStatus, SESSIONS, SessionKind, SessionRecord};
use super::signature::RequestKey;
use super::token::{Digest, Token};
use super::{Authenticated, Credential, Error, Identity, MINUTE_MS};
use crate::access::Authorized;
use crate::audit::Class;
use crate::keys::secret::Secret;
use crate::store::{self, Batch};

/// A live session.
#[derive(Debug)]
pub struct Session {
    pub(super) digest: Digest,
    pub(super) request_key: RequestKey,
    pub(super) who: Authenticated,
}

impl Identity {
    /// A new session's name, and the batch that writes it.
    pub(super) fn new_session(
        &self,
        (person, org): (PersonId, OrgId),
        kind: SessionKind,
        key: &RequestKey,
        now_ms: u64,
    ) -> (Token<32>, Batch) {
        let name = Token::generate();
        let record = SessionRecord {
            person,
            org,
            request_key: *key.expose_secret(),
            kind,
            created_ms: now_ms,
            last_used_ms: now_ms,
            expires_ms: now_ms.saturating_add(self.settings.session_absolute_ms),
            idle_ms: self.settings.session_idle_ms,
        };
        let mut batch = self.system().batch();
        batch.put(&SESSIONS, &name.digest().key(), &record);
        (name, batch)
    }

    /// The live session of this name and kind. For a signed one, its key must now verify the request.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Store`].
    pub(super) fn session(&self, name: &Token<32>, kind: SessionKind, now_ms: u64) -> Result<Session, Error> {
        let digest = name.digest();
        let record = self.system().get(&SESSIONS, &digest.key())?;
        let record = record.filter(|record| record.is_live(now_ms) && record.kind == kind);
        let record = record.ok_or(Error::Unauthenticated)?;
        let who = Authenticated { person: record.person, org: record.org, credential: Credential::Session(digest) };
        let request_key = RequestKey::from_secret(Secret::new(record.request_key));
        Ok(Session { digest, request_key, who })
    }

    /// Notes that a session was used, once a minute.
    pub(super) async fn touch_session(&self, digest: Digest, now_ms: u64) -> Result<(), Error> {
        let system = self.system();
        let Some((mut record, version)) = system.get_versioned(&SESSIONS, &digest.key())? else {
            return Err(Error::Unauthenticated);
        };
        if now_ms < record.last_used_ms.saturating_add(MINUTE_MS) {
            return Ok(());
        }
        record.last_used_ms = now_ms;
        let mut batch = system.batch();
        batch.expect_version(&SESSIONS, &digest.key(), version).put(&SESSIONS, &digest.key(), &record);
        match batch.commit().await {
            // Another request was quicker, or a logout was: neither may be undone.
            Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the caller's session. Ending it twice is no error.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn end_session(&self, by: &Authorized) -> Result<(), Error> {
        let Credential::Session(digest) = by.credential() else { return Err(Error::Unauthenticated) };
        let mut batch = self.system().batch();
        batch.delete(&SESSIONS, &digest.key());
        let mut tenant = self.store.scope(by.scope()).batch();
        tenant.audit(by.event(Class::Logoff, "auth.logout"));
        batch.join(tenant);
        batch.commit().await?;
        Ok(())
    }

    /// Whether the account behind a credential may still be used.
    pub(super) fn is_approved(&self, person: PersonId) -> Result<bool, Error> {
        let account = self.system().get(&ACCOUNTS, &person.to_string())?;
        Ok(account.is_some_and(|account| account.status == AccountStatus::Approved))
    }

    /// The keys of sessions that have ended by themselves.
    pub(super) fn ended_sessions(&self, now_ms: u64) -> Result<Vec<String>, Error> {
        let sessions = self.system().list(&SESSIONS)?;
        Ok(sessions.into_iter().filter(|(_, record)| !record.is_live(now_ms)).map(|(key, _)| key).collect())
    }
}
