//! Reads fixed little-endian layouts out of bytes that nobody vouches for.
//!
//! Every step answers `None` where the bytes end too early; nothing is allocated and nothing is ever skipped silently.

/// A cursor over borrowed bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(head)
    }

    /// The next `len` bytes.
    pub(crate) fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().copied().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().copied().map(u32::from_le_bytes)
    }

    /// A `u32` length and that many bytes.
    pub(crate) fn slice32(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.slice(usize::try_from(len).ok()?)
    }

    /// What has not been read yet.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }
}
