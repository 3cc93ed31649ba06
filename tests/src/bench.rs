//! Figures, each as a ratio to a peer run side by side in the same call.
//!
//! Rounds alternate between the product and its peer, so that a machine whose speed drifts treats both alike, and the
//! median round counts. Nothing here asserts: a figure that falls short is printed as such.

pub mod attestation;
pub mod boot;
pub mod embedding;
pub mod life;
mod peer;
pub mod relay;
mod sqlcipher;
pub mod store;
pub mod streaming;
pub mod vectors;

use serde::Serialize;

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// The peer, or "–" for an absolute figure.
    pub against: String,
    /// Ours.
    pub ours: f64,
    /// The peer's.
    pub peer: Option<f64>,
    /// Unit of both.
    pub unit: String,
    /// Ours over the peer's, or ours where there is no peer.
    pub value: f64,
    /// What it must reach: at least or at most.
    pub target: Target,
}

/// What a figure must reach.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
}

impl Figure {
    /// A ratio to a peer.
    #[must_use]
    pub fn ratio(what: &str, against: &str, unit: &str, ours: f64, peer: f64, target: Target) -> Self {
        Self {
            what: what.to_owned(),
            against: against.to_owned(),
            ours,
            peer: Some(peer),
            unit: unit.to_owned(),
            value: ours / peer,
            target,
        }
    }

    /// A figure without a peer.
    #[must_use]
    pub fn absolute(what: &str, unit: &str, ours: f64, target: Target) -> Self {
        let (what, unit) = (what.to_owned(), unit.to_owned());
        Self { what, against: "–".to_owned(), ours, peer: None, unit, value: ours, target }
    }

    /// Whether the target is reached.
    #[must_use]
    pub fn reached(&self) -> bool {
        match self.target {
            Target::AtLeast(least) => self.value >= least,
            Target::AtMost(most) => self.value <= most,
        }
    }
}

/// The median of a few rounds.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
