//! The fields of a SEV-SNP report, in words.

use cloister_attestation::snp::{Claims, Cpuid, GuestPolicy, Observation, PlatformInfo, Product, RawTcb, Report, Tcb};

use super::sheet::{Sheet, sentences};

pub(super) fn sheet(bytes: &[u8]) -> Result<Sheet, String> {
    let report = Report::parse(bytes).map_err(|error| error.to_string())?;
    let claims = report.claims_unverified();
    let mut sheet = Sheet::default();
    sheet.put("version", claims.version);
    launch(&mut sheet, claims);
    identity(&mut sheet, claims);
    platform(&mut sheet, claims);
    let observations = claims.observations();
    let codes: Vec<String> = observations.iter().map(ToString::to_string).collect();
    let words: Vec<&str> = observations.into_iter().map(in_words).collect();
    sheet.explain("observations", codes, if words.is_empty() { "none".to_owned() } else { words.join("; ") });
    Ok(sheet)
}

fn launch(sheet: &mut Sheet, claims: &Claims) {
    sheet.explain("policy", format!("{:#x}", claims.policy.0), policy_in_words(claims.policy));
    sheet.explain("vmpl", claims.vmpl, vmpl_in_words(claims.vmpl));
    sheet.bytes("measurement", &claims.measurement);
    sheet.bytes("report_data", &claims.report_data);
    sheet.explain(
        "host_data",
        hex::encode(claims.host_data),
        "set by the host at launch; signed, neither secret nor measured",
    );
    sheet.put("guest_svn", claims.guest_svn);
    sheet.bytes("family_id", &claims.family_id);
    sheet.bytes("image_id", &claims.image_id);
    sheet.bytes("id_key_digest", &claims.id_key_digest);
    let author = if claims.author_key_enabled { "in force" } else { "not in force: no author key was given at launch" };
    sheet.explain("author_key_digest", hex::encode(claims.author_key_digest), author);
}

fn identity(sheet: &mut Sheet, claims: &Claims) {
    let key = match (claims.signing_key, claims.chip_key_masked) {
        (_, true) => "the host masked the chip's key: such reports carry no signature",
        (0, _) => "VCEK: the key of one chip",
        (1, _) => "VLEK: the key of a cloud provider; it does not identify a machine",
        (7, _) => "none: the report is not signed",
        _ => "reserved",
    };
    sheet.explain("signing_key", claims.signing_key, key);
    sheet.bytes("chip_id", &claims.chip_id);
    sheet.bytes("report_id", &claims.report_id);
    let agent = if claims.report_id_ma == [0xFF; 32] { "no migration agent" } else { "bound to a migration agent" };
    sheet.explain("report_id_ma", hex::encode(claims.report_id_ma), agent);
}

fn platform(sheet: &mut Sheet, claims: &Claims) {
    match claims.cpuid {
        Some(Cpuid { family, model, stepping }) => {
            let product = claims.cpuid_product().map_or("a processor that this build does not know", Product::name);
            sheet.explain("cpuid", format!("family {family:#x}, model {model:#x}, stepping {stepping:#x}"), product);
        }
        None => sheet.explain("cpuid", (), "version 2 reports do not name the processor; only the certificate does"),
    }
    let tcbs = [
        ("reported_tcb", claims.reported_tcb),
        ("current_tcb", claims.current_tcb),
        ("committed_tcb", claims.committed_tcb),
        ("launch_tcb", claims.launch_tcb),
    ];
    for (name, raw) in tcbs {
        sheet.explain(name, raw.to_string(), tcb_in_words(raw, claims));
    }
    sheet.put("current_firmware", claims.current_version.to_string());
    sheet.put("committed_firmware", claims.committed_version.to_string());
    let info = claims.platform_info;
    sheet.explain("platform_info", format!("{:#x}", info.0), platform_in_words(info));
    sheet.put("launch_mitigations", claims.launch_mitigations.map(|vector| format!("{vector:#x}")));
    sheet.put("current_mitigations", claims.current_mitigations.map(|vector| format!("{vector:#x}")));
}

fn tcb_in_words(raw: RawTcb, claims: &Claims) -> String {
    match (claims.cpuid_product(), claims.cpuid) {
        (Some(product), _) => Tcb::decode(product, raw).to_string(),
        // Reports of version 2 are older than Turin, whose layout differs.
        (None, None) => Tcb::decode(Product::Milan, raw).to_string(),
        (None, Some(_)) => "the layout depends on a processor that this build does not know".to_owned(),
    }
}

fn vmpl_in_words(vmpl: u32) -> &'static str {
    match vmpl {
        0 => "asked for by the guest at its highest privilege",
        1..=3 => "asked for below the highest privilege: something above the guest, such as a paravisor, can change it",
        u32::MAX => "asked for by the HOST, not by the guest: it proves nothing about the guest",
        _ => "a privilege level that does not exist",
    }
}

fn policy_in_words(policy: GuestPolicy) -> String {
    let (major, minor) = policy.abi();
    let facts = sentences(&[
        (policy.debug_allowed(), "DEBUG: the host can read and change the guest's memory"),
        (policy.migration_agent_allowed(), "a migration agent may move, and so read, the guest"),
        (policy.smt_allowed(), "hyperthreading is allowed"),
        (policy.cxl_allowed(), "CXL devices are allowed"),
        (policy.single_socket(), "only one socket"),
        (policy.xts(), "AES-256-XTS demanded"),
        (policy.rapl_disabled(), "RAPL must be off"),
        (policy.ciphertext_hiding(), "ciphertext hiding demanded"),
        (policy.page_swap_disabled(), "page swapping forbidden"),
        (!policy.reserved_bits_hold(), "reserved bits are WRONG"),
    ]);
    format!("firmware ABI {major}.{minor} or later; {facts}")
}

fn platform_in_words(info: PlatformInfo) -> String {
    sentences(&[
        (info.smt(), "hyperthreading is on"),
        (info.tsme(), "transparent memory encryption is on"),
        (info.ecc(), "memory has ECC"),
        (info.rapl_disabled(), "RAPL is off"),
        (info.ciphertext_hiding(), "ciphertext hiding is on"),
        (info.alias_check_complete(), "memory was checked for aliases (BadRAM)"),
        (!info.alias_check_complete(), "memory was NOT checked for aliases (BadRAM)"),
        (info.tio(), "trusted I/O is on"),
    ])
}

const fn in_words(observation: Observation) -> &'static str {
    match observation {
        Observation::Debug => "the host can read and change the guest's memory: this guest keeps nothing secret",
        Observation::PolicyBit17Clear => {
            "a bit of the guest policy that must be one is zero: no real firmware makes such reports"
        }
        Observation::MigrationAgent => "another guest may move, and so read, this one",
        Observation::Smt => "threads of other guests may share a core with this one",
        Observation::CurrentNotReported => {
            "newer firmware runs than the one that the signing key was made for: usual, and legitimate"
        }
        Observation::CommittedNotCurrent => "the firmware is provisional: the host can go back to an older one",
        Observation::LaunchNotCurrent => "the firmware was updated while the guest ran",
        Observation::Vmpl(_) => "something above the guest, such as a paravisor, can change it",
    }
}
