//! The relay on the untrusted host.
//!
//! It carries bytes: inbound from a public port to the enclave, and outbound from the enclave to the destinations that
//! the configuration names. It holds no TLS key, parses no HTTP on either path, keeps no content and logs none: all it
//! could tell an attacker is what the network already shows (addresses, sizes, times).
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = cloister_host::Config::from_toml(&std::fs::read_to_string("host.toml")?)?;
//! let relay = cloister_host::Relay::bind(config).await?;
//! println!("relaying {}", relay.inbound_addr());
//! let outcome = relay.serve(tokio_util::sync::CancellationToken::new()).await;
//! # let _ = outcome; Ok(()) }
//! ```

mod admin;
mod config;
mod egress;
mod endpoint;
mod inbound;
mod limits;
mod metrics;
pub mod proxy_protocol;
mod relay;
mod splice;

pub use config::{Config, ConfigError, Egress, Inbound};
pub use endpoint::Endpoint;
pub use relay::{BindError, Drained, Relay};
