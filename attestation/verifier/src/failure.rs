//! What keeps us from reaching a verdict at all. A verdict, also a bad one, is not a failure.

/// Exit code of a failure that is nobody's fault but the machine's or the network's.
pub(crate) const INTERNAL: u8 = 1;
/// Exit code of arguments that make no sense.
pub(crate) const USAGE: u8 = 2;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments make no sense together, or a value in them is malformed.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is too large to be what it should be.
    #[error("{path}: larger than {limit} bytes")]
    TooLarge {
        /// Which.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// The appliance could not be asked.
    #[error("{host}: {reason}")]
    Network {
        /// Whom we asked.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// This machine does not let us work.
    #[error("{0}")]
    Machine(&'static str),
}

impl Failure {
    /// The process exit code.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::File { .. } | Self::TooLarge { .. } | Self::Network { .. } | Self::Machine(_) => INTERNAL,
        }
    }

    /// Its name in the JSON report.
    pub(crate) const fn class(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::File { .. } | Self::TooLarge { .. } | Self::Network { .. } | Self::Machine(_) => "internal",
        }
    }
}
