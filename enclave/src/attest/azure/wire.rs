//! What goes to a TPM and what comes back, as bytes (TPM 2.0 library, revision 1.59, part 1, 18). Numbers are
//! big-endian.
//!
//! Everything here is pure. The four commands that evidence takes are written and nothing else, so that no caller can
//! change a TPM; of an answer every length is checked, and a byte too many is refused like one too few.

/// "`TPM_ST_NO_SESSIONS`", "`TPM_ST_SESSIONS`" (part 2, 6.9).
const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
/// "`TPM_RS_PW`" (part 2, 7.4): a password in place of a session.
const PASSWORD_SESSION: u32 = 0x4000_0009;
/// "`continueSession`" (part 2, 8.4), which a password always has.
const CONTINUE_SESSION: u8 = 1;

/// Tag, size and code: an answer without these is none, and a refusal is these and nothing more.
pub(super) const HEADER_BYTES: usize = 10;

/// A command of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `TPM2_NV_Read` (part 3, 31.13).
    NvRead,
    /// `TPM2_Quote` (part 3, 18.4).
    Quote,
    /// `TPM2_NV_ReadPublic` (part 3, 31.6).
    NvReadPublic,
    /// `TPM2_PCR_Read` (part 3, 22.4).
    PcrRead,
}

impl Command {
    /// Its name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NvRead => "TPM2_NV_Read",
            Self::Quote => "TPM2_Quote",
            Self::NvReadPublic => "TPM2_NV_ReadPublic",
            Self::PcrRead => "TPM2_PCR_Read",
        }
    }

    /// `TPM_CC` (part 2, 6.5.2).
    const fn code(self) -> u32 {
        match self {
            Self::NvRead => 0x014E,
            Self::Quote => 0x0158,
            Self::NvReadPublic => 0x0169,
            Self::PcrRead => 0x017E,
        }
    }

    /// Whether its first handle wants an authorization: "Auth Index: 1" in the command's table in part 3.
    const fn is_authorized(self) -> bool {
        match self {
            Self::NvRead | Self::Quote => true,
            Self::NvReadPublic | Self::PcrRead => false,
        }
    }

    const fn tag(self) -> u16 {
        if self.is_authorized() { SESSIONS } else { NO_SESSIONS }
    }

    /// The whole command. Where an authorization is wanted it is the empty password, as Azure's keys and indexes have.
    pub(super) fn encode(self, handles: &[u32], parameters: &[u8]) -> Vec<u8> {
        let mut body: Vec<u8> = handles.iter().flat_map(|handle| handle.to_be_bytes()).collect();
        if self.is_authorized() {
            // TPMS_AUTH_COMMAND (part 2, 10.13.2): session, nonce, attributes, password; behind the length of it all.
            body.extend(9_u32.to_be_bytes());
            body.extend(PASSWORD_SESSION.to_be_bytes());
            body.extend([0, 0, CONTINUE_SESSION, 0, 0]);
        }
        body.extend(parameters);
        let size = u32::try_from(HEADER_BYTES + body.len()).expect("commands have some hundred bytes");
        [self.tag().to_be_bytes().as_slice(), &size.to_be_bytes(), &self.code().to_be_bytes(), &body].concat()
    }

    /// The parameters of an answer.
    pub(super) fn decode(self, answer: &[u8]) -> Result<&[u8], AnswerError> {
        let mut reader = Reader::new(answer);
        let (tag, size, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
        if usize::try_from(size) != Ok(answer.len()) {
            return Err(AnswerError::Malformed("its size is not the one that it names"));
        }
        if code != 0 {
            // Part 2, 6.9: a refusal has the tag without sessions; and nothing stands behind its code.
            let bare = tag == NO_SESSIONS && answer.len() == HEADER_BYTES;
            return Err(if bare { AnswerError::Refused(code) } else { AnswerError::Malformed("a refusal with more") });
        }
        if tag != self.tag() {
            return Err(AnswerError::Malformed("its tag is not the command's"));
        }
        if !self.is_authorized() {
            return Ok(reader.0);
        }
        let length = reader.u32()?;
        let parameters = reader.slice(usize::try_from(length).map_err(|_| SHORT)?)?;
        // TPMS_AUTH_RESPONSE (part 2, 10.13.3): for a password, nonce and HMAC are empty.
        let (nonce, _attributes, hmac) = (reader.sized()?, reader.array::<1>()?, reader.sized()?);
        reader.end()?;
        if nonce.is_empty() && hmac.is_empty() {
            Ok(parameters)
        } else {
            Err(AnswerError::Malformed("authorizes something else than a password"))
        }
    }
}

/// Why bytes are not the answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerError {
    /// `TPM_RC` (part 2, 6.6): not zero.
    Refused(u32),
    Malformed(&'static str),
}

const SHORT: AnswerError = AnswerError::Malformed("too short");

/// The size that an answer names, as soon as so much of it is there.
pub(super) fn named_size(start: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(start);
    reader.u16().and_then(|_tag| reader.u32()).ok()
}

/// Reads an answer from its start.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], AnswerError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], AnswerError> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn u16(&mut self) -> Result<u16, AnswerError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, AnswerError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A `TPM2B`: a length of two bytes, and so many bytes.
    pub(super) fn sized(&mut self) -> Result<&'a [u8], AnswerError> {
        let length = self.u16()?;
        self.slice(length.into())
    }

    /// That nothing is left.
    pub(super) const fn end(&self) -> Result<(), AnswerError> {
        if self.0.is_empty() { Ok(()) } else { Err(AnswerError::Malformed("has trailing bytes")) }
    }
}
