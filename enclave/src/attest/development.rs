//! Evidence without hardware, for explicit configuration only.

use std::fmt;

use cloister_attestation::development;
use cloister_attestation::document::{Evidence, Tee};
use ed25519_dalek::SigningKey;
use rand_core::OsRng;

use super::{Attester, PlatformError, Report};

/// Signs with a key made at start that chains to nothing. Proves nothing, and says so in its type.
pub struct DevelopmentAttester(SigningKey);

impl DevelopmentAttester {
    /// Makes the key.
    #[must_use]
    pub fn new() -> Self {
        Self(SigningKey::generate(&mut OsRng))
    }
}

impl Default for DevelopmentAttester {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DevelopmentAttester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevelopmentAttester(…)")
    }
}

impl Attester for DevelopmentAttester {
    fn tee(&self) -> Tee {
        Tee::Development
    }

    fn report(&self, report_data: &[u8; 64]) -> Result<Report, PlatformError> {
        let evidence = Evidence::new(Tee::Development, development::sign(report_data, &self.0));
        Ok(Report { evidence, certificates: Vec::new() })
    }
}
