//! Exports: the whole log as static files that anybody can verify without us.
//!
//! The layout is the verifier's ([`cloister_attestation::export`]); this gathers the parts, and encrypts the result to
//! the officer's age recipient if there is one. An export is itself an event of the log, on the disk before a byte of it
//! leaves.

use std::io::Write as _;
use std::str::FromStr;

use cloister_attestation::export::{Attestation, BuildError, Contents, LogKey, build};
use cloister_attestation::note::{Checkpoint, Vkey};
use cloister_protocol::ids::PersonId;

use super::event::{Class, Event};
use super::leaf::OCSF_VERSION;
use super::{Head, LEAVES, Log};
use crate::store::Error as StoreError;

/// What each event class means, for readers of the records.
const SCHEMA_FILES: &[(&str, &[u8])] = &[("events.json", include_bytes!("events.json"))];

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read, or the export cannot be noted in it.
    #[error("the log cannot be read")]
    Store(#[from] StoreError),
    /// The parts do not fit together; the log is damaged.
    #[error("the log does not verify")]
    Build(#[source] BuildError),
    /// Not the head of a log of this appliance.
    #[error("the earlier checkpoint is not of this log")]
    Previous,
    /// The result cannot be encrypted.
    #[error("the export cannot be encrypted")]
    Encrypt,
}

/// The officer's key: an age X25519 recipient (`age1…`).
#[derive(Debug, Clone)]
pub struct Recipient(age::x25519::Recipient);

/// Not an age X25519 recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an age X25519 recipient")]
pub struct InvalidRecipient;

impl FromStr for Recipient {
    type Err = InvalidRecipient;

    fn from_str(text: &str) -> Result<Self, InvalidRecipient> {
        text.parse().map(Self).map_err(|_| InvalidRecipient)
    }
}

/// What an export shall be.
#[derive(Debug)]
pub struct Request<'a> {
    /// Who asks for it.
    pub by: PersonId,
    /// To whom it is encrypted; in clear if to nobody.
    pub recipient: Option<&'a Recipient>,
    /// The signed checkpoint of the export before.
    pub previous: Option<&'a str>,
}

impl Log {
    /// Notes the export in the log and answers the head that the export will have. The first event of a log makes its
    /// key, so an attestation document that shall name the key is made after this.
    ///
    /// # Errors
    /// [`Error::Previous`], [`Error::Store`].
    pub async fn record_export(&self, request: &Request<'_>) -> Result<Head, Error> {
        let head = self.head()?.unwrap_or_default();
        let from = match request.previous {
            Some(previous) => self.check_previous(previous, &head)?,
            None => 0,
        };
        let recipient = request.recipient.map(|recipient| recipient.0.to_string());
        let event = Event::new(Class::ApiRead, "log.export")
            .by(request.by)
            .detail("from", from)
            .detail("size", head.size)
            .detail("recipient", recipient);
        let mut batch = self.store().batch();
        batch.audit(event);
        batch.commit().await?;
        Ok(self.head()?.unwrap_or_default())
    }

    /// Makes the export of a head that [`Self::record_export`] answered: a tar, or an age file with one inside. Blocking,
    /// and in memory. `evidence` holds a document without a nonce, and the logs and keys that its statement digests.
    ///
    /// # Errors
    /// [`Error::Build`] when the log does not verify; [`Error::Store`]; [`Error::Encrypt`].
    pub fn export(
        &self,
        head: &Head,
        request: &Request<'_>,
        evidence: Option<Attestation<'_>>,
    ) -> Result<Vec<u8>, Error> {
        let vkey = Vkey::parse(&head.vkey).map_err(|_| StoreError::Integrity { what: LEAVES.name() })?;
        let leaves = (0..head.size).map(|index| self.leaf(index)).collect::<Result<Vec<_>, _>>()?;
        let shared = &self.store().inner().shared;
        let settings = &shared.settings;
        let tar = build(&Contents {
            vkeys: &[vkey],
            checkpoint: &head.checkpoint,
            previous: request.previous,
            leaves: &leaves,
            attestation: evidence,
            schema_files: SCHEMA_FILES,
            schema: &format!("ocsf-{OCSF_VERSION}"),
            app_version: &settings.product_version,
            measurement: Some(settings.measurement.as_str()).filter(|measurement| !measurement.is_empty()),
            exported_ms: shared.clock.now_ms(),
        });
        let tar = tar.map_err(Error::Build)?;
        match request.recipient {
            Some(recipient) => encrypt(&recipient.0, &tar),
            None => Ok(tar),
        }
    }

    fn check_previous(&self, previous: &str, head: &Head) -> Result<u64, Error> {
        let vkey = self.vkey()?.ok_or(Error::Previous)?;
        let checkpoint = Checkpoint::open(previous.as_bytes(), &[vkey]).map_err(|_| Error::Previous)?;
        if checkpoint.size <= head.size { Ok(checkpoint.size) } else { Err(Error::Previous) }
    }
}

fn encrypt(recipient: &age::x25519::Recipient, tar: &[u8]) -> Result<Vec<u8>, Error> {
    let recipients = std::iter::once(recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|_| Error::Encrypt)?;
    let mut out = Vec::with_capacity(tar.len() + tar.len() / 1024 + 1024);
    let mut writer = encryptor.wrap_output(&mut out).map_err(|_| Error::Encrypt)?;
    writer.write_all(tar).and_then(|()| writer.finish().map(drop)).map_err(|_| Error::Encrypt)?;
    Ok(out)
}

impl crate::store::Store {
    /// The logs and their keys, as an export lists them and the statement's `log_keys_root` digests them.
    #[must_use]
    pub fn log_key_list(&self) -> Vec<LogKey> {
        let list = |key: Vkey| LogKey { vkey: key.to_string(), origin: key.name };
        self.log_keys().into_iter().map(list).collect()
    }
}
