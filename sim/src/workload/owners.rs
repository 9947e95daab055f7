//! Owners of machines: they register workers, add to what they staked, take some back, and let them leave.
//!
//! Memberships change while faults strike, and the neighbourhood must withstand the faulty members all the
//! same. So an owner lets a worker leave only while those that stay, without any that may leave too, are
//! more than three times the faulty ones, and registers a machine only once its node may vote in what
//! begins. Stakes differ by a few parts of a thousand, so members weigh almost the same.

use super::Submission;
use super::client::{Client, Turn};
use crate::random::Random;
use crate::world::{STAKE, terms_of};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, WorkerStatus};
use frith_ledger::key::{SecretKey, Seed};
use frith_ledger::operation::{Action, consent_hash};
use frith_ledger::vrf::VrfSecret;
use frith_neighbourhood::Node;
use frith_tasks::{Receipt, Rules};

/// Times that an owner adds to a stake: weights stay nearly equal.
const ADDS_MAX: u8 = 4;

/// What an owner asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Entry,
    Exit,
}

struct Owner {
    client: Client,
    worker: SecretKey,
    machine: usize,
    /// Its machine misbehaves or loses its disk: it stays, and counts as faulty.
    excused: bool,
    /// Its node may vote in what begins.
    fit: bool,
    /// It has asked to leave, or does.
    leaves: bool,
    adds: u8,
    asked: Asked,
}

/// Where a worker stands.
enum Place {
    None,
    Waits,
    Active(Address),
    Ends,
}

fn place(node: &Node, worker: &SecretKey) -> Place {
    let Some(at) = node.state().place_of(&worker.public()) else {
        return Place::None;
    };
    match node.state().entity(&at) {
        Some(Entity::Worker(worker)) if worker.status == WorkerStatus::Active => Place::Active(at),
        Some(Entity::Worker(_)) => Place::Ends,
        _ => Place::Waits,
    }
}

pub(super) struct Owners {
    owners: Vec<Owner>,
    rests: bool,
    registered: u64,
    left: u64,
}

impl Owners {
    pub(super) fn new(members: usize, seeds: impl Iterator<Item = (Seed, bool)>) -> Self {
        let owner = |(machine, (seed, excused)): (usize, (Seed, bool))| Owner {
            worker: seed.worker(),
            client: Client::new(1_000 + machine as u64, seed),
            machine,
            excused,
            fit: machine < members,
            leaves: false,
            adds: 0,
            asked: Asked::Nothing,
        };
        Self {
            owners: seeds.enumerate().map(owner).collect(),
            rests: false,
            registered: 0,
            left: 0,
        }
    }

    pub(super) const fn moves(&self) -> (u64, u64) {
        (self.registered, self.left)
    }

    /// Nothing new is asked for.
    pub(super) const fn rest(&mut self) {
        self.rests = true;
    }

    pub(super) fn note_fit(&mut self, machine: usize, fit: bool) {
        if let Some(owner) = self.owners.get_mut(machine) {
            owner.fit = fit;
        }
    }

    pub(super) fn unsettled(&self, node: &Node) -> Option<String> {
        self.owners.iter().find_map(|owner| {
            let machine = owner.machine;
            match place(node, &owner.worker) {
                Place::Waits => Some(format!("the worker of machine {machine} has no seat")),
                Place::Ends => Some(format!("the worker of machine {machine} isn't gone")),
                Place::None | Place::Active(_) => None,
            }
        })
    }

    /// Whether those that would stay withstand the faulty ones when one more leaves.
    fn spares(&self, node: &Node) -> bool {
        let stays = |owner: &&Owner| {
            !owner.leaves && matches!(place(node, &owner.worker), Place::Active(_))
        };
        let staying = self.owners.iter().filter(stays).count();
        let faulty = self.owners.iter().filter(|owner| owner.excused).count();
        staying > 3 * faulty + 1
    }

    pub(super) fn next(
        &mut self,
        now: u64,
        random: &mut Random,
        rules: &Rules,
        node: &Node,
    ) -> Option<Submission> {
        let number = random.index(self.owners.len());
        let (spares, rests) = (self.spares(node), self.rests);
        let owner = self.owners.get_mut(number)?;
        match owner.client.turn(now, node) {
            Turn::Waits => return None,
            Turn::Again(submission) => return Some(submission),
            Turn::Free => {}
        }
        if rests || owner.excused {
            return None;
        }
        let action = match place(node, &owner.worker) {
            Place::None if owner.fit => owner.register(rules),
            Place::Active(seat) => owner.change(seat, spares, random)?,
            Place::None | Place::Waits | Place::Ends => return None,
        };
        owner.asked = match &action {
            Action::RegisterWorker { .. } => Asked::Entry,
            Action::Leave { .. } => Asked::Exit,
            _ => Asked::Nothing,
        };
        owner.leaves |= owner.asked == Asked::Exit;
        Some(owner.client.order(now, rules, node, action))
    }

    pub(super) fn executed_one(&mut self, receipt: &Receipt, node: &Node) {
        for owner in &mut self.owners {
            if !owner.client.ends(receipt, node) || receipt.result.is_err() {
                continue;
            }
            match owner.asked {
                Asked::Entry => {
                    self.registered += 1;
                    owner.leaves = false;
                }
                Asked::Exit => self.left += 1,
                Asked::Nothing => {}
            }
        }
    }
}

impl Owner {
    fn register(&self, rules: &Rules) -> Action {
        let account = self.client.seed.account().public().address();
        let consent = consent_hash(&rules.hash, &account, self.client.nonce);
        Action::RegisterWorker {
            key: self.worker.public(),
            consent: self.worker.sign(&consent),
            vrf: VrfSecret::from_seed(&self.client.seed.vrf()).public(),
            stake: Credits::whole(STAKE),
            collateral: Credits::whole(100),
            terms: terms_of(self.machine),
        }
    }

    /// What an owner does with a worker that has its seat.
    fn change(&mut self, seat: Address, spares: bool, random: &mut Random) -> Option<Action> {
        match random.below(5) {
            0 if spares => Some(Action::Leave { seat }),
            1 if self.adds < ADDS_MAX => {
                self.adds += 1;
                Some(Action::AddStake {
                    seat,
                    stake: Credits::whole(1),
                    collateral: Credits::whole(random.between(0, 3)),
                })
            }
            2 => Some(Action::Unstake {
                seat,
                collateral: Credits::whole(1),
            }),
            3 => Some(Action::SetTerms {
                seat,
                terms: terms_of(self.machine),
            }),
            _ => None,
        }
    }
}
