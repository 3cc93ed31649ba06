//! The firmware image (OVMF) and what its tables ask the host to load (edk2, `OvmfSevMetadata.asm`).

use super::{Chain, Error, PAGE_BYTES, guid};

const MAX_FIRMWARE_BYTES: usize = 64 * 1024 * 1024;
const MAX_SECTION_BYTES: u64 = 256 * 1024 * 1024;
const FOUR_GIB: u64 = 1 << 32;

/// The table ends this far before the end of the image.
const FOOTER_DISTANCE: usize = 32;
/// A length and a GUID, at the end of every entry.
const ENTRY_HEADER_BYTES: usize = 18;
const METADATA_HEADER_BYTES: usize = 16;
const SECTION_BYTES: usize = 12;

const FOOTER_GUID: [u8; 16] = guid(0x96b5_82de, 0x1fb2, 0x45f7, [0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d]);
const HASHES_GUID: [u8; 16] = guid(0x7255_371f, 0x3a3b, 0x4b04, [0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54]);
const RESET_GUID: [u8; 16] = guid(0x00f7_71de, 0x1a7e, 0x4fcb, [0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e]);
const METADATA_GUID: [u8; 16] = guid(0xdc88_6566, 0x984a, 0x4798, [0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc]);

/// What the host puts into a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    /// Zeros.
    Memory,
    /// The secrets page.
    Secrets,
    /// The CPUID page.
    Cpuid,
    /// Zeros, for calls to an SVSM.
    SvsmCallingArea,
    /// Hashes of kernel, initrd and command line.
    KernelHashes,
}

impl SectionKind {
    /// The kind of a number in the metadata.
    #[must_use]
    pub const fn from_value(value: u32) -> Option<Self> {
        match value {
            1 => Some(Self::Memory),
            2 => Some(Self::Secrets),
            3 => Some(Self::Cpuid),
            4 => Some(Self::SvsmCallingArea),
            0x10 => Some(Self::KernelHashes),
            _ => None,
        }
    }
}

/// A region that the host loads beside the firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Guest physical address.
    pub gpa: u64,
    /// Length in bytes.
    pub size_bytes: u64,
    /// What is in it.
    pub kind: SectionKind,
}

impl Section {
    /// How many pages it has; none if not a whole number, or too many.
    pub(super) fn pages(&self) -> Option<u64> {
        let page = PAGE_BYTES as u64;
        let whole = self.size_bytes.is_multiple_of(page) && self.size_bytes <= MAX_SECTION_BYTES;
        whole.then_some(self.size_bytes / page)
    }
}

/// What of a firmware image enters the launch digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// The digest after the image's own pages.
    pub pages_digest: [u8; 48],
    /// The regions that its metadata names, in order.
    pub sections: Vec<Section>,
    /// Where it expects the table of hashes.
    pub hashes_gpa: Option<u32>,
    /// Where vCPUs other than the first start.
    pub reset_eip: Option<u32>,
}

impl Firmware {
    /// Reads an image, which ends at 4 GiB in the guest.
    ///
    /// # Errors
    ///
    /// [`Error::FirmwareSize`] or [`Error::FirmwareTable`].
    pub fn parse(image: &[u8]) -> Result<Self, Error> {
        let size = image.len();
        if size == 0 || size > MAX_FIRMWARE_BYTES || !size.is_multiple_of(PAGE_BYTES) {
            return Err(Error::FirmwareSize(size));
        }
        let table = Table::read(image)?;
        let sections = match table.number(&METADATA_GUID)? {
            None => Vec::new(),
            Some(distance) => read_sections(image, distance)?,
        };
        let base = FOUR_GIB - u64::try_from(size).map_err(|_| Error::FirmwareSize(size))?;
        Ok(Self {
            pages_digest: Chain::normal_pages(base, image),
            sections,
            hashes_gpa: table.number(&HASHES_GUID)?,
            reset_eip: table.number(&RESET_GUID)?,
        })
    }
}

/// The table of GUIDs at the end of an image, which is read from its end.
struct Table<'a>(Vec<([u8; 16], &'a [u8])>);

