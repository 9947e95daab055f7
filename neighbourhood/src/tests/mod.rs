//! Nodes on virtual time, memory stores and a network that delivers what it is given.

mod backups;
mod basics;
mod copying;
mod damage;
mod faults;
mod founders;
mod genesis;
mod hostile;
mod members;
mod nonces;
mod restarts;
mod rotation;
mod strangers;
mod times;
mod world;

pub(crate) use genesis::{transfer, worker_key, world_rules};
