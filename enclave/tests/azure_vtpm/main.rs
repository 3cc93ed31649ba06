//! Evidence of an Azure guest, made with a real TPM in software and verified as a relying party would; and what becomes
//! of it when the TPM, its index or the host between are not as they should be.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod host;
mod software_tpm;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_attestation::azure::{Error as Untrue, Evidence, Verified, verify_snp};
use cloister_attestation::check::Outcome;
use cloister_attestation::encoding::sha256;
use cloister_attestation::snp;
use cloister_enclave::attest::azure::tpm::{Error as TpmError, Tpm};
use cloister_enclave::attest::azure::{AzureEvidence, AzureVtpm, Command, Error, evidence};
use cloister_enclave::clock::{Clock as _, SystemClock};
use cloister_synthetic::amd::{Amd, Line};
use host::{Host, NV_READ, NV_READ_PUBLIC, PCR_READ, Playback, QUOTE, refusal};
use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use software_tpm::SoftwareTpm;

static AMD: LazyLock<Amd> = LazyLock::new(|| Amd::new(Line::Milan, 2).unwrap());

const ONE: [u8; 32] = [1; 32];
const TWO: [u8; 32] = [2; 32];
const INDEX: u32 = 0x0140_0001;

/// A container as the paravisor makes it, around a report that speaks of the runtime data.
fn container(kind: u32, runtime_data: &[u8]) -> Vec<u8> {
    let mut report_data = [0; 64];
    report_data[..32].copy_from_slice(&sha256(runtime_data).0);
    let mut hardware = AMD.report(&report_data);
    if kind == 4 {
        hardware.fill(0);
    }
    let length = u32::try_from(runtime_data.len()).unwrap();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let header = [b"HCLA".to_vec(), words(&[2, length + 1236, 2, 0, 0, 0, 0])].concat();
    [header, hardware, words(&[length + 20, 1, kind, 1, length]), runtime_data.to_vec()].concat()
}

