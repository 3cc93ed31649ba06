//! The configuration file as it is spelled: every field may be absent or of the wrong type, and none is believed yet.
//!
//! Reading never stops at the first mistake: a field that does not fit becomes [`Field::Wrong`], and names that do not
//! belong are collected, so that [`super::Config::parse`] can report everything in one go.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// One value of the file.
#[derive(Debug, Default)]
pub(super) enum Field<T> {
    /// Not in the file.
    #[default]
    Missing,
    /// In the file, but of another type.
    Wrong,
    /// As wanted.
    Value(T),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        Ok(value.try_into().map_or(Self::Wrong, Self::Value))
    }
}

/// Names that stand in a table and do not belong there.
pub(super) type Unknown = BTreeMap<String, toml::Value>;

macro_rules! raw {
    ($($(#[$doc:meta])* $name:ident { $($field:ident : $ty:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            $(pub(super) $field: Field<$ty>,)*
            #[serde(flatten)]
            pub(super) unknown: Unknown,
        }
    )+};
}

raw! {
    /// The whole file.
    RawConfig {
        tee: String,
        attestation: RawAttestation,
        public_host: String,
        listen: String,
        proxy_header: String,
        data_dir: String,
        web_dir: String,
        docworker: String,
        root_key: RawRootKey,
        backup: RawBackup,
        models: RawModels,
        enrolment: RawEnrolment,
        identity: RawIdentity,
        egress: RawEgress,
        limits: RawLimits,
        log: RawLog,
    }
    /// `[attestation]`
    RawAttestation {
        tsm_report: String,
        privilege_level: u64,
        insecure_trust_roots: Vec<String>,
        collateral: String,
        collateral_dir: String,
        collateral_ca: String,
        kds_url: String,
        pcs_url: String,
        pcs_update: String,
        intel_root_crl_url: String,
    }
    /// `[root_key]`
    RawRootKey {
        slot: String,
        file: String,
        recovery_recipient: String,
    }
    /// `[backup]`
    RawBackup {
        folder: String,
        every_hours: u64,
        keep: u64,
    }
    /// `[models]`
    RawModels {
        embedder: RawModel,
        generator: RawModel,
        threads: u64,
        parallel: u64,
    }
    /// `[models.embedder]` and `[models.generator]`
    RawModel {
        id: String,
        path: String,
        sha256: String,
        template: String,
    }
    /// `[enrolment]`
    RawEnrolment {
        link_file: String,
    }
    /// `[identity]`
    RawIdentity {
        organisation: String,
        workspace: String,
        session_absolute_ms: u64,
        session_idle_ms: u64,
        owner_enrolment_ms: u64,
        member_enrolment_ms: u64,
        legacy_login: bool,
    }
    /// `[egress]`
    RawEgress {
        allow: Vec<String>,
        relay: String,
    }
    /// `[limits]`
    RawLimits {
        connections: u64,
        concurrent_requests: u64,
        header_bytes: u64,
        headers: u64,
        json_bytes: u64,
        upload_bytes: u64,
        handshake_ms: u64,
        header_read_ms: u64,
        request_ms: u64,
        upload_ms: u64,
        answer_ms: u64,
        idle_ms: u64,
        write_stall_ms: u64,
        drain_ms: u64,
        requests_per_minute: u64,
        request_burst: u64,
        attestations_per_minute: u64,
    }
    /// `[log]`
    RawLog {
        level: String,
        format: String,
    }
}
