//! Where AMD and Intel publish, or a mirror of theirs.

/// The longest chain that a response header may bring.
pub(super) const MAX_CHAIN_BYTES: usize = 32 * 1024;

/// Which of Intel's two current sets of TCB data is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Update {
    /// What Intel enforces; it lags the newest by months.
    #[default]
    Standard,
    /// The newest.
    Early,
}

impl Update {
    /// The name in queries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Early => "early",
        }
    }
}

/// Where to ask: base addresses without a slash at their end. A mirror answers the same paths; what it answers has to
/// verify like anything else, so that it can withhold and nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// AMD's key distribution service.
    pub kds: String,
    /// Intel's provisioning certification service, or a caching one.
    pub pcs: String,
    /// Revocation list of Intel's root: a whole address, since it is not on the same host.
    pub root_crl: String,
    /// Which of Intel's sets.
    pub update: Update,
}

impl Services {
    /// AMD's key distribution service.
    pub const KDS: &'static str = "https://kdsintf.amd.com";
    /// Intel's provisioning certification service.
    pub const PCS: &'static str = "https://api.trustedservices.intel.com";
    /// What Intel's root certificate names as the place of its revocation list.
    pub const ROOT_CRL: &'static str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

    /// AMD's and Intel's own.
    #[must_use]
    pub fn vendors() -> Self {
        Self {
            kds: Self::KDS.to_owned(),
            pcs: Self::PCS.to_owned(),
            root_crl: Self::ROOT_CRL.to_owned(),
            update: Update::default(),
        }
    }
}
