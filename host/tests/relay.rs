//! The relay through its public surface: real sockets, real time-outs, bytes that must arrive or must not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests have no App whose tracker could spawn")]

use std::net::SocketAddr;
use std::time::Duration;

use cloister_host::{Config, Drained, Relay, proxy_protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Running {
    inbound: SocketAddr,
    admin: SocketAddr,
    egress: Option<SocketAddr>,
    stop: CancellationToken,
    serving: JoinHandle<Drained>,
}

/// Starts a relay in front of `upstream`; `inbound` and `egress` are extra lines of the configuration.
async fn relay(upstream: SocketAddr, inbound: &str, egress: Option<&str>) -> Running {
    let egress = egress.map_or_else(String::new, |allow| {
        format!("[egress]\nlisten = \"127.0.0.1:0\"\nallow = [{allow}]\nconnect_timeout_ms = 2000\n")
    });
    let text = format!(
        "[inbound]\nlisten = \"127.0.0.1:0\"\nupstream = \"{upstream}\"\n{inbound}\n{egress}[admin]\nlisten = \"127.0.0.1:0\"\n"
    );
    let relay = Relay::bind(Config::from_toml(&text).expect("a valid configuration")).await.expect("free ports");
    let stop = CancellationToken::new();
    Running {
        inbound: relay.inbound_addr(),
        admin: relay.admin_addr(),
        egress: relay.egress_addr(),
        serving: tokio::spawn(relay.serve(stop.clone())),
        stop,
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

async fn http_get(addr: SocketAddr, path: &str) -> String {
    let mut s = TcpStream::connect(addr).await.unwrap();
    s.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut out = String::new();
    s.read_to_string(&mut out).await.unwrap();
    out
}

async fn metric(admin: SocketAddr, name: &str) -> u64 {
    let text = http_get(admin, "/metrics").await;
    let line = text.lines().find(|l| l.split(' ').next() == Some(name)).expect("the metric exists");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Waits for a metric, because counters follow the bytes by a moment.
async fn metric_reaches(admin: SocketAddr, name: &str, wanted: u64) {
    let reached = async {
        while metric(admin, name).await != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reached)
        .await
        .unwrap_or_else(|_| panic!("{name} never became {wanted}"));
}

#[tokio::test]
async fn half_close_is_passed_on_and_the_other_direction_goes_on() {
    let (enclave, addr) = listener().await;
    let running = relay(addr, "", None).await;
    let mut client = TcpStream::connect(running.inbound).await.unwrap();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let (mut inside, _) = enclave.accept().await.unwrap();
    let mut question = Vec::new();
    inside.read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"question");
    let answer: Vec<u8> = (0..300_000u32).map(|i| i.to_le_bytes()[0]).collect();
    inside.write_all(&answer).await.unwrap();
    drop(inside);
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, answer);
    assert_eq!(metric(running.admin, "cloister_host_bytes_in_total").await, 8);
    assert_eq!(metric(running.admin, "cloister_host_bytes_out_total").await, 300_000);
}

#[tokio::test]
async fn proxy_header_names_the_client_and_precedes_its_bytes() {
    let (enclave, addr) = listener().await;
    let running = relay(addr, "proxy_protocol = true", None).await;
    let mut client = TcpStream::connect(running.inbound).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    let (mut inside, _) = enclave.accept().await.unwrap();
    let mut got = vec![0; 28 + 5];
    inside.read_exact(&mut got).await.unwrap();
    let expected = proxy_protocol::header(client.local_addr().unwrap(), running.inbound);
    assert_eq!(&got[..28], expected);
    assert_eq!(&got[..16], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c");
    assert_eq!(&got[28..], b"hello");
}

#[test]
fn proxy_header_of_ipv6_and_mixed_addresses_is_52_bytes() {
    let v6: SocketAddr = "[2001:db8::1]:5000".parse().unwrap();
    let v4: SocketAddr = "192.0.2.7:443".parse().unwrap();
    let header = proxy_protocol::header(v6, v4);
    assert_eq!(header.len(), 52);
    assert_eq!(header[13], 0x21);
    assert_eq!(&header[32..48], "::ffff:192.0.2.7".parse::<std::net::Ipv6Addr>().unwrap().octets());
}

#[tokio::test]
async fn one_source_cannot_take_more_than_its_share() {
    let (enclave, addr) = listener().await;
    let running = relay(addr, "max_connections_per_source = 2", None).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(running.inbound).await.unwrap();
        client.write_all(b"x").await.unwrap();
        held.push((client, enclave.accept().await.unwrap()));
    }
    let mut refused = TcpStream::connect(running.inbound).await.unwrap();
    assert_eq!(refused.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(metric(running.admin, "cloister_host_connections_refused_source_limit").await, 1);
    held.pop();
    metric_reaches(running.admin, "cloister_host_connections_open", 1).await;
    let mut next = TcpStream::connect(running.inbound).await.unwrap();
    next.write_all(b"y").await.unwrap();
    let (mut inside, _) = enclave.accept().await.unwrap();
    assert_eq!(inside.read_u8().await.unwrap(), b'y');
}

#[tokio::test]
async fn the_total_is_bounded() {
    let (_enclave, addr) = listener().await;
    let running = relay(addr, "max_connections = 3", None).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(running.inbound).await.unwrap());
    }
    metric_reaches(running.admin, "cloister_host_connections_open", 3).await;
    let mut refused = TcpStream::connect(running.inbound).await.unwrap();
    assert_eq!(refused.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(metric(running.admin, "cloister_host_connections_refused_total_limit").await, 1);
}

#[tokio::test]
async fn a_thousand_idle_clients_cost_the_enclave_nothing_and_block_nobody() {
    let (enclave, addr) = listener().await;
    let running = relay(addr, "max_connections_per_source = 2000", None).await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(TcpStream::connect(running.inbound).await.unwrap());
    }
    metric_reaches(running.admin, "cloister_host_connections_open", 1_000).await;
    let mut client = TcpStream::connect(running.inbound).await.unwrap();
    client.write_all(b"!").await.unwrap();
    let (mut inside, _) = enclave.accept().await.unwrap();
    assert_eq!(inside.read_u8().await.unwrap(), b'!', "the first connection that reached the enclave is the live one");
}

#[tokio::test]
async fn silent_clients_are_cut_by_the_handshake_timeout() {
    let (_enclave, addr) = listener().await;
    let running = relay(addr, "handshake_timeout_ms = 50", None).await;
    let mut client = TcpStream::connect(running.inbound).await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(metric(running.admin, "cloister_host_handshake_timeouts_total").await, 1);
}

#[tokio::test]
async fn an_enclave_that_never_answers_is_cut_by_the_handshake_timeout() {
    let (enclave, addr) = listener().await;
    let running = relay(addr, "handshake_timeout_ms = 50", None).await;
    let mut client = TcpStream::connect(running.inbound).await.unwrap();
    client.write_all(b"x").await.unwrap();
    let _inside = enclave.accept().await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    metric_reaches(running.admin, "cloister_host_handshake_timeouts_total", 1).await;
}

#[tokio::test]
async fn established_connections_are_cut_only_when_idle() {
    let (enclave, addr) = listener().await;
    let running = relay(addr, "handshake_timeout_ms = 20\nidle_timeout_ms = 150", None).await;
    let mut client = TcpStream::connect(running.inbound).await.unwrap();
    client.write_all(b"x").await.unwrap();
    let (mut inside, _) = enclave.accept().await.unwrap();
    inside.read_u8().await.unwrap();
    // One byte every 30 ms for longer than the idle timeout keeps the connection open.
    let mut ticks = tokio::time::interval(Duration::from_millis(30));
    for i in 0..10 {
        ticks.tick().await;
        inside.write_u8(i).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), i);
    }
    assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    metric_reaches(running.admin, "cloister_host_idle_timeouts_total", 1).await;
}

