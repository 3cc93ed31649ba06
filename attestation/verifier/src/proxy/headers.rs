//! Which headers pass. Those of one hop (RFC 9110, section 7.6.1) do not, nor those that this proxy speaks itself.

use http::header::{
    ACCEPT_ENCODING, ALT_SVC, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

use super::ehbp::{ENCAPSULATED_KEY, RESPONSE_NONCE};

const HOP_BY_HOP: [HeaderName; 5] = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
const HOP_BY_HOP_TEXT: [&str; 4] = ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"];
/// Set anew for each attempt, or of no meaning to the appliance.
const OF_THE_REQUEST: [HeaderName; 5] = [HOST, CONTENT_LENGTH, EXPECT, COOKIE, ACCEPT_ENCODING];
/// About the connection to the appliance, not about the one to this port.
const OF_THE_ANSWER: [HeaderName; 3] = [STRICT_TRANSPORT_SECURITY, ALT_SVC, SET_COOKIE];

/// What is passed on of a client's headers.
pub(super) fn of_request(mut headers: HeaderMap) -> HeaderMap {
    strip_hop(&mut headers);
    for name in OF_THE_REQUEST {
        headers.remove(name);
    }
    headers.remove(ENCAPSULATED_KEY);
    headers
}

/// What is passed on of the appliance's headers. Cross-origin permission is the appliance's to give for its own origin,
/// not for this port.
pub(super) fn of_answer(mut headers: HeaderMap) -> HeaderMap {
    strip_hop(&mut headers);
    for name in OF_THE_ANSWER {
        headers.remove(name);
    }
    headers.remove(RESPONSE_NONCE);
    let cors = headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned();
    for name in cors.collect::<Vec<_>>() {
        headers.remove(name);
    }
    headers
}

fn strip_hop(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse::<HeaderName>().ok());
    for name in named.collect::<Vec<_>>() {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    for name in HOP_BY_HOP_TEXT {
        headers.remove(name);
    }
}
