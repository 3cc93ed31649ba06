//! `cloister-enclave check`: what is wrong with a store, in words or as JSON.

use std::fmt::Write as _;
use std::sync::Arc;

use cloister_enclave::app::examine;
use cloister_enclave::clock::{Clock, SystemClock};
use cloister_enclave::config::Config;
use cloister_enclave::store::examine::Examination;

use super::{Check, Exit, complain, complain_chain, print};

pub(super) fn run(config: &Config, args: &Check) -> Exit {
    let identity = match args.identity.read() {
        Ok(identity) => identity,
        Err(exit) => return exit,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let identity = identity.as_ref().map(|identity| identity.as_str());
    let mut progress = |records| complain(&format_args!("{records} records read"));
    match examine(config, &clock, identity, &mut progress) {
        Ok(found) => {
            match serde_json::to_string_pretty(&found) {
                Ok(json) if args.json => print(&json),
                _ => print(text(&found).trim_end()),
            }
            if found.is_sound() { Exit::Done } else { Exit::Damaged }
        }
        Err(error) => {
            complain_chain(&error);
            Exit::NotStarted
        }
    }
}

fn text(found: &Examination) -> String {
    let mut text = String::new();
    let yes = |holds: bool| if holds { "yes" } else { "NO" };
    let records: u64 = found.records.values().sum();
    let _ = writeln!(text, "state                epoch {}, {} tenants, {records} records", found.epoch, found.tenants);
    let _ = writeln!(text, "closed cleanly       {}", yes(found.after_clean_stop));
    let _ = writeln!(text, "none added or gone   {}", yes(found.set_holds));
    for (collection, count) in &found.damaged {
        let _ = writeln!(text, "DAMAGED              {count} records of {collection}");
    }
    for (what, count) in
        [("tenants whose key does not open", found.damaged_tenants), ("records of nobody known", found.unknown)]
    {
        if count > 0 {
            let _ = writeln!(text, "DAMAGED              {count} {what}");
        }
    }
    for log in &found.logs {
        let _ = writeln!(text, "log adds up          {:<4} {} leaves of {}", yes(log.holds), log.size, log.origin);
    }
    let verdict = match found.is_sound() {
        true => "SOUND",
        false => "DAMAGED: restore a backup (cloister-enclave restore), and find out who or what did this",
    };
    let _ = writeln!(text, "{verdict}");
    text
}
