//! A connection to somewhere outside, through the relay: SOCKS 5 (RFC 1928), `CONNECT` without authentication.
//!
//! The policy is enforced here, before the relay is asked; the relay holds the same list. Names are resolved on its side,
//! which is the host's: whoever uses the connection has to find out by TLS, or by what comes over it, whom it leads to.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::EgressPolicy;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
const NAME: u8 = 3;

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The configuration does not name the destination.
    #[error("the egress policy does not allow the destination")]
    NotAllowed,
    /// The relay cannot be reached, or hung up.
    #[error("the relay's egress listener cannot be reached: {0}")]
    Relay(io::ErrorKind),
    /// The relay does not allow the destination.
    #[error("the relay does not allow the destination: its own egress.allow has to name it too")]
    Denied,
    /// The relay does not reach the destination.
    #[error("the relay cannot reach the destination")]
    Unreachable,
    /// What answers is no SOCKS 5 listener.
    #[error("what answers at egress.relay is not the relay's egress listener")]
    Protocol,
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Relay(error.kind())
    }
}

/// The way out.
#[derive(Debug, Clone)]
pub struct Egress {
    relay: SocketAddr,
    policy: EgressPolicy,
}

impl Egress {
    /// Through the relay's egress listener, to the destinations of `policy`.
    #[must_use]
    pub const fn new(relay: SocketAddr, policy: EgressPolicy) -> Self {
        Self { relay, policy }
    }

    /// Connects to `host` at `port`. The caller bounds the time.
    ///
    /// # Errors
    /// [`enum@Error`].
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let length = u8::try_from(host.len()).map_err(|_| Error::NotAllowed)?;
        if !self.policy.allows(&format!("{host}:{port}")) {
            return Err(Error::NotAllowed);
        }
        let mut relay = TcpStream::connect(self.relay).await?;
        relay.set_nodelay(true)?;
        relay.write_all(&[VERSION, 1, NO_AUTHENTICATION]).await?;
        if read::<2>(&mut relay).await? != [VERSION, NO_AUTHENTICATION] {
            return Err(Error::Protocol);
        }
        let mut request = vec![VERSION, CONNECT, 0, NAME, length];
        request.extend_from_slice(host.as_bytes());
        request.extend_from_slice(&port.to_be_bytes());
        relay.write_all(&request).await?;
        // The relay answers with an address of four bytes, which says nothing, and a port.
        match read::<10>(&mut relay).await? {
            [VERSION, 0, 0, 1, ..] => Ok(relay),
            [VERSION, 2, ..] => Err(Error::Denied),
            [VERSION, 1 | 3..=8, ..] => Err(Error::Unreachable),
            _ => Err(Error::Protocol),
        }
    }
}

async fn read<const N: usize>(relay: &mut TcpStream) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    relay.read_exact(&mut bytes).await?;
    Ok(bytes)
}
