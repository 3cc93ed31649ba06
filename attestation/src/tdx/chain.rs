//! Intel's two certificate chains: root → PCK CA → PCK, and root → TCB signer.
//!
//! The root is compared byte for byte with the pinned one; a self-signature proves nothing and is not looked at. Each
//! chain has exactly the length and the names that Intel documents, so that a key of one purpose can never serve
//! another.

use super::error::{Certificate, ChainError, Error};
use super::platform::{PckCa, Platform};
use super::quote::{Certification, Quote};
use super::validity::{Moment, Validity};
use super::x509::{Cert, same_name};
use crate::pem;

const ROOT_NAME: &str = "Intel SGX Root CA";
const PLATFORM_CA_NAME: &str = "Intel SGX PCK Platform CA";
const PROCESSOR_CA_NAME: &str = "Intel SGX PCK Processor CA";
const PCK_NAME: &str = "Intel SGX PCK Certificate";
const TCB_SIGNER_NAME: &str = "Intel SGX TCB Signing";

/// The chain of a platform's key.
#[derive(Debug)]
pub(super) struct PckChain {
    pub(super) pck: Cert,
    pub(super) ca: Cert,
    pub(super) root: Cert,
}

/// The chain of the key that signs TCB info and QE identity.
#[derive(Debug)]
pub(super) struct SignerChain {
    pub(super) signer: Cert,
    pub(super) root: Cert,
}

impl PckChain {
    pub(super) fn parse(pem: &[u8]) -> Result<Self, Error> {
        let [pck, ca, root] = split(pem, Certificate::Pck)?;
        Ok(Self {
            pck: parse(&pck, Certificate::Pck)?,
            ca: parse(&ca, Certificate::PckCa)?,
            root: parse(&root, Certificate::Root)?,
        })
    }

    pub(super) fn check_root(&self, pinned: &[u8]) -> Result<(), Error> {
        check_root(&self.root, pinned, Certificate::Pck)
    }

    /// Names, CA constraints and signatures.
    pub(super) fn check_path(&self) -> Result<PckCa, Error> {
        let kind = match self.ca.common_name() {
            Some(PLATFORM_CA_NAME) => PckCa::Platform,
            Some(PROCESSOR_CA_NAME) => PckCa::Processor,
            Some(_) | None => return Err(Error::Chain(Certificate::PckCa, ChainError::Names)),
        };
        check_ca(&self.root, Certificate::Root, ROOT_NAME, 1)?;
        check_ca(&self.ca, Certificate::PckCa, self.ca.common_name().unwrap_or_default(), 0)?;
        check_leaf(&self.pck, Certificate::Pck, PCK_NAME)?;
        check_link(&self.root, &self.ca, Certificate::PckCa)?;
        check_link(&self.ca, &self.pck, Certificate::Pck)?;
        Ok(kind)
    }

    pub(super) fn check_validity(&self, now_s: u64) -> Result<Validity, Error> {
        let certificates =
            [(&self.root, Certificate::Root), (&self.ca, Certificate::PckCa), (&self.pck, Certificate::Pck)];
        check_validity(&certificates, now_s)
    }
}

impl Quote<'_> {
    /// The platform that the quote's PCK certificate speaks of, and which CA issued it; none if the quote brings no
    /// certificate. The chain hangs together, but nothing says that its root is Intel's: good for asking whom the
    /// collateral must be about, and for nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Chain`].
    pub fn platform_unverified(&self) -> Result<Option<Platform>, Error> {
        match self.certification().map_err(|error| Error::Chain(Certificate::Pck, error))? {
            Certification::EncryptedPpid => Ok(None),
            Certification::PckChain(pem) => {
                let chain = PckChain::parse(pem)?;
                let platform = Platform::parse(chain.check_path()?, chain.pck.sgx_extension.as_deref());
                platform.map(Some).map_err(|error| Error::Chain(Certificate::Pck, error))
            }
        }
    }
}

impl SignerChain {
    /// Parses and verifies the chain of the signer of TCB info or QE identity.
    pub(super) fn verify(pem: &str, pinned: &[u8], now_s: u64) -> Result<(Self, Validity), Error> {
        let [signer, root] = split(pem.as_bytes(), Certificate::TcbSigner)?;
        let chain =
            Self { signer: parse(&signer, Certificate::TcbSigner)?, root: parse(&root, Certificate::TcbSigner)? };
        check_root(&chain.root, pinned, Certificate::TcbSigner)?;
        check_leaf(&chain.signer, Certificate::TcbSigner, TCB_SIGNER_NAME)?;
        check_link(&chain.root, &chain.signer, Certificate::TcbSigner)?;
        let certificates = [(&chain.root, Certificate::TcbSigner), (&chain.signer, Certificate::TcbSigner)];
        let validity = check_validity(&certificates, now_s)?;
        Ok((chain, validity))
    }
}

fn split<const N: usize>(pem: &[u8], which: Certificate) -> Result<[Vec<u8>; N], Error> {
    let chain = pem::certificates(pem).map_err(|why| Error::Chain(which, ChainError::Pem(why)))?;
    chain.try_into().map_err(|chain: Vec<_>| Error::Chain(which, ChainError::Length(chain.len())))
}

fn parse(der: &[u8], which: Certificate) -> Result<Cert, Error> {
    Cert::parse(der).map_err(|why| Error::Chain(which, ChainError::Malformed(why)))
}

fn check_root(root: &Cert, pinned: &[u8], which: Certificate) -> Result<(), Error> {
    if root.der() == pinned { Ok(()) } else { Err(Error::Chain(which, ChainError::RootUntrusted)) }
}

fn check_ca(ca: &Cert, which: Certificate, name: &str, max_below: u8) -> Result<(), Error> {
    if ca.common_name() != Some(name) {
        return Err(Error::Chain(which, ChainError::Names));
    }
    let deep_enough = ca.path_len.is_none_or(|below| below >= max_below);
    if ca.ca && ca.cert_sign && ca.crl_sign && deep_enough {
        Ok(())
    } else {
        Err(Error::Chain(which, ChainError::NotCa))
    }
}

fn check_leaf(leaf: &Cert, which: Certificate, name: &str) -> Result<(), Error> {
    if leaf.common_name() != Some(name) {
        return Err(Error::Chain(which, ChainError::Names));
    }
    if leaf.ca || leaf.cert_sign { Err(Error::Chain(which, ChainError::NotCa)) } else { Ok(()) }
}

fn check_link(issuer: &Cert, subject: &Cert, which: Certificate) -> Result<(), Error> {
    if !same_name(&subject.issuer, &issuer.subject) {
        return Err(Error::Chain(which, ChainError::Names));
    }
    if issuer.issued(subject) { Ok(()) } else { Err(Error::Chain(which, ChainError::Signature)) }
}

fn check_validity(certificates: &[(&Cert, Certificate)], now_s: u64) -> Result<Validity, Error> {
    certificates.iter().try_fold(Validity::ALWAYS, |all, (certificate, which)| {
        match certificate.validity.locate(now_s) {
            Moment::Before => Err(Error::Chain(*which, ChainError::NotYetValid)),
            Moment::After => Err(Error::Chain(*which, ChainError::Expired)),
            Moment::Within => Ok(all.intersect(certificate.validity)),
        }
    })
}
