//! The worker as a process: what it speaks, what it is denied, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test may fail that way")]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};

use cloister_protocol::parsed::{DocumentFormat, ParseFailure, WorkerReply, WorkerRequest};

fn start() -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloister-docworker"));
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The PDF of the demo set.
fn demo_pdf() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/demo/continuity-plan.pdf")).unwrap()
}

fn request(format: DocumentFormat, size_bytes: usize) -> Vec<u8> {
    let request = WorkerRequest { format, size_bytes: size_bytes as u64, max_text_chars: 100_000 };
    let mut line = serde_json::to_vec(&request).unwrap();
    line.push(b'\n');
    line
}

fn run(input: &[u8]) -> Output {
    let mut child = start();
    // The worker may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn reply(format: DocumentFormat, bytes: &[u8]) -> WorkerReply {
    let output = run(&[&request(format, bytes.len()), bytes].concat());
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn one_document_in_one_reply_out_under_the_real_sandbox() {
    let WorkerReply::Parsed(document) = reply(DocumentFormat::Pdf, &demo_pdf()) else { panic!("readable") };
    assert_eq!(document.title.as_deref(), Some("Emergency and Continuity Plan"));
    let gpl = std::fs::read("/usr/share/common-licenses/GPL-3").unwrap();
    for (format, bytes) in [
        (DocumentFormat::Text, gpl.as_slice()),
        (DocumentFormat::Markdown, b"# T\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"),
        (DocumentFormat::Html, b"<h1>T</h1><p>text</p>"),
    ] {
        assert!(matches!(reply(format, bytes), WorkerReply::Parsed(_)), "{format:?}");
    }
    assert_eq!(reply(DocumentFormat::Pdf, b"%PDF-1.7 nothing"), WorkerReply::Failed(ParseFailure::Malformed));
}

#[test]
fn the_sandbox_denies_files_sockets_processes_threads_signals_and_memory() {
    let output = Command::new(env!("CARGO_BIN_EXE_cloister-docworker")).arg("--self-test-sandbox").output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}");
    assert_eq!(table.lines().filter(|line| line.starts_with("PASS  ")).count(), 12, "{table}");
    assert!(!table.contains("expected"), "{table}");
}

#[test]
fn a_request_that_is_wrong_in_any_way_is_refused() {
    let ask = request(DocumentFormat::Text, 4);
    let cases: [Vec<u8>; 7] = [
        Vec::new(),
        b"{}\n".to_vec(),
        b"{\"format\":\"text\",\"size_bytes\":4,\"max_text_chars\":9,\"more\":1}\nabcd".to_vec(),
        [ask.as_slice(), b"abc"].concat(),
        [ask.as_slice(), b"abcde"].concat(),
        vec![b'x'; 10_000],
        b"{\"format\":\"text\",\"size_bytes\":18446744073709551615,\"max_text_chars\":9}\nabcd".to_vec(),
    ];
    for input in cases {
        let output = run(&input);
        assert_eq!(output.status.code(), Some(65), "{input:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn unknown_arguments_are_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_cloister-docworker")).arg("--no-sandbox").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn a_document_that_needs_more_memory_than_allowed_ends_its_own_process_only() {
    // The buffer doubles as it grows: from 512 MiB on it cannot.
    let size = 600 << 20;
    let mut child = start();
    let mut stdin = child.stdin.take().unwrap();
    let block = vec![b'a'; 1 << 20];
    let mut sent = stdin.write_all(&request(DocumentFormat::Text, size));
    for _ in 0..600 {
        sent = sent.and_then(|()| stdin.write_all(&block));
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(70), "{:?}", output.status);
    assert!(output.stdout.is_empty());
}

#[test]
fn a_parser_that_needs_more_memory_than_allowed_is_aborted() {
    // Every `<p>` is a node of the tree, about 40 times as large as the three bytes that ask for it.
    let bomb = b"<p>".repeat(20_000_000);
    let output = run(&[&request(DocumentFormat::Html, bomb.len()), bomb.as_slice()].concat());
    assert_eq!(output.status.signal(), Some(6), "{:?}", output.status);
    assert!(output.stdout.is_empty());
}

#[test]
fn the_worker_ends_when_its_caller_hangs_up() {
    let mut child = start();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&request(DocumentFormat::Text, 1000)).unwrap();
    stdin.write_all(b"half of it").unwrap();
    drop(stdin);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(65));
}
