//! `cloister-verify proxy`: a local port that speaks the OpenAI protocol and makes every client of it a verified one.
//!
//! `gate` decides who may use the port, `serve` reads a request, `forward` sends it, `pool` hands out connections that
//! `upstream` has verified, `ehbp` encrypts to the attested key, `body` opens the answer. It refuses to send anything to
//! an appliance that was not accepted, to speak to pages in browsers, and to keep or log any content.

mod args;
mod body;
mod ehbp;
mod forward;
mod gate;
mod headers;
mod log;
mod pool;
mod reply;
mod serve;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use args::ProxyArgs;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::gate::Reach;
use self::pool::Pool;
use self::serve::Port;
use self::upstream::{Refusal, Upstream};
use crate::failure::Failure;
use crate::judge::Judge;
use crate::report::Report;
use crate::target::Target;

/// Clients at the same time. Fewer than the streams that an appliance takes on one connection.
const MAX_CONNECTIONS: usize = 64;
/// How long requests under way may go on after the first Ctrl-C; a second one ends them.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs until it is stopped. The verdict, if the appliance is refused at the start.
pub(crate) fn run(args: &ProxyArgs, as_json: bool) -> Result<Option<Report>, Failure> {
    if args.judge.at.is_some() {
        return Err(Failure::Usage("--at is for judging the past; a proxy judges by the clock".to_owned()));
    }
    let reach = reach(args)?;
    let target: Target = args.url.parse()?;
    let judge = Judge::new(&args.judge)?.with_endorsements(&args.endorsements)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|_| Failure::Machine("no asynchronous runtime on this machine"))?;
    runtime.block_on(async {
        let tasks = TaskTracker::new();
        let upstream = Upstream::new(target.clone(), judge, args.channel.clone(), args.max_age(), tasks.clone());
        serve(args.listen, reach, &target, Pool::new(upstream), tasks, as_json).await
    })
}

fn reach(args: &ProxyArgs) -> Result<Reach, Failure> {
    match (args.insecure_listen_anywhere, args.listen.ip()) {
        (true, _) => Ok(Reach::Anywhere),
        (false, ip) if ip.is_loopback() => Ok(Reach::Loopback(ip)),
        (false, ip) => Err(Failure::Usage(format!(
            "{ip} can be reached from other machines, in clear: listen on 127.0.0.1 or [::1], or say \
             --insecure-listen-anywhere"
        ))),
    }
}

async fn serve(
    listen: SocketAddr,
    reach: Reach,
    target: &Target,
    pool: Pool,
    tasks: TaskTracker,
    as_json: bool,
) -> Result<Option<Report>, Failure> {
    let taken = |error: std::io::Error| Failure::Network { host: listen.to_string(), reason: error.to_string() };
    let listener = TcpListener::bind(listen).await.map_err(taken)?;
    let local = listener.local_addr().map_err(taken)?;
    let verified = match pool.verified().await {
        Ok(verified) => verified,
        Err(Refusal::NotVerified(report)) => return Ok(Some(Arc::unwrap_or_clone(report))),
        Err(Refusal::Unreachable(reason)) => return Err(Failure::Network { host: target.authority(), reason }),
    };
    log::started(local, &pool.origin(), &verified.report, as_json)
        .map_err(|_| Failure::Machine("the standard output is closed"))?;
    drop(verified);
    let stopping = CancellationToken::new();
    let port = Port::new(Arc::new(pool), reach, tasks.clone(), stopping.clone());
    let accepting = tasks.spawn(port.accept(listener));
    stop_signal().await?;
    log::line("stopping: requests under way are answered; Ctrl-C again ends them");
    stopping.cancel();
    tasks.close();
    let drained = async {
        drop(accepting.await);
        tasks.wait().await;
    };
    tokio::select! {
        _ = timeout(DRAIN, drained) => (),
        again = stop_signal() => again?,
    }
    Ok(None)
}

/// Ctrl-C, or SIGTERM.
async fn stop_signal() -> Result<(), Failure> {
    let watch = |kind| signal(kind).map_err(|_| Failure::Machine("signals cannot be watched on this machine"));
    let (mut interrupt, mut terminate) = (watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
    Ok(())
}
