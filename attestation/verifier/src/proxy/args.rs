//! The command line of `cloister-verify proxy`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::args::{EndorsementArgs, JudgeArgs};
use crate::live::ChannelArgs;

/// Arguments of `proxy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Give your client the address http://127.0.0.1:8399/v1 and the API key of the appliance; nothing else changes. Before a byte
of a request leaves this machine, the appliance is verified over the very connection that the request takes, and the body
is encrypted to the attested key. When the appliance was restarted or has other keys, it is verified again and the
request is sent anew, as long as nothing of the answer was passed on. When it is refused, the client gets status 502 and
an error that names the check and what to do, and nothing was sent. GET / shows the state.

The port speaks plain HTTP, so it is reachable from this machine only, and pages in browsers are refused. Nothing of a
request or an answer is kept or logged.

Exit codes:
  0   stopped by Ctrl-C or SIGTERM, after the requests under way were answered
  10, 20, 30, 40  the appliance was refused at the start; the same as those of `appliance`
  1   the appliance could not be asked at the start, or the port is taken
  2   the arguments make no sense

Examples:
  cloister-verify proxy https://appliance.example --pin 5b2e…64 hex digits…
  cloister-verify proxy https://localhost:8443 --insecure-allow-development-tee
  OPENAI_BASE_URL=http://127.0.0.1:8399/v1 OPENAI_API_KEY=clk_… python my_client.py")]
pub(crate) struct ProxyArgs {
    /// Address of the appliance: `https://HOST[:PORT]`.
    pub(crate) url: String,
    /// Where clients on this machine connect; port 0 takes a free one, which the first line of the output names.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8399")]
    pub(crate) listen: SocketAddr,
    /// Listen on an address that other machines can reach. Their requests, keys included, cross the network in clear.
    #[arg(long)]
    pub(crate) insecure_listen_anywhere: bool,
    /// Verify again after so many seconds, 10 to 86400; the end of what the evidence is good for may come before.
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = clap::value_parser!(u64).range(10..=86_400))]
    pub(crate) max_age: u64,
    #[command(flatten)]
    pub(crate) channel: ChannelArgs,
    #[command(flatten)]
    pub(crate) endorsements: EndorsementArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

impl ProxyArgs {
    /// After how long to verify again.
    pub(super) const fn max_age(&self) -> Duration {
        Duration::from_secs(self.max_age)
    }
}
