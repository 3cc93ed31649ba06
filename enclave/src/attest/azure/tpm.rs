//! A client of a TPM 2.0, as far as evidence takes one: reading an NV index, reading registers, and quoting them.
//!
//! It speaks to anything that takes a whole command in one write and gives the answer to reads, as `/dev/tpmrm0` and the
//! sockets of software TPMs do. On Azure the host's side of the virtual TPM is not trusted before its quote is verified:
//! an answer has at most 4096 bytes, every loop has a bound, and whatever comes instead of an answer is an [`Error`].
//! It refuses to write: there is no command here that changes a TPM.

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;

use super::wire::{AnswerError, Command, HEADER_BYTES, Reader, named_size};

/// Longest answer that is read: what the kernel's driver passes on, too.
const MAX_ANSWER_BYTES: usize = 4096;
/// Every TPM gives at least so much of an index at once; a chunk of Azure's index is one of six.
const NV_CHUNK_BYTES: u16 = 512;

/// How long to wait before a command is sent again; the kernel's driver has waited longer before.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// "`TPM_RH_OWNER`" (part 2, 7.4).
const OWNER: u32 = 0x4000_0001;
/// "`TPMA_NV_OWNERREAD`", "`TPMA_NV_AUTHREAD`" (part 2, 13.4).
const OWNER_READ: u32 = 1 << 17;
const AUTH_READ: u32 = 1 << 18;

/// `TPM_ALG_ID` (part 2, 6.3).
const RSASSA: u16 = 0x0014;
const SHA_256: u16 = 0x000B;
const NULL: u16 = 0x0010;

/// Registers of a PC client's TPM, and the selection of all of them.
pub(super) const PCR_COUNT: usize = 24;
const ALL_PCRS: u32 = 0x00FF_FFFF;
/// "`TPML_DIGEST`" holds at most so many (part 2, 10.9.5).
const MAX_DIGESTS: u32 = 8;

/// Why the TPM did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The system gives no access to it.
    #[error("the TPM cannot be spoken to: {0}")]
    Io(ErrorKind),
    /// The answer ends before it is whole.
    #[error("the TPM's answer to {} ends early", .0.name())]
    Short(Command),
    /// The answer is longer than any is.
    #[error("the TPM's answer to {} is too long", .0.name())]
    Long(Command),
    /// The answer is none to this command.
    #[error("the TPM's answer to {} is malformed: {what}", .command.name())]
    Malformed {
        /// What was asked.
        command: Command,
        /// What is wrong with the answer.
        what: &'static str,
    },
    /// The TPM says no.
    #[error("the TPM refuses {} with the code {code:#05x}", .command.name())]
    Refused {
        /// What was asked.
        command: Command,
        /// `TPM_RC` (part 2, 6.6).
        code: u32,
    },
    /// The TPM kept asking for patience.
    #[error("the TPM is busy")]
    Busy,
    /// There is no such NV index.
    #[error("the TPM has no NV index {0:#010x}")]
    NoIndex(u32),
    /// The NV index may be read neither by the owner nor by its own password.
    #[error("NV index {0:#010x} may not be read")]
    IndexLocked(u32),
    /// There is no such key.
    #[error("the TPM has no key {0:#010x}")]
    NoKey(u32),
    /// The TPM keeps no registers of SHA-256.
    #[error("the TPM has no bank of SHA-256 registers")]
    NoBank,
}

/// What a TPM signed about its registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedQuote {
    /// The `TPMS_ATTEST`.
    pub message: Vec<u8>,
    /// The RSASSA signature.
    pub signature: Vec<u8>,
}

/// A TPM at the other end of `stream`.
#[derive(Debug)]
pub struct Tpm<S> {
    stream: S,
}

impl<S: Read + Write> Tpm<S> {
    /// Speaks to what is at the other end of `stream`.
    pub const fn new(stream: S) -> Self {
        Self { stream }
    }

