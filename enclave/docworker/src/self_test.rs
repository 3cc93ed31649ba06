//! `--self-test-sandbox`: an operator's proof that the sandbox holds on this machine.
//!
//! Each check starts this program again in the sandbox and lets it try one forbidden thing. The table says how it was
//! stopped; a single thing that succeeds fails the test. Landlock is also tried without seccomp in front of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

use crate::sandbox::{self, Layers};

/// The probe was refused with an error: the wanted outcome behind landlock.
const DENIED: u8 = 10;
/// The probe did what it must not be able to do.
const ALLOWED: u8 = 11;
/// The sandbox could not be put up.
const NO_SANDBOX: u8 = 71;

/// `SIGSYS`: seccomp killed the process.
const SIGSYS: i32 = libc::SIGSYS;
/// `SIGABRT`: an allocation beyond the limit ended the process.
const SIGABRT: i32 = libc::SIGABRT;

/// What is tried, in which layers, and how it must end.
const CHECKS: [(&str, &str, &str, Ending); 12] = [
    ("read-file", "all", "open /etc/hostname for reading", Ending::Signal(SIGSYS)),
    ("write-file", "all", "create a file in /tmp", Ending::Signal(SIGSYS)),
    ("tcp", "all", "connect to 127.0.0.1:9", Ending::Signal(SIGSYS)),
    ("udp", "all", "open a UDP socket", Ending::Signal(SIGSYS)),
    ("unix", "all", "connect to a Unix socket", Ending::Signal(SIGSYS)),
    ("process", "all", "start a process", Ending::Signal(SIGSYS)),
    ("thread", "all", "start a thread", Ending::Signal(SIGSYS)),
    ("signal", "all", "signal the parent", Ending::Signal(SIGSYS)),
    ("memory", "all", "map twice the allowed memory", Ending::Signal(SIGABRT)),
    ("read-file", "no-seccomp", "open /etc/hostname, landlock alone", Ending::Denied),
    ("write-file", "no-seccomp", "create a file in /tmp, landlock alone", Ending::Denied),
    ("tcp", "no-seccomp", "connect to 127.0.0.1:9, landlock alone", Ending::Denied),
];

/// How a probe ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Signal(i32),
    Denied,
}

/// Runs all checks and prints a table.
pub(crate) fn run() -> ExitCode {
    let mut failed = 0_u8;
    for (probe, layers, what, wanted) in CHECKS {
        let (verdict, how) = match outcome(layers, probe) {
            Ok(ending) if ending == Some(wanted) => ("PASS", format!("{wanted:?}")),
            Ok(Some(other)) => ("PASS", format!("{other:?}, expected {wanted:?}")),
            Ok(None) => ("FAIL", "it was allowed, or the sandbox is not available".to_owned()),
            Err(error) => ("FAIL", format!("the probe could not be started: {error}")),
        };
        failed += u8::from(verdict == "FAIL");
        let _: io::Result<()> = writeln!(io::stdout().lock(), "{verdict}  {what}: {how}");
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn outcome(layers: &str, probe: &str) -> io::Result<Option<Ending>> {
    let status = Command::new(std::env::current_exe()?)
        .args(["--probe", layers, probe])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) if code == i32::from(DENIED) => Some(Ending::Denied),
        (_, Some(signal)) => Some(Ending::Signal(signal)),
        _ => None,
    })
}

/// Enters the sandbox and tries one thing; the exit code says how it went, if there is one.
pub(crate) fn probe(layers: &str, probe: &str) -> ExitCode {
    let layers = if layers == "no-seccomp" { Layers::WithoutSeccomp } else { Layers::All };
    let parent = rustix::process::getppid();
    if sandbox::enter(layers).is_err() {
        return ExitCode::from(NO_SANDBOX);
    }
    let denied = match probe {
        "read-file" => File::open("/etc/hostname").is_err(),
        "write-file" => OpenOptions::new().create(true).append(true).open("/tmp/cloister-docworker-probe").is_err(),
        "tcp" => {
            matches!(TcpStream::connect(("127.0.0.1", 9)), Err(e) if e.kind() != io::ErrorKind::ConnectionRefused)
        }
        "udp" => UdpSocket::bind(("127.0.0.1", 0)).is_err(),
        "unix" => UnixStream::connect("/run/cloister-docworker-probe").is_err(),
        "process" => Command::new("/bin/true").status().is_err(),
        "thread" => std::thread::Builder::new().spawn(|| {}).is_err(),
        "signal" => parent.is_none_or(|parent| rustix::process::test_kill_process(parent).is_err()),
        "memory" => {
            let bytes = usize::try_from(2 * sandbox::ADDRESS_SPACE_BYTES).unwrap_or(usize::MAX);
            // The optimiser must not see that the memory is never used.
            std::hint::black_box(Vec::<u8>::with_capacity(bytes)).capacity() < bytes
        }
        _ => false,
    };
    ExitCode::from(if denied { DENIED } else { ALLOWED })
}
