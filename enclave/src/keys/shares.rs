//! A recovery identity that nobody holds alone: an age key in shares, some of which together are the key (Shamir's scheme
//! over GF(2^8), crate `blahaj`).
//!
//! ```text
//! share = "CLOISTER-SHARE-1" - threshold - set 8 bytes - share - check 4 bytes        (bytes as hex)
//! set   = the first bytes of SHA-256(recipient): shares of one key belong together, and what they give is checked by it
//! check = the first bytes of SHA-256 over the text before it, against slips of whoever types it in
//! ```
//! The identity is made and split in one go and is written nowhere. Fewer shares than the threshold say nothing of it.

use std::fmt;

use age::secrecy::ExposeSecret as _;
use blahaj::Sharks;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const MAGIC: &str = "CLOISTER-SHARE-1";
/// The most shares of a key.
pub const MOST_SHARES: u8 = 16;
/// An identity's text is 74 bytes, and a share has one more.
const MAX_SHARE_BYTES: usize = 128;

/// Why shares are no identity. No text shows a byte of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither a threshold of at least two, nor at least as many shares.
    #[error("there must be at least 2 shares to a key, and from 2 to all of them must be enough to open it")]
    Numbers,
    /// Not the text of a share.
    #[error("this is no share (CLOISTER-SHARE-1-…)")]
    Malformed,
    /// A letter of it was changed.
    #[error("a share has a slip in it: its last eight letters are not those of the rest")]
    Check,
    /// Shares of different keys.
    #[error("the shares are of different keys")]
    Mixed,
    /// One share was given twice.
    #[error("the same share was given twice")]
    Twice,
    /// Too few.
    #[error("{have} of the shares were given, and {need} are needed")]
    TooFew {
        /// How many there are.
        have: usize,
        /// How many there must be.
        need: u8,
    },
    /// They do not give the key whose shares they say they are.
    #[error("the shares do not fit together: at least one of them is forged")]
    Forged,
}

/// One share of a recovery identity.
pub struct Share {
    threshold: u8,
    set: [u8; 8],
    bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("set", &hex::encode(self.set)).finish_non_exhaustive()
    }
}

/// A new recovery identity, in shares.
#[derive(Debug)]
pub struct Split {
    /// The public half, for `root_key.recovery_recipient`.
    pub recipient: String,
    /// The shares.
    pub shares: Vec<Share>,
}

impl Split {
    /// Makes an identity and splits it into `shares`, any `threshold` of which give it.
    ///
    /// # Errors
    /// [`Error::Numbers`].
    pub fn new(threshold: u8, shares: u8) -> Result<Self, Error> {
        if threshold < 2 || threshold > shares || shares > MOST_SHARES {
            return Err(Error::Numbers);
        }
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let set = set_of(&recipient);
        let text = identity.to_string();
        let dealt = Sharks(threshold).dealer(text.expose_secret().as_bytes()).take(usize::from(shares));
        let shares = dealt.map(|share| Share { threshold, set, bytes: Zeroizing::new(Vec::from(&share)) }).collect();
        Ok(Self { recipient, shares })
    }
}

impl Share {
    /// The text of a share, for its officer.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(hex::encode(self.bytes.as_slice()));
        let text = format!("{MAGIC}-{}-{}-{}", self.threshold, hex::encode(self.set), *bytes);
        let check = check_of(&text);
        Zeroizing::new(format!("{}-{check}", *Zeroizing::new(text)))
    }

    /// Reads the text of a share.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Check`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (body, check) = text.trim().rsplit_once('-').ok_or(Error::Malformed)?;
        let fields = body.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix('-')).ok_or(Error::Malformed)?;
        let mut fields = fields.split('-');
        let (Some(threshold), Some(set), Some(bytes), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Error::Malformed);
        };
        if check != check_of(body) {
            return Err(Error::Check);
        }
        let threshold = threshold.parse().ok().filter(|threshold| (2..=MOST_SHARES).contains(threshold));
        let set = hex::decode(set).ok().and_then(|set| set.try_into().ok());
        let bytes = hex::decode(bytes).map(Zeroizing::new).ok();
        let bytes = bytes.filter(|bytes| (2..=MAX_SHARE_BYTES).contains(&bytes.len()));
        match (threshold, set, bytes) {
            (Some(threshold), Some(set), Some(bytes)) => Ok(Self { threshold, set, bytes }),
            _ => Err(Error::Malformed),
        }
    }
}

/// Puts shares together again: the text of the identity.
///
/// # Errors
/// [`enum@Error`].
pub fn combine(shares: &[Share]) -> Result<Zeroizing<String>, Error> {
    let first = shares.first().ok_or(Error::TooFew { have: 0, need: 2 })?;
    let alike = |share: &Share| {
        share.set == first.set && share.threshold == first.threshold && share.bytes.len() == first.bytes.len()
    };
    if !shares.iter().all(alike) {
        return Err(Error::Mixed);
    }
    for (index, share) in shares.iter().enumerate() {
        let same = |other: &Share| other.bytes.first() == share.bytes.first();
        if shares.iter().skip(index + 1).any(same) {
            return Err(Error::Twice);
        }
    }
    if shares.len() < usize::from(first.threshold) {
        return Err(Error::TooFew { have: shares.len(), need: first.threshold });
    }
    let parsed = shares.iter().map(|share| blahaj::Share::try_from(share.bytes.as_slice()));
    let parsed = parsed.collect::<Result<Vec<_>, _>>().map_err(|_| Error::Malformed)?;
    let secret = Sharks(first.threshold).recover(&parsed).map(Zeroizing::new).map_err(|_| Error::Forged)?;
    let text = std::str::from_utf8(&secret).map_err(|_| Error::Forged)?;
    let identity: age::x25519::Identity = text.parse().map_err(|_| Error::Forged)?;
    if set_of(&identity.to_public().to_string()) != first.set {
        return Err(Error::Forged);
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn set_of(recipient: &str) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(recipient).into();
    *digest.first_chunk().expect("32 bytes begin with 8")
}

fn check_of(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    hex::encode(digest.first_chunk::<4>().expect("32 bytes begin with 4"))
}
