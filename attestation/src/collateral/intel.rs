//! Intel's provisioning certification service, version 4 ("Intel SGX and Intel TDX services: Get TDX TCB Info, Get TDX QE
//! Identity, Get Revocation List").

use serde::de::IgnoredAny;

use super::{Answers, Error, Kind, Request, Response, Services};
use crate::pem;
use crate::tdx::{Collateral, HexBytes, PckCa, Quote};

pub(super) fn plan(quote: &[u8], services: &Services) -> Result<Vec<Request>, Error> {
    let quote = Quote::parse(quote).map_err(|error| Error::Tdx(error.into()))?;
    let platform = quote.platform_unverified().map_err(Error::Tdx)?.ok_or(Error::NoPckCertificate)?;
    let (base, update) = (services.pcs.trim_end_matches('/'), services.update.name());
    let fmspc = hex::encode_upper(platform.fmspc);
    let ca = match platform.ca {
        PckCa::Processor => "processor",
        PckCa::Platform => "platform",
    };
    let requests = [
        (Kind::TcbInfo, format!("{base}/tdx/certification/v4/tcb?fmspc={fmspc}&update={update}")),
        (Kind::QeIdentity, format!("{base}/tdx/certification/v4/qe/identity?update={update}")),
        (Kind::PckCrl, format!("{base}/sgx/certification/v4/pckcrl?ca={ca}&encoding=der")),
        (Kind::RootCrl, services.root_crl.clone()),
    ];
    Ok(requests.into_iter().map(|(kind, url)| Request { kind, url }).collect())
}

pub(super) fn assemble(answers: &Answers<'_>) -> Result<Collateral, Error> {
    let tcb_info = answers.require(Kind::TcbInfo)?;
    let qe_identity = answers.require(Kind::QeIdentity)?;
    let pck_crl = answers.require(Kind::PckCrl)?;
    let root_crl = answers.require(Kind::RootCrl)?;
    let (info, info_signature) = split(tcb_info, "tcbInfo")?;
    let (identity, identity_signature) = split(qe_identity, "enclaveIdentity")?;
    Ok(Collateral {
        pck_crl_issuer_chain: issuer_chain(pck_crl)?,
        root_ca_crl: HexBytes(list(root_crl)?),
        pck_crl: HexBytes(list(pck_crl)?),
        tcb_info_issuer_chain: issuer_chain(tcb_info)?,
        tcb_info: info.to_owned(),
        tcb_info_signature: HexBytes(info_signature),
        qe_identity_issuer_chain: issuer_chain(qe_identity)?,
        qe_identity: identity.to_owned(),
        qe_identity_signature: HexBytes(identity_signature),
        pck_certificate_chain: None,
    })
}

/// Takes `{"<name>":<value>,"signature":"<hex>"}` apart, without touching a byte of the value: it is what is signed.
fn split<'a>(answer: &'a Response, name: &str) -> Result<(&'a str, Vec<u8>), Error> {
    let malformed = |what| Error::Malformed { kind: answer.kind, what };
    let not_so = || malformed("not a signed value of the expected name");
    let text = std::str::from_utf8(&answer.body).map_err(|_| malformed("not text"))?.trim_ascii();
    let rest = text.strip_prefix('{').and_then(|rest| member(rest, name)).ok_or_else(not_so)?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
    values.next().and_then(Result::ok).ok_or_else(|| malformed("not JSON"))?;
    let (value, rest) = rest.split_at_checked(values.byte_offset()).ok_or_else(not_so)?;
    let rest = rest.trim_ascii_start().strip_prefix(',').and_then(|rest| member(rest, "signature"));
    let signature = rest.and_then(|rest| rest.strip_suffix('}')).ok_or_else(not_so)?;
    let signature: String = serde_json::from_str(signature).map_err(|_| not_so())?;
    let signature = hex::decode(signature).map_err(|_| malformed("the signature is not hex"))?;
    Ok((value, signature))
}

/// What follows `"<name>":`.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.trim_ascii_start().strip_prefix('"')?.strip_prefix(name)?.strip_prefix('"')?;
    Some(rest.trim_ascii_start().strip_prefix(':')?.trim_ascii_start())
}

/// A revocation list: DER, or hex of it, as caching services answer.
fn list(answer: &Response) -> Result<Vec<u8>, Error> {
    const SEQUENCE: u8 = 0x30;
    const MALFORMED: &str = "neither DER nor hex of it";
    let malformed = Error::Malformed { kind: answer.kind, what: MALFORMED };
    let body = answer.body.as_slice();
    // A list of more than 127 bytes, which signed ones are, has the top bit set in its second byte; hex digits have not.
    let der = match body {
        [SEQUENCE, second, ..] if *second >= 0x80 => body.to_vec(),
        _ => hex::decode(body.trim_ascii()).map_err(|_| malformed.clone())?,
    };
    if der.first() == Some(&SEQUENCE) { Ok(der) } else { Err(malformed) }
}

fn issuer_chain(answer: &Response) -> Result<String, Error> {
    let malformed = |what| Error::Malformed { kind: answer.kind, what };
    let value =
        answer.issuer_chain.as_deref().ok_or_else(|| malformed("the header with the issuer's chain is missing"))?;
    let chain = percent_decoded(value).ok_or_else(|| malformed("the issuer's chain is not percent-encoded text"))?;
    pem::certificates(chain.as_bytes()).map_err(malformed)?;
    Ok(chain)
}

/// Percent-decodes (RFC 3986, 2.1). A plus stays one: PEM has them, and Intel encodes blanks as `%20`.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let (digits, after) = after.split_first_chunk::<2>()?;
            let mut decoded = [0];
            hex::decode_to_slice(digits, &mut decoded).ok()?;
            bytes.extend(decoded);
            rest = after;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}
