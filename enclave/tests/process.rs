//! The real binary: command line, start, signals, exit codes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use age::secrecy::ExposeSecret as _;
use support::{SAMPLE, tiny_embedder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cloister-enclave");

/// The sample configuration with a small model and everything inside `dir`.
fn config(dir: &Path) -> PathBuf {
    let digest = tiny_embedder::write(&dir.join("tiny.gguf"));
    let at = dir.to_str().unwrap();
    let text = SAMPLE
        .replace(
            "path = \"var/models/all-minilm-l6-v2-q8_0.gguf\"",
            &format!("path = \"{at}/tiny.gguf\"\nsha256 = \"{digest}\""),
        )
        .replace("\"var/", &format!("\"{at}/"))
        .replace("enclave/web/dist", &format!("{at}/web"))
        .replace("127.0.0.1:9443", "127.0.0.1:0")
        .replace("\"required\"", "\"refused\"");
    let path = dir.join("enclave.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn call(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

struct Running {
    child: Child,
    port: u16,
    log: BufReader<std::process::ChildStderr>,
    /// Everything logged so far.
    seen: String,
}

impl Running {
    #[expect(clippy::zombie_processes, reason = "a panic ends the test, and `end` waits otherwise")]
    fn start(config: &Path) -> Self {
        let mut child =
            Command::new(PROGRAM).arg("run").arg("--config").arg(config).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "ended before it was ready:\n{seen}");
            seen.push_str(&line);
            let event: serde_json::Value = serde_json::from_str(&line).expect("log lines are JSON");
            if event["message"] == "ready" {
                let port = u16::try_from(event["port"].as_u64().unwrap()).unwrap();
                return Self { child, port, log, seen };
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The exit code and the whole log.
    fn end(mut self) -> (Option<i32>, String) {
        self.log.read_to_string(&mut self.seen).unwrap();
        (self.child.wait().unwrap().code(), self.seen)
    }
}

#[test]
fn check_config_reports_every_mistake_and_exits_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    std::fs::write(&path, "tee = \"secret-moon\"\nlisten = 7\n").unwrap();
    let output = call(&["check-config", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    let complaint = String::from_utf8(output.stderr).unwrap();
    for field in ["tee:", "listen:", "data_dir:", "limits:"] {
        assert!(complaint.contains(field), "{field} is missing in {complaint}");
    }
    assert!(!complaint.contains("secret-moon"));
    let good = config(dir.path());
    assert_eq!(call(&["check-config", "--config", good.to_str().unwrap()]).status.code(), Some(0));
    assert_eq!(call(&["run"]).status.code(), Some(2));
}

#[test]
fn print_openapi_prints_the_committed_document() {
    let output = call(&["print-openapi"]);
    let committed = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json")).unwrap();
    assert!(output.stdout == committed);
}

#[test]
fn s0_04_sigterm_and_sigint_end_a_ready_process_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    for signal in ["TERM", "INT"] {
        let running = Running::start(&config);
        TcpStream::connect(("127.0.0.1", running.port)).unwrap();
        running.signal(signal);
        let (code, log) = running.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("\"stopped\""));
    }
}

#[test]
fn the_first_start_leaves_a_private_link_and_a_killed_one_makes_a_new_link() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let link_file = dir.path().join("enclave/owner-enrolment-link");
    let running = Running::start(&config);
    let first = std::fs::read_to_string(&link_file).unwrap();
    assert!(first.starts_with("https://localhost:8443/#enrol="), "{first}");
    assert_eq!(std::fs::metadata(&link_file).unwrap().permissions().mode() & 0o777, 0o600);
    running.signal("KILL");
    let (code, log) = running.end();
    assert_eq!(code, None);
    let code = first.trim().rsplit_once('=').unwrap().1;
    assert!(!log.contains(code), "the code is in the log");
    let running = Running::start(&config);
    assert_ne!(std::fs::read_to_string(&link_file).unwrap(), first);
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0));
    let printed = call(&["new-enrolment", "--config", config.to_str().unwrap()]);
    assert!(String::from_utf8(printed.stdout).unwrap().starts_with("https://localhost:8443/#enrol="));
}

