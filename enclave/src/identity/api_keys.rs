//! API keys: bearer secrets for programs that have attested their channel (S1-10, C-03).
//!
//! A key is good for one workspace and acts for the person who made it, with that person's role of the moment.

use cloister_protocol::api::{ApiKey, ApiKeyCreated, CreateApiKey};
use cloister_protocol::ids::ApiKeyId;

use super::records::{API_KEY_INDEX, API_KEYS, ApiKeyIndexRecord, ApiKeyRecord};
use super::token::{Digest, Token};
use super::{Authenticated, Credential, Error, Identity, MINUTE_MS};
use crate::access::Authorized;
use crate::audit::Class;
use crate::fresh;
use crate::store;
use crate::tenancy::Name;

/// What a secret begins with, so that leaks can be searched for.
pub(super) const PREFIX: &str = "clk_";
/// Keys of one person.
const MOST_KEYS: usize = 100;

impl Identity {
    /// Makes an API key for a workspace. The secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`Error::Tenancy`] for an unusable name, [`Error::Full`], [`Error::Store`].
    pub async fn create_api_key(&self, by: &Authorized, request: &CreateApiKey) -> Result<ApiKeyCreated, Error> {
        let now_ms = self.now_ms();
        let name: Name = request.name.parse()?;
        let tenant = self.store.scope(by.scope());
        let group = by.person().to_string();
        if tenant.list_in(&API_KEYS, &group)?.len() >= MOST_KEYS {
            return Err(Error::Full { what: "api keys" });
        }
        let (id, secret) = (fresh::id(ApiKeyId::from_parts, now_ms), Token::<32>::generate());
        let digest = secret.digest().key();
        let (person, org, workspace) = (by.person(), by.org(), request.workspace_id);
        let record = ApiKeyRecord { name: name.into(), workspace, digest: digest.clone(), created_ms: now_ms };
        let mut batch = tenant.batch();
        batch.put_in(&API_KEYS, &group, &id.to_string(), &record).audit(
            by.event(Class::AccessAssigned, "api-key.create")
                .detail("api_key", id.to_string())
                .detail("workspace", workspace.to_string()),
        );
        let mut system = self.system().batch();
        system.put(&API_KEY_INDEX, &digest, &ApiKeyIndexRecord { id, person, org, workspace, last_used_ms: None });
        batch.join(system);
        batch.commit().await?;
        Ok(ApiKeyCreated { id, secret: format!("{PREFIX}{}", secret.expose()) })
    }

    /// The caller's API keys, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn api_keys(&self, by: &Authorized) -> Result<Vec<ApiKey>, Error> {
        let records = self.store.scope(by.scope()).list_in(&API_KEYS, &by.person().to_string())?;
        let system = self.system();
        let mut keys = Vec::with_capacity(records.len());
        for (id, record) in records.into_iter().rev() {
            let Ok(id) = id.parse() else { continue };
            let last_used_ms = system.get(&API_KEY_INDEX, &record.digest)?.and_then(|index| index.last_used_ms);
            let ApiKeyRecord { name, workspace: workspace_id, created_ms, .. } = record;
            keys.push(ApiKey { id, name, workspace_id, created_ms, last_used_ms });
        }
        Ok(keys)
    }

    /// Revokes one of the caller's API keys, at once.
    ///
    /// # Errors
    /// [`Error::UnknownApiKey`], also for a key of somebody else; [`Error::Store`].
    pub async fn revoke_api_key(&self, by: &Authorized, id: ApiKeyId) -> Result<(), Error> {
        let tenant = self.store.scope(by.scope());
        let (group, key) = (by.person().to_string(), id.to_string());
        let found = tenant.get_versioned_in(&API_KEYS, &group, &key)?;
        let (record, version) = found.ok_or(Error::UnknownApiKey)?;
        let mut batch = tenant.batch();
        batch
            .expect_version_in(&API_KEYS, &group, &key, version)
            .delete_in(&API_KEYS, &group, &key)
            .audit(by.event(Class::AccessRevoked, "api-key.revoke").detail("api_key", key.clone()));
        let mut system = self.system().batch();
        system.delete(&API_KEY_INDEX, &record.digest);
        batch.join(system);
        match batch.commit().await {
            Ok(_) => Ok(()),
            Err(store::Error::Conflict { .. }) => Err(Error::UnknownApiKey),
            Err(error) => Err(error.into()),
        }
    }

    /// The person behind a valid key.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Store`].
    pub(super) fn api_key(&self, secret: &Token<32>) -> Result<Authenticated, Error> {
        let record = self.system().get(&API_KEY_INDEX, &secret.digest().key())?.ok_or(Error::Unauthenticated)?;
        let credential = Credential::ApiKey(record.id, record.workspace);
        Ok(Authenticated { person: record.person, org: record.org, credential })
    }

    /// Notes that a key was used, once a minute.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn touch_api_key(&self, digest: Digest, now_ms: u64) -> Result<(), Error> {
        let (system, key) = (self.system(), digest.key());
        let Some((mut record, version)) = system.get_versioned(&API_KEY_INDEX, &key)? else {
            return Err(Error::Unauthenticated);
        };
        let minute_ms = now_ms - now_ms % MINUTE_MS;
        if record.last_used_ms.is_some_and(|last| minute_ms <= last) {
            return Ok(());
        }
        record.last_used_ms = Some(minute_ms);
        let mut batch = system.batch();
        batch.expect_version(&API_KEY_INDEX, &key, version).put(&API_KEY_INDEX, &key, &record);
        match batch.commit().await {
            // Another request was quicker, or the key was just revoked: neither may be undone.
            Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
