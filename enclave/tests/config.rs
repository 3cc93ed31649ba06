//! Configuration: the samples are right, and everything wrong is said at once, by name and never by value.

use cloister_enclave::config::{Config, Error, Listen, ProxyHeader, Tee};

const SAMPLE: &str = include_str!("../../deploy/config/enclave.development.toml");

fn mistakes(text: &str) -> Vec<String> {
    match Config::parse(text) {
        Err(Error::Mistakes(mistakes)) => mistakes.as_slice().iter().map(|m| m.field.clone()).collect(),
        other => panic!("expected mistakes, got {other:?}"),
    }
}

#[test]
fn sample_is_accepted() {
    let config = Config::parse(SAMPLE).unwrap();
    assert_eq!(config.tee, Tee::Development);
    assert_eq!(config.public_host.to_string(), "localhost:8443");
    assert_eq!(config.public_host.name(), "localhost");
    assert_eq!(config.listen, Listen::Tcp("127.0.0.1:9443".parse().unwrap()));
    assert_eq!(config.proxy_header, ProxyHeader::Required);
    assert!(config.models.generator.is_none());
    let standard = cloister_enclave::identity::Settings::standard();
    let named = cloister_enclave::identity::Settings { organisation_name: "My organisation".to_owned(), ..standard };
    assert_eq!(config.identity, named, "s1_08: a day, idle half an hour");
}

#[test]
fn empty_file_names_every_missing_field() {
    let fields = mistakes("");
    for field in
        ["tee", "public_host", "listen", "data_dir", "root_key", "models", "identity", "egress", "limits", "log"]
    {
        assert!(fields.iter().any(|f| f == field), "{field} is not reported");
    }
}

#[test]
fn all_mistakes_are_reported_at_once_and_without_values() {
    let text = SAMPLE
        .replace("tee = \"development\"", "tee = \"sekrit-tee\"")
        .replace("drain_ms = 20000", "drain_ms = \"sekrit-drain\"")
        .replace("json_bytes = 1048576", "json_bytes = 3")
        .replace("level = \"info\"", "level = \"sekrit-level\"\nlvl = \"sekrit-unknown\"")
        .replace("allow = []", "allow = [\"sekrit-no-port\"]")
        .replace("headers = 100", "");
    let Err(error) = Config::parse(&text) else { panic!("accepted") };
    assert!(!error.to_string().contains("sekrit"), "a value is shown: {error}");
    let fields = mistakes(&text);
    assert_eq!(
        fields,
        ["tee", "egress.allow", "limits.headers", "limits.json_bytes", "limits.drain_ms", "log.level", "log.lvl"]
    );
}

#[test]
fn syntax_error_names_the_line() {
    assert_eq!(Config::parse("tee = \"development\"\nlisten = [").unwrap_err(), Error::Syntax { line: 2 });
}

#[test]
fn unreadable_file_is_an_error() {
    let missing = std::path::Path::new("/nonexistent/cloister.toml");
    assert_eq!(Config::read(missing).unwrap_err(), Error::Unreadable(std::io::ErrorKind::NotFound));
}

#[test]
fn numbers_have_bounds_on_both_sides() {
    for (good, bad) in [
        ("threads = 2 ", "threads = 0 "),
        ("threads = 2 ", "threads = -1 "),
        ("connections = 4096", "connections = 99999999999"),
        ("drain_ms = 20000", "drain_ms = 0"),
        ("session_idle_ms = 1800000", "session_idle_ms = 1"),
        ("session_absolute_ms = 86400000", "session_absolute_ms = 604800001"),
        ("workspace = \"General\"", "workspace = \"\""),
        ("headers = 100 ", "headers = 1.5 "),
    ] {
        assert_eq!(mistakes(&SAMPLE.replace(good, bad)).len(), 1, "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,400}") {
        let _ = Config::parse(&text);
    }

    #[test]
    fn no_change_to_the_sample_makes_it_panic(at in 0usize..2000, byte in 0u8..128) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        if let Some(slot) = bytes.get_mut(at) { *slot = byte; }
        if let Ok(text) = String::from_utf8(bytes) { let _ = Config::parse(&text); }
    }
}

/// The sample on hardware, with a table for it.
fn on_hardware(tee: &str, table: &str) -> String {
    let sample = SAMPLE.replacen("tee = \"development\"", &format!("tee = \"{tee}\""), 1);
    sample.replacen("[root_key]", &format!("[attestation]\n{table}\n\n[root_key]"), 1)
}

#[test]
fn hardware_says_where_its_reports_come_from_and_the_development_tee_does_not() {
    const SYNTHETIC: &str = "tsm_report = \"/t\"\ninsecure_trust_roots = [\"ark.der\"]";
    for (tee, expected) in [("auto", Tee::Auto), ("sev-snp", Tee::SevSnp), ("tdx", Tee::Tdx)] {
        let config = Config::parse(&on_hardware(tee, SYNTHETIC)).unwrap();
        assert_eq!(config.tee, expected);
        assert!(!config.is_for_hardware(), "roots that nobody trusts protect nothing");
        let attestation = config.attestation.unwrap();
        assert_eq!(attestation.tsm_report, std::path::Path::new("/t"));
        assert_eq!((attestation.privilege_level, attestation.insecure_trust_roots.len()), (None, 1));
    }
    assert_eq!(mistakes(&on_hardware("development", SYNTHETIC)), ["attestation"]);
    assert_eq!(mistakes(&SAMPLE.replacen("tee = \"development\"", "tee = \"auto\"", 1)), ["attestation"]);
    let wrong = "privilege_level = 4\ninsecure_trust_roots = [\"\"]\nfallback = true";
    let fields = mistakes(&on_hardware("auto", wrong));
    let named =
        ["tsm_report", "privilege_level", "insecure_trust_roots", "fallback"].map(|f| format!("attestation.{f}"));
    assert_eq!(fields, named);
}

#[test]
fn a_key_beside_the_data_is_refused_where_hardware_protects() {
    assert_eq!(mistakes(&on_hardware("sev-snp", "tsm_report = \"/t\"")), ["root_key.slot"]);
}
