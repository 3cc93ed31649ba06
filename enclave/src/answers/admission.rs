//! One answer at a time for each person; the next questions wait in order (requirement S1-86).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Questions of one person that may wait behind the one being answered.
pub const MOST_WAITING: usize = 3;

/// Whose turn a question waits for: a person, or a program by its API key.
pub type Lane = [u8; 16];

/// The lanes of everybody who is being answered or waits.
#[derive(Debug, Default)]
pub struct Admission {
    lanes: Mutex<Lanes>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Lanes {
    waiting: HashMap<Lane, VecDeque<u64>>,
    next: u64,
}

/// A place in a lane; dropping it lets the next one in.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    lane: Lane,
    number: u64,
    width: usize,
}

impl Admission {
    /// Takes a place at the end of a lane in which `width` are answered at a time; nothing if too many wait already.
    #[must_use]
    pub fn enter(self: &Arc<Self>, lane: Lane, width: usize) -> Option<Place> {
        let mut lanes = self.lock();
        let number = lanes.next;
        let queue = lanes.waiting.entry(lane).or_default();
        if queue.len() >= width + MOST_WAITING {
            return None;
        }
        queue.push_back(number);
        lanes.next += 1;
        drop(lanes);
        Some(Place { admission: Arc::clone(self), lane, number, width })
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until it is this place's turn. `ahead` is told how many are in front, each time the number changes.
    pub async fn turn(&self, mut ahead: impl FnMut(u32) + Send) {
        let mut told = None;
        loop {
            let mut changed = std::pin::pin!(self.admission.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let in_front = self.in_front();
            if in_front < self.width {
                return;
            }
            if told.replace(in_front) != Some(in_front) {
                ahead(u32::try_from(in_front).unwrap_or(u32::MAX));
            }
            changed.await;
        }
    }

    fn in_front(&self) -> usize {
        let lanes = self.admission.lock();
        let queue = lanes.waiting.get(&self.lane);
        queue.and_then(|queue| queue.iter().position(|number| *number == self.number)).unwrap_or(0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lanes = self.admission.lock();
        if let Some(queue) = lanes.waiting.get_mut(&self.lane) {
            queue.retain(|number| *number != self.number);
            if queue.is_empty() {
                lanes.waiting.remove(&self.lane);
            }
        }
        drop(lanes);
        self.admission.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn s1_86_the_second_question_waits_and_the_fifth_is_refused() {
        let admission = Arc::new(Admission::default());
        let lane = [1; 16];
        let first = admission.enter(lane, 1).unwrap();
        let others: Vec<Place> = (0..3).map(|_| admission.enter(lane, 1).unwrap()).collect();
        assert!(admission.enter(lane, 1).is_none());
        first.turn(|_| unreachable!("nobody is in front")).await;
        admission.enter([2; 16], 1).unwrap().turn(|_| unreachable!("another person's lane")).await;

        let told = AtomicU32::new(0);
        let second = others.into_iter().next_back().unwrap();
        {
            let waiting = second.turn(|ahead| {
                told.store(ahead, Ordering::SeqCst);
            });
            let mut waiting = std::pin::pin!(waiting);
            assert!(futures::poll!(waiting.as_mut()).is_pending());
            assert_eq!(told.load(Ordering::SeqCst), 1, "the two in the middle have left");
            drop(first);
            waiting.await;
        }
        drop(second);
        assert!(admission.lock().waiting.is_empty());
    }
}
