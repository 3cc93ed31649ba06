//! The steps of a TDX verification, in the order of [`PLAN`].

use sha2::{Digest as _, Sha256};

use super::chain::{PckChain, SignerChain};
use super::collateral::{Collateral, MAX_COLLATERAL_BYTES};
use super::error::{Certificate, ChainError, CollateralError, Error, Item, SignatureError};
use super::opinion::{self, Opinion, Ours};
use super::plan::{PLAN, needs_collateral};
use super::platform::Platform;
use super::published::{QeIdentity, TcbInfo};
use super::quote::{Certification, Header, Quote, parse_body};
use super::signatures::{self, verify_fixed};
use super::tcb::{self, QuotingEnclave, TcbVerdict};
use super::validity::{Moment, Validity};
use super::verified::{Evidence, Roots, Verified};
use super::x509::{Cert, Crl};
use crate::check::{Checklist, Rejected};

/// Verifies TDX evidence as of `now_ms` (Unix milliseconds).
///
/// # Errors
///
/// The first step that fails, together with all checks: those after it are reported as not done.
pub fn verify(evidence: &Evidence<'_>, roots: &Roots, now_ms: u64) -> Result<Verified, Rejected<Error>> {
    let mut checks = Checklist::new(PLAN);
    let mut steps = Steps { checks: &mut checks, roots, now_s: now_ms / 1000 };
    match signatures::remembering(|| steps.run(evidence)) {
        Ok(facts) => Ok(Verified {
            version: facts.quote.header.version,
            user_data: facts.quote.header.user_data,
            report: facts.quote.report,
            platform: facts.platform,
            quoting_enclave: facts.quoting_enclave,
            tcb: facts.tcb,
            validity: facts.validity,
            pinned: roots.pinned,
            verified_at_ms: now_ms,
            checks: checks.into_checks(),
        }),
        Err(error) => Err(Rejected { checks: checks.into_checks(), error }),
    }
}

/// What the steps found.
struct Facts<'a> {
    quote: Quote<'a>,
    platform: Platform,
    quoting_enclave: QuotingEnclave,
    tcb: Option<TcbVerdict>,
    validity: Validity,
}

/// TCB info and QE identity that Intel signed and that are current.
struct Published {
    tcb_info: TcbInfo,
    qe_identity: QeIdentity,
}

struct Steps<'s> {
    checks: &'s mut Checklist,
    roots: &'s Roots,
    now_s: u64,
}

