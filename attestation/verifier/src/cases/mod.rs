//! `cloister-verify cases`: does this verifier give the verdicts that a set of cases expects?
//!
//! The format is that of the attestation vectors; the README there explains it. A case is data from anywhere: nothing in
//! it is believed, files outside its own folder are never opened, and what cannot be judged counts as failed.

mod case;
mod expect;
mod hardware;
mod measurement;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::args::CasesArgs;
use crate::failure::Failure;
use crate::report::{Output, printable};

use case::Case;
use expect::Found;

/// The set's folder, one folder per kind, one folder per case.
const MAX_DEPTH: usize = 2;
/// Folders above this are no set of cases.
const MAX_CASES: usize = 100_000;

const EXIT_ALL_PASSED: u8 = 0;
const EXIT_SOME_FAILED: u8 = 10;

/// What came of one case.
struct Outcome {
    name: String,
    found: Option<Found>,
    problem: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &CasesArgs) -> Result<Output, Failure> {
    let mut folders = Vec::new();
    collect(&args.dir, MAX_DEPTH, &mut folders)?;
    if folders.is_empty() {
        let dir = args.dir.display();
        return Err(Failure::Usage(format!("{dir}: no case.json in it, nor in the two levels of folders below it")));
    }
    let outcomes: Vec<Outcome> = folders.iter().map(|folder| judge(&args.dir, folder)).collect();
    Ok(output(&outcomes))
}

/// Finds the folders with a case, in the order of their names.
fn collect(dir: &Path, depth: usize, folders: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if dir.join(case::CASE_FILE).exists() {
        folders.push(dir.to_owned());
        return Ok(());
    }
    let failed = |source| Failure::File { path: dir.display().to_string(), source };
    let mut below = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            below.push(entry.path());
        }
    }
    below.sort();
    if depth == 0 {
        return Ok(());
    }
    for folder in below {
        if folders.len() >= MAX_CASES {
            return Err(Failure::Usage(format!("{}: more than {MAX_CASES} cases", dir.display())));
        }
        collect(&folder, depth - 1, folders)?;
    }
    Ok(())
}

fn judge(set: &Path, folder: &Path) -> Outcome {
    let relative = folder.strip_prefix(set).ok().filter(|path| !path.as_os_str().is_empty());
    let name = relative.unwrap_or(folder).display().to_string();
    let outcome = Case::read(folder).and_then(|case| {
        let judged = match case.tee() {
            "snp" => hardware::snp(&case),
            "tdx" => hardware::tdx(&case),
            "az-snp" => hardware::az_snp(&case),
            "az-tdx" => hardware::az_tdx(&case),
            "eventlog" => hardware::eventlog(&case),
            "measurement" => measurement::run(&case),
            other => Err(format!("unknown kind of case: {other}")),
        };
        judged.map(|found| {
            let problem = case.expect().differences(&found);
            (found, problem)
        })
    });
    match outcome {
        Ok((found, problem)) => Outcome { name, found: Some(found), problem },
        Err(problem) => Outcome { name, found: None, problem: Some(problem) },
    }
}

fn output(outcomes: &[Outcome]) -> Output {
    let failed = outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    let passed = outcomes.len().saturating_sub(failed);
    let mut text = String::new();
    for outcome in outcomes {
        if let Some(problem) = &outcome.problem {
            // Names and labels come from the folder: nothing in them may steer a terminal.
            text += &format!("FAIL  {}: {}\n", printable(&outcome.name), printable(problem));
        }
    }
    text += &format!("{passed} passed, {failed} failed\n");
    let cases: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "case": outcome.name,
                "passed": outcome.problem.is_none(),
                "found": outcome.found.as_ref().map(Found::to_json),
                "problem": outcome.problem,
            })
        })
        .collect();
    let code = if failed == 0 { EXIT_ALL_PASSED } else { EXIT_SOME_FAILED };
    Output { text, json: json!({ "passed": passed, "failed": failed, "cases": cases }), code }
}
