//! What Intel publishes about platforms: TCB info, QE identity and revocation lists, as they travel with a quote.
//!
//! TCB info and QE identity are kept as the exact text that Intel signed: signatures are over these bytes, and a text that
//! was parsed and written again is another text.

use serde::{Deserialize, Serialize};

use super::error::CollateralError;

/// The longest collateral that is looked at.
pub const MAX_COLLATERAL_BYTES: usize = 1024 * 1024;

/// The collateral of one quote, in the JSON layout that Intel's and other tools call version 3.
///
/// Nothing in it is believed because it is here; every part is signed by Intel, and checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collateral {
    /// PEM chain of the issuer of [`pck_crl`](Self::pck_crl). Not used: the issuer is the one in the quote's own chain.
    pub pck_crl_issuer_chain: String,
    /// Revocation list of the root, DER, in hex.
    pub root_ca_crl: HexBytes,
    /// Revocation list of the CA that issued the PCK certificate, DER, in hex.
    pub pck_crl: HexBytes,
    /// PEM chain of the signer of the TCB info.
    pub tcb_info_issuer_chain: String,
    /// The exact JSON text of the TCB info.
    pub tcb_info: String,
    /// Signature over it, r ‖ s, in hex.
    pub tcb_info_signature: HexBytes,
    /// PEM chain of the signer of the QE identity.
    pub qe_identity_issuer_chain: String,
    /// The exact JSON text of the QE identity.
    pub qe_identity: String,
    /// Signature over it, r ‖ s, in hex.
    pub qe_identity_signature: HexBytes,
    /// PEM chain of the PCK certificate, for quotes that do not bring it themselves; ignored for those that do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pck_certificate_chain: Option<String>,
}

impl Collateral {
    /// Reads collateral from JSON.
    ///
    /// # Errors
    ///
    /// [`CollateralError::Malformed`].
    pub fn from_json(json: &[u8]) -> Result<Self, CollateralError> {
        if json.len() > MAX_COLLATERAL_BYTES {
            return Err(CollateralError::Malformed("it is longer than 1 MiB"));
        }
        serde_json::from_slice(json).map_err(|_| CollateralError::Malformed("not JSON of the right shape"))
    }

    /// How many bytes it holds.
    pub(super) fn size_bytes(&self) -> usize {
        let texts = [
            self.pck_crl_issuer_chain.len(),
            self.tcb_info_issuer_chain.len(),
            self.tcb_info.len(),
            self.qe_identity_issuer_chain.len(),
            self.qe_identity.len(),
            self.pck_certificate_chain.as_ref().map_or(0, String::len),
        ];
        let lists = [&self.root_ca_crl, &self.pck_crl, &self.tcb_info_signature, &self.qe_identity_signature];
        texts.into_iter().chain(lists.into_iter().map(|bytes| bytes.0.len())).fold(0, usize::saturating_add)
    }

    /// The same for `dcap-qvl`; the PCK chain only where the quote does not bring its own.
    pub(super) fn to_dcap(&self, pck_chain: Option<&str>) -> dcap_qvl::QuoteCollateralV3 {
        dcap_qvl::QuoteCollateralV3 {
            pck_crl_issuer_chain: String::new(),
            root_ca_crl: self.root_ca_crl.0.clone(),
            pck_crl: self.pck_crl.0.clone(),
            tcb_info_issuer_chain: self.tcb_info_issuer_chain.clone(),
            tcb_info: self.tcb_info.clone(),
            tcb_info_signature: self.tcb_info_signature.0.clone(),
            qe_identity_issuer_chain: self.qe_identity_issuer_chain.clone(),
            qe_identity: self.qe_identity.clone(),
            qe_identity_signature: self.qe_identity_signature.0.clone(),
            pck_certificate_chain: pck_chain.map(str::to_owned),
        }
    }
}

/// Bytes of any length, written in hex of either case.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HexBytes(pub Vec<u8>);

impl std::fmt::Debug for HexBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HexBytes({} bytes)", self.0.len())
    }
}

impl TryFrom<String> for HexBytes {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text).map(Self)
    }
}

impl From<HexBytes> for String {
    fn from(bytes: HexBytes) -> Self {
        hex::encode(bytes.0)
    }
}
