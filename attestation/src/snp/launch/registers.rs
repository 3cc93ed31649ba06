//! The registers that a vCPU starts with: its VMSA page (AMD64 APM volume 2, table B-4), as each VMM fills it.

use super::{PAGE_BYTES, PageType, Shape};

/// Who launches the guest. VMMs start vCPUs with slightly different registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vmm {
    /// QEMU with KVM.
    Qemu,
    /// Google Compute Engine.
    Gce,
}

impl Vmm {
    /// The VMM of a name, in either case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "qemu" => Some(Self::Qemu),
            "gce" => Some(Self::Gce),
            _ => None,
        }
    }

    /// How it loads the memory that firmware asks for: QEMU as measured zeros, Google unmeasured.
    pub(super) const fn memory_pages(self) -> PageType {
        match self {
            Self::Qemu => PageType::Zero,
            Self::Gce => PageType::Unmeasured,
        }
    }
}

/// The processor that a guest sees: CPUID 1, EAX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuSignature(pub u32);

impl CpuSignature {
    /// From family, model and stepping (AMD's CPUID specification, 25481).
    #[must_use]
    pub const fn new(family: u8, model: u8, stepping: u8) -> Self {
        let (extended, base) = if family > 0xF { (family - 0xF, 0xF) } else { (0, family) };
        let parts = [stepping & 0xF | (model & 0xF) << 4, base, model >> 4 | extended << 4, extended >> 4];
        Self(u32::from_le_bytes(parts))
    }

    /// Of a processor model of QEMU's, for example `EPYC-v4`.
    #[must_use]
    pub fn from_qemu_model(name: &str) -> Option<Self> {
        match name {
            "EPYC" | "EPYC-v1" | "EPYC-v2" | "EPYC-IBPB" | "EPYC-v3" | "EPYC-v4" => Some(Self::new(23, 1, 2)),
            "EPYC-Rome" | "EPYC-Rome-v1" | "EPYC-Rome-v2" | "EPYC-Rome-v3" => Some(Self::new(23, 49, 0)),
            "EPYC-Milan" | "EPYC-Milan-v1" | "EPYC-Milan-v2" => Some(Self::new(25, 1, 1)),
            "EPYC-Genoa" | "EPYC-Genoa-v1" => Some(Self::new(25, 17, 0)),
            "EPYC-Turin" => Some(Self::new(26, 0, 0)),
            _ => None,
        }
    }
}

/// The page of a vCPU that starts at `eip`.
pub(super) fn save_area(eip: u32, shape: &Shape) -> [u8; PAGE_BYTES] {
    let (pat, rdx, mxcsr, x87_control) = match shape.vmm {
        Vmm::Qemu => (0x0007_0406_0007_0406, u64::from(shape.cpu.0), 0x1F80, 0x037F),
        Vmm::Gce => (0x0007_0106, 0x600, 0, 0),
    };
    let mut page = Page([0; PAGE_BYTES]);
    // ES, CS, SS, DS, FS, GS, then GDTR, LDTR, IDTR and TR: selector, attributes and base; the limit is 0xFFFF in all.
    let code_base = u64::from(eip & 0xFFFF_0000);
    let segments: [(u16, u16, u64); 10] = [
        (0, 0x93, 0),
        (0xF000, 0x9B, code_base),
        (0, 0x93, 0),
        (0, 0x93, 0),
        (0, 0x93, 0),
        (0, 0x93, 0),
        (0, 0, 0),
        (0, 0x82, 0),
        (0, 0, 0),
        (0, 0x8B, 0),
    ];
    for (index, (selector, attributes, base)) in segments.into_iter().enumerate() {
        page.put(16 * index, &selector.to_le_bytes());
        page.put(16 * index + 2, &attributes.to_le_bytes());
        page.put(16 * index + 4, &0xFFFF_u32.to_le_bytes());
        page.put(16 * index + 8, &base.to_le_bytes());
    }
    let registers: [(usize, u64); 11] = [
        (0x0D0, 0x1000),                  // EFER: SVME, which KVM sets
        (0x148, 0x40),                    // CR4: MCE, likewise
        (0x158, 0x10),                    // CR0
        (0x160, 0x400),                   // DR7
        (0x168, 0xFFFF_0FF0),             // DR6
        (0x170, 0x2),                     // RFLAGS
        (0x178, u64::from(eip & 0xFFFF)), // RIP
        (0x268, pat),                     // G_PAT
        (0x310, rdx),                     // RDX
        (0x3B0, shape.sev_features),      // SEV_FEATURES
        (0x3E8, 0x1),                     // XCR0
    ];
    for (offset, value) in registers {
        page.put(offset, &value.to_le_bytes());
    }
    page.put(0x408, &u32::to_le_bytes(mxcsr));
    page.put(0x410, &u16::to_le_bytes(x87_control));
    page.0
}

struct Page([u8; PAGE_BYTES]);

impl Page {
    fn put(&mut self, offset: usize, value: &[u8]) {
        let place = self.0.iter_mut().skip(offset);
        place.zip(value).for_each(|(to, from)| *to = *from);
    }
}
