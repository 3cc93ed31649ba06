//! AMD's revocation lists: one per product, signed by the root, about intermediates only.
//!
//! AMD revokes no single VCEK: a chip whose keys are out is handled by policy (TCB floor, list of chips).

use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;
use x509_cert::ext::Extensions;

use super::certificate::{Certificate, Signed, same_name};
use super::error::{Error, Role};

/// Lists above this are not looked at; AMD's have under 1 KiB.
pub const MAX_CRL_BYTES: usize = 256 * 1024;

/// Checks a list against the root and an intermediate, and says until when it is current, Unix seconds.
pub(crate) fn check(bytes: &[u8], ark: &Certificate<'_>, ask: &Certificate<'_>, now: u64) -> Result<u64, Error> {
    if bytes.len() > MAX_CRL_BYTES {
        return Err(Error::CrlMalformed("too large"));
    }
    let signed = Signed::split(bytes).map_err(|_| Error::CrlMalformed("not DER"))?;
    let list = CertificateList::from_der(bytes).map_err(|_| Error::CrlMalformed("not a revocation list"))?;
    let body = &list.tbs_cert_list;
    if body.signature != list.signature_algorithm || !signed.has_pss_parameters() {
        return Err(Error::SignatureParameters(Role::Ark));
    }
    if !same_name(&body.issuer, ark.subject()) {
        return Err(Error::CrlIssuer);
    }
    if !signed.is_signed_by(&ark.rsa_key()?) {
        return Err(Error::CrlSignature);
    }

    let revoked = body.revoked_certificates.as_deref().unwrap_or_default();
    let critical = |extensions: &Option<Extensions>| extensions.iter().flatten().any(|extension| extension.critical);
    if critical(&body.crl_extensions) || revoked.iter().any(|entry| critical(&entry.crl_entry_extensions)) {
        return Err(Error::CrlMalformed("unknown critical extension"));
    }
    let this_update = body.this_update.to_unix_duration().as_secs();
    let next_update = body.next_update.ok_or(Error::CrlMalformed("no next update"))?.to_unix_duration().as_secs();
    if now < this_update || now > next_update {
        return Err(Error::CrlExpired { this_update, next_update });
    }
    // Whatever the date of an entry is: what AMD has revoked is not used for the time before either.
    if revoked.iter().any(|entry| entry.serial_number.as_bytes() == ask.serial()) {
        return Err(Error::AskRevoked);
    }
    Ok(next_update)
}
