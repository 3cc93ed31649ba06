//! Counters without content, in the Prometheus text format 0.0.4.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! metrics {
    ($($field:ident: $kind:literal, $name:literal, $help:literal;)+) => {
        /// Everything that the relay counts.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics { $(pub(crate) $field: Number,)+ }

        impl Metrics {
            /// The Prometheus text of all of them.
            pub(crate) fn render(&self) -> String {
                let mut out = String::new();
                $(
                    let value = self.$field.value();
                    let _ = writeln!(out, concat!("# HELP ", $name, " ", $help, "\n# TYPE ", $name, " ", $kind, "\n", $name, " {}"), value);
                )+
                out
            }
        }
    };
}

metrics! {
    accepted: "counter", "cloister_host_connections_accepted_total", "Connections accepted on the public port.";
    refused_total: "counter", "cloister_host_connections_refused_total_limit", "Connections closed because too many were open.";
    refused_source: "counter", "cloister_host_connections_refused_source_limit", "Connections closed because their source had too many open.";
    open: "gauge", "cloister_host_connections_open", "Connections open now.";
    upstream_failures: "counter", "cloister_host_upstream_failures_total", "Connections to the enclave that did not come about.";
    handshake_timeouts: "counter", "cloister_host_handshake_timeouts_total", "Connections closed before their first bytes had gone both ways.";
    idle_timeouts: "counter", "cloister_host_idle_timeouts_total", "Connections closed because they carried nothing.";
    bytes_in: "counter", "cloister_host_bytes_in_total", "Bytes carried to the enclave.";
    bytes_out: "counter", "cloister_host_bytes_out_total", "Bytes carried from the enclave.";
    egress_opened: "counter", "cloister_host_egress_opened_total", "Outbound connections opened for the enclave.";
    egress_denied: "counter", "cloister_host_egress_denied_total", "Outbound connections refused because the configuration does not name them.";
    egress_failed: "counter", "cloister_host_egress_failed_total", "Outbound connections that did not come about.";
    egress_open: "gauge", "cloister_host_egress_open", "Outbound connections open now.";
}

/// One number, counted up or (for gauges) down.
#[derive(Debug, Default)]
pub(crate) struct Number(AtomicU64);

impl Number {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Counts one now and takes it back when the guard is dropped.
    pub(crate) fn hold(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One unit of a gauge.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a Number);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
