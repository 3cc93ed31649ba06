//! What launch digest must a guest have? Computed from firmware, kernel, initrd and command line (SNP ABI, 8.17.2,
//! `PAGE_INFO`; attestation notes, 4.1).
//!
//! The digest is a chain over the pages that the host loads: the firmware, the pages that the firmware's metadata asks
//! for, one of them with the hashes of kernel, initrd and command line, and the first registers of every vCPU. It is
//! meant for the tool that publishes reference values; a verifier compares, it does not compute.
//!
//! QEMU and Google's VMM are supported. Amazon's is not: the public tools disagree about its registers.

mod firmware;
pub mod id_block;
mod registers;

pub use firmware::{Firmware, Section, SectionKind};
pub use registers::{CpuSignature, Vmm};

use sha2::{Digest as _, Sha256, Sha384};

/// A page, in bytes.
pub(crate) const PAGE_BYTES: usize = 4096;

const MAX_VCPUS: u32 = 4096;
const VMSA_GPA: u64 = 0xFFFF_FFFF_F000;
const BSP_RESET_VECTOR: u32 = 0xFFFF_FFF0;

const HASH_TABLE_GUID: [u8; 16] = guid(0x9438_d606, 0x4f22, 0x4cc9, [0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21]);
const CMDLINE_GUID: [u8; 16] = guid(0x97d0_2dd8, 0xbd20, 0x4c94, [0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a]);
const INITRD_GUID: [u8; 16] = guid(0x44ba_f731, 0x3a2f, 0x4bd7, [0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d]);
const KERNEL_GUID: [u8; 16] = guid(0x4de7_9437, 0xabd2, 0x427f, [0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b]);

/// Why there is no launch digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Empty, above 64 MiB, or not whole pages.
    #[error("firmware of {0} bytes is not a whole number of pages, up to 64 MiB")]
    FirmwareSize(usize),
    /// The table at the end of the firmware, or the metadata that it points to, is malformed.
    #[error("firmware table is malformed: {0}")]
    FirmwareTable(&'static str),
    /// The firmware has no reset vector for further vCPUs.
    #[error("firmware does not say where further vCPUs start")]
    NoResetVector,
    /// A section that is not whole pages, or too large.
    #[error("firmware section at {0:#x} is not a whole number of pages, up to 256 MiB")]
    SectionSize(u64),
    /// Kernel hashes were given and the firmware has no place for them.
    #[error("firmware has no page for the hashes of kernel, initrd and command line")]
    NoHashesPage,
    /// No vCPU, or too many.
    #[error("{0} vCPUs are not between 1 and 4096")]
    Vcpus(u32),
}

/// A kernel that the host loads directly and the firmware checks by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectBoot {
    /// SHA-256 of the kernel.
    pub kernel_sha256: [u8; 32],
    /// SHA-256 of the initrd; of nothing, if there is none.
    pub initrd_sha256: [u8; 32],
    /// SHA-256 of the command line *with its trailing zero*.
    pub cmdline_sha256: [u8; 32],
}

impl DirectBoot {
    /// Hashes the three as QEMU does.
    #[must_use]
    pub fn hash(kernel: &[u8], initrd: &[u8], cmdline: &str) -> Self {
        let cmdline = Sha256::new().chain_update(cmdline).chain_update([0]);
        Self {
            kernel_sha256: Sha256::digest(kernel).into(),
            initrd_sha256: Sha256::digest(initrd).into(),
            cmdline_sha256: cmdline.finalize().into(),
        }
    }
}

/// The virtual machine around the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many vCPUs it starts with.
    pub vcpus: u32,
    /// The processor that it shows.
    pub cpu: CpuSignature,
    /// `SEV_FEATURES` of every vCPU: 0x1 for SNP alone, 0x21 with debug swap.
    pub sev_features: u64,
    /// Who launches it.
    pub vmm: Vmm,
}

