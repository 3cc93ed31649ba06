//! The bytes of quotes: header, TD report, quoting enclave's report, and what holds them together.

use rcgen::KeyPair;
use ring::signature::KeyPair as _;
use sha2::{Digest as _, Sha256};

use super::{Recipe, ec_key, sign};

/// Where `report_data` begins in a TD report, of whatever type.
const REPORT_DATA: usize = 520;

/// A quote over the body of a recipe, or over the same body with other `report_data`.
pub(super) fn quote(
    recipe: &Recipe,
    report_data: Option<&[u8; 64]>,
    [pck_key, attestation_key]: [&KeyPair; 2],
    pck_chain: &str,
) -> Vec<u8> {
    let mut body = recipe.body.clone();
    if let Some(report_data) = report_data {
        body[REPORT_DATA..REPORT_DATA + 64].copy_from_slice(report_data);
    }
    let public = ec_key(attestation_key).public_key().as_ref()[1..].to_vec();
    let mut quote = recipe.header.clone();
    if let Some(body_type) = recipe.body_type {
        quote.extend(body_type.to_le_bytes());
        quote.extend(length(&body));
    }
    quote.extend(body);
    let auth_data: Vec<u8> = (0..32).collect();
    let mut report = recipe.qe_report.clone();
    report[320..352].copy_from_slice(&Sha256::new().chain_update(&public).chain_update(&auth_data).finalize());
    report[352..384].fill(recipe.qe_report_data_tail);
    let inner = match recipe.inner_type {
        3 => vec![7; 404],
        _ => pck_chain.as_bytes().to_vec(),
    };
    let mut outer = report.clone();
    outer.extend(sign(pck_key, &report));
    outer.extend(32u16.to_le_bytes());
    outer.extend(&auth_data);
    outer.extend(recipe.inner_type.to_le_bytes());
    outer.extend(length(&inner));
    outer.extend(inner);
    let mut data = sign(attestation_key, &quote);
    data.extend(public);
    data.extend(recipe.outer_type.to_le_bytes());
    data.extend(length(&outer));
    data.extend(outer);
    quote.extend(length(&data));
    quote.extend(data);
    quote
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("quotes are short").to_le_bytes()
}

pub(super) fn header(version: u16) -> Vec<u8> {
    const QE_VENDOR: u128 = 0x939a_7233_f79c_4ca9_940a_0db3_957f_0607;
    let mut header = version.to_le_bytes().to_vec();
    header.extend(2u16.to_le_bytes());
    header.extend(0x81u32.to_le_bytes());
    header.extend([0; 4]);
    header.extend(QE_VENDOR.to_be_bytes());
    header.extend([0x11; 20]);
    header
}

/// TDX SVNs: module SVN, module version, one component of the platform.
#[must_use]
pub fn tdx_svn(module: u8, version: u8) -> [u8; 16] {
    let mut svn = [0; 16];
    svn[..3].copy_from_slice(&[module, version, 4]);
    svn
}

pub(super) fn td10_body() -> Vec<u8> {
    let mut body = vec![0; 584];
    body[..16].copy_from_slice(&tdx_svn(6, 1));
    body[16..64].fill(0xa1);
    body[120..128].copy_from_slice(&(1u64 << 28).to_le_bytes());
    body[128..136].copy_from_slice(&[0xe7, 2, 6, 0, 0, 0, 0, 0]);
    body[136..184].fill(0xa2);
    // Each register has a value of its own, so that none passes for another.
    for (rtmr, value) in body[328..520].chunks_exact_mut(48).zip(0xb0..) {
        rtmr.fill(value);
    }
    body[REPORT_DATA..584].fill(0xa4);
    body
}

pub(super) fn qe_report() -> Vec<u8> {
    let mut report = vec![0; 384];
    report[48] = 0x11;
    report[128..160].fill(0xdc);
    report[256..258].copy_from_slice(&2u16.to_le_bytes());
    report[258..260].copy_from_slice(&4u16.to_le_bytes());
    report
}
