//! What Intel's provisioning certification service answers for a platform, made of the collateral that it amounts to.

use cloister_attestation::tdx::Collateral;

use super::Answer;

/// Where the root's revocation list is, which Intel has on another host.
pub const ROOT_CRL: &str = "/root.der";

/// The answer to a path and query.
#[must_use]
pub fn answer(collateral: &Collateral, path: &str) -> Answer {
    let signed = |member: &str, value: &str, signature: &[u8]| {
        format!("{{\"{member}\":{value},\"signature\":\"{}\"}}", hex::encode(signature)).into_bytes()
    };
    let with_chain = |header: &str, chain: &str, body: Vec<u8>| Answer {
        header: Some(format!("{header}: {}", chain.replace('\n', "%0A").replace(' ', "%20"))),
        ..Answer::ok(body)
    };
    let of = collateral;
    match path {
        path if path.starts_with("/tdx/certification/v4/tcb?") => {
            let body = signed("tcbInfo", &of.tcb_info, &of.tcb_info_signature.0);
            with_chain("TCB-Info-Issuer-Chain", &of.tcb_info_issuer_chain, body)
        }
        path if path.starts_with("/tdx/certification/v4/qe/identity") => {
            let body = signed("enclaveIdentity", &of.qe_identity, &of.qe_identity_signature.0);
            with_chain("SGX-Enclave-Identity-Issuer-Chain", &of.qe_identity_issuer_chain, body)
        }
        path if path.starts_with("/sgx/certification/v4/pckcrl?") => {
            with_chain("SGX-PCK-CRL-Issuer-Chain", &of.pck_crl_issuer_chain, of.pck_crl.0.clone())
        }
        ROOT_CRL => Answer::ok(of.root_ca_crl.0.clone()),
        _ => Answer::status("404 Not Found"),
    }
}
