//! The main function of the init, and the event loop around the reducer: receive an input, let the
//! reducer decide, execute its actions.

use super::Cluster;
use super::broadcast::Broadcast;
use super::reducer::{Action, End, Input};
use super::set_up::{Inbox, set_up};
use crate::boot::Inside;
use crate::chain::chain;
use crate::events::{Event, FileSink, Sink, WriterSink};
use crate::plugins::Registered;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::LocalSet;

/// How long blocking work on other threads may take when the cluster ends. It ends at once, or
/// hangs.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs the cluster described by `inside` until it ends, then kills every remaining process in the
/// sandbox. The components are the compiled-in ones, except for those that plugins of the boot
/// replace.
///
/// # Errors
/// The engine itself can't start.
pub fn run(inside: &Inside, built_in: Vec<Arc<Registered>>) -> io::Result<()> {
    inside.channel.set_nonblocking(true)?;
    let sink = Arc::new(Broadcast::new(FileSink::append(&inside.root.events())?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let cluster = async {
        let end = run_cluster(inside, built_in, &sink).await;
        sink.flush().await;
        end
    };
    let end = runtime.block_on(local.run_until(cluster));
    drop(local);
    inside.kill_all();
    // Work on the uplink has to end first. Otherwise it could acquire what is released here.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    inside.release_uplink();
    // The keeper may have died after the event loop ended.
    if end == End::KeeperGone || inside.has_lost_keeper() {
        inside.clean_without_keeper();
    }
    if let End::BootFailed { error, timed_out } = end {
        // Sent to the command only now, when everything is cleaned up. A command that doesn't read
        // finds the event in the file.
        inside.channel.set_nonblocking(false)?;
        inside.channel.set_write_timeout(Some(SHUTDOWN_TIMEOUT))?;
        let event = Event::BootFailed { error, timed_out };
        sink.emit(event.clone());
        WriterSink::new(inside.channel.try_clone()?).emit(event);
    }
    Ok(())
}

async fn run_cluster(inside: &Inside, built_in: Vec<Arc<Registered>>, sink: &Arc<Broadcast>) -> End {
    match set_up(inside, built_in, sink).await {
        Ok((cluster, inbox)) => event_loop(&cluster, inbox).await,
        Err(error) => End::BootFailed { error: chain(&error), timed_out: false },
    }
}

async fn event_loop(cluster: &Rc<Cluster>, mut inbox: Inbox) -> End {
    let mut input = Input::Tick;
    loop {
        let now = cluster.now();
        let actions = cluster.reducer.borrow_mut().handle(now, input);
        let mut exit = None;
        for action in actions {
            if let Action::Exit(end) = &action {
                exit = Some(end.clone());
            }
            cluster.perform(action);
        }
        if let Some(end) = exit {
            return end;
        }
        input = next_input(cluster, &mut inbox).await;
    }
}

async fn next_input(cluster: &Rc<Cluster>, inbox: &mut Inbox) -> Input {
    loop {
        let deadline = cluster.reducer.borrow().deadline();
        let tick = async {
            match deadline {
                Some(time) => tokio::time::sleep_until(cluster.instant(time)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // Never `None`: the cluster has a sender of its own.
            Some(input) = inbox.inputs.recv() => return input,
            Some(message) = inbox.messages.recv() => {
                if let Some(input) = cluster.input_of(message) {
                    return input;
                }
            }
            () = tick => return Input::Tick,
        }
    }
}