#[tokio::test]
async fn an_enclave_that_is_down_closes_the_connection_and_readiness() {
    let (enclave, addr) = listener().await;
    let running = relay(addr, "", None).await;
    assert!(http_get(running.admin, "/readyz").await.starts_with("HTTP/1.1 200"));
    drop(enclave);
    assert!(http_get(running.admin, "/readyz").await.starts_with("HTTP/1.1 503"));
    let mut client = TcpStream::connect(running.inbound).await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    metric_reaches(running.admin, "cloister_host_upstream_failures_total", 1).await;
}

#[tokio::test]
async fn draining_refuses_new_clients_and_lets_open_ones_end() {
    let (enclave, addr) = listener().await;
    let running = relay(addr, "", None).await;
    let mut client = TcpStream::connect(running.inbound).await.unwrap();
    client.write_all(b"x").await.unwrap();
    let (mut inside, _) = enclave.accept().await.unwrap();
    running.stop.cancel();
    while TcpStream::connect(running.inbound).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(http_get(running.admin, "/readyz").await.contains("draining"));
    inside.write_all(b"late answer").await.unwrap();
    drop(inside);
    let mut got = String::new();
    client.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "late answer");
    drop(client);
    assert_eq!(running.serving.await.unwrap(), Drained::Clean);
}

