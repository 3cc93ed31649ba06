//! `cloister-docworker`: reads one untrusted document from standard input inside a sandbox, answers with its text.
//!
//! Input is one line of JSON ([`WorkerRequest`]) and then exactly `size_bytes` bytes; output is one [`WorkerReply`] as
//! JSON. One process reads one document and ends, so nothing of a document outlives it and no document meets another.
//! The parsers are in the library; this file is the order of events: sandbox first, bytes second.
//!
//! `--self-test-sandbox` is for operators: it shows on this very machine that the sandbox denies what it must.

mod sandbox;
mod self_test;

use std::io::{self, Read, Write};
use std::process::ExitCode;

use cloister_docworker::{Limits, parse};
use cloister_protocol::parsed::{ParseFailure, WorkerReply, WorkerRequest};

/// The reply was written.
const REPLIED: u8 = 0;
/// Unknown arguments.
const USAGE: u8 = 64;
/// The request line or the length of the document was wrong: a bug of the caller.
const BAD_REQUEST: u8 = 65;
/// The document does not fit into the memory that the process may use. Parsers that run out of it end by `SIGABRT`.
const NO_MEMORY: u8 = 70;
/// The sandbox does not hold on this machine, so nothing was read.
const NO_SANDBOX: u8 = 71;
/// The longest request line, bytes.
const MAX_REQUEST_BYTES: u64 = 4096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => ExitCode::from(work()),
        ["--self-test-sandbox"] => self_test::run(),
        ["--probe", layers, probe] => self_test::probe(layers, probe),
        _ => {
            say("usage: cloister-docworker [--self-test-sandbox]; without arguments it reads a request on stdin");
            ExitCode::from(USAGE)
        }
    }
}

fn work() -> u8 {
    // A panic's message could quote the document; it must not reach a log.
    std::panic::set_hook(Box::new(|_| {}));
    if let Err(error) = sandbox::enter(sandbox::Layers::All) {
        say(&format!("sandbox: {error}"));
        return NO_SANDBOX;
    }
    let (request, bytes) = match receive(&mut io::stdin().lock()) {
        Ok(received) => received,
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => return NO_MEMORY,
        Err(_) => return BAD_REQUEST,
    };
    let limits = Limits::with_text_chars(request.max_text_chars);
    // A parser that panics met bytes that its authors did not foresee: the document is damaged.
    let outcome = std::panic::catch_unwind(|| parse(request.format, &bytes, &limits));
    let reply = match outcome.unwrap_or(Err(ParseFailure::Malformed)) {
        Ok(document) => WorkerReply::Parsed(document),
        Err(failure) => WorkerReply::Failed(failure),
    };
    match send(&reply) {
        Ok(()) => REPLIED,
        Err(_) => BAD_REQUEST,
    }
}

/// Reads the request and exactly the document that it announces.
fn receive(input: &mut impl Read) -> io::Result<(WorkerRequest, Vec<u8>)> {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != [b'\n'] {
        input.read_exact(&mut byte)?;
        line.push(byte[0]);
        if line.len() as u64 > MAX_REQUEST_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let request: WorkerRequest = serde_json::from_slice(&line)?;
    let mut bytes = Vec::new();
    let read = input.by_ref().take(request.size_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).ok() != Some(request.size_bytes) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((request, bytes))
}

fn send(reply: &WorkerReply) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let mut json = serde_json::to_vec(reply)?;
    json.push(b'\n');
    output.write_all(&json)?;
    output.flush()
}

/// One line for the operator on standard error; never anything of a document.
fn say(line: &str) {
    let _: io::Result<()> = writeln!(io::stderr().lock(), "cloister-docworker: {line}");
}
