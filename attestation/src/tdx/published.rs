//! TCB info (version 3) and QE identity (versions 2 and 3): Intel's JSON, read into types.
//!
//! Shapes: Intel Trusted Services API, "Get TDX TCB Info" and "Get TDX QE identity". A status that is not one of the
//! documented ones makes the text malformed; nothing here is a string that someone might forget to compare.

use std::cmp::Reverse;
use std::str::FromStr as _;

use serde::Deserialize;
use x509_cert::der::DateTime;

use super::error::{CollateralError, Item};
use super::tcb::TcbStatus;
use super::validity::Validity;

/// TCB info of one model of platform.
#[derive(Debug, Clone)]
pub(super) struct TcbInfo {
    pub(super) validity: Validity,
    pub(super) fmspc: [u8; 6],
    pub(super) pce_id: [u8; 2],
    pub(super) evaluation_number: u32,
    pub(super) module: ModuleSigner,
    pub(super) module_lines: Vec<ModuleLine>,
    /// Highest first.
    pub(super) levels: Vec<PlatformLevel>,
}

/// Who may sign a TDX module, and which attributes it may have.
#[derive(Debug, Clone)]
pub(super) struct ModuleSigner {
    pub(super) mr_signer: [u8; 48],
    pub(super) attributes: [u8; 8],
    pub(super) attributes_mask: [u8; 8],
}

/// One line of TDX modules: those of one `TEE_TCB_SVN[1]`.
#[derive(Debug, Clone)]
pub(super) struct ModuleLine {
    pub(super) id: String,
    pub(super) signer: ModuleSigner,
    /// Highest first.
    pub(super) levels: Vec<Level<u8>>,
}

/// What Intel says about everything from one SVN up to the next.
#[derive(Debug, Clone)]
pub(super) struct Level<Svn> {
    pub(super) isv_svn: Svn,
    pub(super) verdict: LevelVerdict,
}

/// What Intel says about a platform whose components are all at least these.
#[derive(Debug, Clone)]
pub(super) struct PlatformLevel {
    pub(super) sgx: [u8; 16],
    pub(super) pce_svn: u16,
    pub(super) tdx: [u8; 16],
    pub(super) verdict: LevelVerdict,
}

/// Status, date and advisories of a level.
#[derive(Debug, Clone)]
pub(super) struct LevelVerdict {
    pub(super) status: TcbStatus,
    /// Unix seconds.
    pub(super) date: u64,
    pub(super) advisories: Vec<String>,
}

/// Identity of the TD quoting enclave.
#[derive(Debug, Clone)]
pub(super) struct QeIdentity {
    pub(super) validity: Validity,
    pub(super) evaluation_number: u32,
    pub(super) misc_select: u32,
    pub(super) misc_select_mask: u32,
    pub(super) attributes: [u8; 16],
    pub(super) attributes_mask: [u8; 16],
    pub(super) mr_signer: [u8; 32],
    pub(super) isv_prod_id: u16,
    /// Highest first.
    pub(super) levels: Vec<Level<u16>>,
}

