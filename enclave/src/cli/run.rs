//! Start, serve, stop.

use std::sync::Arc;

use cloister_enclave::app::{App, AppState, Phase};
use cloister_enclave::clock::SystemClock;
use cloister_enclave::config::Config;
use cloister_enclave::router::router;
use cloister_enclave::serve::{Drained, Server};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, chain, complain, complain_chain, logging};

pub(super) fn run(config: Config) -> Exit {
    logging::start(config.log);
    logging::silence_panics();
    keep_memory_to_ourselves();
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        complain(&"the async runtime does not start");
        return Exit::NotStarted;
    };
    let exit = runtime.block_on(live(config));
    // Threads that still compute an answer nobody waits for end with the process.
    runtime.shutdown_background();
    exit
}

/// No core dumps and no debuggers of the same user: memory holds keys and plaintext. On a real TEE the guest's kernel is
/// measured; this guards against the guest's other processes.
fn keep_memory_to_ourselves() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if limited.is_err() || hidden.is_err() {
        tracing::warn!("core dumps could not be switched off");
    }
}

async fn live(config: Config) -> Exit {
    // Before anything slow, so that a signal during the start is not missed.
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        complain(&"signals cannot be received");
        return Exit::NotStarted;
    };
    let building = App::build(config, Arc::new(SystemClock));
    let app = tokio::select! {
        built = building => match built {
            Ok(app) => AppState::new(app),
            Err(error) => {
                tracing::error!(cause = chain(&error), "could not start");
                complain_chain(&error);
                return Exit::NotStarted;
            }
        },
        _ = terminate.recv() => return Exit::Done,
        _ = interrupt.recv() => return Exit::Done,
    };
    let server = match Server::bind(app.config.listen).await {
        Ok(server) => server,
        Err(error) => {
            complain(&format_args!("the listen address cannot be bound: {}", error.kind()));
            app.close().await;
            return Exit::NotStarted;
        }
    };
    back_up_when_asked(&app);
    let stopping = CancellationToken::new();
    let serving = server_task(&app, server, stopping.clone());
    app.enter(Phase::Ready);
    let mut exit = tokio::select! {
        _ = terminate.recv() => Exit::Done,
        _ = interrupt.recv() => Exit::Done,
        _ = app.store.fault() => Exit::Fault,
    };
    tracing::info!(clean = exit == Exit::Done, "stopping");
    app.enter(Phase::Draining);
    stopping.cancel();
    if serving.await.ok() == Some(Drained::Cut) && exit == Exit::Done {
        exit = Exit::Cut;
    }
    app.close().await;
    tracing::info!("stopped");
    exit
}

/// SIGUSR1 asks for a backup.
fn back_up_when_asked(app: &AppState) {
    let Ok(mut wanted) = signal(SignalKind::user_defined1()) else { return };
    let backups = app.backups.clone();
    let asking = async move {
        while wanted.recv().await.is_some() {
            match &backups {
                Some(backups) => backups.ask(),
                None => tracing::warn!("asked for a backup, and no [backup] is configured"),
            }
        }
    };
    app.tracker.spawn(app.stopping.child_token().run_until_cancelled_owned(asking));
}

fn server_task(app: &AppState, server: Server, stopping: CancellationToken) -> tokio::task::JoinHandle<Drained> {
    tracing::info!(
        port = server.local_addr().port(),
        generator = app.models.generator.is_some(),
        page_files = app.page.len(),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    let config = &app.config;
    let (tls, limits) = (Arc::clone(&app.tls), config.limits.clone());
    app.tracker.spawn(server.run(router(app), tls, limits, config.proxy_header, stopping))
}