    /// The content of an NV index.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn nv_read(&mut self, index: u32) -> Result<Vec<u8>, Error> {
        let (attributes, size) = self.nv_public(index)?;
        let authority = match attributes {
            attributes if attributes & OWNER_READ != 0 => OWNER,
            attributes if attributes & AUTH_READ != 0 => index,
            _ => return Err(Error::IndexLocked(index)),
        };
        let mut content = Vec::with_capacity(size.into());
        let mut offset = 0;
        while offset < size {
            let length = NV_CHUNK_BYTES.min(size - offset);
            let parameters = [length.to_be_bytes(), offset.to_be_bytes()].concat();
            let answer = self.exchange(Command::NvRead, &[authority, index], &parameters)?;
            let chunk = parsed(Command::NvRead, &answer, |reader| Ok(reader.sized()?.to_vec()))?;
            if chunk.len() != usize::from(length) {
                return Err(malformed(Command::NvRead, "another length than asked for"));
            }
            content.extend(chunk);
            offset += length;
        }
        Ok(content)
    }

    /// Attributes and size of an NV index: `TPM2B_NV_PUBLIC` (part 2, 13.6), and the name, which nobody needs here.
    fn nv_public(&mut self, index: u32) -> Result<(u32, u16), Error> {
        let command = Command::NvReadPublic;
        let answer = match self.exchange(command, &[index], &[]) {
            Err(Error::Refused { code, .. }) if is_unknown_handle(code) => return Err(Error::NoIndex(index)),
            other => other?,
        };
        let public = parsed(command, &answer, |reader| {
            let (public, _name) = (reader.sized()?, reader.sized()?);
            Ok(public.to_vec())
        })?;
        parsed(command, &public, |reader| {
            let (own, _name_alg, attributes) = (reader.u32()?, reader.u16()?, reader.u32()?);
            let (_policy, size) = (reader.sized()?, reader.u16()?);
            if own == index { Ok((attributes, size)) } else { Err(AnswerError::Malformed("of another index")) }
        })
    }

    /// The values of all SHA-256 registers, lowest first.
    ///
    /// They are read eight at a time and may change in between: only a quote over the same values makes them one state.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn pcr_read(&mut self) -> Result<[[u8; 32]; PCR_COUNT], Error> {
        let command = Command::PcrRead;
        let mut values = [[0; 32]; PCR_COUNT];
        let mut missing = ALL_PCRS;
        // Each turn reads at least one register or ends.
        while missing != 0 {
            let answer = self.exchange(command, &[], &selection(missing))?;
            let (read, digests) = parsed(command, &answer, pcr_values)?;
            if read == 0 {
                return Err(Error::NoBank);
            }
            if read & !missing != 0 {
                return Err(malformed(command, "registers that were not asked for"));
            }
            if read.count_ones() as usize != digests.len() {
                return Err(malformed(command, "not one value for each register"));
            }
            let places = values.iter_mut().enumerate().filter(|(pcr, _)| read >> pcr & 1 == 1);
            for ((_, place), digest) in places.zip(digests) {
                *place = digest;
            }
            missing &= !read;
        }
        Ok(values)
    }

    /// Has `key` sign all SHA-256 registers and `qualifying_data`.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn quote(&mut self, key: u32, qualifying_data: &[u8; 32]) -> Result<SignedQuote, Error> {
        let command = Command::Quote;
        // TPM2B_DATA; TPMT_SIG_SCHEME: none, so that the key's own counts; TPML_PCR_SELECTION.
        let scheme = NULL.to_be_bytes();
        let parameters = [&[0, 32], qualifying_data.as_slice(), &scheme, &selection(ALL_PCRS)].concat();
        let answer = match self.exchange(command, &[key], &parameters) {
            Err(Error::Refused { code, .. }) if is_unknown_handle(code) => return Err(Error::NoKey(key)),
            other => other?,
        };
        parsed(command, &answer, |reader| {
            let message = reader.sized()?.to_vec();
            // TPMT_SIGNATURE (part 2, 11.3.4).
            if (reader.u16()?, reader.u16()?) != (RSASSA, SHA_256) {
                return Err(AnswerError::Malformed("not signed with RSASSA and SHA-256"));
            }
            Ok(SignedQuote { message, signature: reader.sized()?.to_vec() })
        })
    }

    /// Sends a command until the TPM takes it, and gives the parameters of its answer.
    fn exchange(&mut self, command: Command, handles: &[u32], parameters: &[u8]) -> Result<Vec<u8>, Error> {
        let bytes = command.encode(handles, parameters);
        for pause in PAUSES.map(Some).into_iter().chain([None]) {
            self.stream
                .write_all(&bytes)
                .and_then(|()| self.stream.flush())
                .map_err(|error| Error::Io(error.kind()))?;
            let answer = self.receive(command)?;
            match command.decode(&answer) {
                Ok(parameters) => return Ok(parameters.to_vec()),
                Err(AnswerError::Refused(code)) if is_passing(code) => pause.map(thread::sleep).unwrap_or_default(),
                Err(error) => return Err(failure(command, error)),
            }
        }
        Err(Error::Busy)
    }

    /// One answer. A device gives it whole to one read, a socket in pieces.
    fn receive(&mut self, command: Command) -> Result<Vec<u8>, Error> {
        let mut answer = vec![0; MAX_ANSWER_BYTES];
        let mut filled = 0;
        loop {
            let (_, space) = answer.split_at_mut_checked(filled).ok_or(Error::Long(command))?;
            match self.stream.read(space) {
                Ok(0) => return Err(Error::Short(command)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Io(error.kind())),
            }
            let start = answer.get(..filled).ok_or(Error::Long(command))?;
            let Some(size) = named_size(start) else { continue };
            let size = usize::try_from(size).ok().filter(|size| *size <= MAX_ANSWER_BYTES);
            match size.ok_or(Error::Long(command))? {
                ..HEADER_BYTES => return Err(malformed(command, "smaller than an answer is")),
                size if size < filled => return Err(malformed(command, "more than it says")),
                size if size == filled => return Ok(start.to_vec()),
                _ => {}
            }
        }
    }
}

