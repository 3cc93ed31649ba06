//! Product lines of AMD EPYC, and the layout of the TCB version that depends on them.

use serde::{Deserialize, Serialize};

/// A product line with a root of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Product {
    /// Third generation, Zen 3.
    Milan,
    /// Fourth generation, Zen 4, and Zen 4c: Bergamo and Siena.
    Genoa,
    /// Fifth generation, Zen 5.
    Turin,
}

impl Product {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Milan, Self::Genoa, Self::Turin];

    /// The name in certificates.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// The product of a name as it stands in certificates.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.name() == name)
    }

    /// The product of a processor; none for those of no known root, Venice (family 0x1A, from model 0x50) among them.
    #[must_use]
    pub const fn from_cpuid(cpuid: Cpuid) -> Option<Self> {
        match (cpuid.family, cpuid.model) {
            (0x19, 0x00..=0x0F) => Some(Self::Milan),
            (0x19, 0x10..=0x1F | 0xA0..=0xAF) => Some(Self::Genoa),
            (0x1A, 0x00..=0x11) => Some(Self::Turin),
            _ => None,
        }
    }

    /// The structure version that the leaf certificate must name.
    pub(crate) const fn structure_version(self) -> u8 {
        match self {
            Self::Milan | Self::Genoa => 0,
            Self::Turin => 1,
        }
    }

    /// How many bytes of `CHIP_ID` are the chip's identity; the rest is zero.
    pub(crate) const fn chip_id_bytes(self) -> usize {
        match self {
            Self::Milan | Self::Genoa => 64,
            Self::Turin => 8,
        }
    }
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Family, model and stepping of the processor, combined from base and extended values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpuid {
    /// Family, for example 0x19.
    pub family: u8,
    /// Model, for example 0xA0.
    pub model: u8,
    /// Stepping.
    pub stepping: u8,
}

/// A TCB version as it stands in a report: eight bytes whose meaning depends on the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RawTcb(pub [u8; 8]);

impl std::fmt::Display for RawTcb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A TCB version by component. It has no order as a whole: see [`Tcb::at_least`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcb {
    /// Firmware management component; Turin only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fmc: Option<u8>,
    /// Boot loader of the secure processor.
    pub bootloader: u8,
    /// Operating system of the secure processor.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Lowest microcode level of all cores.
    pub microcode: u8,
}

impl Tcb {
    /// Reads a TCB version of a product; reserved bytes are the caller's business.
    #[must_use]
    pub const fn decode(product: Product, raw: RawTcb) -> Self {
        let [b0, b1, b2, b3, _, _, b6, b7] = raw.0;
        match product {
            Product::Milan | Product::Genoa => Self { fmc: None, bootloader: b0, tee: b1, snp: b6, microcode: b7 },
            Product::Turin => Self { fmc: Some(b0), bootloader: b1, tee: b2, snp: b3, microcode: b7 },
        }
    }

    /// Whether the bytes that mean nothing for this product are zero.
    pub(crate) const fn reserved_is_zero(product: Product, raw: RawTcb) -> bool {
        let [_, _, b2, b3, b4, b5, b6, _] = raw.0;
        match product {
            Product::Milan | Product::Genoa => (b2 | b3 | b4 | b5) == 0,
            Product::Turin => (b4 | b5 | b6) == 0,
        }
    }

    /// Whether every component is at least that of `minimum`. A minimum with an FMC is not met by a TCB without one.
    #[must_use]
    pub fn at_least(&self, minimum: &Self) -> bool {
        let fmc = minimum.fmc.is_none_or(|wanted| self.fmc.is_some_and(|own| own >= wanted));
        fmc && self.bootloader >= minimum.bootloader
            && self.tee >= minimum.tee
            && self.snp >= minimum.snp
            && self.microcode >= minimum.microcode
    }
}

impl std::fmt::Display for Tcb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(fmc) = self.fmc {
            write!(f, "FMC {fmc}, ")?;
        }
        let Self { bootloader, tee, snp, microcode, .. } = self;
        write!(f, "boot loader {bootloader}, TEE {tee}, SNP {snp}, microcode {microcode:#04x}")
    }
}
