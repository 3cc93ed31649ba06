//! The relay beside HAProxy in TCP mode: bulk throughput, new connections a second, round-trip latency.
//!
//! The same client and the same server, both in this process, run through either proxy in turn.

use std::fs;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use super::{Figure, Target, median};

const ROUNDS: usize = 7;
const BULK_BYTES: usize = 512 << 20;
const BULK_CONNECTIONS: usize = 4;
const NEW_CONNECTIONS: usize = 3_000;
const PING_CONNECTIONS: usize = 16;
const PINGS_EACH: usize = 1_500;

/// Runs all three comparisons; `binaries` holds `cloister-host`, `dir` is scratch space.
///
/// # Errors
/// If a proxy does not start or a connection through it fails.
pub async fn run(binaries: &Path, dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let tasks = TaskTracker::new();
    let server = serve(&tasks).await?;
    let ours = Proxy::cloister(binaries, dir, server)?;
    let peer = Proxy::haproxy(dir, server)?;
    ours.wait().await?;
    peer.wait().await?;
    let mut bulk = (Vec::new(), Vec::new());
    let mut fresh = (Vec::new(), Vec::new());
    let mut tail = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        eprintln!("relay: round {} of {ROUNDS}", round + 1);
        bulk.0.push(throughput(ours.addr).await?);
        bulk.1.push(throughput(peer.addr).await?);
        fresh.0.push(connections(ours.addr).await?);
        fresh.1.push(connections(peer.addr).await?);
        tail.0.push(p99(ours.addr).await?);
        tail.1.push(p99(peer.addr).await?);
    }
    let peer = "HAProxy, TCP mode";
    Ok(vec![
        Figure::ratio("relay: throughput", peer, "MB/s", median(bulk.0), median(bulk.1), Target::AtLeast(0.9)),
        Figure::ratio("relay: new connections", peer, "1/s", median(fresh.0), median(fresh.1), Target::AtLeast(0.9)),
        Figure::ratio("relay: p99 round trip", peer, "µs", median(tail.0), median(tail.1), Target::AtMost(1.2)),
    ])
}

/// The server behind both: the first byte says what to do. `B` sends the bulk, anything else echoes.
async fn serve(tasks: &TaskTracker) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let inner = tasks.clone();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            inner.spawn(async move { drop(answer(stream).await) });
        }
    });
    Ok(addr)
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    let first = stream.read_u8().await?;
    if first == b'B' {
        let mut left = BULK_BYTES / BULK_CONNECTIONS;
        while left > 0 {
            let part = buffer.get(..left.min(buffer.len())).unwrap_or_default();
            stream.write_all(part).await?;
            left -= part.len();
        }
        return stream.shutdown().await;
    }
    stream.write_u8(first).await?;
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(buffer.get(..n).unwrap_or_default()).await?;
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
async fn throughput(addr: SocketAddr) -> anyhow::Result<f64> {
    let start = Instant::now();
    let readers = (0..BULK_CONNECTIONS).map(|_| async move {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_u8(b'B').await?;
        let mut buffer = vec![0; 256 * 1024];
        let mut total = 0;
        loop {
            let n = stream.read(&mut buffer).await?;
            if n == 0 {
                return anyhow::Ok(total);
            }
            total += n;
        }
    });
    let mut total = 0;
    for got in futures::future::join_all(readers).await {
        total += got?;
    }
    anyhow::ensure!(total == BULK_BYTES, "bytes were lost: {total}");
    Ok(total as f64 / 1e6 / start.elapsed().as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "figures of a few digits")]
async fn connections(addr: SocketAddr) -> anyhow::Result<f64> {
    let start = Instant::now();
    let lanes = (0..8).map(|_| async move {
        for _ in 0..NEW_CONNECTIONS / 8 {
            let mut stream = TcpStream::connect(addr).await?;
            stream.write_u8(b'e').await?;
            stream.read_u8().await?;
        }
        anyhow::Ok(())
    });
    for lane in futures::future::join_all(lanes).await {
        lane?;
    }
    Ok(NEW_CONNECTIONS as f64 / start.elapsed().as_secs_f64())
}

async fn p99(addr: SocketAddr) -> anyhow::Result<f64> {
    let lanes = (0..PING_CONNECTIONS).map(|_| async move {
        let mut stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        stream.write_u8(b'e').await?;
        stream.read_u8().await?;
        let mut message = [b'x'; 128];
        let mut times = Vec::with_capacity(PINGS_EACH);
        for _ in 0..PINGS_EACH {
            let start = Instant::now();
            stream.write_all(&message).await?;
            stream.read_exact(&mut message).await?;
            times.push(start.elapsed());
        }
        anyhow::Ok(times)
    });
    let mut times = Vec::new();
    for lane in futures::future::join_all(lanes).await {
        times.extend(lane?);
    }
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).context("no pings")?;
    Ok(p99.as_secs_f64() * 1e6)
}

struct Proxy {
    addr: SocketAddr,
    child: Child,
}

impl Proxy {
    fn cloister(binaries: &Path, dir: &Path, server: SocketAddr) -> anyhow::Result<Self> {
        let addr = free_port()?;
        let config = format!(
            "[inbound]\nlisten = \"{addr}\"\nupstream = \"{server}\"\nmax_connections_per_source = 4096\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n"
        );
        let path = dir.join("bench-host.toml");
        fs::write(&path, config)?;
        let mut command = Command::new(binaries.join("cloister-host"));
        command.args(["run", "--config"]).arg(path);
        Self::start(command, addr)
    }

    fn haproxy(dir: &Path, server: SocketAddr) -> anyhow::Result<Self> {
        let addr = free_port()?;
        let config = format!(
            "global\n  nbthread 2\n  maxconn 4096\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 300s\n  \
             timeout server 300s\nfrontend f\n  bind {addr}\n  default_backend b\nbackend b\n  server s {server}\n"
        );
        let path = dir.join("bench-haproxy.cfg");
        fs::write(&path, config)?;
        let mut command = Command::new("haproxy");
        command.arg("-f").arg(path);
        Self::start(command, addr)
    }

    fn start(mut command: Command, addr: SocketAddr) -> anyhow::Result<Self> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("start a proxy")?;
        Ok(Self { addr, child })
    }

    async fn wait(&self) -> anyhow::Result<()> {
        for _ in 0..500 {
            if TcpStream::connect(self.addr).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("a proxy did not start")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> std::io::Result<SocketAddr> {
    StdListener::bind("127.0.0.1:0")?.local_addr()
}
