//! How often a password may be guessed (S2-05).
//!
//! An OPAQUE client learns from the server's first answer whether its password is right, so a login counts as a wrong
//! guess when it starts, and the count is taken back when it ends well. Three bounds, none of which locks anybody out
//! for good, and none of which lets a stranger lock somebody else out:
//!
//! - per account and source: five guesses in five minutes, then one after 1, 2, 4 … 60 minutes. Where a request comes from
//!   is a hint of the untrusted host, so this bound only sorts the impatient from the rest;
//! - per account, whatever the source: thirty guesses, then one a minute. This one is stored with the account, so that
//!   restarting the appliance gives no new guesses;
//! - all accounts together: the server's own work.

use std::net::IpAddr;

use lru::LruCache;
use serde::{Deserialize, Serialize};

const MINUTE_MS: u64 = 60_000;
const FREE_PER_SOURCE: u32 = 5;
const WINDOW_MS: u64 = 5 * MINUTE_MS;
const LONGEST_WAIT_MS: u64 = 60 * MINUTE_MS;
const FREE_PER_ACCOUNT: u32 = 30;
const ALL_BURST: u64 = 120;
const ALL_PER_MINUTE: u64 = 240;
/// Far more than the server answers in the longest wait, so that nobody can push a count out of the table in time.
const ENTRIES: std::num::NonZeroUsize = std::num::NonZeroUsize::new(65_536).expect("not zero");

/// Too many guesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many login attempts")]
pub struct TooMany {
    /// When the next one is allowed.
    pub retry_after_ms: u64,
}

/// The wrong guesses at one account from all sources, as stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountGuesses {
    /// Guesses not taken back and not yet forgiven; one is forgiven each minute.
    pub count: u32,
    /// When `count` was brought up to date, Unix milliseconds.
    pub at_ms: u64,
}

impl AccountGuesses {
    /// The same with half of the guesses that are left, for an account whose count may have been put back.
    #[must_use]
    pub fn halved(self, now_ms: u64) -> Self {
        let left = FREE_PER_ACCOUNT.saturating_sub(self.count);
        Self { count: FREE_PER_ACCOUNT.saturating_sub(left / 2), at_ms: now_ms.max(self.at_ms) }
    }

    /// Counts one more guess, if there is room for it.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn count(self, now_ms: u64) -> Result<Self, TooMany> {
        let minutes = now_ms.saturating_sub(self.at_ms) / MINUTE_MS;
        let forgiven = u32::try_from(minutes).unwrap_or(u32::MAX);
        let count = self.count.saturating_sub(forgiven);
        // A clock that went backwards forgives nothing and takes nothing.
        let at_ms = if count == 0 { now_ms } else { self.at_ms.saturating_add(minutes.saturating_mul(MINUTE_MS)) };
        if count >= FREE_PER_ACCOUNT {
            return Err(TooMany {
                retry_after_ms: MINUTE_MS.saturating_sub(now_ms.saturating_sub(at_ms)).min(MINUTE_MS),
            });
        }
        Ok(Self { count: count + 1, at_ms })
    }
}

/// What is counted in memory.
#[derive(Debug)]
pub struct Guesses {
    accounts: LruCache<[u8; 32], AccountGuesses>,
    sources: LruCache<Source, Tally>,
    all: u64,
    all_at_ms: u64,
}

/// An account, by its index, and where the request says that it comes from.
type Source = ([u8; 32], Option<IpAddr>);

#[derive(Debug, Clone, Copy)]
struct Tally {
    count: u32,
    first_ms: u64,
    last_ms: u64,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { accounts: LruCache::new(ENTRIES), sources: LruCache::new(ENTRIES), all: 0, all_at_ms: 0 }
    }
}

impl Guesses {
    /// Whether the account's count from all sources is in memory.
    #[must_use]
    pub fn knows(&self, account: [u8; 32]) -> bool {
        self.accounts.contains(&account)
    }

    /// Takes over what was stored for an account.
    pub fn load(&mut self, account: [u8; 32], stored: AccountGuesses) {
        self.accounts.put(account, stored);
    }

    /// Counts a guess at the account from a source, and gives the account's count to be stored.
    ///
    /// # Errors
    /// [`TooMany`]; then nothing is counted.
    pub fn count(&mut self, account: [u8; 32], source: Option<IpAddr>, now_ms: u64) -> Result<AccountGuesses, TooMany> {
        let first = Tally { count: 0, first_ms: now_ms, last_ms: now_ms };
        let tally = self.sources.get(&(account, source)).copied().unwrap_or(first).next(now_ms)?;
        let guesses = self.accounts.get(&account).copied().unwrap_or_default().count(now_ms)?;
        self.count_all(now_ms)?;
        self.sources.put((account, source), tally);
        self.accounts.put(account, guesses);
        Ok(guesses)
    }

    /// Takes the guesses of a source back, and one of the account's: somebody has proven to know the password. Gives
    /// the account's count to be stored.
    pub fn refund(&mut self, account: [u8; 32], source: Option<IpAddr>) -> AccountGuesses {
        self.sources.pop(&(account, source));
        let mut guesses = self.accounts.get(&account).copied().unwrap_or_default();
        guesses.count = guesses.count.saturating_sub(1);
        self.accounts.put(account, guesses);
        guesses
    }

    /// A bucket that holds [`ALL_BURST`] and fills with [`ALL_PER_MINUTE`].
    fn count_all(&mut self, now_ms: u64) -> Result<(), TooMany> {
        let tick_ms = MINUTE_MS / ALL_PER_MINUTE;
        let drained = now_ms.saturating_sub(self.all_at_ms) / tick_ms;
        self.all = self.all.saturating_sub(drained);
        self.all_at_ms = if self.all == 0 { now_ms } else { self.all_at_ms.saturating_add(drained * tick_ms) };
        if self.all >= ALL_BURST {
            return Err(TooMany { retry_after_ms: tick_ms });
        }
        self.all += 1;
        Ok(())
    }
}

impl Tally {
    fn next(self, now_ms: u64) -> Result<Self, TooMany> {
        let fresh = Self { count: 1, first_ms: now_ms, last_ms: now_ms };
        if self.count < FREE_PER_SOURCE {
            let over = now_ms.saturating_sub(self.first_ms) >= WINDOW_MS;
            return Ok(if over { fresh } else { Self { count: self.count + 1, last_ms: now_ms, ..self } });
        }
        let doublings = (self.count - FREE_PER_SOURCE).min(10);
        let wait_ms = (MINUTE_MS << doublings).min(LONGEST_WAIT_MS);
        let waited_ms = now_ms.saturating_sub(self.last_ms);
        if waited_ms < wait_ms {
            return Err(TooMany { retry_after_ms: wait_ms - waited_ms });
        }
        // Twice the longest wait without a guess, and it is as if there had been none.
        Ok(if waited_ms >= 2 * LONGEST_WAIT_MS {
            fresh
        } else {
            Self { count: self.count + 1, last_ms: now_ms, ..self }
        })
    }
}