impl Steps<'_> {
    fn run<'a>(&mut self, evidence: &Evidence<'a>) -> Result<Facts<'a>, Error> {
        let quote = self.parse(evidence.quote)?;
        let conveyed = pck_pem(&quote, evidence.collateral);
        let parsed = conveyed.and_then(|pem| Ok((pem, PckChain::parse(pem)?)));
        let (pem, chain) = self.step("tdx.chain.format", |_| "three certificates, strict DER".to_owned(), parsed)?;
        let (platform, mut validity) = self.chain(&chain)?;
        let quoting_enclave = self.signatures(&quote, &chain.pck)?;
        let tcb = match evidence.collateral {
            Some(collateral) => {
                let published = self.collateral(collateral, &chain, &platform, &mut validity)?;
                let verdict = self.tcb(&quote, &platform, &quoting_enclave, &published)?;
                let ours = Ours { quote: &quote, platform: &platform, verdict: &verdict };
                let separate = (quote.certification_data != pem).then(|| String::from_utf8_lossy(pem));
                self.second_opinion(&ours, collateral, separate.as_deref(), validity)?;
                Some(verdict)
            }
            None => {
                for planned in PLAN.iter().filter(|planned| needs_collateral(planned)) {
                    self.checks.not_done(planned.id, "no collateral was given");
                }
                None
            }
        };
        let watched = holds(!quote.report.td_attributes.under_debug_other(), Error::UnderDebug);
        self.step("tdx.td_attributes", |()| "bits 1 to 7 of TDATTRIBUTES are zero".to_owned(), watched)?;
        Ok(Facts { quote, platform, quoting_enclave, tcb, validity })
    }

    fn step<T, E: Into<Error>>(
        &mut self,
        id: &'static str,
        passed: impl FnOnce(&T) -> String,
        step: Result<T, E>,
    ) -> Result<T, Error> {
        self.checks.step(id, passed, step.map_err(Into::into))
    }

    fn parse<'a>(&mut self, bytes: &'a [u8]) -> Result<Quote<'a>, Error> {
        let header = Header::parse(bytes);
        let header =
            self.step("tdx.quote.header", |header| format!("TDX quote, version {}", header.version), header)?;
        let body = parse_body(&header, bytes);
        let (report, end) = self.step("tdx.quote.body", |_| "the size is that of its type".to_owned(), body)?;
        let quote = Quote::parse_signature_data(bytes, header, report, end);
        self.step("tdx.quote.signature_data", |_| "lengths add up, nothing follows".to_owned(), quote)
    }

    /// Chain of the PCK certificate, and whom it certifies.
    fn chain(&mut self, chain: &PckChain) -> Result<(Platform, Validity), Error> {
        let pinned = chain.check_root(&self.roots.root);
        self.step("tdx.chain.root", |()| "the root is the pinned one".to_owned(), pinned)?;
        let path = chain.check_path();
        let ca = self.step("tdx.chain.path", |ca| format!("issued by Intel's {ca:?} CA under the root"), path)?;
        let validity = chain.check_validity(self.now_s);
        let validity = self.step("tdx.chain.validity", |_| "all three are valid now".to_owned(), validity)?;
        let platform = Platform::parse(ca, chain.pck.sgx_extension.as_deref());
        let platform = platform.map_err(|error| Error::Chain(Certificate::Pck, error));
        let found = |platform: &Platform| format!("model {} (FMSPC)", hex::encode(platform.fmspc));
        Ok((self.step("tdx.chain.platform", found, platform)?, validity))
    }

    /// PCK → QE report → attestation key → TD report.
    fn signatures(&mut self, quote: &Quote<'_>, pck: &Cert) -> Result<QuotingEnclave, Error> {
        let signed = pck.signed(quote.qe_report, quote.qe_report_signature);
        let signed = holds(signed, SignatureError::QeReport);
        self.step("tdx.signature.qe_report", |()| "the PCK signed the QE report".to_owned(), signed)?;
        let mut bound = [0; 64];
        let hash = Sha256::new().chain_update(quote.attestation_key).chain_update(quote.qe_auth_data).finalize();
        bound.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        let vouched = quote.qe_report.last_chunk::<64>() == Some(&bound);
        let vouched = holds(vouched, SignatureError::AttestationKeyBinding);
        let passed = |(): &()| "the QE report names the attestation key, and nothing else".to_owned();
        self.step("tdx.signature.attestation_key", passed, vouched)?;
        let mut key = [4; 65];
        key.iter_mut().skip(1).zip(quote.attestation_key).for_each(|(to, from)| *to = *from);
        let signed = holds(verify_fixed(&key, quote.signed, quote.signature), SignatureError::Quote);
        self.step("tdx.signature.quote", |()| "the attestation key signed the TD report".to_owned(), signed)?;
        Ok(QuotingEnclave::parse(quote.qe_report).expect("its fields lie within its 384 bytes"))
    }

    fn collateral(
        &mut self,
        collateral: &Collateral,
        chain: &PckChain,
        platform: &Platform,
        validity: &mut Validity,
    ) -> Result<Published, Error> {
        let size = collateral.size_bytes();
        let bounded = holds(size <= MAX_COLLATERAL_BYTES, CollateralError::Malformed("it is longer than 1 MiB"));
        self.step("tdx.collateral.size", |()| format!("{size} bytes"), bounded)?;
        let root_crl = self.revocation(collateral, chain, validity)?;
        let pem = &collateral.tcb_info_issuer_chain;
        let signer = self.signer("tdx.collateral.tcb_info.signer", pem, &root_crl, validity)?;
        let tcb_info = self.tcb_info(collateral, &signer, validity)?;
        let pem = &collateral.qe_identity_issuer_chain;
        let signer = if *pem == collateral.tcb_info_issuer_chain {
            self.checks.pass("tdx.collateral.qe_identity.signer", "the same as that of the TCB info");
            signer
        } else {
            self.signer("tdx.collateral.qe_identity.signer", pem, &root_crl, validity)?
        };
        let qe_identity = self.qe_identity(collateral, &signer, validity)?;
        let same = holds(tcb_info.fmspc == platform.fmspc, CollateralError::Fmspc);
        self.step("tdx.collateral.fmspc", |()| "the TCB info is for this model of platform".to_owned(), same)?;
        let same = holds(tcb_info.pce_id == platform.pce_id, CollateralError::PceId);
        self.step("tdx.collateral.pce_id", |()| "the TCB info is for this PCE".to_owned(), same)?;
        Ok(Published { tcb_info, qe_identity })
    }

    /// Both revocation lists, and what they say about the chain of the PCK certificate.
    fn revocation(&mut self, collateral: &Collateral, chain: &PckChain, validity: &mut Validity) -> Result<Crl, Error> {
        let list = read_crl(&collateral.root_ca_crl.0, &chain.root, Item::RootCrl);
        let root_crl = self.step("tdx.collateral.root_crl", |_| "signed by the root".to_owned(), list)?;
        self.current("tdx.collateral.root_crl.validity", Item::RootCrl, root_crl.validity, validity)?;
        let list = read_crl(&collateral.pck_crl.0, &chain.ca, Item::PckCrl);
        let passed = |_: &Crl| "signed by the CA that issued the PCK certificate".to_owned();
        let pck_crl = self.step("tdx.collateral.pck_crl", passed, list)?;
        self.current("tdx.collateral.pck_crl.validity", Item::PckCrl, pck_crl.validity, validity)?;
        let clean = holds(!root_crl.revokes(&chain.ca), CollateralError::IntermediateRevoked);
        self.step("tdx.collateral.pck_ca_revocation", |()| "the PCK CA is not revoked".to_owned(), clean)?;
        let clean = holds(!pck_crl.revokes(&chain.pck), CollateralError::PckRevoked);
        self.step("tdx.collateral.pck_revocation", |()| "the PCK certificate is not revoked".to_owned(), clean)?;
        Ok(root_crl)
    }

    fn tcb_info(&mut self, collateral: &Collateral, signer: &Cert, validity: &mut Validity) -> Result<TcbInfo, Error> {
        let signature = &collateral.tcb_info_signature.0;
        let signed = is_signed(signer, &collateral.tcb_info, signature, Item::TcbInfo);
        let passed = |(): &()| "signed, byte for byte as received".to_owned();
        self.step("tdx.collateral.tcb_info.signature", passed, signed)?;
        let passed = |info: &TcbInfo| format!("TCB info of evaluation {}", info.evaluation_number);
        let info = self.step("tdx.collateral.tcb_info", passed, TcbInfo::parse(&collateral.tcb_info))?;
        self.current("tdx.collateral.tcb_info.validity", Item::TcbInfo, info.validity, validity)?;
        Ok(info)
    }

    fn qe_identity(
        &mut self,
        collateral: &Collateral,
        signer: &Cert,
        validity: &mut Validity,
    ) -> Result<QeIdentity, Error> {
        let signature = &collateral.qe_identity_signature.0;
        let signed = is_signed(signer, &collateral.qe_identity, signature, Item::QeIdentity);
        let passed = |(): &()| "signed, byte for byte as received".to_owned();
        self.step("tdx.collateral.qe_identity.signature", passed, signed)?;
        let passed = |identity: &QeIdentity| format!("QE identity of evaluation {}", identity.evaluation_number);
        let identity = self.step("tdx.collateral.qe_identity", passed, QeIdentity::parse(&collateral.qe_identity))?;
        self.current("tdx.collateral.qe_identity.validity", Item::QeIdentity, identity.validity, validity)?;
        Ok(identity)
    }

    /// The certificate of a TCB signer directly under the root.
    fn signer(&mut self, id: &'static str, pem: &str, root_crl: &Crl, validity: &mut Validity) -> Result<Cert, Error> {
        let verified = SignerChain::verify(pem, &self.roots.root, self.now_s).and_then(|(chain, valid)| {
            holds(!root_crl.revokes(&chain.signer), CollateralError::SignerRevoked)?;
            Ok((chain, valid))
        });
        let passed = |_: &(SignerChain, Validity)| "a TCB signer directly under the root, not revoked".to_owned();
        let (chain, valid) = self.step(id, passed, verified)?;
        *validity = validity.intersect(valid);
        Ok(chain.signer)
    }

    /// Whether something is valid now; narrows the validity of the whole.
    fn current(&mut self, id: &'static str, item: Item, own: Validity, all: &mut Validity) -> Result<(), Error> {
        let current = match own.locate(self.now_s) {
            Moment::Before => Err(CollateralError::NotYetValid(item)),
            Moment::After => Err(CollateralError::Expired(item)),
            Moment::Within => Ok(()),
        };
        let left = own.until.saturating_sub(self.now_s);
        *all = all.intersect(own);
        self.step(id, |()| format!("valid for another {left} s"), current)
    }

    fn tcb(
        &mut self,
        quote: &Quote<'_>,
        platform: &Platform,
        qe: &QuotingEnclave,
        published: &Published,
    ) -> Result<TcbVerdict, Error> {
        let Published { tcb_info, qe_identity } = published;
        let right = tcb::check_quoting_enclave(qe, qe_identity);
        self.step("tdx.tcb.qe_identity", |()| "Intel's TD quoting enclave".to_owned(), right)?;
        let level = tcb::qe_level(qe, qe_identity);
        let qe_level = self.step("tdx.tcb.qe_level", |level| level.status.name().to_owned(), level)?;
        let right = tcb::check_module(&quote.report, tcb_info);
        self.step("tdx.tcb.module_identity", |()| "a TDX module of Intel's".to_owned(), right)?;
        let launch = tcb::evaluate(tcb_info, platform, &quote.report.tee_tcb_svn);
        let launch = self.step("tdx.tcb.level", |level| level.status().name().to_owned(), launch)?;
        let current = match &quote.report.td15 {
            Some(td15) => {
                let current = tcb::evaluate(tcb_info, platform, &td15.tee_tcb_svn_2);
                Some(self.step("tdx.tcb.current_level", |level| level.status().name().to_owned(), current)?)
            }
            None => {
                self.checks.pass("tdx.tcb.current_level", "the same: TDX 1.0 modules are not updated under a TD");
                None
            }
        };
        let number = tcb_info.evaluation_number.min(qe_identity.evaluation_number);
        let verdict = tcb::conclude(launch, current.as_ref(), qe_level, number);
        self.step("tdx.tcb.not_revoked", |verdict| format!("together: {}", verdict.status.name()), verdict)
    }

    fn second_opinion(
        &mut self,
        ours: &Ours<'_>,
        collateral: &Collateral,
        pck_chain: Option<&str>,
        validity: Validity,
    ) -> Result<(), Error> {
        // Its X.509 library takes the last second of a revocation list for outside, Intel's verifier and we for inside.
        let now_s = if self.now_s == validity.until { self.now_s.saturating_sub(1) } else { self.now_s };
        let opinion = opinion::ask(ours, collateral, pck_chain, &self.roots.root, now_s);
        let passed = |_: &Opinion| "dcap-qvl finds the same evidence to be true".to_owned();
        match self.step("tdx.tcb.second_opinion", passed, opinion)? {
            Opinion::Agrees => {
                self.checks.pass("tdx.tcb.second_opinion.status", "the same status and advisories");
            }
            Opinion::OwnPolicy(refusal) => {
                let told = format!("dcap-qvl does not tell a status: {refusal}");
                self.checks.not_done("tdx.tcb.second_opinion.status", told);
            }
        }
        Ok(())
    }
}

