//! PROXY protocol version 2, the binary header that tells the enclave which address a connection came from.
//!
//! Specification: haproxy.org, `proxy-protocol.txt`, section 2.2. The relay only writes it. Whoever reads it must treat
//! the address as a hint, because the relay runs on a host that nobody trusts.

use std::net::SocketAddr;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_AND_COMMAND: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header for a connection from `source` to `destination`: 28 bytes for IPv4, 52 for IPv6.
///
/// Where the two families differ, both are written as IPv6 (RFC 4291, section 2.5.5.2).
#[must_use]
pub fn header(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(52);
    out.extend_from_slice(&SIGNATURE);
    out.push(VERSION_AND_COMMAND);
    if let (SocketAddr::V4(from), SocketAddr::V4(to)) = (source, destination) {
        out.push(TCP_OVER_IPV4);
        out.extend_from_slice(&12u16.to_be_bytes());
        out.extend_from_slice(&from.ip().octets());
        out.extend_from_slice(&to.ip().octets());
    } else {
        out.push(TCP_OVER_IPV6);
        out.extend_from_slice(&36u16.to_be_bytes());
        out.extend_from_slice(&as_ipv6(source));
        out.extend_from_slice(&as_ipv6(destination));
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    out
}

const fn as_ipv6(addr: SocketAddr) -> [u8; 16] {
    match addr {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().octets(),
        SocketAddr::V6(v6) => v6.ip().octets(),
    }
}
