//! What a state that was put back must not bring back: sessions that were ended, codes that were used, guesses that were
//! made (protocols, section 10, step 9).

use super::Error;
use super::guesses::AccountGuesses;
use super::records::{ACCOUNTS, ENROLMENTS, LOGIN_GUESSES, SESSIONS};
use crate::access::TenantScope;
use crate::store::{Batch, Store};

/// Ends every session, voids every enrolment, and leaves each account half of the guesses that it had left.
///
/// API keys stay: one that was revoked after the backup is valid again, and its owner has to revoke it once more.
///
/// # Errors
/// [`Error::Store`].
pub fn after_restore(store: &Store, now_ms: u64) -> Result<Batch, Error> {
    let system = store.scope(&TenantScope::system());
    let mut batch = system.batch();
    for (key, _) in system.list(&SESSIONS)? {
        batch.delete(&SESSIONS, &key);
    }
    for (key, _) in system.list(&ENROLMENTS)? {
        batch.delete(&ENROLMENTS, &key);
    }
    for (person, _) in system.list(&ACCOUNTS)? {
        let guesses: AccountGuesses = system.get(&LOGIN_GUESSES, &person)?.unwrap_or_default();
        batch.put(&LOGIN_GUESSES, &person, &guesses.halved(now_ms));
    }
    Ok(batch)
}
