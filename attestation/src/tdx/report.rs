//! The report of a trust domain: what a quote says about the TD, in the fields of Intel's TDX module specification.

use crate::reader::Reader;

/// Size of the body of TDX 1.0.
pub const TD10_BYTES: usize = 584;
/// Size of the body of TDX 1.5.
pub const TD15_BYTES: usize = 648;
/// Size of the extended body of TDX 1.5.
pub const TD15_EX_BYTES: usize = 885;

/// A SHA-384 measurement.
pub type Measurement = [u8; 48];

/// The report of a trust domain (`TDREPORT` as quoted), all body types.
///
/// A value of this type says nothing about who wrote it: only the one inside a `Verified` was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TdReport {
    /// `TEE_TCB_SVN`, offset 0: SVNs of the TDX module and the processor's other TDX components.
    pub tee_tcb_svn: [u8; 16],
    /// `MRSEAM`, offset 16: measurement of the TDX module.
    pub mr_seam: Measurement,
    /// `MRSIGNERSEAM`, offset 64: signer of the TDX module; zero is Intel.
    pub mr_signer_seam: Measurement,
    /// `SEAMATTRIBUTES`, offset 112.
    pub seam_attributes: [u8; 8],
    /// `TDATTRIBUTES`, offset 120.
    pub td_attributes: TdAttributes,
    /// `XFAM`, offset 128: extended features that the TD may use.
    pub xfam: [u8; 8],
    /// `MRTD`, offset 136: measurement of the initial contents, the virtual firmware.
    pub mr_td: Measurement,
    /// `MRCONFIGID`, offset 184: set by the host at creation.
    pub mr_config_id: Measurement,
    /// `MROWNER`, offset 232: set by the host at creation.
    pub mr_owner: Measurement,
    /// `MROWNERCONFIG`, offset 280: set by the host at creation.
    pub mr_owner_config: Measurement,
    /// `RTMR0` to `RTMR3`, offset 328: extended by firmware, loader, kernel and user space.
    pub rtmr: [Measurement; 4],
    /// `REPORTDATA`, offset 520: what the TD itself wanted to have signed.
    pub report_data: [u8; 64],
    /// What TDX 1.5 adds.
    pub td15: Option<Td15>,
}

/// Fields that TDX 1.5 adds to the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Td15 {
    /// `TEE_TCB_SVN_2`, offset 584: the SVNs now, where the module was updated while the TD ran.
    pub tee_tcb_svn_2: [u8; 16],
    /// `MRSERVICETD`, offset 600: service TDs (migration) that are bound to this one; zero if none.
    pub mr_service_td: Measurement,
    /// What the extended body adds.
    pub extended: Option<Td15Extended>,
}

/// Fields of the extended body of TDX 1.5. Intel's verifier appraises none of them but the service TD hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Td15Extended {
    /// Offset 648: which VM of a partitioned TD asked; 0 for one that is not partitioned.
    pub vm_id: u8,
    /// Offset 649: unique id of the TD instance.
    pub td_id: [u8; 32],
    /// Offset 681: hash over the information about its devices.
    pub device_info: Measurement,
    /// Offset 729: hash over the service TDs bound at creation.
    pub initial_service_td: Measurement,
    /// Offset 777.
    pub initial_service_td_attributes: [u8; 8],
    /// Offset 785: CPUSVN at creation.
    pub initial_cpu_svn: [u8; 16],
    /// Offset 801: TEE TCB SVN at creation.
    pub initial_tee_tcb_svn: [u8; 16],
    /// Offset 817: model of the platform at creation.
    pub initial_fmspc: [u8; 12],
    /// Offset 829: hash over the service TDs bound now.
    pub current_service_td: Measurement,
    /// Offset 877.
    pub current_service_td_attributes: [u8; 8],
}

