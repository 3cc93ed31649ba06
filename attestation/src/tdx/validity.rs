//! From when until when something may be relied upon.

/// A span of time, both ends included, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: u64,
    /// The last second.
    pub until: u64,
}

/// Where a moment lies relative to a [`Validity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    Within,
    After,
}

impl Validity {
    /// All of time.
    pub(super) const ALWAYS: Self = Self { from: 0, until: u64::MAX };

    /// None if it ends before it begins.
    pub(super) const fn new(from: u64, until: u64) -> Option<Self> {
        if from <= until { Some(Self { from, until }) } else { None }
    }

    /// The time that both allow; it may end before it begins.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    pub(super) const fn locate(self, now_s: u64) -> Moment {
        if now_s < self.from {
            Moment::Before
        } else if now_s > self.until {
            Moment::After
        } else {
            Moment::Within
        }
    }
}
