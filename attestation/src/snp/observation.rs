//! What a reader of a report should notice although no policy need refuse it.

use super::report::Claims;

/// Something worth noticing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// The host may read the guest's memory.
    Debug,
    /// Bit 17 of the guest policy is zero.
    PolicyBit17Clear,
    /// A migration agent may move the guest.
    MigrationAgent,
    /// The guest allows SMT.
    Smt,
    /// The VCEK is for another TCB than the one that runs.
    CurrentNotReported,
    /// Firmware is provisional: it can be rolled back.
    CommittedNotCurrent,
    /// Firmware was updated since the guest was launched.
    LaunchNotCurrent,
    /// The report was asked for below the highest privilege.
    Vmpl(u32),
}

impl std::fmt::Display for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Debug => f.write_str("DEBUG"),
            Self::PolicyBit17Clear => f.write_str("POLICY_MBO_CLEAR"),
            Self::MigrationAgent => f.write_str("MIGRATE_MA"),
            Self::Smt => f.write_str("SMT"),
            Self::CurrentNotReported => f.write_str("CURRENT!=REPORTED"),
            Self::CommittedNotCurrent => f.write_str("COMMITTED!=CURRENT"),
            Self::LaunchNotCurrent => f.write_str("LAUNCH!=CURRENT"),
            Self::Vmpl(level) => write!(f, "VMPL={level}"),
        }
    }
}

impl Claims {
    /// What is worth noticing.
    #[must_use]
    pub fn observations(&self) -> Vec<Observation> {
        let all = [
            (self.policy.debug_allowed(), Observation::Debug),
            (!self.policy.must_be_one(), Observation::PolicyBit17Clear),
            (self.policy.migration_agent_allowed(), Observation::MigrationAgent),
            (self.policy.smt_allowed(), Observation::Smt),
            (self.current_tcb != self.reported_tcb, Observation::CurrentNotReported),
            (self.committed_tcb != self.current_tcb, Observation::CommittedNotCurrent),
            (self.launch_tcb != self.current_tcb, Observation::LaunchNotCurrent),
            (self.vmpl != 0, Observation::Vmpl(self.vmpl)),
        ];
        all.into_iter().filter_map(|(holds, observation)| holds.then_some(observation)).collect()
    }
}
