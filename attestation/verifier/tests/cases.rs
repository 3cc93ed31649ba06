//! `cloister-verify cases` over the shared vectors, and over copies of them that say or hold something wrong.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod tool;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tool::{arg, vectors, verify};

/// Runs a folder: exit code, the lines before the last, the last line.
fn cases(dir: &Path) -> (i32, Vec<String>, String) {
    let output = verify(&["cases", arg(dir)]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    let last = lines.pop().unwrap_or_default();
    (output.status.code().unwrap(), lines, last)
}

/// A copy of a case that may be changed.
struct Copy {
    folder: TempDir,
}

impl Copy {
    fn of(case: &str) -> Self {
        let folder = TempDir::new().unwrap();
        for entry in fs::read_dir(vectors("attestation").join(case)).unwrap() {
            let entry = entry.unwrap();
            fs::write(folder.path().join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap();
        }
        Self { folder }
    }

    fn with(self, pointer: &str, value: Value) -> Self {
        self.edit(|case| *case.pointer_mut(pointer).unwrap() = value)
    }

    fn edit(self, edit: impl FnOnce(&mut Value)) -> Self {
        let path = self.path("case.json");
        let mut case = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut case);
        fs::write(path, case.to_string()).unwrap();
        self
    }

    /// The case without one of its files.
    fn without(self, file: &str) -> Self {
        fs::remove_file(self.path(file)).unwrap();
        self.edit(|case| {
            case["files"].as_object_mut().unwrap().remove(file).unwrap();
        })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The single line that says what is wrong.
    fn problem(&self) -> String {
        let (code, lines, last) = cases(self.folder.path());
        assert_eq!((code, lines.len(), last.as_str()), (10, 1, "0 passed, 1 failed"), "{lines:?}");
        lines.into_iter().next().unwrap()
    }

    fn passes(&self) {
        let (code, lines, last) = cases(self.folder.path());
        assert_eq!((code, lines.len(), last.as_str()), (0, 0, "1 passed, 0 failed"), "{lines:?}");
    }
}

const ACCEPTED_SNP: &str = "snp/snp-real-milan-v3-dstack";
const REFUSED_SNP: &str = "snp/snp-real-milan-v2-debug";
const ACCEPTED_TDX: &str = "tdx/tdx-real-v4-dstack-2025";
const SYNTHETIC_TDX: &str = "tdx/tdx-syn-d-module-version-0-ok";

#[test]
fn s3_19_every_case_of_the_vectors_passes() {
    let set = vectors("attestation");
    let (code, lines, last) = cases(&set);
    let count: usize = ["snp", "tdx", "azure", "eventlog", "measurement"]
        .iter()
        .map(|kind| fs::read_dir(set.join(kind)).unwrap().count())
        .sum();
    assert!(count >= 198);
    assert_eq!((code, lines, last), (0, Vec::new(), format!("{count} passed, 0 failed")));
}

#[test]
fn a_kind_and_a_single_case_can_be_run() {
    let kind = vectors("attestation/eventlog");
    assert_eq!(cases(&kind), (0, Vec::new(), "3 passed, 0 failed".to_owned()));
    Copy::of(ACCEPTED_SNP).passes();
}

#[test]
fn the_report_as_json_names_every_case() {
    let (code, report) = tool::json(&["cases", arg(&vectors("attestation/azure"))]);
    assert_eq!((code, &report["passed"], &report["failed"]), (0, &json!(6), &json!(0)));
    let tampered = report["cases"].as_array().unwrap().iter().find(|case| case["case"] == "az-tdx-pcr-tampered");
    let found = &tampered.unwrap()["found"];
    assert_eq!(
        (&found["verdict"], &found["stage"], &found["reason"]),
        (&json!("reject"), &json!("binding"), &json!("PCR_DIGEST"))
    );
}

#[test]
fn a_wrong_expectation_is_reported() {
    let rows = [
        (ACCEPTED_SNP, "/expect/verdict", json!("reject"), "expected reject, found accept"),
        (ACCEPTED_SNP, "/expect/stage", json!("policy"), "found accept"),
        (REFUSED_SNP, "/expect/verdict", json!("accept"), "found reject at policy for DEBUG"),
        (REFUSED_SNP, "/expect/stage", json!("chain"), "expected reject at chain for DEBUG, found reject at policy"),
        (REFUSED_SNP, "/expect/reason", json!(["VMPL"]), "expected reject at policy for VMPL"),
        (REFUSED_SNP, "/expect/reason", json!([]), "found reject at policy for DEBUG"),
        (ACCEPTED_TDX, "/expect/tcb_status", json!("OutOfDate"), "TCB status is UpToDate, not OutOfDate"),
        (ACCEPTED_TDX, "/expect/advisories", json!(["INTEL-SA-1"]), "advisories are [], not [INTEL-SA-1]"),
        ("eventlog/ccel-cos113", "/expect/replayed/rtmr1", json!("00"), "another RTMR1"),
        ("measurement/snp-launch-digest-real", "/expect/launch_digest", json!("00"), "the launch digest is 7f51e17f"),
        ("azure/az-hcl-snp-kinvolk", "/expect/var_data_sha256", json!("00"), "not the expected one"),
    ];
    for (case, pointer, value, part) in rows {
        let problem = Copy::of(case).with(pointer, value).problem();
        assert!(problem.contains(part), "{pointer}: {problem}");
    }
}

#[test]
fn a_case_that_is_not_what_it_says_is_a_failure_and_no_crash() {
    let altered = Copy::of(ACCEPTED_SNP);
    let mut report = fs::read(altered.path("report.bin")).unwrap();
    report.truncate(1183);
    fs::write(altered.path("report.bin"), &report).unwrap();
    assert!(altered.problem().contains("report.bin is not the file"), "{}", altered.problem());

    let missing = Copy::of(ACCEPTED_SNP);
    fs::remove_file(missing.path("ask.der")).unwrap();
    assert!(missing.problem().contains("ask.der"), "{}", missing.problem());

    let no_json = Copy::of(ACCEPTED_SNP);
    fs::write(no_json.path("case.json"), b"{").unwrap();
    assert!(no_json.problem().contains("case.json"), "{}", no_json.problem());

    let rows = [
        ("/tee", json!("nitro"), "unknown kind of case: nitro"),
        ("/requires", json!(["a-prayer"]), "requires something unknown: a-prayer"),
        ("/verify_at", json!(null), "no time to verify for"),
        ("/files", json!({"../case.json": {"size": 0, "sha256": "0".repeat(64)}}), "outside its folder"),
        ("/expect/verdict", json!("maybe"), "case.json"),
    ];
    for (pointer, value, part) in rows {
        let problem = Copy::of(ACCEPTED_SNP).with(pointer, value).problem();
        assert!(problem.contains(part), "{problem}");
    }
    let unlisted = Copy::of("measurement/snp-launch-digest-real").without("input.json");
    assert!(unlisted.problem().contains("no file that a measurement could be computed from"));
}

#[test]
fn what_a_case_lacks_is_judged_as_lacking() {
    let refusal = |copy: Copy, stage: &str, reason: &str| {
        let refused = |case: &mut Value| {
            case["expect"] = json!({"verdict": "reject", "stage": stage, "reason": [reason]});
        };
        copy.edit(refused).passes();
    };
    refusal(Copy::of(ACCEPTED_SNP).without("vek.der"), "chain", "NO_ENDORSEMENT_KEY");
    refusal(Copy::of(ACCEPTED_TDX).without("collateral.json"), "collateral", "COLLATERAL_MISSING");
    refusal(Copy::of(SYNTHETIC_TDX).with("/requires", json!([])), "chain", "ROOT_UNTRUSTED");
    for case in [ACCEPTED_SNP, ACCEPTED_TDX] {
        let unknown_key = Copy::of(case).edit(|case| case["policy"]["allow_everything"] = json!(true));
        refusal(unknown_key, "policy", "POLICY_MALFORMED");
    }
    // No intermediate, no root and no policy: the compiled-in certificates do, and nothing is wanted.
    Copy::of(REFUSED_SNP)
        .without("ask.der")
        .without("ark.der")
        .edit(|case| {
            case["policy"] = json!({});
            case["expect"] = json!({"verdict": "accept", "stage": null, "reason": []});
        })
        .passes();
}

#[test]
fn folders_without_cases_are_no_success() {
    let empty = TempDir::new().unwrap();
    assert_eq!(verify(&["cases", arg(empty.path())]).status.code(), Some(2));
    assert_eq!(verify(&["cases", arg(&empty.path().join("missing"))]).status.code(), Some(1));
}

/// A name in a case reaches the terminal without its control characters.
#[test]
fn labels_cannot_steer_a_terminal() {
    let problem = Copy::of(ACCEPTED_SNP).with("/tee", json!("\u{1b}[2Jnitro")).problem();
    assert!(!problem.contains('\u{1b}') && problem.contains("\\u{1b}[2Jnitro"), "{problem}");
}
