//! How many connections may be open, in total and from one source.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts open connections; hands out a [`Permit`] for each while there is room.
#[derive(Debug, Clone)]
pub(crate) struct Limits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max_total: usize,
    max_per_source: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    per_source: HashMap<IpAddr, usize>,
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Total,
    Source,
}

/// The right to one open connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    source: IpAddr,
}

impl Limits {
    pub(crate) fn new(max_total: usize, max_per_source: usize) -> Self {
        Self(Arc::new(Shared { max_total, max_per_source, open: Mutex::default() }))
    }

    pub(crate) fn admit(&self, addr: IpAddr) -> Result<Permit, Refused> {
        let source = source_of(addr);
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.0.max_total {
            return Err(Refused::Total);
        }
        let count = open.per_source.entry(source).or_insert(0);
        if *count >= self.0.max_per_source {
            return Err(Refused::Source);
        }
        *count += 1;
        open.total += 1;
        Ok(Permit { shared: Arc::clone(&self.0), source })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.per_source.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.per_source.remove(&self.source);
            }
        }
    }
}

/// One subscriber usually holds a whole IPv6 /64, so that is one source.
fn source_of(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (!0 << 64)).into()),
    }
}
