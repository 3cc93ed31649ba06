//! The relay's configuration: the sample is valid, mistakes are all named at once, values are never echoed.

use cloister_host::{Config, Endpoint};
use proptest::prelude::*;

const SAMPLE: &str = include_str!("../../deploy/config/host.toml");

#[test]
fn the_sample_is_valid() {
    let config = Config::from_toml(SAMPLE).unwrap();
    assert_eq!(config.inbound.listen.port(), 8443);
    assert!(config.egress.unwrap().allow.is_empty());
}

#[test]
fn every_mistake_is_reported_at_once_without_its_value() {
    let text = SAMPLE
        .replace("\"0.0.0.0:8443\"", "\"secret-host\"")
        .replace("tcp:127.0.0.1:9443", "vsock:secret")
        .replace("idle_timeout_ms = 300000", "idle_timeout_ms = 1")
        .replace("allow = []", "allow = [\"*.secret.example:1\", \"ok.example:465\", \"no-port\"]")
        .replace("127.0.0.1:9444", "192.0.2.1:9444");
    let error = Config::from_toml(&text).unwrap_err();
    let fields = [
        "inbound.listen",
        "inbound.upstream",
        "inbound.idle_timeout_ms",
        "egress.allow[0]",
        "egress.allow[2]",
        "admin.listen",
    ];
    assert_eq!(error.0.len(), fields.len(), "{error}");
    for field in fields {
        assert!(error.0.iter().any(|line| line.starts_with(field)), "{field} is missing in: {error}");
    }
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn unknown_fields_and_a_public_egress_listener_are_refused() {
    assert!(Config::from_toml(&SAMPLE.replace("proxy_protocol", "proxy_protocl")).is_err());
    assert!(Config::from_toml(&SAMPLE.replace("127.0.0.1:7080", "0.0.0.0:7080")).is_err());
    assert!(Config::from_toml(&SAMPLE.replace("max_connections = 4096", "max_connections = 0")).is_err());
}

proptest! {
    #[test]
    fn endpoints_round_trip(cid in any::<u32>(), port in any::<u32>(), ip in any::<[u8; 4]>(), tcp_port in any::<u16>()) {
        for endpoint in [Endpoint::Vsock { cid, port }, Endpoint::Tcp((ip, tcp_port).into())] {
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint);
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = text.parse::<Endpoint>();
        let _ = Config::from_toml(&text);
    }
}
