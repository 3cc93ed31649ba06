//! An appliance is backed up while it runs, loses its disk, and is put back: the data of then is there, and everybody who
//! saw more is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use cloister_protocol::api::{List, Message};
use cloister_tests::appliance::{Appliance, Options, free_port};
use cloister_tests::client::{Session, Upload};
use cloister_tests::{scenario, tools};

const ALLOW: &str = "--insecure-allow-development-tee";
/// How long a backup may take: this machine may be doing other things.
const PATIENCE: Duration = Duration::from_secs(120);

struct Place {
    options: Options,
    backups: PathBuf,
}

impl Place {
    fn new(root: &Path) -> Self {
        let backups = root.join("backups");
        let mut options = Options::for_checkout(root.join("appliance")).expect("built");
        options.port = free_port().expect("a free port").port();
        let folder = toml::Value::String(backups.display().to_string());
        options.settings = vec![
            (["backup", "folder"], folder),
            (["backup", "every_hours"], toml::Value::Integer(24)),
            (["backup", "keep"], toml::Value::Integer(2)),
        ];
        Self { options, backups }
    }

    fn start(&self) -> Appliance {
        Appliance::start(self.options.clone()).expect("starts")
    }

    fn all(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.backups) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut all: Vec<_> = paths.filter(|path| path.extension().is_some_and(|kind| kind == "backup")).collect();
        all.sort();
        all
    }

    /// Waits for a backup that is none of those.
    async fn next(&self, known: &[PathBuf]) -> PathBuf {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(new) = self.all().into_iter().find(|path| !known.contains(path)) {
                return new;
            }
            assert!(tokio::time::Instant::now() < deadline, "no backup");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks for one now.
    async fn back_up(&self, appliance: &Appliance) -> PathBuf {
        let known = self.all();
        let pid = appliance.enclave_pid().to_string();
        assert!(Command::new("kill").args(["-USR1", &pid]).status().expect("kill runs").success());
        self.next(&known).await
    }

    fn restore(&self, backup: &Path) -> Output {
        let mut command = Command::new(self.options.binaries.join("cloister-enclave"));
        command.args(["restore", "--reason", "the disk died", "--config"]).arg(self.options.data.join("enclave.toml"));
        command.arg("--backup").arg(backup).output().expect("cloister-enclave runs")
    }

    /// `cloister-enclave check --json`: its exit code and what it found.
    fn check(&self) -> (Option<i32>, serde_json::Value) {
        let mut command = Command::new(self.options.binaries.join("cloister-enclave"));
        command.args(["check", "--json", "--config"]).arg(self.options.data.join("enclave.toml"));
        let output = command.output().expect("cloister-enclave runs");
        let found = serde_json::from_slice(&output.stdout);
        (output.status.code(), found.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
    }

    /// A whole store is sound; one with a changed record, and one without a record, are not, and it is said how.
    fn checks(&self) {
        let (code, found) = self.check();
        assert_eq!(code, Some(0), "{found:#}");
        let count = |name: &str| found.pointer(&format!("/records/{name}")).and_then(serde_json::Value::as_u64);
        assert_eq!((count("documents"), count("conversations"), count("messages")), (Some(1), Some(1), Some(2)));
        assert!(count("audit-leaves") > Some(10), "{found:#}");

        let records = self.store().join("records");
        let open = || loop {
            // sled lets go of its lock some time after the process that had it.
            if let Ok(database) = sled::Config::new().path(&records).segment_size(8 << 20).flush_every_ms(None).open() {
                break database;
            }
            std::thread::yield_now();
        };
        let database = open();
        let entries = || database.iter().map(|entry| entry.expect("an entry"));
        let (name, whole) = entries().max_by_key(|(_, value)| value.len()).expect("a record");
        let mut changed = whole.to_vec();
        *changed.get_mut(60).expect("a long record") ^= 1;
        database.insert(&name, changed).expect("inserts");
        drop(database);
        let (code, found) = self.check();
        assert_eq!(code, Some(4));
        let damaged = found.get("damaged").and_then(serde_json::Value::as_object).expect("a list");
        assert!(damaged.len() == 1 && damaged.values().all(|count| count == 1), "{found:#}");
        assert_eq!(found.get("set_holds"), Some(&true.into()), "the record is still that of the last commit");

        open().remove(&name).expect("removes");
        let (code, found) = self.check();
        assert_eq!((code, found.get("set_holds")), (Some(4), Some(&false.into())));
        open().insert(&name, whole).expect("inserts");
        assert_eq!(self.check().0, Some(0), "as it was");
    }

    fn store(&self) -> PathBuf {
        self.options.data.join("store")
    }
}

fn complains(output: &Output, of: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains(of), "{text}");
}

