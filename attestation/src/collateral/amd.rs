//! AMD's key distribution service (Versioned Chip Endorsement Key Certificate and KDS Interface Specification, 57230;
//! for VLEKs, 58369).

use super::{Answers, Error, Kind, Request, Services};
use crate::document::SnpCollateral;
use crate::encoding::Base64;
use crate::pem;
use crate::snp::{self, Claims, Product, Report, SigningKey, Tcb};

pub(super) fn plan(report: &[u8], product: Option<Product>, services: &Services) -> Result<Vec<Request>, Error> {
    let report = Report::parse(report).map_err(Error::Snp)?;
    let claims = report.claims_unverified();
    let kind = SigningKey::from_value(claims.signing_key);
    let kind = kind.ok_or(Error::Snp(snp::Error::SigningKey(claims.signing_key)))?;
    let product = match claims.cpuid {
        Some(_) => claims.cpuid_product(),
        None => product,
    };
    let product = product.ok_or(Error::ProductUnknown)?;

    let base = services.kds.trim_end_matches('/');
    let (folder, leaf) = match kind {
        SigningKey::Vcek => {
            let url = format!("{base}/vcek/v1/{product}/{}?{}", chip(claims, product)?, tcb(claims, product));
            ("vcek", Some(Request { kind: Kind::Vcek, url }))
        }
        SigningKey::Vlek => ("vlek", None),
    };
    let chain = Request { kind: Kind::AmdChain, url: format!("{base}/{folder}/v1/{product}/cert_chain") };
    let crl = Request { kind: Kind::AmdCrl, url: format!("{base}/{folder}/v1/{product}/crl") };
    Ok(leaf.into_iter().chain([chain, crl]).collect())
}

/// The chip's identity as certificates have it: 64 bytes, of Turin eight.
fn chip(claims: &Claims, product: Product) -> Result<String, Error> {
    if claims.chip_id == [0; 64] {
        return Err(Error::ChipMasked);
    }
    Ok(hex::encode(claims.chip_id.split_at(product.chip_id_bytes()).0))
}

/// The reported TCB, which the key that signed is derived from.
fn tcb(claims: &Claims, product: Product) -> String {
    let Tcb { fmc, bootloader, tee, snp, microcode } = Tcb::decode(product, claims.reported_tcb);
    let fmc = fmc.map(|fmc| format!("fmcSPL={fmc:02}&")).unwrap_or_default();
    format!("{fmc}blSPL={bootloader:02}&teeSPL={tee:02}&snpSPL={snp:02}&ucodeSPL={microcode:02}")
}

pub(super) fn assemble(known: &SnpCollateral, answers: &Answers<'_>) -> Result<SnpCollateral, Error> {
    let vek = answers.find(Kind::Vcek).map(|answer| Base64(answer.body.clone())).or_else(|| known.vek.clone());
    Ok(SnpCollateral {
        vek: Some(vek.ok_or(Error::Missing(Kind::Vcek))?),
        ask: Some(Base64(intermediate(&answers.require(Kind::AmdChain)?.body)?)),
        // The root is compiled in wherever it counts; a copy of it in every document would be ballast.
        ark: None,
        crl: Some(Base64(answers.require(Kind::AmdCrl)?.body.clone())),
    })
}

/// The first of the two certificates: AMD writes the intermediate before the root.
fn intermediate(chain: &[u8]) -> Result<Vec<u8>, Error> {
    let malformed = |what| Error::Malformed { kind: Kind::AmdChain, what };
    let chain = pem::certificates(chain).map_err(malformed)?;
    let [intermediate, _root] = <[Vec<u8>; 2]>::try_from(chain).map_err(|_| malformed("not two certificates"))?;
    Ok(intermediate)
}