/// A code that asks for patience: "`TPM_RC_YIELDED`", "`TPM_RC_TESTING`", "`TPM_RC_NV_RATE`", "`TPM_RC_RETRY`"
/// (part 2, 6.6.3).
const fn is_passing(code: u32) -> bool {
    matches!(code, 0x908 | 0x90A | 0x920 | 0x922)
}

/// "`TPM_RC_HANDLE`" about the first handle: format one with error 0x0B, handle 1 (part 2, 6.6.2).
const fn is_unknown_handle(code: u32) -> bool {
    code == 0x18B
}

/// `TPML_PCR_SELECTION` (part 2, 10.9.7) of one bank: SHA-256, in three bytes, the lowest register first.
fn selection(pcrs: u32) -> Vec<u8> {
    let [low, middle, high, _] = pcrs.to_le_bytes();
    let [first, second] = SHA_256.to_be_bytes();
    vec![0, 0, 0, 1, first, second, 3, low, middle, high]
}

/// The answer to `TPM2_PCR_Read`: update counter, which registers these are, and their values.
fn pcr_values(reader: &mut Reader<'_>) -> Result<(u32, Vec<[u8; 32]>), AnswerError> {
    let _update_counter = reader.u32()?;
    let (banks, bank, [bytes]) = (reader.u32()?, reader.u16()?, reader.array::<1>()?);
    if (banks, bank, bytes) != (1, SHA_256, 3) {
        return Err(AnswerError::Malformed("not of one bank of 24 SHA-256 registers"));
    }
    let [low, middle, high] = reader.array()?;
    let count = reader.u32()?;
    if count > MAX_DIGESTS {
        return Err(AnswerError::Malformed("too many values"));
    }
    let wrong = |_| AnswerError::Malformed("a value is not SHA-256");
    let digests = (0..count).map(|_| reader.sized()?.try_into().map_err(wrong));
    Ok((u32::from_le_bytes([low, middle, high, 0]), digests.collect::<Result<_, _>>()?))
}

/// Reads all of an answer's parameters with `read`.
fn parsed<T>(
    command: Command,
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, AnswerError>,
) -> Result<T, Error> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader).map_err(|error| failure(command, error))?;
    reader.end().map_err(|error| failure(command, error))?;
    Ok(value)
}

const fn failure(command: Command, error: AnswerError) -> Error {
    match error {
        AnswerError::Refused(code) => Error::Refused { command, code },
        AnswerError::Malformed(what) => malformed(command, what),
    }
}

const fn malformed(command: Command, what: &'static str) -> Error {
    Error::Malformed { command, what }
}