/// The launch digest of a guest.
///
/// # Errors
///
/// [`Error::Vcpus`], [`Error::SectionSize`], [`Error::NoHashesPage`] or [`Error::NoResetVector`].
pub fn launch_digest(firmware: &Firmware, boot: Option<&DirectBoot>, shape: &Shape) -> Result<[u8; 48], Error> {
    if !(1..=MAX_VCPUS).contains(&shape.vcpus) {
        return Err(Error::Vcpus(shape.vcpus));
    }
    let mut chain = Chain(firmware.pages_digest);
    for section in &firmware.sections {
        match section.kind {
            SectionKind::Memory => chain.blank(shape.vmm.memory_pages(), section)?,
            SectionKind::SvsmCallingArea => chain.blank(PageType::Zero, section)?,
            SectionKind::Secrets => chain.extend(PageType::Secrets, section.gpa, &[0; 48]),
            SectionKind::Cpuid => chain.extend(PageType::Cpuid, section.gpa, &[0; 48]),
            SectionKind::KernelHashes => match boot {
                None => chain.blank(PageType::Zero, section)?,
                Some(boot) if section.pages() == Some(1) => {
                    chain.page(PageType::Normal, section.gpa, &hashes_page(firmware, boot)?);
                }
                Some(_) => return Err(Error::SectionSize(section.gpa)),
            },
        }
    }
    let has_place = firmware.sections.iter().any(|section| section.kind == SectionKind::KernelHashes);
    if boot.is_some() && !has_place {
        return Err(Error::NoHashesPage);
    }

    let start = |eip| registers::save_area(eip, shape);
    chain.page(PageType::Vmsa, VMSA_GPA, &start(BSP_RESET_VECTOR));
    if shape.vcpus > 1 {
        let others = start(firmware.reset_eip.ok_or(Error::NoResetVector)?);
        (1..shape.vcpus).for_each(|_| chain.page(PageType::Vmsa, VMSA_GPA, &others));
    }
    Ok(chain.0)
}

/// The types of `PAGE_INFO`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PageType {
    Normal = 1,
    Vmsa = 2,
    Zero = 3,
    Unmeasured = 4,
    Secrets = 5,
    Cpuid = 6,
}

/// The digest so far.
pub(crate) struct Chain([u8; 48]);

impl Chain {
    /// Over whole pages of content from `gpa` on.
    pub(crate) fn normal_pages(gpa: u64, content: &[u8]) -> [u8; 48] {
        let mut chain = Self([0; 48]);
        let mut gpa = gpa;
        for page in content.chunks(PAGE_BYTES) {
            chain.extend(PageType::Normal, gpa, &Sha384::digest(page).into());
            gpa += PAGE_BYTES as u64;
        }
        chain.0
    }

    fn page(&mut self, kind: PageType, gpa: u64, content: &[u8; PAGE_BYTES]) {
        self.extend(kind, gpa, &Sha384::digest(content).into());
    }

    /// Pages whose content does not enter the digest.
    fn blank(&mut self, kind: PageType, section: &Section) -> Result<(), Error> {
        let pages = section.pages().ok_or(Error::SectionSize(section.gpa))?;
        for page in 0..pages {
            self.extend(kind, section.gpa + page * PAGE_BYTES as u64, &[0; 48]);
        }
        Ok(())
    }

    /// One `PAGE_INFO`: digest so far, digest of the page, length 0x70, type, no IMI, no permissions for lower VMPLs,
    /// GPA.
    fn extend(&mut self, kind: PageType, gpa: u64, content: &[u8; 48]) {
        let info = Sha384::new()
            .chain_update(self.0)
            .chain_update(content)
            .chain_update(0x70_u16.to_le_bytes())
            .chain_update([kind as u8, 0, 0, 0, 0, 0])
            .chain_update(gpa.to_le_bytes());
        self.0 = info.finalize().into();
    }
}

/// The page with QEMU's table of hashes, at the place within the page that the firmware names.
fn hashes_page(firmware: &Firmware, boot: &DirectBoot) -> Result<[u8; PAGE_BYTES], Error> {
    let entries =
        [(CMDLINE_GUID, boot.cmdline_sha256), (INITRD_GUID, boot.initrd_sha256), (KERNEL_GUID, boot.kernel_sha256)];
    let mut table = Vec::with_capacity(168);
    table.extend_from_slice(&HASH_TABLE_GUID);
    table.extend_from_slice(&168_u16.to_le_bytes());
    for (guid, hash) in entries {
        table.extend_from_slice(&guid);
        table.extend_from_slice(&50_u16.to_le_bytes());
        table.extend_from_slice(&hash);
    }
    let start = firmware.hashes_gpa.filter(|gpa| *gpa != 0).ok_or(Error::NoHashesPage)?;
    let offset = usize::try_from(start & 0xFFF).map_err(|_| Error::NoHashesPage)?;
    let mut page = [0; PAGE_BYTES];
    let place = page.get_mut(offset..offset + table.len()).ok_or(Error::NoHashesPage)?;
    place.copy_from_slice(&table);
    Ok(page)
}

/// A GUID in the byte order of UEFI.
pub(crate) const fn guid(a: u32, b: u16, c: u16, d: [u8; 8]) -> [u8; 16] {
    let ([a0, a1, a2, a3], [b0, b1], [c0, c1], [d0, d1, d2, d3, d4, d5, d6, d7]) =
        (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes(), d);
    [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7]
}
