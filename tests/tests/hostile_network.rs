//! A network and clients that misbehave: clients of the appliance fail closed, and others are still served.

#![expect(clippy::disallowed_methods, reason = "tests have no App whose tracker could spawn")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use cloister_protocol::api::Me;
use cloister_tests::appliance::{Appliance, Options};
use cloister_tests::client::{Channel, Session, Trust};
use cloister_tests::scenario;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a relay does to one direction of a connection, once, after some bytes.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip,
    Drop,
    Repeat,
    Reorder,
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToEnclave,
    ToClient,
}

/// A relay in front of `upstream` that does `harm` in `direction` at byte `offset` of each connection.
async fn harmful_relay(upstream: SocketAddr, harm: Harm, direction: Direction, offset: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(enclave) = TcpStream::connect(upstream).await else { return };
                let (from_client, to_client) = client.into_split();
                let (from_enclave, to_enclave) = enclave.into_split();
                let at = |d| (direction == d).then_some((harm, offset));
                tokio::join!(
                    carry(from_client, to_enclave, at(Direction::ToEnclave)),
                    carry(from_enclave, to_client, at(Direction::ToClient))
                );
            });
        }
    });
    addr
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut harm: Option<(Harm, usize)>,
) {
    let mut buffer = [0; 16 * 1024];
    let mut seen = 0;
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let mut bytes = buffer[..n].to_vec();
        if let Some((what, offset)) = harm
            && offset < seen + n
        {
            harm = None;
            let i = offset - seen;
            match what {
                Harm::Flip => bytes[i] ^= 1,
                Harm::Drop => drop(bytes.remove(i)),
                Harm::Repeat => bytes.insert(i, bytes[i]),
                Harm::Reorder => {
                    let last = bytes.len() - 1;
                    bytes.swap(i, last);
                }
                Harm::Cut => bytes.truncate(i),
            }
            if to.write_all(&bytes).await.is_err() || matches!(what, Harm::Cut) {
                return;
            }
        } else if to.write_all(&bytes).await.is_err() {
            return;
        }
        seen += n;
    }
}

async fn started() -> (tempfile::TempDir, Appliance, Session) {
    let dir = tempfile::tempdir().expect("a folder");
    let appliance = Appliance::start(Options::for_checkout(dir.path().into()).expect("built")).expect("starts");
    let session = scenario::enrol_owner(&appliance).await.expect("enrols");
    (dir, appliance, session)
}

/// Verifies, logs in and asks who it is, all through `addr`.
async fn who_am_i(addr: SocketAddr) -> Result<Me, cloister_tests::client::Error> {
    let url = format!("https://localhost:{}", addr.port());
    let channel = Channel::open(&url, Trust::DevelopmentAllowed, scenario::now_ms()).await?;
    let session = channel.login(scenario::OWNER, scenario::PASSWORD, scenario::now_ms).await?;
    session.read("/api/v1/me").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_alters_bytes_makes_clients_fail_and_never_lie() {
    let (_dir, appliance, session) = started().await;
    let truth: Me = session.read("/api/v1/me").await.expect("undisturbed");
    let mut refused = 0;
    for harm in [Harm::Flip, Harm::Drop, Harm::Repeat, Harm::Reorder, Harm::Cut] {
        for direction in [Direction::ToEnclave, Direction::ToClient] {
            // Inside the hello, the handshake, and the first records of application data.
            for offset in [3, 60, 400, 1_300, 1_900] {
                let addr = harmful_relay(appliance.public_addr(), harm, direction, offset).await;
                match tokio::time::timeout(Duration::from_secs(30), who_am_i(addr)).await {
                    Ok(Ok(me)) => assert_eq!(me, truth, "{harm:?} {direction:?} {offset} changed an answer"),
                    Ok(Err(_)) | Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused >= 30, "only {refused} of 50 disturbed connections failed");
    let again: Me = session.read("/api/v1/me").await.expect("the appliance still serves");
    assert_eq!(again, truth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_stalled_and_idle_clients_do_not_keep_others_from_being_served() {
    let (_dir, appliance, session) = started().await;
    let public: SocketAddr = appliance.public_addr();
    let mut held = Vec::new();
    // A thousand connections that say nothing at all.
    for _ in 0..1_000 {
        held.push(TcpStream::connect(public).await.expect("accepted"));
    }
    // Clients that send half a TLS record, or garbage, and then one byte at a time.
    for start in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET / HTTP/1.1\r\n", &[0xff; 64]] {
        let mut stream = TcpStream::connect(public).await.expect("accepted");
        stream.write_all(start).await.expect("sent");
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            for _ in 0..10 {
                ticks.tick().await;
                if stream.write_all(b"\x01").await.is_err() {
                    return;
                }
            }
        });
    }
    // Clients that ask for the page and never read it.
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread
            .push(session.channel().plain(http::Method::GET, "/", &http::HeaderMap::new(), bytes::Bytes::new()).await);
    }
    for _ in 0..20 {
        let served = tokio::time::timeout(Duration::from_secs(10), session.read::<Me>("/api/v1/me")).await;
        served.expect("served in time").expect("served");
    }
    drop((held, unread));
}