impl<'a> Table<'a> {
    fn read(image: &'a [u8]) -> Result<Self, Error> {
        let end = image.len().checked_sub(FOOTER_DISTANCE).and_then(|end| image.get(..end));
        let end = end.ok_or(Error::FirmwareTable("no room for it"))?;
        if !end.ends_with(&FOOTER_GUID) {
            return Err(Error::FirmwareTable("not there"));
        }
        let (before, _, length) = split_header(end)?;
        let start = before.len().checked_sub(length).ok_or(Error::FirmwareTable("longer than the image"))?;
        let mut rest = before.get(start..).ok_or(Error::FirmwareTable("longer than the image"))?;
        let mut entries = Vec::new();
        while rest.len() >= ENTRY_HEADER_BYTES {
            let (before, guid, length) = split_header(rest)?;
            let at = before.len().checked_sub(length).ok_or(Error::FirmwareTable("an entry is too long"))?;
            let (next, data) = before.split_at(at);
            entries.push((guid, data));
            rest = next;
        }
        Ok(Self(entries))
    }

    /// The number at the beginning of an entry.
    fn number(&self, guid: &[u8; 16]) -> Result<Option<u32>, Error> {
        let Some((_, data)) = self.0.iter().find(|(own, _)| own == guid) else { return Ok(None) };
        let number = data.first_chunk::<4>().ok_or(Error::FirmwareTable("an entry is too short"))?;
        Ok(Some(u32::from_le_bytes(*number)))
    }
}

/// Splits an entry's header off the end: what is before it, its GUID, and how long its data before the header is.
fn split_header(bytes: &[u8]) -> Result<(&[u8], [u8; 16], usize), Error> {
    let short = Error::FirmwareTable("an entry is too short");
    let (before, header) = bytes.split_last_chunk::<ENTRY_HEADER_BYTES>().ok_or(short)?;
    let (length, guid) = header.split_first_chunk::<2>().ok_or(short)?;
    let length = usize::from(u16::from_le_bytes(*length)).checked_sub(ENTRY_HEADER_BYTES).ok_or(short)?;
    Ok((before, guid.try_into().map_err(|_| short)?, length))
}

fn read_sections(image: &[u8], distance: u32) -> Result<Vec<Section>, Error> {
    let short = Error::FirmwareTable("metadata outside the image");
    let start = usize::try_from(distance).ok().and_then(|distance| image.len().checked_sub(distance)).ok_or(short)?;
    let metadata = image.get(start..).ok_or(short)?;
    let (header, _) = metadata.split_first_chunk::<METADATA_HEADER_BYTES>().ok_or(short)?;
    let [signature, size, version, count] = words(header);
    if signature != *b"ASEV" || u32::from_le_bytes(version) != 1 {
        return Err(Error::FirmwareTable("metadata of another kind"));
    }
    let size = usize::try_from(u32::from_le_bytes(size)).map_err(|_| short)?;
    let items = metadata.get(METADATA_HEADER_BYTES..size).ok_or(short)?;
    let count = usize::try_from(u32::from_le_bytes(count)).map_err(|_| short)?;
    if items.len() / SECTION_BYTES < count {
        return Err(short);
    }
    items.chunks_exact(SECTION_BYTES).take(count).map(read_section).collect()
}

fn read_section(bytes: &[u8]) -> Result<Section, Error> {
    let bytes = bytes.first_chunk::<SECTION_BYTES>().ok_or(Error::FirmwareTable("a section is too short"))?;
    let [gpa, size, kind]: [[u8; 4]; 3] = words(bytes);
    let kind = SectionKind::from_value(u32::from_le_bytes(kind));
    Ok(Section {
        gpa: u32::from_le_bytes(gpa).into(),
        size_bytes: u32::from_le_bytes(size).into(),
        kind: kind.ok_or(Error::FirmwareTable("a section of an unknown kind"))?,
    })
}

fn words<const N: usize>(bytes: &[u8]) -> [[u8; 4]; N] {
    let mut words = [[0; 4]; N];
    for (word, from) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        word.copy_from_slice(from);
    }
    words
}
