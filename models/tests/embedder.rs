//! The embedding model, converted from its published package and run.
//!
//! The wheel is found in the folder that `CLOISTER_MODELS` names (default `var/models` of the repository);
//! `deploy/run` puts it there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::OnceLock;

use cloister_models::convert::{convert_embedder, gguf_from_wheel};
use cloister_models::{Catalogue, Embedder, Error, ModelDigest};

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

#[test]
fn sentences_of_like_meaning_are_closer() {
    let texts = ["A cat is sleeping on the sofa.", "A kitten naps on the couch.", "Interest rates rose again."];
    let vectors = embedder().embed(&texts.map(str::to_owned)).unwrap();
    let alike = dot(&vectors[0], &vectors[1]);
    assert!(alike > 0.5, "{alike}");
    assert!(dot(&vectors[0], &vectors[2]) < 0.2);
}

#[test]
fn a_text_has_the_same_vector_in_any_company() {
    let texts: Vec<String> = (0..70).map(|n| format!("Clause {n} of the contract. ").repeat(1 + n % 40)).collect();
    let together = embedder().embed(&texts).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, vector) in texts.iter().zip(&together).step_by(7) {
        let alone = embedder().embed(std::slice::from_ref(text)).unwrap();
        let similarity = dot(&alone[0], vector);
        assert!(similarity > 0.999, "{similarity}");
    }
}

#[test]
fn concurrent_callers_get_their_own_vectors() {
    let expected: Vec<_> = (0..8).map(|n| embedder().embed(&[format!("caller {n}")]).unwrap()).collect();
    std::thread::scope(|scope| {
        for (n, expected) in expected.iter().enumerate() {
            scope.spawn(move || {
                let vectors = embedder().embed(&[format!("caller {n}")]).unwrap();
                assert!(dot(&vectors[0], &expected[0]) > 0.999);
            });
        }
    });
}

#[test]
fn texts_are_cut_at_256_tokens_and_odd_ones_have_vectors() {
    let long = "word ".repeat(5_000);
    assert_eq!(embedder().count_tokens(&long), 5_002);
    let cut = "word ".repeat(254);
    let odd = [
        "",
        " \n\t",
        "\u{0}",
        "\u{1f469}\u{200d}\u{1f4bb} \u{0645}\u{0631}\u{062d}\u{0628}\u{0627} 你好",
        "[MASK] [SEP]",
    ];
    let mut texts = vec![long, cut];
    texts.extend(odd.map(str::to_owned));
    texts.push("x".repeat(100_000));
    let vectors = embedder().embed(&texts).unwrap();
    assert!(dot(&vectors[0], &vectors[1]) > 0.999);
    assert!(vectors.iter().all(|vector| (dot(vector, vector) - 1.0).abs() < 1e-4));
    assert_eq!(embedder().embed(&[]).unwrap(), Vec::<Vec<f32>>::new());
}

#[test]
fn another_package_or_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("model.gguf");
    let other = dir.path().join("other.whl");
    std::fs::write(&other, b"PK\x05\x06").unwrap();
    assert!(matches!(convert_embedder(&other, &out), Err(Error::WrongDigest { .. })));
    assert!(!out.exists());
    let entry = Catalogue::built_in().embedder().clone();
    assert!(matches!(Embedder::load(&other, &entry.sha256, 1), Err(Error::WrongDigest { .. })));
}

#[test]
fn damaged_packages_are_refused_without_a_panic() {
    let wheel = std::fs::read(wheel()).unwrap();
    assert!(matches!(gguf_from_wheel(b""), Err(Error::Convert(_))));
    assert!(matches!(gguf_from_wheel(&wheel[..wheel.len() / 2]), Err(Error::Convert(_))));
    let mut flipped = wheel;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    assert!(matches!(gguf_from_wheel(&flipped), Err(Error::Convert(_))));
}

fn embedder() -> &'static Embedder {
    static EMBEDDER: OnceLock<Embedder> = OnceLock::new();
    EMBEDDER.get_or_init(|| {
        let entry = Catalogue::built_in().embedder().clone();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(&entry.file);
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
