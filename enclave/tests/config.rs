//! Configuration: the samples are right, and everything wrong is said at once, by name and never by value.

use cloister_attestation::collateral::Services;
use cloister_enclave::config::{Collateral, Config, Error, Listen, ProxyHeader, RootKeySlot, Tee};

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

/// The sample for a guest, with what it wants filled in.
fn hardware() -> String {
    const SAMPLE: &str = include_str!("../../deploy/config/enclave.sev-snp.toml");
    assert_eq!(mistakes(SAMPLE), ["root_key.recovery_recipient"], "somebody's own recipient, and nothing else");
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    SAMPLE.replacen("\"age1…\"", &format!("\"{recipient}\""), 1)
}

/// Every mistake as it is shown.
fn said(text: &str) -> String {
    match Config::parse(text) {
        Err(Error::Mistakes(mistakes)) => mistakes.to_string(),
        other => panic!("expected mistakes, got {other:?}"),
    }
}

#[test]
fn dc_05_the_sample_for_a_guest_asks_amd_through_the_relay_and_has_a_key_of_its_own() {
    let config = Config::parse(&hardware()).unwrap();
    assert!(config.is_for_hardware());
    assert_eq!(config.root_key, RootKeySlot::Snp);
    assert!(config.recovery_recipient.is_some());
    assert!(config.egress_relay.is_some());
    let collateral = config.attestation.unwrap().collateral;
    assert_eq!(collateral.network.unwrap().services, Services::vendors());
    let without = Config::parse(&on_hardware("auto", "tsm_report = \"/t\"\ninsecure_trust_roots = [\"a\"]")).unwrap();
    assert_eq!(without.attestation.unwrap().collateral, Collateral::default(), "nobody is asked unless it says so");
}

#[test]
fn dc_05_whom_collateral_is_asked_of_must_be_allowed_and_is_named() {
    let closed = hardware().replacen("allow = [\"kdsintf.amd.com:443\"]", "allow = []", 1);
    assert!(said(&closed).starts_with("egress.allow: must name \"kdsintf.amd.com:443\""), "{}", said(&closed));
    let relay = hardware().replacen("relay = ", "# relay = ", 1);
    assert_eq!(mistakes(&relay), ["egress.relay"]);
    let auto = hardware().replacen("tee = \"sev-snp\"", "tee = \"auto\"", 1);
    let said = said(&auto);
    for intel in ["\"api.trustedservices.intel.com:443\"", "\"certificates.trustedservices.intel.com:443\""] {
        assert!(said.contains(intel), "{said}");
    }
    assert!(!said.contains("kdsintf"), "{said}");

    let with =
        |line: &str| hardware().replacen("collateral = \"egress\"", &format!("collateral = \"egress\"\n{line}"), 1);
    let mirror = with("kds_url = \"https://mirror.example:8443/kds\"");
    assert_eq!(mistakes(&mirror), ["egress.allow"]);
    let mirror = mirror.replacen("kdsintf.amd.com:443\"]", "mirror.example:8443\"]", 1);
    let services = Config::parse(&mirror).unwrap().attestation.unwrap().collateral.network.unwrap().services;
    assert_eq!(services.kds, "https://mirror.example:8443/kds");
    for wrong in
        ["http://mirror.example", "https://u@mirror.example", "https://", "https://m.example/?a=b", "https://M.example"]
    {
        assert_eq!(mistakes(&with(&format!("kds_url = \"{wrong}\""))), ["attestation.kds_url"], "{wrong}");
    }
    assert_eq!(mistakes(&with("pcs_update = \"late\"")), ["attestation.pcs_update"]);
    // What is for asking is refused where nobody is asked.
    let folder = hardware().replacen("collateral = \"egress\"", "collateral = \"none\"\ncollateral_dir = \"/c\"", 1);
    let collateral = Config::parse(&folder).unwrap().attestation.unwrap().collateral;
    assert_eq!((collateral.folder.unwrap().to_str(), collateral.network), (Some("/c"), None));
    let idle = hardware().replacen("collateral = \"egress\"", "collateral = \"none\"\ncollateral_ca = \"ca.pem\"", 1);
    assert_eq!(mistakes(&idle), ["attestation.collateral_ca"]);
    assert_eq!(mistakes(&hardware().replacen("\"egress\"", "\"web\"", 1)), ["attestation.collateral"]);
}

#[test]
fn dc_04_a_slot_of_the_machines_own_is_never_the_only_one_and_tdx_has_none() {
    let hardware = hardware();
    let lines: Vec<&str> = hardware.lines().filter(|line| !line.starts_with("recovery_recipient")).collect();
    assert_eq!(mistakes(&lines.join("\n")), ["root_key.recovery_recipient"]);
    let tdx = hardware.replacen("tee = \"sev-snp\"", "tee = \"tdx\"", 1).replacen("\"egress\"", "\"none\"", 1);
    assert!(said(&tdx).contains("key broker"), "{}", said(&tdx));
    let file = hardware.replacen("slot = \"snp\"", "slot = \"snp\"\nfile = \"k\"", 1);
    assert_eq!(mistakes(&file), ["root_key.file"]);
    assert_eq!(mistakes(&SAMPLE.replacen("slot = \"development\"", "slot = \"snp\"", 1)), ["root_key.slot"]);
}
