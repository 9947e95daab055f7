//! What people do: users transfer and submit tasks, owners register workers and let them leave. Each has
//! one operation under way at a time.

mod client;
mod owners;
mod program;
mod users;

use crate::random::Random;
use frith_ledger::key::Seed;
use frith_neighbourhood::Node;
use frith_tasks::{Receipt, Rules};
pub use owners::Moves;
use owners::Owners;
pub use program::{outcome, program, program_id};
use users::Users;

/// Of 1,000 turns, so many are an owner's.
const OWNERS_PER_MILLE: u64 = 200;

/// Everybody who orders something in a run.
pub struct Workload {
    users: Users,
    owners: Owners,
}

/// An operation for a node.
pub struct Submission {
    /// The encoded operation.
    pub bytes: Vec<u8>,
    /// The number of who ordered it.
    pub client: u64,
}

impl Workload {
    /// People for a network of `members` workers; `owners` are the secrets of all machines, and whether
    /// the machine misbehaves or loses its disk in this run.
    #[must_use]
    pub fn new(members: usize, owners: impl Iterator<Item = (Seed, bool)>) -> Self {
        let replicas = if members >= 4 { 3 } else { 1 };
        Self {
            users: Users::new(replicas),
            owners: Owners::new(members, owners),
        }
    }

    /// The users' secrets.
    #[must_use]
    pub fn user_seeds() -> Vec<Seed> {
        users::seeds()
    }

    /// Operations of users executed.
    #[must_use]
    pub const fn executed(&self) -> u64 {
        self.users.executed()
    }

    /// Workers that were registered, given another key, and that left.
    #[must_use]
    pub const fn moves(&self) -> Moves {
        self.owners.moves()
    }

    /// From now on only transfers, counted anew.
    pub fn healed(&mut self) {
        self.users.healed();
        self.owners.rest();
    }

    /// Whether every user had an operation executed since everything healed.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.users.is_served()
    }

    /// What an owner still waits for, as `node` has it.
    #[must_use]
    pub fn unsettled(&self, node: &Node) -> Option<String> {
        self.owners.unsettled(node)
    }

    /// Whether the node of a machine may vote in what begins.
    pub fn note_fit(&mut self, machine: usize, fit: bool) {
        self.owners.note_fit(machine, fit);
    }

    /// Something for somebody to submit to `node`, if it is their turn.
    pub fn next(
        &mut self,
        now: u64,
        random: &mut Random,
        rules: &Rules,
        node: &Node,
    ) -> Option<Submission> {
        if random.chance(OWNERS_PER_MILLE) {
            self.owners.next(now, random, rules, node)
        } else {
            self.users.next(now, random, rules, node)
        }
    }

    /// A block was committed somewhere, with these receipts.
    pub fn committed(&mut self, receipts: &[Receipt], node: &Node) {
        for receipt in receipts {
            self.users.executed_one(receipt, node);
            self.owners.executed_one(receipt, node);
        }
    }
}
