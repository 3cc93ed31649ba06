//! `cloister-verify collateral fetch`: what AMD and Intel publish about the machine behind a piece of evidence, in a file.

mod fetch;

use std::time::Duration;

use cloister_attestation::check::ExitClass;
use cloister_attestation::collateral::{self, Error, Request, Response};
use cloister_attestation::document::{Collateral, Document, Evidence, Tee};
use cloister_attestation::encoding::sha256;
use cloister_attestation::{document, tdx};
use serde_json::{Value, json};

use crate::args::{CollateralAction, CollateralArgs, FetchArgs};
use crate::endorsements::Supplied;
use crate::failure::Failure;
use crate::format::Kind;
use crate::input::{self, format_time};
use crate::report::Output;
use crate::{evidence, judge};

use fetch::{Fetcher, Problem};

/// Before the second attempt; doubled before each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs the command.
pub(crate) fn run(args: &CollateralArgs, now_ms: u64) -> Result<Output, Failure> {
    let CollateralAction::Fetch(args) = &args.action;
    let now_ms = args.at.unwrap_or(now_ms);
    let bytes = input::read(&args.file, document::MAX_BYTES.max(tdx::MAX_QUOTE_BYTES))?;
    let evidence = match read_evidence(bytes) {
        Ok(evidence) => evidence,
        Err(error) => return Ok(refusal(ExitClass::Malformed, &error)),
    };
    let known = known(args, &evidence)?;
    let requests = match collateral::plan(&evidence, args.product.map(Into::into), &args.services()) {
        Ok(requests) if requests.is_empty() => {
            return Ok(refusal(ExitClass::Unsupported, &"the development TEE has no collateral"));
        }
        Ok(requests) => requests,
        Err(Error::ProductUnknown) => return Err(Failure::Usage(format!("{}: give --product", Error::ProductUnknown))),
        Err(error) => return Ok(refusal(class(&error), &error)),
    };
    let responses = ask_all(args, &requests)?;
    let found = match collateral::assemble(&evidence, &known, &responses) {
        Ok(found) => found,
        Err(error) => return Ok(refusal(ExitClass::Rejected, &error)),
    };
    let trust = judge::read_roots(&args.insecure_trust_root)?;
    match collateral::verify(&evidence, &found, &trust, now_ms) {
        Err(rejected) => Ok(refusal(ExitClass::Rejected, &rejected.error)),
        Ok(valid_until_ms) => keep(args, &requests, &found, valid_until_ms),
    }
}

/// The evidence in a file, as a document holds it.
fn read_evidence(bytes: Vec<u8>) -> Result<Evidence, String> {
    let (kind, bytes) = evidence::unwrap(bytes)?;
    match kind {
        Kind::SnpReport => Ok(Evidence::new(Tee::SevSnp, bytes)),
        Kind::Quote => Ok(Evidence::new(Tee::Tdx, bytes)),
        // Of TDX on Azure the quote is what speaks; it is a quote like any other.
        Kind::HclReport => Ok(Evidence::new(Tee::AzSnp, bytes)),
        Kind::Json => Document::parse(&bytes).map(|document| document.evidence).map_err(|error| error.to_string()),
        Kind::CertificateTable => Err("a certificate table is no evidence: give the report".to_owned()),
    }
}

/// What the user has already: a VLEK, which AMD does not hand out.
fn known(args: &FetchArgs, evidence: &Evidence) -> Result<Collateral, Failure> {
    let supplied = Supplied::read(&args.endorsements.endorsements)?;
    Ok(match Tee::from_name(&evidence.tee) {
        Some(Tee::SevSnp | Tee::AzSnp) => Collateral::Snp(supplied.snp().clone()),
        Some(Tee::Tdx | Tee::AzTdx | Tee::Development) | None => Collateral::None,
    })
}

const fn class(error: &Error) -> ExitClass {
    match error {
        Error::UnsupportedTee | Error::ProductUnknown | Error::ChipMasked | Error::NoPckCertificate => {
            ExitClass::Unsupported
        }
        Error::Snp(error) => error.class(),
        Error::Tdx(error) => error.class(),
        Error::Azure(error) => error.class(),
        Error::NoQuote | Error::Missing(_) | Error::Twice(_) | Error::TooLarge(_) | Error::Malformed { .. } => {
            ExitClass::Malformed
        }
    }
}

fn ask_all(args: &FetchArgs, requests: &[Request]) -> Result<Vec<Response>, Failure> {
    let fetcher = Fetcher::new(args.ca.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|_| Failure::Machine("no asynchronous runtime on this machine"))?;
    runtime.block_on(async {
        let mut responses = Vec::new();
        for request in requests {
            input::progress(&format!("{}: {}", request.kind, request.url));
            responses.push(ask(&fetcher, request, args.retries).await?);
        }
        Ok(responses)
    })
}

/// Asks, and asks again where that may help.
async fn ask(fetcher: &Fetcher, request: &Request, retries: u32) -> Result<Response, Failure> {
    let mut pause = FIRST_PAUSE;
    let mut left = retries;
    loop {
        let Problem { reason, retry, wait } = match fetcher.get(request).await {
            Ok(response) => return Ok(response),
            Err(problem) => problem,
        };
        if !retry || left == 0 {
            return Err(Failure::Network { host: request.url.clone(), reason });
        }
        left -= 1;
        let wait = wait.unwrap_or(pause).min(LONGEST_PAUSE);
        input::progress(&format!("{}: {reason}; again in {} s", request.kind, wait.as_secs()));
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Writes the file, and says what is in it.
fn keep(args: &FetchArgs, requests: &[Request], found: &Collateral, valid_until_ms: u64) -> Result<Output, Failure> {
    let members = match found {
        Collateral::Snp(collateral) => serde_json::to_vec_pretty(collateral),
        Collateral::Tdx(collateral) => serde_json::to_vec_pretty(collateral),
        Collateral::None => Ok(b"{}".to_vec()),
    };
    let mut bytes = members.map_err(|_| Failure::Machine("collateral cannot be written as JSON"))?;
    bytes.push(b'\n');
    input::replace(&args.out, &bytes)?;
    let (out, until, digest) = (args.out.display().to_string(), format_time(valid_until_ms), sha256(&bytes));
    let asked: Vec<Value> = requests.iter().map(|one| json!({ "kind": one.kind.name(), "url": one.url })).collect();
    let (length, answers) = (bytes.len(), asked.len());
    Ok(Output {
        text: format!("{out}: {length} bytes of {answers} answers; the evidence verifies with them until {until}\n"),
        json: json!({
            "file": out, "bytes": bytes.len(), "sha256": digest, "valid_until": until, "asked": asked,
            "exit_class": ExitClass::Accepted,
        }),
        code: ExitClass::Accepted.code(),
    })
}

fn refusal(class: ExitClass, error: &impl ToString) -> Output {
    let error = error.to_string();
    Output {
        text: format!("nothing was kept: {error}\n"),
        json: json!({ "exit_class": class, "error": error }),
        code: class.code(),
    }
}
