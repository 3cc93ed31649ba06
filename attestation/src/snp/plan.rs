//! The checks of SEV-SNP evidence, in order. Their ids are stable.

use crate::check::{Planned, Stage};

const MALFORMED: &str = "fetch the evidence again; if it stays malformed, it is none";
const KDS: &str = "fetch the certificates for this chip and TCB from AMD's Key Distribution Service";
const FORGED: &str = "do not use this machine: the evidence was altered or is not AMD's";
const CLOCK: &str = "check this machine's clock, and fetch the certificates again";
const GUEST: &str = "launch the guest anew with a valid policy, and ask for the report inside it";

/// Those of a whole report.
pub(crate) const REPORT: &[Planned] = &[
    Planned::required("snp.report.size", Stage::Parse, MALFORMED),
    Planned::required("snp.report.version", Stage::Parse, "use a verifier that knows this version of the report"),
    Planned::required("snp.report.signature_algo", Stage::Parse, MALFORMED),
    Planned::required("snp.report.unsigned", Stage::Parse, MALFORMED),
    Planned::required("snp.report.signing_key", Stage::Chain, "let the host unmask the chip's key, then ask again"),
    VEK_PRESENT,
    VEK_FORMAT,
    ASK_FORMAT,
    CHAIN_ARK,
    CHAIN_ASK,
    CHAIN_VEK,
    CHAIN_VALIDITY,
    CRL,
    VEK_KIND,
    VEK_KEY,
    VEK_EXTENSIONS,
    VEK_PRODUCT,
    Planned::required("snp.report.key_kind", Stage::Chain, KDS),
    Planned::required("snp.report.signature", Stage::Signature, FORGED),
    // Version 2 has no CPUID; in later versions the check is always made.
    Planned::optional("snp.report.product", Stage::Chain, FORGED),
    Planned::required("snp.report.reserved", Stage::Parse, "use a verifier that knows this firmware"),
    Planned::required("snp.vek.tcb", Stage::Chain, KDS),
    Planned::required("snp.vek.chip", Stage::Chain, KDS),
    Planned::required("snp.report.guest", Stage::Policy, GUEST),
    Planned::required("snp.policy.reserved", Stage::Policy, GUEST),
    Planned::required("snp.tcb.order", Stage::Policy, FORGED),
];

/// Those of a chain alone.
pub(crate) const ENDORSEMENT: &[Planned] = &[
    VEK_PRESENT,
    VEK_FORMAT,
    ASK_FORMAT,
    CHAIN_ARK,
    CHAIN_ASK,
    CHAIN_VEK,
    CHAIN_VALIDITY,
    CRL,
    VEK_KIND,
    VEK_KEY,
    VEK_EXTENSIONS,
    VEK_PRODUCT,
];

const VEK_PRESENT: Planned = Planned::required("snp.vek.present", Stage::Chain, KDS);
const VEK_FORMAT: Planned = Planned::required("snp.vek.format", Stage::Chain, KDS);
const ASK_FORMAT: Planned = Planned::required("snp.ask.format", Stage::Chain, KDS);
const CHAIN_ARK: Planned = Planned::required("snp.chain.ark", Stage::Chain, FORGED);
const CHAIN_ASK: Planned = Planned::required("snp.chain.ask", Stage::Chain, KDS);
const CHAIN_VEK: Planned = Planned::required("snp.chain.vek", Stage::Chain, KDS);
const CHAIN_VALIDITY: Planned = Planned::required("snp.chain.validity", Stage::Chain, CLOCK);
const CRL: Planned = Planned::optional("snp.crl", Stage::Chain, "supply AMD's current revocation list");
const VEK_KIND: Planned = Planned::required("snp.vek.kind", Stage::Chain, KDS);
const VEK_KEY: Planned = Planned::required("snp.vek.key", Stage::Chain, KDS);
const VEK_EXTENSIONS: Planned = Planned::required("snp.vek.extensions", Stage::Chain, KDS);
const VEK_PRODUCT: Planned = Planned::required("snp.vek.product", Stage::Chain, KDS);
