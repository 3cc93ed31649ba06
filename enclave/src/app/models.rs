//! Loading the models that the configuration names: by digest, into private memory.

use std::path::Path;
use std::sync::Arc;

use cloister_models::catalogue::{Catalogue, ModelRole};
use cloister_models::{Embedder, Generator, GeneratorConfig, ModelDigest, Template};

use crate::config;

/// Tokens that prompt and answer of one conversation turn may have together.
const CONTEXT_TOKENS: usize = 4096;
/// Requests that may wait for a place, in all and of one tenant.
const MAX_WAITING: usize = 64;
const MAX_WAITING_PER_TENANT: usize = 8;

/// Why a model is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The catalogue has no such model, and the configuration gives no digest.
    #[error("the model is not in the catalogue, and the configuration gives no sha256 for it")]
    Unknown,
    /// The catalogue's entry is for something else.
    #[error("the catalogue's entry is of another role")]
    Role,
    /// The runtime refuses.
    #[error(transparent)]
    Load(#[from] cloister_models::Error),
}

/// The models of this process, with the names that statements and receipts call them by.
#[derive(Debug, Clone)]
pub struct LoadedModels {
    /// Finds meaning.
    pub embedder: Arc<Embedder>,
    /// Name of the embedder.
    pub embedder_id: String,
    /// Writes answers, if there is one.
    pub generator: Option<Arc<Generator>>,
    /// Name of the generator, if there is one.
    pub generator_id: Option<String>,
}

impl LoadedModels {
    /// Loads and checks them. Blocking: it reads and hashes whole files.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn load(config: &config::Models) -> Result<Self, ModelError> {
        let threads = usize::try_from(config.threads).unwrap_or(1);
        let (digest, _) = resolve(&config.embedder, ModelRole::Embedder)?;
        let embedder = Embedder::load(&config.embedder.path, &digest, threads)?;
        let generator = config.generator.as_ref().map(|model| load_generator(model, config)).transpose()?;
        Ok(Self {
            embedder: Arc::new(embedder),
            embedder_id: config.embedder.id.clone(),
            generator_id: generator.is_some().then(|| config.generator.as_ref().map(|g| g.id.clone())).flatten(),
            generator: generator.map(Arc::new),
        })
    }
}

fn load_generator(model: &config::Model, config: &config::Models) -> Result<Generator, ModelError> {
    let (digest, template) = resolve(model, ModelRole::Generator)?;
    let settings = GeneratorConfig {
        threads: usize::try_from(config.threads).unwrap_or(1),
        parallel: usize::try_from(config.parallel).unwrap_or(1),
        n_ctx_per_seq: CONTEXT_TOKENS,
        template,
        max_waiting: MAX_WAITING,
        max_waiting_per_key: MAX_WAITING_PER_TENANT,
    };
    let path: &Path = &model.path;
    Ok(Generator::load(path, &digest, settings)?)
}

/// The digest that the file must have, and how conversations are written for it.
fn resolve(model: &config::Model, role: ModelRole) -> Result<(ModelDigest, Template), ModelError> {
    if let Some(digest) = model.sha256 {
        return Ok((digest, model.template.unwrap_or_default()));
    }
    let catalogue = Catalogue::built_in();
    let entry = catalogue.get(&model.id).map_err(|_| ModelError::Unknown)?;
    if entry.role != role {
        return Err(ModelError::Role);
    }
    Ok((entry.sha256, model.template.unwrap_or(entry.template)))
}