/// What tells one kind and version from another, before the rest is read.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: String,
    version: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTcbInfo {
    issue_date: String,
    next_update: String,
    fmspc: String,
    pce_id: String,
    tcb_type: u64,
    tcb_evaluation_data_number: u32,
    tdx_module: RawModule,
    #[serde(default)]
    tdx_module_identities: Vec<RawModuleLine>,
    tcb_levels: Vec<RawPlatformLevel>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawModule {
    mrsigner: String,
    attributes: String,
    attributes_mask: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawModuleLine {
    id: String,
    mrsigner: String,
    attributes: String,
    attributes_mask: String,
    tcb_levels: Vec<RawLevel<RawIsvSvn<u8>>>,
}

#[derive(Deserialize)]
struct RawIsvSvn<T> {
    isvsvn: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLevel<T> {
    tcb: T,
    tcb_date: String,
    tcb_status: TcbStatus,
    #[serde(rename = "advisoryIDs", default)]
    advisory_ids: Vec<String>,
}

type RawPlatformLevel = RawLevel<RawTcb>;

#[derive(Deserialize)]
struct RawTcb {
    sgxtcbcomponents: Vec<RawComponent>,
    tdxtcbcomponents: Vec<RawComponent>,
    pcesvn: u16,
}

#[derive(Deserialize)]
struct RawComponent {
    svn: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawQeIdentity {
    issue_date: String,
    next_update: String,
    tcb_evaluation_data_number: u32,
    miscselect: String,
    miscselect_mask: String,
    attributes: String,
    attributes_mask: String,
    mrsigner: String,
    isvprodid: u16,
    tcb_levels: Vec<RawLevel<RawIsvSvn<u16>>>,
}

impl TcbInfo {
    pub(super) fn parse(json: &str) -> Result<Self, CollateralError> {
        check_head(json, Item::TcbInfo, "TDX", &[3])?;
        let raw: RawTcbInfo = read(json, "TCB info is not JSON of the right shape")?;
        if raw.tcb_type != 0 {
            return Err(CollateralError::Malformed("TCB info compares levels in an unknown way (tcbType)"));
        }
        let mut levels = raw.tcb_levels.into_iter().map(platform_level).collect::<Result<Vec<_>, _>>()?;
        // Intel's verifier sorts as well: highest first, by SGX components, then PCESVN, then TDX components.
        levels.sort_by_key(|level| Reverse((level.sgx, level.pce_svn, level.tdx)));
        Ok(Self {
            validity: validity(&raw.issue_date, &raw.next_update)?,
            fmspc: fixed(&raw.fmspc)?,
            pce_id: fixed(&raw.pce_id)?,
            evaluation_number: raw.tcb_evaluation_data_number,
            module: module_signer(&raw.tdx_module)?,
            module_lines: raw.tdx_module_identities.into_iter().map(module_line).collect::<Result<_, _>>()?,
            levels,
        })
    }
}

impl QeIdentity {
    pub(super) fn parse(json: &str) -> Result<Self, CollateralError> {
        check_head(json, Item::QeIdentity, "TD_QE", &[2, 3])?;
        let raw: RawQeIdentity = read(json, "QE identity is not JSON of the right shape")?;
        let allowed = |status| {
            matches!(
                status,
                TcbStatus::UpToDate
                    | TcbStatus::OutOfDate
                    | TcbStatus::ConfigurationNeeded
                    | TcbStatus::OutOfDateConfigurationNeeded
                    | TcbStatus::Revoked
            )
        };
        Ok(Self {
            validity: validity(&raw.issue_date, &raw.next_update)?,
            evaluation_number: raw.tcb_evaluation_data_number,
            misc_select: u32::from_le_bytes(fixed(&raw.miscselect)?),
            misc_select_mask: u32::from_le_bytes(fixed(&raw.miscselect_mask)?),
            attributes: fixed(&raw.attributes)?,
            attributes_mask: fixed(&raw.attributes_mask)?,
            mr_signer: fixed(&raw.mrsigner)?,
            isv_prod_id: raw.isvprodid,
            levels: svn_levels(raw.tcb_levels, allowed)?,
        })
    }
}

fn read<'j, T: Deserialize<'j>>(json: &'j str, error: &'static str) -> Result<T, CollateralError> {
    serde_json::from_str(json).map_err(|_| CollateralError::Malformed(error))
}

fn check_head(json: &str, item: Item, id: &str, versions: &[u64]) -> Result<(), CollateralError> {
    let head: Head = read(json, "TCB info or QE identity has no version")?;
    if !versions.contains(&head.version) {
        return Err(CollateralError::Version(item, head.version));
    }
    if head.id == id { Ok(()) } else { Err(CollateralError::Id(item)) }
}

fn platform_level(raw: RawPlatformLevel) -> Result<PlatformLevel, CollateralError> {
    let allowed =
        |status| !matches!(status, TcbStatus::TdRelaunchAdvised | TcbStatus::TdRelaunchAdvisedConfigurationNeeded);
    Ok(PlatformLevel {
        sgx: components(&raw.tcb.sgxtcbcomponents)?,
        pce_svn: raw.tcb.pcesvn,
        tdx: components(&raw.tcb.tdxtcbcomponents)?,
        verdict: verdict(raw.tcb_status, &raw.tcb_date, raw.advisory_ids, allowed)?,
    })
}

fn module_line(raw: RawModuleLine) -> Result<ModuleLine, CollateralError> {
    let signer = RawModule { mrsigner: raw.mrsigner, attributes: raw.attributes, attributes_mask: raw.attributes_mask };
    let allowed = |status| matches!(status, TcbStatus::UpToDate | TcbStatus::OutOfDate | TcbStatus::Revoked);
    Ok(ModuleLine { id: raw.id, signer: module_signer(&signer)?, levels: svn_levels(raw.tcb_levels, allowed)? })
}

fn module_signer(raw: &RawModule) -> Result<ModuleSigner, CollateralError> {
    Ok(ModuleSigner {
        mr_signer: fixed(&raw.mrsigner)?,
        attributes: fixed(&raw.attributes)?,
        attributes_mask: fixed(&raw.attributes_mask)?,
    })
}

fn svn_levels<Svn: Ord + Copy>(
    raw: Vec<RawLevel<RawIsvSvn<Svn>>>,
    allowed: fn(TcbStatus) -> bool,
) -> Result<Vec<Level<Svn>>, CollateralError> {
    let level = |raw: RawLevel<RawIsvSvn<Svn>>| {
        let verdict = verdict(raw.tcb_status, &raw.tcb_date, raw.advisory_ids, allowed)?;
        Ok(Level { isv_svn: raw.tcb.isvsvn, verdict })
    };
    let mut levels = raw.into_iter().map(level).collect::<Result<Vec<_>, CollateralError>>()?;
    levels.sort_by_key(|level| Reverse(level.isv_svn));
    Ok(levels)
}

fn verdict(
    status: TcbStatus,
    tcb_date: &str,
    advisories: Vec<String>,
    allowed: fn(TcbStatus) -> bool,
) -> Result<LevelVerdict, CollateralError> {
    if !allowed(status) {
        return Err(CollateralError::Malformed("a TCB level has a status that it cannot have"));
    }
    Ok(LevelVerdict { status, date: date(tcb_date)?, advisories })
}

fn components(raw: &[RawComponent]) -> Result<[u8; 16], CollateralError> {
    let svns: Vec<u8> = raw.iter().map(|component| component.svn).collect();
    svns.try_into().map_err(|_| CollateralError::Malformed("a TCB level does not have 16 components"))
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N], CollateralError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| CollateralError::Malformed("hex of the wrong length"))?;
    Ok(bytes)
}

fn date(text: &str) -> Result<u64, CollateralError> {
    let date = DateTime::from_str(text).map_err(|_| CollateralError::Malformed("a date is not RFC 3339 in UTC"))?;
    Ok(date.unix_duration().as_secs())
}

fn validity(issued: &str, next: &str) -> Result<Validity, CollateralError> {
    Validity::new(date(issued)?, date(next)?).ok_or(CollateralError::Malformed("it ends before it begins"))
}