#[tokio::test]
async fn the_drain_deadline_cuts_what_does_not_end() {
    let (enclave, addr) = listener().await;
    let running = relay(addr, "drain_timeout_ms = 50", None).await;
    let mut client = TcpStream::connect(running.inbound).await.unwrap();
    client.write_all(b"x").await.unwrap();
    let _inside = enclave.accept().await.unwrap();
    running.stop.cancel();
    assert_eq!(running.serving.await.unwrap(), Drained::Cut(1));
    assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

/// The greeting and a `CONNECT` for a domain name.
fn socks_connect(host: &str, port: u16) -> Vec<u8> {
    let mut out = vec![5, 1, 0, 5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(&port.to_be_bytes());
    out
}

#[tokio::test]
async fn egress_opens_what_the_configuration_names() {
    let (outside, destination) = listener().await;
    let (_enclave, addr) = listener().await;
    let running = relay(addr, "", Some(&format!("\"localhost:{}\"", destination.port()))).await;
    let mut enclave = TcpStream::connect(running.egress.unwrap()).await.unwrap();
    enclave.write_all(&socks_connect("LOCALHOST", destination.port())).await.unwrap();
    let mut reply = [0; 12];
    enclave.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply, [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    enclave.write_all(b"mail").await.unwrap();
    let (mut peer, _) = outside.accept().await.unwrap();
    let mut got = [0; 4];
    peer.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"mail");
}

#[tokio::test]
async fn egress_refuses_everything_else_without_a_packet() {
    let (outside, destination) = listener().await;
    let (_enclave, addr) = listener().await;
    let running = relay(addr, "", Some("\"localhost:1\", \"mail.example:465\"")).await;
    for host in ["localhost", "127.0.0.1", "mail.example"] {
        let mut enclave = TcpStream::connect(running.egress.unwrap()).await.unwrap();
        enclave.write_all(&socks_connect(host, destination.port())).await.unwrap();
        let mut reply = Vec::new();
        enclave.read_to_end(&mut reply).await.unwrap();
        assert_eq!(reply.get(3), Some(&2), "{host} is not allowed on that port");
    }
    assert_eq!(metric(running.admin, "cloister_host_egress_denied_total").await, 3);
    let nothing = tokio::time::timeout(Duration::from_millis(100), outside.accept()).await;
    assert!(nothing.is_err(), "no connection may have been made");
}

#[tokio::test]
async fn egress_answers_malformed_requests_by_closing() {
    let (_enclave, addr) = listener().await;
    let running = relay(addr, "", Some("")).await;
    let cases: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[4, 1, 0],
        &[5, 1, 2],
        &[5, 1, 0, 5, 2, 0, 1, 127, 0, 0, 1, 0, 80],
        &[5, 1, 0, 5, 1, 0, 9, 0, 0, 0, 0, 0, 0],
        &[5, 1, 0, 5, 1, 0, 3, 2, 0xff, 0xfe, 0, 80],
    ];
    for case in cases {
        let mut enclave = TcpStream::connect(running.egress.unwrap()).await.unwrap();
        enclave.write_all(case).await.unwrap();
        let mut reply = Vec::new();
        let _ = enclave.read_to_end(&mut reply).await;
        assert_ne!(reply.get(3), Some(&0), "{case:?} must not succeed");
    }
    metric_reaches(running.admin, "cloister_host_egress_failed_total", 6).await;
}
