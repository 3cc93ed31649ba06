//! The embedding model, converted from its published package and run.
//!
//! The wheel is found in the folder that `CLOISTER_MODELS` names (default `var/models` of the repository);
//! `deploy/run` puts it there.

use std::path::PathBuf;
use std::sync::OnceLock;

use cloister_models::convert::{convert_embedder, gguf_from_wheel};
use cloister_models::{Catalogue, Embedder, ModelDigest};

/// First numbers of the vector of "The cat sits outside", as the model's publisher prints them.
const PUBLISHED: [f32; 5] = [0.1393, 0.0030, 0.0470, 0.0395, -0.0480];

#[test]
fn conversion_is_deterministic_and_pinned() {
    let wheel = std::fs::read(wheel()).unwrap();
    let gguf = gguf_from_wheel(&wheel).unwrap();
    let entry = Catalogue::built_in().embedder().clone();
    assert_eq!(ModelDigest::of(&gguf), entry.sha256);
    assert_eq!(u64::try_from(gguf.len()).unwrap(), entry.size_bytes);
}

#[test]
fn vectors_agree_with_the_published_numbers() {
    let texts = ["The cat sits outside".to_owned()];
    let vectors = embedder().embed(&texts).unwrap();
    let vector = &vectors[0];
    assert_eq!(vector.len(), 384);
    assert!((dot(vector, vector) - 1.0).abs() < 1e-5);
    for (ours, published) in vector.iter().zip(PUBLISHED) {
        assert!((ours - published).abs() < 0.004, "{ours} is not {published}");
    }
}

fn embedder() -> &'static Embedder {
    static EMBEDDER: OnceLock<Embedder> = OnceLock::new();
    EMBEDDER.get_or_init(|| {
        let entry = Catalogue::built_in().embedder().clone();
        let file = tempfile::tempdir().unwrap().keep().join(&entry.file);
        convert_embedder(&wheel(), &file).unwrap();
        Embedder::load(&file, &entry.sha256, 2).unwrap()
    })
}

fn wheel() -> PathBuf {
    let folder = std::env::var_os("CLOISTER_MODELS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../var/models")), PathBuf::from);
    let catalogue = Catalogue::built_in();
    let path = folder.join(&catalogue.embedder().package.as_ref().unwrap().file);
    assert!(path.exists(), "{} is missing: `deploy/run` fetches it", path.display());
    path
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
