//! The key hierarchy of protocols, section 9.
//!
//! ```text
//! RK ─HKDF("app/v1/meta")       header MAC                ─("app/v1/opaque")  wraps the OPAQUE server setup
//!    ─("app/v1/audit-sign")     wraps log signing keys    ─("app/v1/prf")     names of tenants and collections
//!    ─("app/v1/set")            elements of the set hash
//!    ─("app/v1/tenant")         wraps the key of each tenant (random; destroying it erases the tenant)
//!         ├ HKDF(tree name)     key of the tree's records
//!         └ HKDF("name/"+tree)  PRF key of the tree's names
//! ```

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::collection::{Meta, Name, TREES};
use super::set::SetKey;
use super::xaes::Xaes;
use crate::keys::secret::Secret;

/// HKDF-SHA256 without salt.
pub(crate) fn derive(key: &Secret<32>, info: &[u8]) -> Secret<32> {
    let mut out = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(None, key.expose_secret());
    hkdf.expand(info, &mut out).expect("HKDF-SHA256 gives up to 8,160 bytes");
    Secret::new(out)
}

fn prf(key: &Secret<32>) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key.expose_secret()).expect("HMAC takes any key")
}

fn prf16(keyed: &Hmac<Sha256>, label: u8, parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = keyed.clone();
    mac.update(&[label]);
    for part in parts {
        mac.update(part);
    }
    let full: [u8; 32] = mac.finalize().into_bytes().into();
    *full.first_chunk().expect("32 bytes begin with 16")
}

/// The keys derived from the root key that the running store needs.
pub(crate) struct RootKeys {
    pub(crate) tenants: Xaes,
    pub(crate) opaque: Xaes,
    pub(crate) audit_sign: Xaes,
    pub(crate) set: SetKey,
    names: Hmac<Sha256>,
}

impl std::fmt::Debug for RootKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKeys(…)")
    }
}

impl RootKeys {
    pub(crate) fn derive(root: &Secret<32>) -> Self {
        let cipher = |info: &[u8]| Xaes::new(derive(root, info));
        Self {
            tenants: cipher(b"app/v1/tenant"),
            opaque: cipher(b"app/v1/opaque"),
            audit_sign: cipher(b"app/v1/audit-sign"),
            set: SetKey::new(&derive(root, b"app/v1/set")),
            names: prf(&derive(root, b"app/v1/prf")),
        }
    }

    fn prefix(&self, kind: u8, tenant: &str, tree: u8) -> [u8; 8] {
        let prf = prf16(&self.names, kind, &[&[tree], tenant.as_bytes()]);
        *prf.first_chunk().expect("16 bytes begin with 8")
    }

    /// What the names of all wrapped tenant keys start with.
    pub(crate) fn tenants_prefix(&self) -> [u8; 8] {
        self.prefix(b'T', "", 0)
    }

    /// Where the wrapped key of a tenant is.
    pub(crate) fn tenant_name(&self, tenant: &str) -> Name {
        Name::new(&[&self.tenants_prefix(), &prf16(&self.names, b't', &[tenant.as_bytes()])])
    }
}

/// A tenant's key, with the keys of the trees derived when first used.
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) generation: u32,
    pub(crate) key: Secret<32>,
    /// Whether the wrapped key is on disk; if not, the first batch takes it there.
    durable: AtomicBool,
    trees: Vec<OnceLock<TreeKeys>>,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Tenant {
    pub(crate) fn new(id: String, generation: u32, key: Secret<32>, durable: bool) -> Self {
        let trees = std::iter::repeat_with(OnceLock::new).take(TREES).collect();
        Self { id, generation, key, durable: AtomicBool::new(durable), trees }
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn set_durable(&self) {
        self.durable.store(true, Ordering::Release);
    }

    pub(crate) fn tree(&self, roots: &RootKeys, meta: Meta) -> &TreeKeys {
        let slot = self.trees.get(usize::from(meta.tree)).expect("tree numbers are below 64");
        slot.get_or_init(|| TreeKeys {
            cipher: Xaes::new(derive(&self.key, meta.name.as_bytes())),
            names: prf(&derive(&self.key, format!("name/{}", meta.name).as_bytes())),
            prefix: roots.prefix(b'r', &self.id, meta.tree),
            blob_prefix: roots.prefix(b'b', &self.id, meta.tree),
        })
    }
}

/// The keys of one collection of one tenant.
pub(crate) struct TreeKeys {
    pub(crate) cipher: Xaes,
    pub(crate) prefix: [u8; 8],
    pub(crate) blob_prefix: [u8; 8],
    names: Hmac<Sha256>,
}

impl TreeKeys {
    /// The PRF of a key, a group or a chunk, told apart by `label`.
    pub(crate) fn name(&self, label: u8, parts: &[&[u8]]) -> [u8; 16] {
        prf16(&self.names, label, parts)
    }
}