fn runtime_data(modulus: &[u8]) -> Vec<u8> {
    let key = json!({ "kid": "HCLAkPub", "kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(modulus) });
    serde_json::to_vec(&json!({ "keys": [key], "vm-configuration": { "secure-boot": true } })).unwrap()
}

/// A TPM as Azure's is, and the report in it.
fn guest() -> (SoftwareTpm, Vec<u8>) {
    let tpm = SoftwareTpm::start();
    let report = container(2, &runtime_data(&tpm.make_key()));
    tpm.define(report.len(), "ownerwrite|ownerread");
    tpm.write(&report);
    (tpm, report)
}

fn verify(evidence: &AzureEvidence, nonce: &[u8; 32]) -> Result<Verified<snp::Verified>, Untrue> {
    let AzureEvidence { hcl_report, tpm_quote } = evidence;
    let evidence = Evidence { hcl_report, quote: tpm_quote, nonce: Some(nonce) };
    let endorsements = snp::Endorsements { vek: Some(&AMD.vcek), ask: Some(&AMD.ask), ark: Some(&AMD.ark), crl: None };
    let roots = snp::Roots::insecure_with_ark(&AMD.ark).unwrap();
    let verified = verify_snp(&evidence, &endorsements, &roots, SystemClock.now_ms());
    verified.map_err(|rejected| rejected.error)
}

#[test]
fn azure_vtpm_evidence_verifies_with_every_check_made() {
    let (tpm, report) = guest();
    tpm.extend(4, &ONE);
    let evidence = AzureVtpm::detect(&tpm.path()).unwrap().unwrap().evidence(&ONE).unwrap();
    assert_eq!(evidence.hcl_report, report);
    let verified = verify(&evidence, &ONE).unwrap();
    let open = verified.checks().iter().filter(|check| check.result != Outcome::Pass).map(|check| check.id);
    assert_eq!(open.collect::<Vec<_>>(), ["snp.crl", "snp.report.product"], "no list, and a report of version 2");
    assert!(verified.is_fresh());
    let extended: [u8; 32] = Sha256::new().chain_update([0; 32]).chain_update(ONE).finalize().into();
    assert_eq!(verified.pcrs()[&4], extended);
    let pcrs: Vec<u8> = verified.pcrs().values().flatten().copied().collect();
    assert_eq!(pcrs, tpm.pcrs(), "as the TPM's own tools read them");
}

#[test]
fn azure_vtpm_a_quote_answers_one_nonce_only() {
    let (tpm, _) = guest();
    let vtpm = AzureVtpm::open(&tpm.path()).unwrap();
    let (one, two) = (vtpm.evidence(&ONE).unwrap(), vtpm.evidence(&TWO).unwrap());
    assert!(verify(&two, &TWO).is_ok());
    assert_eq!(verify(&one, &TWO).unwrap_err(), Untrue::Nonce);
    assert_eq!(verify(&two, &ONE).unwrap_err(), Untrue::Nonce);
}

#[test]
fn azure_vtpm_a_register_that_changes_is_seen() {
    let (tpm, _) = guest();
    let vtpm = AzureVtpm::open(&tpm.path()).unwrap();
    let before = vtpm.evidence(&ONE).unwrap();
    tpm.extend(11, &TWO);
    let mut after = vtpm.evidence(&ONE).unwrap();
    let (one, two) = (verify(&before, &ONE).unwrap(), verify(&after, &ONE).unwrap());
    let changed = one.pcrs().iter().filter(|(pcr, value)| two.pcrs()[pcr] != **value).map(|(pcr, _)| *pcr);
    assert_eq!(changed.collect::<Vec<_>>(), [11]);
    // The old registers do not pass for the new ones.
    after.tpm_quote.pcrs = before.tpm_quote.pcrs;
    assert_eq!(verify(&after, &ONE).unwrap_err(), Untrue::PcrDigest);
}

/// The report names the key of another TPM: what the paravisor vouches for is not what signs.
#[test]
fn azure_vtpm_another_tpm_s_quote_is_refused() {
    let (one, _) = guest();
    let (_two, report) = guest();
    one.replace(&report);
    let evidence = AzureVtpm::open(&one.path()).unwrap().evidence(&ONE).unwrap();
    assert_eq!(verify(&evidence, &ONE).unwrap_err(), Untrue::QuoteSignature);
}

#[test]
fn azure_vtpm_detection_takes_azure_s_tpm_and_no_other() {
    let nowhere = Path::new("/nonexistent/tpmrm0");
    assert!(AzureVtpm::detect(nowhere).unwrap().is_none());
    assert_eq!(AzureVtpm::open(nowhere).unwrap_err(), Error::NoDevice);

    let tpm = SoftwareTpm::start();
    assert!(AzureVtpm::detect(&tpm.path()).unwrap().is_none(), "a TPM without the index");
    assert_eq!(AzureVtpm::open(&tpm.path()).unwrap_err(), Error::Tpm(TpmError::NoIndex(INDEX)));

    tpm.define(2000, "ownerwrite|ownerread");
    tpm.write(&[7; 2000]);
    assert!(AzureVtpm::detect(&tpm.path()).unwrap().is_none(), "somebody else's index");
    assert_eq!(AzureVtpm::open(&tpm.path()).unwrap_err(), Error::NotAzure);
}

/// What may be Azure's and is not as it should be is an error, and never "no TPM".
#[test]
fn azure_vtpm_a_wrong_index_is_an_error() {
    let tpm = SoftwareTpm::start();
    let refusal = || AzureVtpm::detect(&tpm.path()).unwrap_err();
    let genuine = container(2, b"{}");

    tpm.define(genuine.len(), "ownerwrite|policyread");
    assert_eq!(refusal(), Error::Tpm(TpmError::IndexLocked(INDEX)));
    tpm.undefine();
    tpm.define(genuine.len(), "ownerwrite|ownerread");
    // TPM_RC_NV_UNINITIALIZED.
    assert_eq!(refusal(), Error::Tpm(TpmError::Refused { command: Command::NvRead, code: 0x14A }));
    tpm.replace(&genuine[..1200]);
    assert_eq!(refusal(), Error::Inconsistent("HCL_MALFORMED"));
    tpm.replace(&container(4, b"{}"));
    assert_eq!(refusal(), Error::Tdx);
    tpm.replace(&[&genuine[..genuine.len() - 2], b"[]"].concat());
    assert_eq!(refusal(), Error::Inconsistent("VAR_DATA_HASH"));

    // Readable with its own empty password, and there is no key.
    tpm.undefine();
    tpm.define(genuine.len(), "ownerwrite|authread");
    tpm.write(&genuine);
    let vtpm = AzureVtpm::detect(&tpm.path()).unwrap().unwrap();
    assert_eq!(vtpm.evidence(&ONE).unwrap_err(), Error::Tpm(TpmError::NoKey(0x8100_0003)));
}

/// Evidence when the host changes every answer to the command `code`.
fn through(tpm: &SoftwareTpm, code: u32, change: impl Fn(&mut Vec<u8>)) -> Result<AzureEvidence, Error> {
    let host = Host::new(&tpm.path(), 4096, |own, answer| {
        if own == code {
            change(answer)
        }
    });
    evidence(&mut Tpm::new(host), &ONE)
}

fn put(answer: &mut [u8], offset: usize, bytes: &[u8]) {
    answer[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// Appends bytes and says so in the size.
fn append(answer: &mut Vec<u8>, bytes: &[u8]) {
    answer.extend(bytes);
    let size = u32::try_from(answer.len()).unwrap();
    put(answer, 2, &size.to_be_bytes());
}

/// Puts another authorization in place of that of the password: no nonce, an attribute, no HMAC.
fn authorize(answer: &mut Vec<u8>, bytes: &[u8]) {
    answer.truncate(answer.len() - 5);
    append(answer, bytes);
}

#[test]
fn azure_vtpm_each_wrong_answer_has_its_error() {
    type Change = fn(&mut Vec<u8>);
    let malformed = |command, what| Error::Tpm(TpmError::Malformed { command, what });
    let (nv, quote, public, pcr) = (Command::NvRead, Command::Quote, Command::NvReadPublic, Command::PcrRead);
    let refused = |code| Error::Tpm(TpmError::Refused { command: Command::Quote, code });
    let rows: Vec<(u32, Change, Error)> = vec![
        (QUOTE, Vec::clear, Error::Tpm(TpmError::Short(quote))),
        (QUOTE, |a| a.truncate(9), Error::Tpm(TpmError::Short(quote))),
        (QUOTE, |a| a.truncate(100), Error::Tpm(TpmError::Short(quote))),
        (QUOTE, |a| put(a, 2, &[0, 1, 0, 0]), Error::Tpm(TpmError::Long(quote))),
        (QUOTE, |a| put(a, 2, &[0xFF; 4]), Error::Tpm(TpmError::Long(quote))),
        (QUOTE, |a| *a = vec![0; 4096], malformed(quote, "smaller than an answer is")),
        (QUOTE, |a| a.push(0), malformed(quote, "more than it says")),
        (QUOTE, |a| put(a, 0, &[0x80, 0x01]), malformed(quote, "its tag is not the command's")),
        (QUOTE, |a| put(a, 6, &[0, 0, 1, 1]), malformed(quote, "a refusal with more")),
        (QUOTE, |a| *a = refusal(0x101), refused(0x101)),
        (QUOTE, |a| put(a, 10, &[0, 0, 0xFF, 0xFF]), malformed(quote, "too short")),
        (QUOTE, |a| append(a, &[0]), malformed(quote, "has trailing bytes")),
        (QUOTE, |a| authorize(a, &[0, 1, 9, 1, 0, 0]), malformed(quote, "authorizes something else than a password")),
        (QUOTE, |a| authorize(a, &[0, 0, 1, 0, 1, 9]), malformed(quote, "authorizes something else than a password")),
        (QUOTE, |a| put(a, 14, &[0xFF, 0xFF]), malformed(quote, "too short")),
        (QUOTE, |a| put(a, 14, &[0, 0]), malformed(quote, "not signed with RSASSA and SHA-256")),
        (QUOTE, |a| put(a, 16, &[0]), Error::Inconsistent("TPM_QUOTE_MALFORMED")),
        (NV_READ_PUBLIC, |a| put(a, 12, &[9]), malformed(public, "of another index")),
        (NV_READ, |a| put(a, 14, &[0, 4]), malformed(nv, "has trailing bytes")),
        (PCR_READ, |a| put(a, 14, &[0, 0, 0, 2]), malformed(pcr, "not of one bank of 24 SHA-256 registers")),
        (PCR_READ, |a| put(a, 21, &[0; 3]), Error::Tpm(TpmError::NoBank)),
        (PCR_READ, |a| put(a, 21, &[1]), malformed(pcr, "not one value for each register")),
        (PCR_READ, |a| put(a, 24, &[0xFF; 4]), malformed(pcr, "too many values")),
        (PCR_READ, |a| put(a, 28, &[0, 31]), malformed(pcr, "a value is not SHA-256")),
        (PCR_READ, |a| put(a, 30, &[9]), Error::Moving),
    ];
    let (tpm, _) = guest();
    for (row, (code, change, expected)) in rows.into_iter().enumerate() {
        assert_eq!(through(&tpm, code, change).unwrap_err(), expected, "row {row}");
    }
    // The same registers again and again: what was read already was not asked for.
    let mut first = None;
    let again = |code, answer: &mut Vec<u8>| {
        if code == PCR_READ {
            *answer = first.get_or_insert_with(|| answer.clone()).clone();
        }
    };
    let error = evidence(&mut Tpm::new(Host::new(&tpm.path(), 4096, again)), &ONE).unwrap_err();
    assert_eq!(error, malformed(pcr, "registers that were not asked for"));
    let other_nonce = |answer: &mut Vec<u8>| {
        let nonce = answer.windows(32).position(|window| *window == ONE).unwrap();
        put(answer, nonce, &TWO);
    };
    assert_eq!(through(&tpm, QUOTE, other_nonce).unwrap_err(), Error::Inconsistent("TPM_NONCE"));
}

/// `TPM_RC_YIELDED`, `TPM_RC_TESTING`, `TPM_RC_NV_RATE` and `TPM_RC_RETRY`: each command once more, and not for ever.
#[test]
fn azure_vtpm_a_busy_tpm_is_asked_again() {
    let (tpm, report) = guest();
    for code in [0x908, 0x90A, 0x920, 0x922] {
        let mut busy = false;
        let change = |_, answer: &mut Vec<u8>| {
            busy = !busy;
            if busy {
                *answer = refusal(code);
            }
        };
        let evidence = evidence(&mut Tpm::new(Host::new(&tpm.path(), 4096, change)), &ONE).unwrap();
        assert_eq!(evidence.hcl_report, report);
    }
    let never = through(&tpm, NV_READ, |answer| *answer = refusal(0x922)).unwrap_err();
    assert_eq!(never, Error::Tpm(TpmError::Busy));
}

/// A register that is extended between reading and quoting costs another turn.
#[test]
fn azure_vtpm_a_register_that_changes_meanwhile_is_read_again() {
    let (tpm, _) = guest();
    let mut read = 0;
    let host = Host::new(&tpm.path(), 4096, |code, answer: &mut Vec<u8>| {
        if code == PCR_READ {
            read += 1;
            if read == 2 {
                put(answer, 30, &[9; 32]);
            }
        }
    });
    let evidence = evidence(&mut Tpm::new(host), &ONE).unwrap();
    assert!(verify(&evidence, &ONE).is_ok());
    assert_eq!(read, 6, "three reads a turn, two turns");
}

#[test]
fn azure_vtpm_answers_may_come_in_pieces() {
    let (tpm, _) = guest();
    for piece in [1, 7, 100] {
        let host = Host::new(&tpm.path(), piece, |_, _| {});
        assert!(verify(&evidence(&mut Tpm::new(host), &TWO).unwrap(), &TWO).is_ok(), "{piece}");
    }
}

#[test]
fn azure_vtpm_a_tpm_that_hangs_up_is_an_error() {
    let (own, other) = UnixStream::pair().unwrap();
    drop(other);
    let error = evidence(&mut Tpm::new(own), &ONE).unwrap_err();
    assert_eq!(error, Error::Tpm(TpmError::Io(std::io::ErrorKind::BrokenPipe)));
}

/// Genuine evidence, and each answer of the TPM from which it was made.
static GENUINE: LazyLock<(AzureEvidence, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let (tpm, _) = guest();
    let mut answers = Vec::new();
    let host = Host::new(&tpm.path(), 4096, |_, answer: &mut Vec<u8>| answers.push(answer.clone()));
    let evidence = evidence(&mut Tpm::new(host), &ONE).unwrap();
    (evidence, answers)
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever bytes come, nothing panics, and what is evidence nevertheless is genuine or refused.
    #[test]
    fn azure_vtpm_whatever_the_tpm_says_is_genuine_or_refused(
        which in any::<prop::sample::Index>(),
        offset in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..6),
        shorter in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (genuine, answers) = &*GENUINE;
        let mut answers = answers.clone();
        let which = which.index(answers.len());
        let answer = &mut answers[which];
        let offset = offset.index(answer.len());
        let end = answer.len().min(offset + bytes.len());
        answer[offset..end].copy_from_slice(&bytes[..end - offset]);
        if let Some(shorter) = shorter {
            let length = shorter.index(answer.len());
            answer.truncate(length);
            if length >= 6 {
                put(answer, 2, &u32::try_from(length).unwrap().to_be_bytes());
            }
        }
        if let Ok(evidence) = evidence(&mut Tpm::new(Playback::new(answers)), &ONE) {
            prop_assert!(evidence == *genuine || verify(&evidence, &ONE).is_err());
        }
    }

    #[test]
    fn azure_vtpm_noise_is_no_evidence(answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4)) {
        prop_assert!(evidence(&mut Tpm::new(Playback::new(answers)), &ONE).is_err());
    }
}
