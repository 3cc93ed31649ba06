//! PEM as chains of certificates come in it (RFC 7468), read strictly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The most certificates that any chain may have; Intel's have three at most, AMD's two.
const MAX_CERTIFICATES: usize = 8;
const MAX_BYTES: usize = 64 * 1024;

/// Reads the DER of each certificate: certificates only, nothing between or around them but white space and a final NUL.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    if pem.len() > MAX_BYTES {
        return Err("it is longer than 64 KiB");
    }
    // Intel's quoting library counts the terminating NUL of the C string as a part of the chain.
    let pem = pem.strip_suffix(&[0]).unwrap_or(pem);
    let mut rest = std::str::from_utf8(pem).map_err(|_| "it is not text")?.trim_ascii();
    let mut chain = Vec::new();
    while !rest.is_empty() {
        let inner = rest.strip_prefix(BEGIN).ok_or("something other than a certificate is in it")?;
        let (body, after) = inner.split_once(END).ok_or("a certificate does not end")?;
        let body: String = body.split_ascii_whitespace().collect();
        chain.push(STANDARD.decode(body).map_err(|_| "a certificate is not base64")?);
        if chain.len() > MAX_CERTIFICATES {
            return Err("it has too many certificates");
        }
        rest = after.trim_ascii();
    }
    Ok(chain)
}
