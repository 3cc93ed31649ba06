//! What this machine has seen of appliances before: the client-held anchor of protocols, section 10.
//!
//! Whoever owns the disk of an appliance can put back an older state of all of it, and the appliance itself has no way to
//! know. Its attested statement says how far its state has come; who remembers that from the last time notices.

use std::collections::BTreeMap;
use std::path::Path;

use cloister_attestation::check::{Checklist, Planned, Stage};
use cloister_attestation::statement::{State, Statement};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::input;

/// The check of the state against what was seen of it before.
pub(crate) const EPOCH: Planned = Planned::optional(
    "state.epoch",
    Stage::Statement,
    "give --remember FILE each time. Where it fails, ask the operator whether a backup was restored: if not, an older disk or \
     a copy of it is running, and what was written since is missing",
);

const MAX_BYTES: usize = 1 << 20;

/// The file of `--remember`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// By the OPAQUE key, which an appliance has for life, as hex.
    appliances: BTreeMap<String, Seen>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    state: State,
    /// When it was seen, as text for whoever opens the file.
    at: String,
}

impl Memory {
    /// Reads the file; one that is not there yet remembers nothing.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = match input::read(path, MAX_BYTES) {
            Err(Failure::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            read => read?,
        };
        serde_json::from_slice(&bytes).map_err(|error| {
            let path = path.display();
            Failure::Usage(format!("{path}: not a file that --remember wrote ({error}); name another file"))
        })
    }

    /// Compares a statement with what was seen before.
    pub(crate) fn check(&self, checks: &mut Checklist, statement: &Statement) {
        let now = &statement.state;
        let Some(before) = self.appliances.get(&statement.opaque_pk.to_string()) else {
            checks.not_done("state.epoch", "this appliance was not seen before; from now on its state is remembered");
            return;
        };
        let (was, at) = (&before.state, &before.at);
        if now.epoch < was.epoch {
            let text = format!("the state went backwards: epoch {} now, {} was seen {at}", now.epoch, was.epoch);
            checks.fail("state.epoch", text);
        } else if now.epoch == was.epoch && now.audit_head != was.audit_head {
            let text = format!("there are two states of epoch {}: another one was seen {at}", now.epoch);
            checks.fail("state.epoch", text);
        } else {
            checks.pass(
                "state.epoch",
                format!("the state did not go backwards: epoch {}, {} was seen", now.epoch, was.epoch),
            );
        }
    }

    /// Remembers an accepted statement and writes the file, in one step.
    pub(crate) fn remember(mut self, statement: &Statement, at: &str, path: &Path) -> Result<(), Failure> {
        let seen = Seen { state: statement.state.clone(), at: at.to_owned() };
        self.appliances.insert(statement.opaque_pk.to_string(), seen);
        let text = serde_json::to_string_pretty(&self).map_err(|_| Failure::Machine("the state cannot be written"))?;
        input::replace(path, text.as_bytes())
    }
}
