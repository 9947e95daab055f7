//! Users: transfers to addresses that nobody has, and tasks.

use super::Submission;
use super::client::{Client, Turn};
use super::program::{FUEL_MAX, program, program_id};
use crate::random::Random;
use frith_ledger::address::Address;
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Bytes, TaskSpec};
use frith_ledger::key::Seed;
use frith_ledger::operation::Action;
use frith_ledger::units::{Epoch, Fuel};
use frith_neighbourhood::Node;
use frith_tasks::{Receipt, Rules};

const USERS: u8 = 6;

pub(super) fn seeds() -> Vec<Seed> {
    (0..USERS)
        .map(|user| Seed::from_bytes([100 + user; 32]))
        .collect()
}

struct User {
    client: Client,
    /// Operations executed since everything healed.
    served: u64,
}

pub(super) struct Users {
    users: Vec<User>,
    executed: u64,
    tasks: bool,
    replicas: u8,
}

impl Users {
    pub(super) fn new(replicas: u8) -> Self {
        let user = |(number, seed)| User {
            client: Client::new(number, seed),
            served: 0,
        };
        Self {
            users: (0..).zip(seeds()).map(user).collect(),
            executed: 0,
            tasks: true,
            replicas,
        }
    }

    pub(super) const fn executed(&self) -> u64 {
        self.executed
    }

    pub(super) fn healed(&mut self) {
        self.tasks = false;
        for user in &mut self.users {
            user.served = 0;
        }
    }

    pub(super) fn is_served(&self) -> bool {
        self.users.iter().all(|user| user.served > 0)
    }

    pub(super) fn next(
        &mut self,
        now: u64,
        random: &mut Random,
        rules: &Rules,
        node: &Node,
    ) -> Option<Submission> {
        let number = random.index(self.users.len());
        let (tasks, replicas) = (self.tasks, self.replicas);
        let user = self.users.get_mut(number)?;
        match user.client.turn(now, node) {
            Turn::Waits => return None,
            Turn::Again(submission) => return Some(submission),
            Turn::Free => {}
        }
        let action = if tasks && random.chance(350) {
            Action::SubmitTask(Box::new(spec(random, node.epoch(), replicas)))
        } else {
            Action::Transfer {
                to: Address(random.bytes()),
                amount: Credits::new(u128::from(random.between(1, 5_000_000))),
            }
        };
        Some(user.client.order(now, rules, node, action))
    }

    pub(super) fn executed_one(&mut self, receipt: &Receipt, node: &Node) {
        for user in &mut self.users {
            if user.client.ends(receipt, node) && receipt.result.is_ok() {
                user.served += 1;
                self.executed += 1;
            }
        }
    }
}

fn spec(random: &mut Random, epoch: Epoch, replicas: u8) -> TaskSpec {
    TaskSpec {
        program: program_id(),
        program_len: u32::try_from(program().len()).unwrap_or(u32::MAX),
        input: Bytes::Inline(random.bytes().to_vec().try_into().unwrap_or_default()),
        arguments: BoundedVec::new(),
        environment: BoundedVec::new(),
        fuel_max: Fuel::new(FUEL_MAX),
        price: Credits::new(2_000),
        replicas,
        memory_pages: 16,
        result_max: 4_096,
        deadline: epoch.plus(12),
    }
}
