//! Who may use the port, and what is asked for: decided from the head of a request alone.
//!
//! The port trusts whoever runs programs on this machine, and no page that a browser here has open: neither one that
//! sends requests across origins, nor one whose own name was made to point at this machine (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Uri};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who can reach the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Programs on this machine, by this address.
    Loopback(IpAddr),
    /// Anybody, because the user said so: under which name, nobody can tell.
    Anywhere,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Show the state of the proxy.
    Status,
    /// Pass it on to the appliance.
    Forward,
}

/// Why a request goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// The request does not name this machine.
    #[error("the Host header does not name this machine: use http://127.0.0.1 or http://localhost")]
    Host,
    /// A page in a browser sent it.
    #[error("pages in browsers may not use this port: give its address to a program")]
    Browser,
    /// Not a path of the OpenAI protocol.
    #[error("only paths under /v1 are passed on to the appliance, and GET / shows the state of this proxy")]
    Path,
}

/// Decides.
pub(super) fn admit(request: &Parts, reach: Reach) -> Result<Route, Refused> {
    if let Reach::Loopback(address) = reach {
        check_host(request, address)?;
    }
    check_browser(request)?;
    match request.uri.path() {
        "/" if request.method == Method::GET => Ok(Route::Status),
        path if path.starts_with("/v1/") => Ok(Route::Forward),
        _ => Err(Refused::Path),
    }
}

/// Every name that the request gives must be ours; it must give one.
fn check_host(request: &Parts, address: IpAddr) -> Result<(), Refused> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Refused::Host) };
    let host: Authority = host.as_bytes().try_into().map_err(|_| Refused::Host)?;
    let named = Uri::authority(&request.uri).into_iter().chain([&host]).all(|name| is_ours(name.host(), address));
    if named { Ok(()) } else { Err(Refused::Host) }
}

fn is_ours(host: &str, address: IpAddr) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ours = [address, Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    bare.parse::<IpAddr>().is_ok_and(|named| ours.contains(&named))
}

/// Programs send neither header; browsers send the first with whatever could change something, and the second always.
/// Looking at the state by typing the address has no site of origin.
fn check_browser(request: &Parts) -> Result<(), Refused> {
    let site = request.headers.get(SEC_FETCH_SITE);
    if request.headers.contains_key(ORIGIN) || site.is_some_and(|site| site != "none") {
        return Err(Refused::Browser);
    }
    Ok(())
}
