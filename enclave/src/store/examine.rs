//! Looking through a store that no service uses: does every record open, and does every log add up?
//!
//! A start checks that the records are the ones that were there last, and refuses to go on if they are not. This goes on,
//! opens each record under the keys of its tenant and collection, and says where something is wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use super::boot::Opened;
use super::collection::{Listing, Meta};
use super::hierarchy::Tenant;
use super::{Error, Shared, record, tenants};
use crate::audit;

/// What was found. Names no tenant, no key and no content.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Examination {
    /// How many groups of commits there have been.
    pub epoch: u64,
    /// Whether the records are those that were there last: none added, taken away or put back.
    pub set_holds: bool,
    /// Whether the last service closed the store.
    pub after_clean_stop: bool,
    /// How many tenants there are, the appliance itself included.
    pub tenants: u64,
    /// Tenants whose key does not open: nothing of them can be read.
    pub damaged_tenants: u64,
    /// Records by collection.
    pub records: BTreeMap<&'static str, u64>,
    /// Records that do not open, by collection.
    pub damaged: BTreeMap<&'static str, u64>,
    /// Records of no collection that this version knows, or of a tenant whose key does not open.
    pub unknown: u64,
    /// Every log.
    pub logs: Vec<Log>,
}

/// What was found of a log.
#[derive(Debug, Clone, Serialize)]
pub struct Log {
    /// Its name.
    pub origin: String,
    /// How many leaves its signed head has.
    pub size: u64,
    /// Whether all of them are there and lead to that head.
    pub holds: bool,
}

impl Examination {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let records = self.damaged.is_empty() && self.unknown == 0 && self.damaged_tenants == 0;
        self.set_holds && records && self.logs.iter().all(|log| log.holds)
    }
}

/// What is told now and then: how many records were read.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// Records between two words of progress.
const PROGRESS_RECORDS: u64 = 100_000;

/// Looks through the store under `dir`. Blocking; it reads everything.
///
/// # Errors
/// [`Error::WrongRootKey`], [`Error::Io`], [`Error::Integrity`] when not even the header or the system's key opens.
pub(crate) fn examine(opened: &Opened, collections: &[Listing], progress: Progress<'_>) -> Result<Examination, Error> {
    let shared = &opened.shared;
    let mut found = Examination {
        epoch: opened.state.epoch,
        set_holds: opened.set_holds,
        after_clean_stop: opened.state.clean,
        ..Examination::default()
    };
    let prefixes = Prefixes::of(shared, collections, &mut found);
    for (number, entry) in (1_u64..).zip(shared.disk.database.iter()) {
        let (name, stored) = entry.map_err(|error| Error::database("reading a record", error))?;
        prefixes.judge(&name, &stored, &mut found);
        if number % PROGRESS_RECORDS == 0 {
            progress(number);
        }
    }
    for tenant in shared.all_tenants() {
        found.logs.extend(audit::examine(shared, &tenant));
    }
    found.logs.sort_by(|a, b| a.origin.cmp(&b.origin));
    Ok(found)
}

/// Whose records begin how.
struct Prefixes<'a> {
    shared: &'a Shared,
    /// The records that keep the keys of tenants.
    tenants: [u8; 8],
    collections: HashMap<[u8; 8], (Arc<Tenant>, Meta)>,
}

impl<'a> Prefixes<'a> {
    fn of(shared: &'a Shared, collections: &[Listing], found: &mut Examination) -> Self {
        let mut prefixes = HashMap::new();
        let tenants = shared.all_tenants();
        found.tenants = u64::try_from(tenants.len()).unwrap_or(u64::MAX);
        for tenant in &tenants {
            for meta in collections.iter().copied().flatten() {
                let keys = tenant.tree(&shared.roots, *meta);
                for prefix in [keys.prefix, keys.blob_prefix] {
                    prefixes.insert(prefix, (Arc::clone(tenant), *meta));
                }
            }
        }
        Self { shared, tenants: shared.roots.tenants_prefix(), collections: prefixes }
    }

    fn judge(&self, name: &[u8], stored: &[u8], found: &mut Examination) {
        let prefix = name.first_chunk::<8>();
        if prefix == Some(&self.tenants) {
            found.damaged_tenants += u64::from(tenants::unwrap(&self.shared.roots, name, stored).is_none());
            return;
        }
        let Some((tenant, meta)) = prefix.and_then(|prefix| self.collections.get(prefix)) else {
            found.unknown += 1;
            return;
        };
        *found.records.entry(meta.name).or_default() += 1;
        let cipher = &tenant.tree(&self.shared.roots, *meta).cipher;
        if record::open(tenant, cipher, *meta, name, stored).is_err() {
            *found.damaged.entry(meta.name).or_default() += 1;
        }
    }
}
