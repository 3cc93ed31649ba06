//! How much one caller may ask: token buckets per credential and per address.
//!
//! The buckets are chosen before anything is verified, so that refusing costs nothing: a credential that is not one
//! has a bucket of its own, and the address has one above it that all of them share.

use std::num::NonZeroU32;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};

use crate::config::Limits;
use crate::serve::Peer;

/// An address stands for everyone behind it.
const CALLERS_PER_ADDRESS: u32 = 10;
/// Buckets are thrown away when full again; this is when to look.
const MANY_BUCKETS: usize = 10_000;

/// Whom a bucket belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    /// Digest of what claims to be a credential.
    Credential([u8; 32]),
    /// An IPv4 address or an IPv6 /64.
    Address([u8; 8]),
    /// A connection of which nobody says where it comes from.
    Connection(u64),
}

/// The buckets.
#[derive(Debug)]
pub struct Limiter {
    credentials: DefaultKeyedRateLimiter<Caller>,
    addresses: DefaultKeyedRateLimiter<Caller>,
    attestations: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

/// Over the limit: come back in so many seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Seconds.
    pub retry_after_s: u32,
}

impl Limiter {
    /// Buckets of the configured size.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let quota = |times: u32| {
            Quota::per_minute(nonzero(limits.requests_per_minute.saturating_mul(times)))
                .allow_burst(nonzero(limits.request_burst.saturating_mul(times)))
        };
        Self {
            credentials: RateLimiter::keyed(quota(1)),
            addresses: RateLimiter::keyed(quota(CALLERS_PER_ADDRESS)),
            attestations: RateLimiter::direct(Quota::per_minute(nonzero(limits.attestations_per_minute))),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one request's token from the caller's buckets.
    ///
    /// # Errors
    /// [`Exceeded`] if one of them is empty.
    pub fn request(&self, peer: Option<Peer>, headers: &HeaderMap) -> Result<(), Exceeded> {
        if let Some(peer) = peer {
            self.take(&self.addresses, &address(peer))?;
        }
        credential(headers).map_or(Ok(()), |caller| self.take(&self.credentials, &caller))
    }

    /// Takes the token of one report for a fresh nonce.
    ///
    /// # Errors
    /// [`Exceeded`] if all callers together had their share.
    pub fn attestation(&self) -> Result<(), Exceeded> {
        self.attestations.check().map_err(|until| exceeded(until.wait_time_from(self.clock.now())))
    }

    fn take(&self, buckets: &DefaultKeyedRateLimiter<Caller>, caller: &Caller) -> Result<(), Exceeded> {
        if buckets.len() > MANY_BUCKETS {
            buckets.retain_recent();
        }
        buckets.check_key(caller).map_err(|until| exceeded(until.wait_time_from(self.clock.now())))
    }
}

fn exceeded(wait: std::time::Duration) -> Exceeded {
    Exceeded { retry_after_s: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1) }
}

fn nonzero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

fn address(peer: Peer) -> Caller {
    let mut network = [0; 8];
    let copy = |bytes: &[u8], network: &mut [u8; 8]| {
        for (slot, byte) in network.iter_mut().zip(bytes) {
            *slot = *byte;
        }
    };
    match peer.hint {
        // 0/8 is "this network" in IPv4 and unassigned in IPv6, so that the two cannot meet.
        Some(std::net::IpAddr::V4(v4)) => copy(&[&[0, 0, 0, 0], v4.octets().as_slice()].concat(), &mut network),
        Some(std::net::IpAddr::V6(v6)) => copy(&v6.octets(), &mut network),
        None => return Caller::Connection(peer.connection),
    }
    Caller::Address(network)
}

/// What claims to be a credential: the Authorization header, or the key id of a request signature.
fn credential(headers: &HeaderMap) -> Option<Caller> {
    let claim = match headers.get(AUTHORIZATION) {
        Some(value) => value.as_bytes(),
        None => key_id(headers.get("signature-input")?.as_bytes())?,
    };
    Some(Caller::Credential(Sha256::digest(claim).into()))
}

/// The text between `keyid="` and the next quote; the signature layer parses properly.
fn key_id(signature_input: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"keyid=\"";
    let start = signature_input.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    signature_input.get(start..)?.split(|byte| *byte == b'"').next()
}
