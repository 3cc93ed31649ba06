//! Certificates and revocation lists as Intel writes them, before they are signed.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use crate::der::tlv;

/// Year, month, day.
pub type Day = (i32, u8, u8);

/// A certificate, before it is signed.
#[derive(Debug, Clone)]
pub struct Cert {
    /// The common name.
    pub name: &'static str,
    /// The serial number.
    pub serial: u64,
    /// How many CAs may stand below it. None for a certificate that is no CA.
    pub ca: Option<u8>,
    /// What its key may be used for.
    pub usages: Vec<KeyUsagePurpose>,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub until: Day,
    /// Further extensions.
    pub extensions: Vec<CustomExtension>,
}

/// A revocation list, before it is signed.
#[derive(Debug, Clone)]
pub struct Crl {
    /// When it was made.
    pub from: Day,
    /// When the next one will be.
    pub until: Day,
    /// The serial numbers in it.
    pub revoked: Vec<u64>,
}

impl Cert {
    /// One that is valid for twenty years, with the usages of its kind.
    #[must_use]
    pub fn new(name: &'static str, serial: u64, ca: Option<u8>) -> Self {
        let usages = match ca {
            Some(_) => vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
            None => vec![KeyUsagePurpose::DigitalSignature],
        };
        Self { name, serial, ca, usages, from: (2024, 1, 1), until: (2044, 1, 1), extensions: Vec::new() }
    }

    pub(super) fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.distinguished_name.push(DnType::OrganizationName, "Intel Corporation");
        params.serial_number = Some(SerialNumber::from(self.serial));
        params.is_ca = match self.ca {
            Some(below) => IsCa::Ca(BasicConstraints::Constrained(below)),
            None => IsCa::ExplicitNoCa,
        };
        params.key_usages.clone_from(&self.usages);
        params.not_before = day(self.from, date_time_ymd);
        params.not_after = day(self.until, date_time_ymd);
        params.custom_extensions.clone_from(&self.extensions);
        params
    }
}

impl Crl {
    pub(super) fn sign(&self, issuer: &Issuer<'_, &KeyPair>) -> Vec<u8> {
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: day(self.from, date_time_ymd),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: day(self.from, date_time_ymd),
            next_update: day(self.until, date_time_ymd),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: self.revoked.iter().map(entry).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).expect("a list is signed").der().to_vec()
    }
}

/// rcgen's type of date has no name that we could write without another dependency.
fn day<T>((year, month, day): Day, date: fn(i32, u8, u8) -> T) -> T {
    date(year, month, day)
}

/// What the SGX extension of the PCK certificate says.
#[derive(Debug, Clone)]
pub struct SgxFacts {
    /// The SGX components of the TCB.
    pub components: [u8; 16],
    /// The version of the provisioning certification enclave.
    pub pce_svn: u8,
    /// The model of the platform is left out.
    pub without_fmspc: bool,
    /// The provisioning id stands there twice.
    pub ppid_twice: bool,
}

impl Default for SgxFacts {
    fn default() -> Self {
        Self {
            components: [4, 4, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            pce_svn: 13,
            without_fmspc: false,
            ppid_twice: false,
        }
    }
}

/// That extension, DER.
#[must_use]
pub fn sgx_extension(facts: &SgxFacts) -> CustomExtension {
    const ARC: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01];
    let pair = |arcs: &[u8], value: Vec<u8>| tlv(0x30, &[tlv(6, &[&ARC[..], arcs].concat()), value].concat());
    let mut tcb: Vec<u8> = (1..).zip(facts.components).flat_map(|(arc, svn)| pair(&[2, arc], tlv(2, &[svn]))).collect();
    tcb.extend(pair(&[2, 17], tlv(2, &[facts.pce_svn])));
    tcb.extend(pair(&[2, 18], tlv(4, &facts.components)));
    let flag = |arc: u8, set: u8| pair(&[7, arc], tlv(1, &[set]));
    let mut parts = vec![
        pair(&[1], tlv(4, &[0xbb; 16])),
        pair(&[2], tlv(0x30, &tcb)),
        pair(&[3], tlv(4, &[0, 0])),
        pair(&[5], tlv(0x0a, &[1])),
        pair(&[6], tlv(4, &[0xcc; 16])),
        pair(&[7], tlv(0x30, &[flag(1, 0xff), flag(2, 0), flag(3, 0xff)].concat())),
    ];
    if !facts.without_fmspc {
        parts.push(pair(&[4], tlv(4, &[0, 0xa0, 0xc0, 0xff, 0xee, 0])));
    }
    if facts.ppid_twice {
        parts.push(pair(&[1], tlv(4, &[0xba; 16])));
    }
    CustomExtension::from_oid_content(&[1, 2, 840, 113_741, 1, 13, 1], tlv(0x30, &parts.concat()))
}
