//! What the processes of one run agree on.

use frith_ledger::address::Address;
use frith_ledger::certificate::{Committee, Member};
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, SecretKey, Seed};
use frith_ledger::units::Millis;
use frith_ledger::vrf::VrfPublic;
use frith_neighbourhood::log::{Durability, LogLimits};
use frith_network::{Limits, NetworkConfig, PeerKey, Rate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Members of the log.
pub(crate) const MEMBERS: u8 = 4;
/// What everything signed binds.
pub(crate) const GROUP: Hash = Hash([0x6c; 32]);

/// Told to a process when it starts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// A member's number, or the submitter's.
    pub(crate) role: u8,
    pub(crate) folder: PathBuf,
    pub(crate) bootstrap: Vec<String>,
    pub(crate) tuning: Tuning,
}

/// How the log is set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tuning {
    durable: bool,
    batch_bytes: usize,
    batch_commands: usize,
    batch_delay_ms: u64,
    own_batches_max: usize,
    block_batches: usize,
}

impl Tuning {
    pub(crate) const fn opaque(durable: bool) -> Self {
        Self {
            durable,
            batch_bytes: 500 * 1024,
            batch_commands: 4096,
            batch_delay_ms: 20,
            own_batches_max: 8,
            block_batches: 64,
        }
    }

    pub(crate) const fn one_command_per_block(durable: bool) -> Self {
        Self {
            durable,
            batch_bytes: 64 * 1024,
            batch_commands: 1,
            batch_delay_ms: 0,
            own_batches_max: 16,
            block_batches: 1,
        }
    }

    pub(crate) const fn durability(&self) -> Durability {
        if self.durable {
            Durability::Disk
        } else {
            Durability::Process
        }
    }

    pub(crate) fn limits(&self) -> LogLimits {
        LogLimits {
            batch_bytes: self.batch_bytes,
            batch_commands: self.batch_commands,
            batch_delay: Millis::new(self.batch_delay_ms),
            own_batches_max: self.own_batches_max,
            block_batches: self.block_batches,
            ..LogLimits::default()
        }
    }
}

fn seed(role: u8) -> Seed {
    Seed::from_bytes([role + 1; 32])
}

/// The key of a role.
pub(crate) fn key(role: u8) -> SecretKey {
    seed(role).worker()
}

/// The members' committee, all of one weight.
pub(crate) fn committee() -> Arc<Committee> {
    let member = |role| Member {
        seat: Address([role; 32]),
        key: key(role).public(),
        vrf: VrfPublic([0; 32]),
        weight: 1,
    };
    Arc::new(Committee::new((0..MEMBERS).map(member).collect()))
}

/// All keys of the run: the submitter counts as a neighbour, so that its budget is a neighbour's.
pub(crate) fn peers() -> BTreeSet<PeerKey> {
    (0..=MEMBERS)
        .map(|role| PeerKey::new(key(role).public().0))
        .collect()
}

pub(crate) const fn public(peer: PeerKey) -> PublicKey {
    PublicKey(*peer.as_bytes())
}

/// The network of a role, on loopback. Budgets are wide: the run itself is the limit.
pub(crate) fn network(plan: &Plan) -> anyhow::Result<NetworkConfig> {
    let mut config = NetworkConfig::new(*key(plan.role).to_bytes(), GROUP.0);
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    for address in &plan.bootstrap {
        config.bootstrap.push(address.parse()?);
    }
    let mut limits = Limits {
        queue_bytes_max: 64 << 20,
        ..Limits::default()
    };
    let wide = Rate::new(1 << 30, 1 << 20);
    (
        limits.member.consensus,
        limits.member.control,
        limits.member.bulk,
    ) = (wide, wide, wide);
    config.limits = limits;
    Ok(config)
}
