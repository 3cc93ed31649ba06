//! The synthetic platforms behind the emulated kernel interface: what `sev_guest` and `tdx_guest` would say.

pub use cloister_synthetic::{amd, intel};

use amd::Amd;
use intel::Intel;

use crate::tsm::{Blobs, Platform};

impl Platform for Amd {
    fn provider(&self) -> &'static str {
        "sev_guest"
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Blobs {
        Blobs { outblob: self.report(report_data), auxblob: self.hands_out_table.then(|| self.table()) }
    }
}

impl Platform for Intel {
    fn provider(&self) -> &'static str {
        "tdx_guest"
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Blobs {
        Blobs { outblob: self.quote(report_data), auxblob: None }
    }
}
