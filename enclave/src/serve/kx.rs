//! The X25519MLKEM768 key exchange of TLS 1.3 (draft-ietf-tls-ecdhe-mlkem), which the ring provider lacks.
//!
//! X25519 is ring's; ML-KEM-768 (FIPS 203) is `RustCrypto`'s. The session is secret as long as either one holds. In this
//! group the ML-KEM part comes first, in both shares and in the secret (section 4.1 and 4.3 of the draft).

use ml_kem::kem::{Decapsulate, Encapsulate};
use ml_kem::{Ciphertext, Encoded, EncodedSizeUser, KemCore, MlKem768};
use rand_core::OsRng;
use rustls::crypto::ring::kx_group::X25519;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use zeroize::Zeroize;

type DecapsulationKey = <MlKem768 as KemCore>::DecapsulationKey;
type EncapsulationKey = <MlKem768 as KemCore>::EncapsulationKey;

/// The group, to be put first into a provider's list.
pub static X25519_MLKEM768: &dyn SupportedKxGroup = &X25519MlKem768;

const ENCAPSULATION_KEY_BYTES: usize = 1184;
const CIPHERTEXT_BYTES: usize = 1088;

const INVALID_SHARE: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

#[derive(Debug)]
struct X25519MlKem768;

impl SupportedKxGroup for X25519MlKem768 {
    /// The client's first step: a fresh key of each kind.
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let x25519 = X25519.start()?;
        let (secret, public) = MlKem768::generate(&mut OsRng);
        let share = [public.as_bytes().as_slice(), x25519.pub_key()].concat();
        Ok(Box::new(Started { x25519, secret: Box::new(secret), share }))
    }

    /// The server's only step.
    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (public, x25519_share) = client_share.split_at_checked(ENCAPSULATION_KEY_BYTES).ok_or(INVALID_SHARE)?;
        let public = Encoded::<EncapsulationKey>::try_from(public).map_err(|_| INVALID_SHARE)?;
        let key = EncapsulationKey::from_bytes(&public);
        // FIPS 203, 7.2, "modulus check": a key whose coefficients are not reduced does not encode to itself. The
        // draft (4.2) has the server abort then.
        if key.as_bytes() != public {
            return Err(INVALID_SHARE);
        }
        let x25519 = X25519.start_and_complete(x25519_share)?;
        let (ciphertext, secret) = key.encapsulate(&mut OsRng).map_err(|()| INVALID_SHARE)?;
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [ciphertext.as_slice(), &x25519.pub_key].concat(),
            secret: combine(secret, &x25519.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// A client between its hello and the server's.
struct Started {
    x25519: Box<dyn ActiveKeyExchange>,
    secret: Box<DecapsulationKey>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, server_share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, x25519_share) = server_share.split_at_checked(CIPHERTEXT_BYTES).ok_or(INVALID_SHARE)?;
        let ciphertext = Ciphertext::<MlKem768>::try_from(ciphertext).map_err(|_| INVALID_SHARE)?;
        let x25519 = self.x25519.complete(x25519_share)?;
        let secret = self.secret.decapsulate(&ciphertext).map_err(|()| INVALID_SHARE)?;
        Ok(combine(secret, &x25519))
    }

    /// A server without this group can take the X25519 half alone, which saves a round trip.
    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((self.x25519.group(), self.x25519.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, server_share: &[u8]) -> Result<SharedSecret, Error> {
        self.x25519.complete(server_share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

/// rustls zeroes what it is handed; the ML-KEM half is zeroed here.
fn combine(mut ml_kem: ml_kem::SharedKey<MlKem768>, x25519: &SharedSecret) -> SharedSecret {
    let combined = SharedSecret::from([ml_kem.as_slice(), x25519.secret_bytes()].concat());
    ml_kem.as_mut_slice().zeroize();
    combined
}
