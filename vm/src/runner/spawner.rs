//! Starts children from one thread that lives as long as this process.
//!
//! A child's death signal comes when the *thread* that started it ends, not only with the whole process
//! (`prctl(2)`, `PR_SET_PDEATHSIG`), and callers run jobs on threads of pools, which end when they idle.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// A program to start, and where to say how it went.
type Order = (Command, SyncSender<io::Result<Child>>);

static ORDERS: Mutex<Option<SyncSender<Order>>> = Mutex::new(None);

/// Starts a child that may ask for the death of its parent as its own.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the thread that starts processes has ended");
    let (reply, started) = sync_channel(1);
    orders()?.send((command, reply)).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

/// Where orders go; the first caller starts the thread.
fn orders() -> io::Result<SyncSender<Order>> {
    let mut orders = ORDERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(orders) = &*orders {
        return Ok(orders.clone());
    }
    let (sender, queue) = sync_channel::<Order>(0);
    std::thread::Builder::new()
        .name("runners".to_owned())
        .spawn(move || {
            for (mut command, reply) in queue {
                // Whoever ordered it waits for it.
                let _waits = reply.send(command.spawn());
            }
        })?;
    Ok(orders.insert(sender).clone())
}
