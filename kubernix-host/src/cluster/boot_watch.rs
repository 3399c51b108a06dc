//! Waits for the outcome of a boot, and shows its events.

use super::interrupt::Interrupts;
use super::{BootError, Call, HostError, POLL_INTERVAL, REQUEST_TIMEOUT, disk};
use crate::control::Client;
use crate::events::{Event, Sink, records};
use crate::process::tail;
use crate::root_dir::Root;
use crate::sandbox::{BootChannel, Ending};
use std::io::BufReader;

/// Emits the events of a boot until the cluster is ready, or until it has ended.
///
/// # Errors
/// The boot failed, was interrupted, or was ended by another command.
pub(super) fn watch(
    channel: &BootChannel,
    root: &Root,
    call: Call,
    interrupts: &Interrupts,
    sink: &dyn Sink,
) -> Result<(), HostError> {
    let mut why = None;
    for record in records(BufReader::new(channel.reader())) {
        let event = record.event.seen_outside(root);
        match &event {
            Event::BootReady => {
                sink.emit(event);
                return Ok(());
            }
            // The first error is the cause of all later ones.
            Event::BootFailed { error, timed_out } => drop(why.get_or_insert_with(|| (error.clone(), *timed_out))),
            _ => {}
        }
        sink.emit(event);
    }
    if interrupts.any() {
        return Err(HostError::Interrupted);
    }
    if let (None, Some(by @ (Ending::Down | Ending::Stop))) = (&why, Ending::read(root)) {
        return Err(BootError::Revoked { call, by: by.word() }.into());
    }
    let Some((mut why, timed_out)) = why.or_else(|| recorded_failure(root)) else {
        return Ok(poll_outcome(root, call)?);
    };
    if let Some(hint) = disk::hint(&why, root.path()) {
        why = format!("{why}\n{hint}");
    }
    Err(BootError::Failed { call, why, root: root.path().into(), timed_out }.into())
}

/// The error of the last boot, from its recorded events, and whether it exceeded its time limit.
fn recorded_failure(root: &Root) -> Option<(String, bool)> {
    let records = crate::events::read(&root.events()).ok()?;
    let of_last_boot =
        records.into_iter().rev().take_while(|record| !matches!(record.event, Event::BootStarted { .. }));
    of_last_boot.into_iter().find_map(|record| match record.event {
        Event::BootFailed { error, timed_out } => Some((error, timed_out)),
        _ => None,
    })
}

/// The outcome of a boot whose channel broke without an event. Polls the cluster while it boots.
fn poll_outcome(root: &Root, call: Call) -> Result<(), BootError> {
    loop {
        match Client::connect(root, REQUEST_TIMEOUT).and_then(|mut client| client.report(false)) {
            Ok(report) if report.booted => return Ok(()),
            Ok(report) if !report.ending => std::thread::sleep(POLL_INTERVAL),
            _ => {
                let log = root.run().join("keeper.log");
                let lines = tail(&log, 20).join("\n  ");
                let why = format!("the sandbox exited without reporting an error; {}:\n  {lines}", log.display());
                return Err(BootError::Failed { call, why, root: root.path().into(), timed_out: false });
            }
        }
    }
}