/// The operations of the organisation's log, after both verifiers have accepted its export.
async fn operations(session: &Session, dir: &Path) -> Vec<String> {
    let export =
        session.fetch("/api/v1/audit/export", &serde_json::json!({ "recipient": null })).await.expect("export");
    let path = dir.join("audit.tar");
    fs::write(&path, export).expect("writes");
    let output = tools::verify(&["audit", &path.display().to_string(), ALLOW]).expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(tools::third_party_accepts(&path).expect("the checker runs"), "a third party agrees");
    let listed = Command::new("tar").args(["-xOf"]).arg(&path).arg("--wildcards").arg("log/tile/entries/*").output();
    let entries = String::from_utf8_lossy(&listed.expect("tar runs").stdout).into_owned();
    entries
        .split("\"event_code\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(ToOwned::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dc_04_an_appliance_is_backed_up_while_it_runs_and_put_back_with_everybody_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::new(dir.path());
    let seen = dir.path().join("seen.json").display().to_string();
    let appliance = place.start();
    let first = place.next(&[]).await;
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    let workspace = scenario::workspace(&session).await.expect("a workspace");
    let (_, conversation) = scenario::assistant(&session, workspace).await.expect("an assistant");
    let text = b"Leave. Every employee has 27 days of paid leave in each calendar year.";
    let file = Upload { name: "leave.txt", title: Some("Leave"), bytes: text };
    scenario::upload_ready(&session, workspace, &file).await.expect("ready");
    session.ask(workspace, conversation.id, "How many days of leave?", |_| ()).await.expect("an answer");

    let backup = place.back_up(&appliance).await;
    session.ask(workspace, conversation.id, "How many days of paid leave?", |_| ()).await.expect("another answer");
    let third = place.back_up(&appliance).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while place.all().contains(&first) {
        assert!(tokio::time::Instant::now() < deadline, "the oldest is not removed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(place.all(), [backup.clone(), third], "two are kept");
    let remember = ["appliance", &appliance.url(), ALLOW, "--remember", &seen];
    assert!(tools::verify(&remember).expect("runs").status.success());
    appliance.stop().expect("stops");

    // What cannot be restored says why, and changes nothing.
    complains(&place.restore(&backup), "move the old store away");
    fs::rename(place.store(), dir.path().join("lost")).expect("the disk is gone");
    let mut damaged = fs::read(&backup).expect("reads");
    let middle = damaged.len() / 2;
    damaged.truncate(middle);
    let damaged_path = dir.path().join("damaged.backup");
    fs::write(&damaged_path, damaged).expect("writes");
    complains(&place.restore(&damaged_path), "cut off");
    let left = fs::read_dir(place.store()).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is left behind");
    complains(&place.restore(&dir.path().join("missing")), "cannot be opened");

    let restored = place.restore(&backup);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let appliance = place.start();
    let report = tools::verify(&remember).expect("runs");
    assert_eq!(report.status.code(), Some(10), "who saw more is told");

    // The session of before has ended; the person and what they had at the time of the backup are there.
    let path = format!("/api/v1/workspaces/{workspace}/conversations/{}/get", conversation.id);
    assert!(session.read::<List<Message>>(&path).await.is_err(), "sessions end with a restore");
    let channel = scenario::channel(&appliance).await.expect("verifies");
    let session = scenario::login(&channel).await.expect("logs in");
    let messages: List<Message> = session.read(&path).await.expect("the conversation");
    assert_eq!(messages.items.len(), 2, "one question and its answer");
    assert_eq!(scenario::documents(&session, workspace).await.expect("documents").len(), 1);
    let operations = operations(&session, dir.path()).await;
    assert_eq!(operations.iter().filter(|operation| *operation == "log.restore").count(), 1, "{operations:?}");
    appliance.stop().expect("stops");
    place.checks();
}
