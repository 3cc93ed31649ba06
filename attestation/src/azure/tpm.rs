//! What a TPM signs when it is asked about its registers: `TPMS_ATTEST` of the type quote (TPM 2.0 library, part 2,
//! 10.12). Numbers are big-endian.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Error;
use crate::encoding::Hex;

/// Longest message, signature and nonce that are looked at.
const MAX_MESSAGE_BYTES: usize = 1024;
const MAX_SIGNATURE_BYTES: usize = 512;
const MAX_JSON_BYTES: usize = 16 * 1024;
/// Registers of a PC client's TPM.
const PCR_COUNT: u8 = 24;

/// `TPM_GENERATED_VALUE`: no TPM signs outside data that begin like this.
const GENERATED: u32 = 0xff54_4347;
const ATTEST_QUOTE: u16 = 0x8018;
const SHA_256: u16 = 0x000B;

/// A quote as it is handed over: what was signed, the signature, and the registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmQuote {
    /// The `TPMS_ATTEST`.
    pub message: HexBytes<MAX_MESSAGE_BYTES>,
    /// The signature's bytes, without a header.
    pub signature: HexBytes<MAX_SIGNATURE_BYTES>,
    /// The values of the registers that the quote covers, lowest first.
    pub pcrs: Vec<Hex<32>>,
}

impl TpmQuote {
    /// Reads a quote from JSON: `message` and `signature` in hex, `pcrs` a list of hex.
    ///
    /// # Errors
    ///
    /// [`Error::Quote`].
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_JSON_BYTES {
            return Err(Error::Quote("too large"));
        }
        serde_json::from_slice(json).map_err(|_| Error::Quote("not the known JSON"))
    }

    /// Whether the parts belong together: that the message, signed or not, answers `nonce` and speaks of these registers.
    ///
    /// # Errors
    ///
    /// [`Error::Quote`], [`Error::Nonce`] or [`Error::PcrDigest`].
    pub fn check_own_binding(&self, nonce: &[u8]) -> Result<(), Error> {
        let quote = Quote::parse(&self.message.0)?;
        if quote.extra_data != nonce {
            return Err(Error::Nonce);
        }
        quote.registers(&self.pcrs).map(drop)
    }
}

/// Up to `MAX` bytes, written in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HexBytes<const MAX: usize>(pub Vec<u8>);

impl<const MAX: usize> TryFrom<String> for HexBytes<MAX> {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() > 2 * MAX {
            return Err("too long");
        }
        hex::decode(text).map(Self).map_err(|_| "not hex")
    }
}

impl<const MAX: usize> From<HexBytes<MAX>> for String {
    fn from(bytes: HexBytes<MAX>) -> Self {
        hex::encode(bytes.0)
    }
}

/// What the TPM says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The caller's own data: our nonce.
    pub extra_data: Vec<u8>,
    /// How often the TPM was reset; it changes with each boot of the guest.
    pub reset_count: u32,
    /// Which registers are covered, lowest first.
    pub pcrs: Vec<u8>,
    /// SHA-256 over their values.
    pub pcr_digest: [u8; 32],
}

impl Quote {
    /// Reads a `TPMS_ATTEST`: a quote over SHA-256 registers, with no byte left over.
    pub(super) fn parse(message: &[u8]) -> Result<Self, Error> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(Error::Quote("too large"));
        }
        let mut reader = Reader(message);
        if reader.u32()? != GENERATED {
            return Err(Error::Quote("not made by a TPM"));
        }
        if reader.u16()? != ATTEST_QUOTE {
            return Err(Error::Quote("attests to something else than registers"));
        }
        let _qualified_signer = reader.sized()?;
        let extra_data = reader.sized()?.to_vec();
        let _clock = reader.array::<8>()?;
        let reset_count = reader.u32()?;
        let _restart_count_safe_and_firmware = reader.array::<13>()?;
        if reader.u32()? != 1 || reader.u16()? != SHA_256 {
            return Err(Error::Quote("not over one bank of SHA-256 registers"));
        }
        let [selected] = reader.array::<1>()?;
        let bitmap = reader.slice(selected.into())?;
        let is_selected = |pcr: &u8| bitmap.get(usize::from(pcr / 8)).is_some_and(|byte| byte >> (pcr % 8) & 1 == 1);
        let pcrs: Vec<u8> = (0..PCR_COUNT).filter(is_selected).collect();
        if bitmap.len() != usize::from(PCR_COUNT / 8) {
            return Err(Error::Quote("selects registers of no PC client"));
        }
        let pcr_digest = reader.sized()?.try_into().map_err(|_| Error::Quote("digest is not SHA-256"))?;
        if !reader.0.is_empty() {
            return Err(Error::Quote("has trailing bytes"));
        }
        Ok(Self { extra_data, reset_count, pcrs, pcr_digest })
    }

    /// The registers by number, if these values are the covered ones.
    pub(super) fn registers(&self, values: &[Hex<32>]) -> Result<BTreeMap<u8, [u8; 32]>, Error> {
        let digest = values.iter().fold(Sha256::new(), |hash, value| hash.chain_update(value.0));
        let complete = values.len() == self.pcrs.len();
        if !complete || <[u8; 32]>::from(digest.finalize()) != self.pcr_digest {
            return Err(Error::PcrDigest);
        }
        Ok(self.pcrs.iter().copied().zip(values.iter().map(|value| value.0)).collect())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Error::Quote("too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Error::Quote("too short"))?;
        self.0 = rest;
        Ok(head)
    }

    fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    /// A length of two bytes, and so many bytes.
    fn sized(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u16()?;
        self.slice(length.into())
    }
}
