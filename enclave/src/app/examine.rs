//! Looking through a store that no service uses: `cloister-enclave check`.

use std::sync::Arc;

use super::start::{StartError, root_key, settings};
use crate::clock::Clock;
use crate::collections;
use crate::config::Config;
use crate::keys::RootKey;
use crate::store::boot;
use crate::store::examine::{Examination, Progress};

/// Opens every record of the store, by the owner's recovery identity if one is given, and adds up every log.
///
/// Writes no record. Blocking; the service must not be running.
///
/// # Errors
/// [`StartError::NoStore`], [`StartError::Unseal`]; [`StartError::Store`] when there is nothing that can be looked through.
pub fn examine(
    config: &Config,
    clock: &Arc<dyn Clock>,
    identity: Option<&str>,
    progress: Progress<'_>,
) -> Result<Examination, StartError> {
    if !RootKey::slots_file(&config.data_dir).exists() {
        return Err(StartError::NoStore);
    }
    let root = match identity {
        Some(identity) => RootKey::recover(&config.data_dir, identity)?,
        None => root_key(config, clock)?,
    };
    let opened = boot::open(&config.data_dir, &root, Arc::clone(clock), settings(config))?;
    Ok(crate::store::examine::examine(&opened, collections::ALL, progress)?)
}