/// The PEM chain of the PCK certificate: the quote's own, or the collateral's if the quote has none.
fn pck_pem<'a>(quote: &Quote<'a>, collateral: Option<&'a Collateral>) -> Result<&'a [u8], Error> {
    let fetched = || collateral.and_then(|collateral| collateral.pck_certificate_chain.as_deref());
    match quote.certification().map_err(|error| Error::Chain(Certificate::Pck, error))? {
        Certification::PckChain(pem) => Ok(pem),
        Certification::EncryptedPpid => fetched()
            .map(str::as_bytes)
            .ok_or(Error::Chain(Certificate::Pck, ChainError::CertificationType(quote.certification_type))),
    }
}

fn read_crl(der: &[u8], issuer: &Cert, item: Item) -> Result<Crl, CollateralError> {
    let list = Crl::parse(der).map_err(|_| CollateralError::Malformed("a revocation list is not one of Intel's"))?;
    if !issuer.issued_list(&list) {
        return Err(CollateralError::Signature(item));
    }
    holds(super::x509::same_name(&list.issuer, &issuer.subject), CollateralError::RevocationUnknown(item))?;
    Ok(list)
}

fn is_signed(signer: &Cert, text: &str, signature: &[u8], item: Item) -> Result<(), CollateralError> {
    let right = signature.try_into().is_ok_and(|signature| signer.signed(text.as_bytes(), signature));
    holds(right, CollateralError::Signature(item))
}

fn holds<E>(condition: bool, error: E) -> Result<(), E> {
    if condition { Ok(()) } else { Err(error) }
}