#[test]
fn a_model_with_a_wrong_digest_keeps_the_process_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let model = dir.path().join("tiny.gguf");
    let mut bytes = std::fs::read(&model).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&model, bytes).unwrap();
    let output = call(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("model"));
}

#[test]
fn dc_04_the_owner_gives_a_machine_that_lost_its_key_a_slot_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let owner = age::x25519::Identity::generate();
    let text = std::fs::read_to_string(&config).unwrap();
    let recipient = format!("\nrecovery_recipient = \"{}\"\n# recovery_recipient", owner.to_public());
    let text = text.replacen("\n# recovery_recipient", &recipient, 1);
    std::fs::write(&config, text).unwrap();
    let running = Running::start(&config);
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0));

    std::fs::remove_file(dir.path().join("enclave/root-key.development")).unwrap();
    let lost = call(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(lost.status.code(), Some(1), "{}", String::from_utf8_lossy(&lost.stderr));
    let identity = dir.path().join("owner.key");
    let write = |identity_of: &age::x25519::Identity| {
        let secret = identity_of.to_string();
        std::fs::write(&identity, format!("# created: today\n{}\n", secret.expose_secret())).unwrap();
        secret
    };
    let recover = ["recover", "--config", config.to_str().unwrap(), "--identity", identity.to_str().unwrap()];
    write(&age::x25519::Identity::generate());
    assert_eq!(call(&recover).status.code(), Some(1), "a stranger's identity");
    let secret = write(&owner);
    let output = call(&recover);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let said = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8(said).unwrap().contains(secret.expose_secret()), "the identity is shown");

    let running = Running::start(&config);
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn dc_04_two_officers_of_three_open_a_store_whose_key_file_was_lost_and_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let folder = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let made = call(&["new-recovery", "--out", &folder("officers")]);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let recipient = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let share = |number: u8| folder(&format!("officers/share-{number}.txt"));
    let mode = std::fs::metadata(share(1)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = call(&["new-recovery", "--out", &folder("officers")]);
    assert_eq!(again.status.code(), Some(1), "shares are not overwritten");
    for wrong in [&["--threshold", "1"][..], &["--threshold", "4"], &["--shares", "17"]] {
        let refused = call(&[&["new-recovery", "--out", &folder("none")], wrong].concat());
        assert_eq!(refused.status.code(), Some(1), "{wrong:?}");
    }

    let text = std::fs::read_to_string(&config).unwrap();
    let with_recipient = format!("\nrecovery_recipient = \"{recipient}\"\n# recovery_recipient");
    std::fs::write(&config, text.replacen("\n# recovery_recipient", &with_recipient, 1)).unwrap();
    let running = Running::start(&config);
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0));
    std::fs::remove_file(dir.path().join("enclave/root-key.development")).unwrap();

    let config = config.to_str().unwrap();
    let recover = |shares: &[String]| {
        let shares = shares.iter().flat_map(|share| ["--share", share.as_str()]);
        let arguments: Vec<&str> = ["recover", "--config", config].into_iter().chain(shares).collect();
        let output = call(&arguments);
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let refused = |shares: &[String], why: &str| {
        let (code, said) = recover(shares);
        assert!(code == Some(1) && said.contains(why), "{said}");
    };
    refused(&[], "--share FILE");
    refused(&[share(2)], "1 of the shares were given, and 2 are needed");
    refused(&[share(2), share(2)], "given twice");
    let others = call(&["new-recovery", "--out", &folder("others")]);
    assert_eq!(others.status.code(), Some(0));
    refused(&[share(1), folder("others/share-2.txt")], "different keys");
    refused(&[folder("others/share-1.txt"), folder("others/share-2.txt")], "no key slot can be opened");
    let slip = std::fs::read_to_string(share(3)).unwrap();
    let at = slip.rfind('-').unwrap() - 5;
    let letter = if &slip[at..=at] == "0" { "1" } else { "0" };
    let slipped = folder("slip.txt");
    std::fs::write(&slipped, format!("{}{letter}{}", &slip[..at], &slip[at + 1..])).unwrap();
    refused(&[share(1), slipped], "slip");

    let (code, said) = recover(&[share(3), share(1)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("AGE-SECRET-KEY") && !said.contains("CLOISTER-SHARE"), "a secret is shown");
    let running = Running::start(Path::new(config));
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0));
}
