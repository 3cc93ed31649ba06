//! The first owner's one-time enrolment link, in a file that only its owner can read.
//!
//! Whoever runs the first start holds it: that is how an appliance without an organisation gets one. The file goes as
//! soon as the organisation is founded.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{App, StartError};
use crate::config::PublicHost;
use crate::identity::Identity;

/// How often to look whether the organisation is founded.
const EVERY: Duration = Duration::from_millis(500);

/// The link for a code. What follows `#` is not sent to any server.
#[must_use]
pub(crate) fn link(host: &PublicHost, code: &str) -> String {
    format!("https://{host}/#enrol={code}")
}

/// Writes the link if there is no organisation yet, and takes care that it goes away.
pub(super) async fn offer(app: &App) -> Result<(), StartError> {
    let path = app.config.enrolment_link_file.clone();
    match app.identity.first_owner_code().await.map_err(StartError::Enrolment)? {
        None => remove(&path).map_err(StartError::Link),
        Some(enrolment) => {
            let link = link(&app.config.public_host, &enrolment.code);
            write(&path, &link).map_err(StartError::Link)?;
            app.tracker.spawn(remove_when_founded(Arc::clone(&app.identity), path, app.stopping.child_token()));
            Ok(())
        }
    }
}

async fn remove_when_founded(identity: Arc<Identity>, path: PathBuf, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = interval.tick() => {}
        }
        match identity.tenancy().is_founded() {
            Ok(false) => {}
            Ok(true) => {
                if let Err(error) = remove(&path) {
                    tracing::warn!(kind = ?error.kind(), "the used enrolment link could not be removed");
                }
                return;
            }
            Err(_) => return,
        }
    }
}

/// A new file, mode 0600 from its first moment, put in place whole.
fn write(path: &Path, link: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    remove(Path::new(&temporary))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{link}")?;
    fs::rename(&temporary, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
