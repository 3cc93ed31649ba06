//! `cloister-verify inspect`: what does this evidence *say*? Nothing is verified, and everything shown says so.

mod azure;
mod document;
mod sheet;
mod snp;
mod table;
mod tdx;

use cloister_attestation::{ExitClass, document as doc};
use serde_json::{Value, json};

use crate::args::InspectArgs;
use crate::cmw;
use crate::failure::Failure;
use crate::format::{self, Kind};
use crate::input;
use crate::report::Output;

use sheet::Sheet;

const BANNER: &str = "UNVERIFIED: nothing below was checked, and anybody may have written it";

/// Runs the command.
pub(crate) fn run(args: &InspectArgs) -> Result<Output, Failure> {
    let bytes = input::read(&args.file, doc::MAX_BYTES)?;
    Ok(match read(&bytes) {
        Ok((kind, sheet)) => Output {
            text: format!("{BANNER}\nkind  {kind}\n{}{BANNER}\n", sheet.to_text()),
            json: json!({ "warning": BANNER, "verified": false, "kind": kind, "fields": sheet.to_json() }),
            code: ExitClass::Accepted.code(),
        },
        Err(error) => Output {
            text: format!("{BANNER}\nmalformed: {error}\n"),
            json: json!({ "warning": BANNER, "verified": false, "exit_class": ExitClass::Malformed, "error": error }),
            code: ExitClass::Malformed.code(),
        },
    })
}

/// The fields of evidence, for a report that says what was verified of them.
pub(crate) fn fields(bytes: &[u8]) -> Result<Value, String> {
    read(bytes).map(|(_, sheet)| sheet.to_json())
}

fn read(bytes: &[u8]) -> Result<(&'static str, Sheet), String> {
    match format::detect(bytes)? {
        Kind::SnpReport => snp::sheet(bytes).map(|sheet| ("SEV-SNP report", sheet)),
        Kind::Quote => tdx::sheet(bytes).map(|sheet| ("TDX quote", sheet)),
        Kind::HclReport => azure::sheet(bytes).map(|sheet| ("Azure HCL report", sheet)),
        Kind::CertificateTable => table::sheet(bytes).map(|sheet| ("certificate table", sheet)),
        Kind::Json if cmw::is_record(bytes) => {
            let record = cmw::parse(bytes)?;
            let (_, mut sheet) = read(&record.value)?;
            sheet.put("cmw.type", &record.media_type);
            Ok(("CMW record", sheet))
        }
        Kind::Json => document::sheet(bytes).map(|sheet| ("attestation document", sheet)),
    }
}