impl TdReport {
    /// Reads a body of one of the three sizes.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let report = Self {
            tee_tcb_svn: *reader.array()?,
            mr_seam: *reader.array()?,
            mr_signer_seam: *reader.array()?,
            seam_attributes: *reader.array()?,
            td_attributes: TdAttributes(*reader.array()?),
            xfam: *reader.array()?,
            mr_td: *reader.array()?,
            mr_config_id: *reader.array()?,
            mr_owner: *reader.array()?,
            mr_owner_config: *reader.array()?,
            rtmr: [*reader.array()?, *reader.array()?, *reader.array()?, *reader.array()?],
            report_data: *reader.array()?,
            td15: match body.len() {
                TD10_BYTES => None,
                _ => Some(Td15::parse(&mut reader, body.len() == TD15_EX_BYTES)?),
            },
        };
        reader.rest().is_empty().then_some(report)
    }

    /// The SVNs that hold now: `TEE_TCB_SVN_2` where there is one.
    #[must_use]
    pub fn current_tee_tcb_svn(&self) -> [u8; 16] {
        self.td15.as_ref().map_or(self.tee_tcb_svn, |td15| td15.tee_tcb_svn_2)
    }

    /// Whether a service TD is or was bound.
    #[must_use]
    pub fn has_service_td(&self) -> bool {
        self.td15.as_ref().is_some_and(|td15| {
            let extended = td15.extended.as_ref();
            td15.mr_service_td != [0; 48]
                || extended.is_some_and(|more| more.initial_service_td != [0; 48] || more.current_service_td != [0; 48])
        })
    }
}

impl Td15 {
    fn parse(reader: &mut Reader<'_>, extended: bool) -> Option<Self> {
        Some(Self {
            tee_tcb_svn_2: *reader.array()?,
            mr_service_td: *reader.array()?,
            extended: if extended { Some(Td15Extended::parse(reader)?) } else { None },
        })
    }
}

impl Td15Extended {
    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            vm_id: reader.u8()?,
            td_id: *reader.array()?,
            device_info: *reader.array()?,
            initial_service_td: *reader.array()?,
            initial_service_td_attributes: *reader.array()?,
            initial_cpu_svn: *reader.array()?,
            initial_tee_tcb_svn: *reader.array()?,
            initial_fmspc: *reader.array()?,
            current_service_td: *reader.array()?,
            current_service_td_attributes: *reader.array()?,
        })
    }
}

/// `TDATTRIBUTES`, as the eight bytes of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TdAttributes(pub [u8; 8]);

impl TdAttributes {
    /// Bits 1 to 7, "TD under debug or profiling" apart from DEBUG itself.
    const UNDER_DEBUG: u64 = 0xfe;
    /// Bits 8 to 16, 18 to 26 and 32 to 62.
    const RESERVED: u64 = 0x7fff_ffff_07fd_ff00;
    /// Bit 17 (TDX module ABI 1.5) and bit 27 (earlier texts): the report includes service TDs.
    const SERVICE_TD: u64 = (1 << 17) | (1 << 27);

    const fn bits(self) -> u64 {
        u64::from_le_bytes(self.0)
    }

    const fn has(self, bit: u32) -> bool {
        self.bits() & (1 << bit) != 0
    }

    /// Bit 0: the host may read and change the TD.
    #[must_use]
    pub const fn debug(self) -> bool {
        self.has(0)
    }

    /// Bits 1 to 7: the TD may be profiled or otherwise watched by the host.
    #[must_use]
    pub const fn under_debug_other(self) -> bool {
        self.bits() & Self::UNDER_DEBUG != 0
    }

    /// Bits that no specification known to us gives a meaning that a verifier may ignore.
    #[must_use]
    pub const fn reserved(self) -> bool {
        self.bits() & Self::RESERVED != 0
    }

    /// The report speaks of service TDs.
    #[must_use]
    pub const fn service_td(self) -> bool {
        self.bits() & Self::SERVICE_TD != 0
    }

    /// Bit 28: the host cannot inject exceptions by taking pages away. Linux guests need it.
    #[must_use]
    pub const fn sept_ve_disable(self) -> bool {
        self.has(28)
    }

    /// Bit 29: the TD may be migrated.
    #[must_use]
    pub const fn migratable(self) -> bool {
        self.has(29)
    }

    /// Bit 30: supervisor protection keys.
    #[must_use]
    pub const fn protection_keys(self) -> bool {
        self.has(30)
    }

    /// Bit 31: Key Locker.
    #[must_use]
    pub const fn key_locker(self) -> bool {
        self.has(31)
    }

    /// Bit 63: performance counters, a side channel.
    #[must_use]
    pub const fn perfmon(self) -> bool {
        self.has(63)
    }
}
