//! The whole disk of an appliance is put back to an older state. The appliance cannot know; whoever was there before does:
//! the page, the command line and a client that keeps its checkpoint.

use std::path::{Path, PathBuf};
use std::process::Command;

use cloister_attestation::encoding::Digest;
use cloister_attestation::note::{Checkpoint, Vkey};
use cloister_attestation::tlog::{Hash, verify_consistency};
use cloister_protocol::api::{Consistency, CreateEnrolment, Enrolment, ProveConsistency, Role};
use cloister_tests::appliance::{Appliance, Options, checkout, free_port};
use cloister_tests::client::Session;
use cloister_tests::{scenario, tools};

/// Exit codes of `cloister-verify`.
const ACCEPTED: i32 = 0;
const REJECTED: i32 = 10;

/// An appliance at one address, through starts and stops.
struct Place {
    options: Options,
    root: PathBuf,
}

impl Place {
    fn new(root: &Path) -> Self {
        let mut options = Options::for_checkout(root.join("appliance")).expect("built");
        options.port = free_port().expect("a free port").port();
        Self { options, root: root.to_owned() }
    }

    fn start(&self) -> Appliance {
        Appliance::start(self.options.clone()).expect("starts")
    }

    fn store(&self) -> PathBuf {
        self.options.data.join("store")
    }

    /// `cp -a`, in the place of whatever is there.
    fn copy(from: &Path, to: &Path) {
        if to.exists() {
            std::fs::remove_dir_all(to).expect("removes the old copy");
        }
        let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
        assert!(copied.success());
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.options.port)
    }

    /// `cloister-verify appliance --remember`: the exit code, and how the check of the state ended.
    fn ask(&self) -> (i32, String) {
        let seen = self.root.join("seen.json");
        let seen = seen.to_str().expect("a path in UTF-8");
        let allow = "--insecure-allow-development-tee";
        let output = tools::verify(&["appliance", &self.url(), allow, "--remember", seen, "--json"]).expect("runs");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
        let checks = report.get("checks").and_then(serde_json::Value::as_array).expect("checks");
        let check = checks.iter().find(|check| check.get("id").is_some_and(|id| id == "state.epoch"));
        let result = check.and_then(|check| check.get("result")?.as_str()).expect("the state is looked at");
        (output.status.code().expect("an exit code"), result.to_owned())
    }

    fn browser(&self, step: &str, code: &str) {
        let mut node = Command::new("node");
        node.current_dir(checkout()).args(["tests/js/rollback.mjs", "--url", &self.url(), "--step", step]);
        node.args(["--enrolment-code", code, "--profile"]).arg(self.root.join("profile"));
        let output = node.output().expect("node starts");
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(output.status.success() && out.contains("1 passed, 0 failed, 0 skipped"), "{step}:\n{out}\n{err}");
    }
}

/// What a client keeps of the log: the newest head.
struct Anchor {
    vkey: Vkey,
    head: Checkpoint,
}

/// Asks for proof that the log goes on from `anchor`; the new head, or nothing where it does not.
async fn advance(session: &Session, anchor: Option<&Anchor>) -> Option<Anchor> {
    let size = anchor.map_or(0, |anchor| anchor.head.size);
    let answer: Consistency =
        session.call("/api/v1/audit/consistency", &ProveConsistency { size }).await.expect("an answer");
    let vkey = Vkey::parse(&answer.vkey).expect("a key");
    let head = Checkpoint::open(answer.checkpoint.as_bytes(), std::slice::from_ref(&vkey)).expect("signed");
    let Some(anchor) = anchor else { return Some(Anchor { vkey, head }) };
    assert_eq!(anchor.vkey.to_string(), vkey.to_string(), "an older state has the same key");
    let proof: Option<Vec<Hash>> = answer.proof.map(|proof| proof.iter().map(|hash| decode(hash).0).collect());
    let (old, new) = ((anchor.head.size, &anchor.head.root), (head.size, &head.root));
    let holds = proof.is_some_and(|proof| verify_consistency(&proof, old, new).is_ok());
    holds.then_some(Anchor { vkey, head })
}

fn decode(base64: &str) -> Digest {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).expect("base64");
    cloister_attestation::encoding::Hex(bytes.try_into().expect("32 bytes"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dc_04_a_disk_put_back_is_noticed_by_page_command_line_and_client() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(dir.path());
    let older = dir.path().join("older");

    let appliance = place.start();
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    let invited: Enrolment =
        session.call("/api/v1/enrolments", &CreateEnrolment { role: Role::Member }).await.expect("an enrolment");
    place.browser("enrol", &invited.code);
    let first = advance(&session, None).await.expect("a first head");
    appliance.stop().expect("stops");
    Place::copy(&place.store(), &older);

    // Life goes on, and everybody sees it.
    let appliance = place.start();
    let session = again(&appliance).await;
    let second = advance(&session, Some(&first)).await.expect("the log only grew");
    assert!(second.head.size > first.head.size);
    place.browser("return", "");
    assert_eq!(place.ask(), (ACCEPTED, "not_done".to_owned()));
    assert_eq!(place.ask(), (ACCEPTED, "pass".to_owned()));
    appliance.stop().expect("stops");
    assert_eq!(lines(&place), 1, "the file remembers one appliance");

    Place::copy(&older, &place.store());
    let appliance = place.start();
    assert_eq!(place.ask(), (REJECTED, "fail".to_owned()), "the command line");
    place.browser("backwards", "");

    // The older state overtakes: its epoch tells nothing any more, its log still does.
    let mut session = again(&appliance).await;
    assert!(advance(&session, Some(&second)).await.is_none(), "the client, while the log is shorter or equal");
    for _ in 0..60 {
        if place.ask().0 == ACCEPTED && size(&session).await > second.head.size {
            break;
        }
        session = again(&appliance).await;
    }
    assert_eq!(place.ask(), (ACCEPTED, "pass".to_owned()), "an epoch is overtaken, as the documents say");
    assert!(advance(&session, Some(&second)).await.is_none(), "the client, when the log has grown past it");
    assert!(advance(&session, Some(&first)).await.is_some(), "who saw no more than what was put back has lost nothing");
    place.browser("forked", "");
}

async fn again(appliance: &Appliance) -> Session {
    let channel = scenario::channel(appliance).await.expect("verifies");
    scenario::login(&channel).await.expect("logs in")
}

async fn size(session: &Session) -> u64 {
    advance(session, None).await.expect("a head").head.size
}

fn lines(place: &Place) -> usize {
    let text = std::fs::read_to_string(place.root.join("seen.json")).expect("the file");
    text.matches("audit_head").count()
}
