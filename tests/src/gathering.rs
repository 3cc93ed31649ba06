//! An appliance that gathers collateral from a [`crate::publisher`], through its relay.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::appliance::{Appliance, Options, free_port};

/// How long something may take that happens in the background, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);

/// The same options with a way out to the server at `address` and nowhere else.
///
/// `services` are the settings of `[attestation]` that name its services, and what follows its address in each; `authority`
/// is its certificate.
///
/// # Panics
/// If no port is free.
#[must_use]
pub fn with_network(
    options: Options,
    address: SocketAddr,
    authority: &Path,
    services: &[(&'static str, &str)],
) -> Options {
    let relay = free_port().expect("a free port").to_string();
    let server = format!("localhost:{}", address.port());
    let mut settings = vec![
        (["attestation", "collateral"], "egress".into()),
        (["attestation", "collateral_ca"], authority.display().to_string().into()),
        (["egress", "allow"], vec![server.clone()].into()),
        (["egress", "relay"], relay.clone().into()),
    ];
    let service =
        |(name, path): &(&'static str, &str)| (["attestation", *name], format!("https://{server}{path}").into());
    settings.extend(services.iter().map(service));
    let relay_settings = vec![(["egress", "listen"], relay.into()), (["egress", "allow"], vec![server.clone()].into())];
    Options { settings, relay_settings, ..options }
}

/// The enclave's log so far.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn log(appliance: &Appliance) -> String {
    fs::read_to_string(appliance.data().join("enclave.log")).expect("the enclave has a log")
}

/// Waits until the log says it, `times` times.
///
/// # Panics
/// If it does not.
pub fn says(appliance: &Appliance, what: &str, times: usize) {
    until(
        || (log(appliance).matches(what).count() >= times).then_some(()),
        || format!("{what:?} is not in the log:\n{}", log(appliance)),
    );
}

/// Tries until there is something.
///
/// # Panics
/// If there is nothing for too long, with what `why` says.
pub fn until<T>(mut attempt: impl FnMut() -> Option<T>, why: impl Fn() -> String) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "{}", why());
        std::thread::sleep(Duration::from_millis(100));
    }
}
