//! The address of an appliance.

use std::fmt;
use std::str::FromStr;

use crate::failure::Failure;

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    host: String,
    port: u16,
}

impl Target {
    /// The name or address to connect to, an IPv6 address without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as they stand in a request.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", self.port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

impl FromStr for Target {
    type Err = Failure;

    fn from_str(url: &str) -> Result<Self, Failure> {
        let wrong =
            |why: &str| Failure::Usage(format!("address of the appliance: {why}, expected https://HOST[:PORT]"));
        let uri: http::Uri = url.parse().map_err(|_| wrong("not an address"))?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong("not https"));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(wrong("a path is of no use here"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(443) })
    }
}
