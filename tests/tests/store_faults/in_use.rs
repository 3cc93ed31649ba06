//! Two processes and one store.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use cloister_enclave::store::Error;

use crate::scratch;
use crate::workload::{Writer, open};

const CHILD_DIR: &str = "CLOISTER_TEST_IN_USE_DIR";

/// Does nothing unless it is the child: opens the store, says so, and keeps it until it is killed.
#[test]
fn child_that_keeps_the_store() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let store = open(Path::new(&dir)).expect("nobody else has it");
    Writer::new(0, 0).next(&store).commit_blocking().expect("a sound disk");
    println!("open");
    loop {
        std::thread::park();
    }
}

#[test]
fn dc_03_one_process_at_a_time_and_a_killed_one_is_in_nobodys_way() {
    let folder = scratch().expect("a folder");
    let dir = folder.path().join("store");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "in_use::child_that_keeps_the_store", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, &dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("open")), "the child opens the store");
    let second = open(&dir);
    assert!(matches!(second, Err(Error::InUse)), "{second:?}");
    let told = second.expect_err("it is in use").to_string();
    assert!(told.contains("stop that one first"), "{told}");
    child.kill().and_then(|()| child.wait()).expect("the child can be killed");
    let store = open(&dir).expect("nobody has it any more");
    assert_eq!(Writer::new(0, 0).found(&store).expect("a sound store"), 1);
}

#[test]
fn dc_03_nothing_is_touched_before_the_folder_is_locked() {
    let folder = scratch().expect("a folder");
    let lock = File::create(folder.path().join("lock")).expect("a file");
    lock.lock().expect("nobody else has it");
    let refused = open(folder.path());
    assert!(matches!(refused, Err(Error::InUse)), "{refused:?}");
    assert!(!folder.path().join("records").exists() && !folder.path().join("records.new").exists());
    drop(lock);
    drop(open(folder.path()).expect("nobody has it any more"));
}
