//! Which platform a PCK certificate speaks of: Intel's SGX extension, 1.2.840.113741.1.13.1.
//!
//! Layout: Intel SGX PCK Certificate and CRL Profile Specification, section 1.3.5. Every part that is used must be there
//! exactly once; a missing one is a refusal, never a default.

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use x509_cert::der::{Decode, Reader as _, SliceReader, Tag, Tagged as _};

use super::error::ChainError;

const PPID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.1");
const TCB: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.2");
const PCE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.3");
const FMSPC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.4");
const SGX_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.5");
const INSTANCE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.6");
const CONFIGURATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.7");
/// Arcs below [`TCB`]: 1 to 16 are the components, 17 PCESVN, 18 CPUSVN.
const PCE_SVN_ARC: u8 = 17;
const CPU_SVN_ARC: u8 = 18;

/// Which of Intel's two CAs issued the PCK certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PckCa {
    /// For platforms of one package.
    Processor,
    /// For platforms of several packages, which were registered as a whole.
    Platform,
}

/// The platform, as Intel certified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Who certified it.
    pub ca: PckCa,
    /// Platform provisioning id: tells this platform from any other.
    pub ppid: [u8; 16],
    /// Family, model, stepping, platform type and SKU.
    pub fmspc: [u8; 6],
    /// Id of the provisioning certification enclave.
    pub pce_id: [u8; 2],
    /// SVN of that enclave.
    pub pce_svn: u16,
    /// The 16 components of the SGX TCB.
    pub tcb_components: [u8; 16],
    /// CPUSVN, the processor's own spelling of them.
    pub cpu_svn: [u8; 16],
    /// 0 standard, 1 scalable, 2 scalable with integrity.
    pub sgx_type: u8,
    /// Id of the registered platform; only from [`PckCa::Platform`].
    pub instance_id: Option<[u8; 16]>,
    /// Packages may be added; only from [`PckCa::Platform`].
    pub dynamic_platform: Option<bool>,
    /// Intel keeps the platform's root keys; only from [`PckCa::Platform`].
    pub cached_keys: Option<bool>,
    /// Hyperthreading is on; only from [`PckCa::Platform`].
    pub smt: Option<bool>,
}

impl Platform {
    pub(super) fn parse(ca: PckCa, extension: Option<&[u8]>) -> Result<Self, ChainError> {
        let extension = extension.ok_or(ChainError::SgxExtension("missing"))?;
        let entries = Entries::parse(extension)?;
        let tcb = entries.nested(TCB)?.ok_or(ChainError::SgxExtension("no TCB"))?;
        let mut tcb_components = [0; 16];
        for (component, arc) in tcb_components.iter_mut().zip(1..) {
            *component = tcb.integer(TCB.push_arc(arc).expect("room for one more arc"))?;
        }
        let arc = |arc: u8| TCB.push_arc(arc.into()).expect("room for one more arc");
        let configuration = entries.nested(CONFIGURATION)?;
        let flag = |arc: u32| -> Result<Option<bool>, ChainError> {
            let oid = CONFIGURATION.push_arc(arc).expect("room for one more arc");
            configuration.as_ref().map_or(Ok(None), |entries| entries.boolean(oid))
        };
        Ok(Self {
            ca,
            ppid: entries.octets(PPID)?,
            fmspc: entries.octets(FMSPC)?,
            pce_id: entries.octets(PCE_ID)?,
            pce_svn: tcb.integer(arc(PCE_SVN_ARC))?,
            tcb_components,
            cpu_svn: tcb.octets(arc(CPU_SVN_ARC))?,
            sgx_type: entries.enumerated(SGX_TYPE)?,
            instance_id: entries.find(INSTANCE_ID).map(octets).transpose()?,
            dynamic_platform: flag(1)?,
            cached_keys: flag(2)?,
            smt: flag(3)?,
        })
    }
}

/// A SEQUENCE of pairs of identifier and value.
struct Entries<'a>(Vec<(ObjectIdentifier, AnyRef<'a>)>);

impl<'a> Entries<'a> {
    fn parse(der: &'a [u8]) -> Result<Self, ChainError> {
        const NOT_DER: ChainError = ChainError::SgxExtension("not strict DER");
        let outer = AnyRef::from_der(der).map_err(|_| NOT_DER)?;
        Self::from_sequence(outer)
    }

    fn from_sequence(sequence: AnyRef<'a>) -> Result<Self, ChainError> {
        const NOT_DER: ChainError = ChainError::SgxExtension("not strict DER");
        if sequence.tag() != Tag::Sequence {
            return Err(NOT_DER);
        }
        let mut reader = SliceReader::new(sequence.value()).map_err(|_| NOT_DER)?;
        let mut entries: Vec<(ObjectIdentifier, AnyRef<'a>)> = Vec::new();
        while !reader.is_finished() {
            let pair = reader.sequence(|inner| Ok((ObjectIdentifier::decode(inner)?, AnyRef::decode(inner)?)));
            let (oid, value) = pair.map_err(|_| NOT_DER)?;
            if entries.iter().any(|(other, _)| *other == oid) {
                return Err(ChainError::SgxExtension("a value is given twice"));
            }
            entries.push((oid, value));
        }
        Ok(Self(entries))
    }

    fn find(&self, oid: ObjectIdentifier) -> Option<AnyRef<'a>> {
        self.0.iter().find(|(other, _)| *other == oid).map(|(_, value)| *value)
    }

    fn require(&self, oid: ObjectIdentifier) -> Result<AnyRef<'a>, ChainError> {
        self.find(oid).ok_or(ChainError::SgxExtension("a value is missing"))
    }

    fn nested(&self, oid: ObjectIdentifier) -> Result<Option<Self>, ChainError> {
        self.find(oid).map(Self::from_sequence).transpose()
    }

    fn octets<const N: usize>(&self, oid: ObjectIdentifier) -> Result<[u8; N], ChainError> {
        octets(self.require(oid)?)
    }

    fn integer<T: TryFrom<u16>>(&self, oid: ObjectIdentifier) -> Result<T, ChainError> {
        let value = self.require(oid)?.decode_as::<u16>().ok();
        value.and_then(|value| T::try_from(value).ok()).ok_or(ChainError::SgxExtension("an integer is out of range"))
    }

    fn enumerated(&self, oid: ObjectIdentifier) -> Result<u8, ChainError> {
        let value = self.require(oid)?;
        match (value.tag(), value.value()) {
            (Tag::Enumerated, [byte]) => Ok(*byte),
            _ => Err(ChainError::SgxExtension("an enumeration is malformed")),
        }
    }

    fn boolean(&self, oid: ObjectIdentifier) -> Result<Option<bool>, ChainError> {
        let decoded = self.find(oid).map(|value| value.decode_as::<bool>()).transpose();
        decoded.map_err(|_| ChainError::SgxExtension("a flag is malformed"))
    }
}

fn octets<const N: usize>(value: AnyRef<'_>) -> Result<[u8; N], ChainError> {
    let bytes = value.decode_as::<OctetStringRef<'_>>().ok();
    let bytes = bytes.and_then(|bytes| bytes.as_bytes().try_into().ok());
    bytes.ok_or(ChainError::SgxExtension("a value has the wrong length"))
}
