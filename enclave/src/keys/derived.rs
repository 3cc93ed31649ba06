//! A key that only this guest on this chip has: what AMD's secure processor derives for it (SEV-SNP firmware ABI 56860,
//! `MSG_KEY_REQ`; protocols, section 9).
//!
//! Guest policy and launch measurement are mixed in, so that neither a debug guest nor other software gets the same key.
//! Firmware updates that change the chip's key change it too: it is never the only way to a store. The request itself
//! needs `/dev/sev-guest` and was never made on a real guest.

use std::fmt;

use sev::firmware::guest::{DerivedKey as Request, Firmware, GuestFieldSelect};
use zeroize::Zeroizing;

use super::Error;
use super::secret::Secret;

/// What derives the key.
pub trait DerivedKey: fmt::Debug {
    /// The key. The same every time, for the same guest on the same chip.
    ///
    /// # Errors
    /// [`Error::NoDerivedKey`].
    fn derive(&self) -> Result<Secret<32>, Error>;
}

/// AMD's secure processor.
#[derive(Debug, Clone, Copy)]
pub struct SecureProcessor {
    privilege_level: u32,
}

impl SecureProcessor {
    /// For software at this privilege level (VMPL), which is mixed in too; a guest without an SVSM runs at 0.
    #[must_use]
    pub fn new(privilege_level: u8) -> Self {
        Self { privilege_level: privilege_level.into() }
    }

    /// From the chip's own key: the other choice, VMRK, is random at each launch unless a migration agent holds it.
    fn request(self) -> Request {
        let mut fields = GuestFieldSelect::default();
        fields.set_guest_policy(true);
        fields.set_measurement(true);
        Request::new(false, fields, self.privilege_level, 0, 0, None)
    }
}

impl DerivedKey for SecureProcessor {
    fn derive(&self) -> Result<Secret<32>, Error> {
        let mut device = Firmware::open().map_err(|_| Error::NoDerivedKey("/dev/sev-guest cannot be opened"))?;
        // Version 1 of the message: every firmware has it, and it mixes in no mitigation vector.
        let key = device.get_derived_key(Some(1), self.request()).map(Zeroizing::new);
        let key = key.map_err(|_| Error::NoDerivedKey("the secure processor refuses"))?;
        // All zeros is what a response that was never filled in holds.
        let made = key.iter().any(|byte| *byte != 0);
        made.then(|| Secret::new(*key)).ok_or(Error::NoDerivedKey("the secure processor answers with zeros"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dc_04_policy_and_measurement_are_mixed_in_under_the_chips_own_key() {
        let request = SecureProcessor::new(2).request();
        assert_eq!(request.get_root_key_select(), 0, "VCEK");
        let fields = request.guest_field_select;
        assert_eq!((fields.get_guest_policy(), fields.get_measurement()), (true, true));
        let others = [fields.get_image_id(), fields.get_family_id(), fields.get_svn(), fields.get_tcb_version()];
        assert_eq!((others, fields.get_launch_mit_vector()), ([false; 4], false));
        assert_eq!((request.vmpl, request.guest_svn, request.tcb_version), (2, 0, 0));
    }
}
