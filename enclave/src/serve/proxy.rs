//! PROXY protocol version 2: the relay's word for where a connection comes from.
//!
//! Specification: haproxy.org `proxy-protocol.txt`, section 2.2. The relay is not trusted: the address is a hint for
//! rate limits, and the header is read before TLS begins, with a bound on its length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The most that the specification asks a receiver to take (section 2.2: 536 bytes, so that it fits one segment).
const MAX_PAYLOAD_BYTES: u16 = 520;

/// Why there is no usable header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The connection does not begin with the signature.
    #[error("no PROXY protocol v2 signature")]
    Signature,
    /// Another version, or a command that is neither LOCAL nor PROXY.
    #[error("unknown PROXY protocol version or command")]
    Command,
    /// The addresses are shorter than their family needs, or longer than anyone needs.
    #[error("the PROXY protocol header has a wrong length")]
    Length,
    /// The connection ended inside the header.
    #[error("the connection ended inside the PROXY protocol header")]
    Truncated,
}

/// The fixed first 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    family: Family,
    payload_bytes: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    /// LOCAL, or a family that names no IP address.
    Unnamed,
}

impl Head {
    /// Reads the fixed part.
    ///
    /// # Errors
    /// [`Error::Signature`], [`Error::Command`] or [`Error::Length`].
    pub fn parse(bytes: &[u8; 16]) -> Result<Self, Error> {
        let [signature @ .., version_and_command, family, high, low] = bytes;
        if signature != SIGNATURE {
            return Err(Error::Signature);
        }
        let family = match (version_and_command, family) {
            (0x20, _) => Family::Unnamed,
            (0x21, 0x11 | 0x12) => Family::V4,
            (0x21, 0x21 | 0x22) => Family::V6,
            (0x21, _) => Family::Unnamed,
            _ => return Err(Error::Command),
        };
        let payload_bytes = u16::from_be_bytes([*high, *low]);
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return Err(Error::Length);
        }
        Ok(Self { family, payload_bytes })
    }

    /// Bytes that follow the fixed part.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes.into()
    }

    /// The source address in what follows, if there is one. IPv4 in IPv6 is taken out of its wrapping.
    ///
    /// # Errors
    /// [`Error::Length`] if the payload is too short for its family.
    pub fn source(&self, payload: &[u8]) -> Result<Option<IpAddr>, Error> {
        // Source address, destination address, two ports.
        match self.family {
            Family::Unnamed => Ok(None),
            Family::V4 if payload.len() < 12 => Err(Error::Length),
            Family::V6 if payload.len() < 36 => Err(Error::Length),
            Family::V4 => Ok(payload.first_chunk::<4>().map(|b| Ipv4Addr::from(*b).into())),
            Family::V6 => Ok(payload.first_chunk::<16>().map(|b| Ipv6Addr::from(*b).to_canonical())),
        }
    }
}

/// Reads exactly one header and not a byte more.
///
/// # Errors
/// [`Error`]; the connection is then of no use.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, Error> {
    let mut fixed = [0; 16];
    stream.read_exact(&mut fixed).await.map_err(|_| Error::Truncated)?;
    let head = Head::parse(&fixed)?;
    let mut payload = [0; MAX_PAYLOAD_BYTES as usize];
    let payload = payload.get_mut(..head.payload_bytes()).ok_or(Error::Length)?;
    stream.read_exact(payload).await.map_err(|_| Error::Truncated)?;
    head.source(payload)
}
