//! Gives up every right that reading a document does not need, before the first byte of it is read.
//!
//! Afterwards the process can read standard input, write standard output and error, use a bounded amount of memory and
//! processor time, and end. Layers, each enough against most attacks on its own:
//!
//! 1. `no_new_privs`, death with the parent, no core dump and no tracing;
//! 2. namespaces of its own without network and without other users' processes, where the platform lets an unprivileged
//!    process have them (the one layer that is best effort, because many containers forbid it);
//! 3. landlock with no rule: no file and, from ABI 4 on, no TCP; from ABI 6 on no signals and abstract sockets outward;
//! 4. resource limits;
//! 5. seccomp: an allow-list with arguments, the penalty for all else is death of the process.
//!
//! Layers 1, 3, 4 and 5 are required: without them the process refuses to work.

use std::io;

use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Memory that the process may map, bytes.
pub(crate) const ADDRESS_SPACE_BYTES: u64 = 1 << 30;
/// Processor time until the kernel ends the process, seconds.
pub(crate) const CPU_SECONDS: u64 = 20;

/// Why the sandbox does not hold. The worker then reads nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A system call of layers 1 or 4 was refused.
    #[error("the kernel refused to limit the process")]
    Limit(#[from] rustix::io::Errno),
    /// Landlock refused the rules.
    #[error("landlock refused the ruleset")]
    Landlock(#[from] landlock::RulesetError),
    /// The kernel has no landlock, or it is switched off at boot.
    #[error("landlock is not enforced by this kernel; boot with lsm=landlock,… on Linux 5.13 or newer")]
    NoLandlock,
    /// The filter could not be compiled for this processor.
    #[error("the seccomp filter does not compile")]
    Filter(#[from] seccompiler::BackendError),
    /// The kernel has no seccomp, or refused the filter.
    #[error("seccomp refused the filter")]
    Seccomp(#[from] seccompiler::Error),
}

/// How much of the sandbox to put up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layers {
    /// Everything. The only form in which documents are read.
    All,
    /// Everything but seccomp, so that the self-test can see that landlock denies on its own.
    WithoutSeccomp,
}

/// Enters the sandbox; there is no way back.
pub(crate) fn enter(layers: Layers) -> Result<(), Error> {
    leave_namespaces();
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    deny_files_and_network()?;
    limit_resources()?;
    if layers == Layers::All {
        let filter: BpfProgram = filter()?.try_into()?;
        seccompiler::apply_filter(&filter)?;
    }
    Ok(())
}

/// Takes new, empty namespaces where that is allowed. A root process also loses its rights in the outer ones this way.
fn leave_namespaces() {
    use rustix::thread::UnshareFlags as Flags;
    let all = Flags::NEWUSER | Flags::NEWNET | Flags::NEWIPC | Flags::NEWUTS | Flags::NEWNS | Flags::NEWPID;
    #[expect(
        deprecated,
        reason = "deprecated for what FILES does to descriptors of other threads; it is not used here"
    )]
    let unshare = rustix::thread::unshare;
    // Best effort, as the module says: landlock and seccomp deny the same things and are required.
    let _: io::Result<()> = unshare(all).or_else(|_| unshare(Flags::NEWNET)).map_err(io::Error::from);
}

/// Landlock without a single rule denies every file right that the kernel knows, the newest as far as it knows them.
fn deny_files_and_network() -> Result<(), Error> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?;
    // Partly enforced is an older kernel: it denies all files; what it lacks (TCP, scopes) seccomp denies as well.
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err(Error::NoLandlock);
    }
    Ok(())
}

fn limit_resources() -> Result<(), Error> {
    let limits = [
        (Resource::As, ADDRESS_SPACE_BYTES),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nproc, 0),
        (Resource::Nofile, 3),
        (Resource::Memlock, 0),
    ];
    for (resource, limit) in limits {
        // At the soft limit of time comes SIGXCPU, which says what happened; at the hard one SIGKILL, which does not.
        let hard = if resource == Resource::Cpu { limit.saturating_add(1) } else { limit };
        // Never raise what the caller has limited further.
        let hard = rustix::process::getrlimit(resource).maximum.map_or(hard, |inherited| inherited.min(hard));
        let limits = Rlimit { current: Some(limit.min(hard)), maximum: Some(hard) };
        rustix::process::setrlimit(resource, limits)?;
    }
    Ok(())
}

/// What the parsers need: standard streams, memory that is never executable, the clock, randomness for hash maps, and
/// the ways in which a Rust process ends.
fn filter() -> Result<SeccompFilter, Error> {
    let own_pid = u64::from(rustix::process::getpid().as_raw_nonzero().get().unsigned_abs());
    let always = [
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_clock_gettime,
        libc::SYS_getrandom,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_sched_yield,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let not_executable = || argument(2, SeccompCmpOp::MaskedEq(u64::from(libc::PROT_EXEC.unsigned_abs())), 0);
    let mut rules: Vec<(i64, Vec<SeccompRule>)> = always.into_iter().map(|call| (call, Vec::new())).collect();
    rules.push((libc::SYS_read, vec![argument(0, SeccompCmpOp::Eq, 0)?]));
    rules.push((libc::SYS_write, vec![argument(0, SeccompCmpOp::Eq, 1)?, argument(0, SeccompCmpOp::Eq, 2)?]));
    rules.push((libc::SYS_mmap, vec![not_executable()?]));
    rules.push((libc::SYS_mprotect, vec![not_executable()?]));
    // abort() sends a signal to the process itself; running out of memory ends that way and is told apart by it.
    rules.push((libc::SYS_tgkill, vec![argument(0, SeccompCmpOp::Eq, own_pid)?]));
    let target = std::env::consts::ARCH.try_into()?;
    let filter =
        SeccompFilter::new(rules.into_iter().collect(), SeccompAction::KillProcess, SeccompAction::Allow, target)?;
    Ok(filter)
}

fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, Error> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}
