//! Event logs: that of the firmware, and that of dstack.

use cloister_attestation::eventlog::{self, Event};

/// The firmware's log.
pub(crate) fn ccel(data: &[u8]) {
    let Ok(events) = eventlog::ccel::parse(data) else { return };
    bounded(&events, data.len());
    let registers = eventlog::replay(&events);
    if let Ok(verified) = eventlog::ccel::verify(data, &registers) {
        assert_eq!(verified.events(), events);
    }
    refuses_other_registers(|registers| eventlog::ccel::verify(data, registers), &events);
}

/// The log of dstack.
pub(crate) fn dstack(data: &[u8]) {
    let Ok(events) = eventlog::dstack::parse(data) else { return };
    bounded(&events, data.len());
    if let Ok(verified) = eventlog::dstack::verify(data, &eventlog::replay(&events)) {
        assert_eq!(verified.events(), events);
    }
    refuses_other_registers(|registers| eventlog::dstack::verify(data, registers), &events);
}

fn bounded(events: &[Event], bytes: usize) {
    let held: usize = events.iter().map(|event| event.data.len() + event.name.len()).sum();
    assert!(held <= bytes, "the events hold more than the log");
    for event in events {
        let _ = event.covers();
    }
}

fn refuses_other_registers(
    verify: impl Fn(&[[u8; 48]; 4]) -> Result<eventlog::Verified, eventlog::Error>,
    events: &[Event],
) {
    let registers = eventlog::replay(events);
    for at in 0..registers.len() {
        let mut other = registers;
        other.iter_mut().skip(at).take(1).flatten().take(1).for_each(|byte| *byte ^= 1);
        assert!(verify(&other).is_err(), "a log is accepted for registers that it does not lead to");
    }
}
