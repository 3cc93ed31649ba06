//! What was minted a moment ago, so that many who ask the same at once cost the hardware one report.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::Error;

/// How long an answer is kept: whatever changes meanwhile, such as the head of a log, and however many ask.
const KEPT_MS: u64 = 10 * 1000;
/// Answers that are kept, the oldest going first.
const MOST: usize = 64;

/// A form of evidence. Each has its own domain of `report_data`, none of which is of a caller's choosing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The appliance's own document.
    Cloister,
    /// `aci/1`.
    Aci,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) door: Door,
    /// The caller's nonce; none in the form that is not fresh.
    pub(super) nonce: Option<[u8; 32]>,
    /// What the report is bound to besides: a connection or a keyset.
    pub(super) about: [u8; 32],
}

#[derive(Debug)]
struct Slot {
    asked: Asked,
    made_ms: u64,
    /// Locked while minting, so that whoever asks the same waits for that one report.
    answer: Mutex<Option<Bytes>>,
}

/// Recent answers.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<Slot>>>);

impl Recent {
    /// The answer that is there or being made; otherwise `mint`s one.
    pub(super) fn share(
        &self,
        asked: Asked,
        now_ms: u64,
        mint: impl FnOnce() -> Result<Bytes, Error>,
    ) -> Result<Bytes, Error> {
        let slot = self.slot(asked, now_ms);
        let mut answer = slot.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = &*answer {
            return Ok(answer.clone());
        }
        let minted = mint()?;
        *answer = Some(minted.clone());
        Ok(minted)
    }

    fn slot(&self, asked: Asked, now_ms: u64) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The host may set the clock back: what is not of the last seconds is not recent.
        slots.retain(|slot| now_ms.checked_sub(slot.made_ms).is_some_and(|age_ms| age_ms < KEPT_MS));
        if let Some(slot) = slots.iter().find(|slot| slot.asked == asked) {
            return Arc::clone(slot);
        }
        if slots.len() >= MOST {
            slots.pop_front();
        }
        let slot = Arc::new(Slot { asked, made_ms: now_ms, answer: Mutex::new(None) });
        slots.push_back(Arc::clone(&slot));
        slot
    }
}
