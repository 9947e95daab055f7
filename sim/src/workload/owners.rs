//! Owners of machines: they register workers, add to what they staked, take some back, put the key of
//! another machine in force for them, and let them leave.
//!
//! Memberships change while faults strike, and the neighbourhood must withstand the faulty members all the
//! same. So an owner lets a worker leave only while those that stay, without any that may leave too, are
//! more than three times the faulty ones, and registers a machine, or gives it a worker's place, only once
//! its node may vote in what begins. Faulty machines keep their workers. Stakes differ by a few parts of a
//! thousand, so members weigh almost the same.

use super::Submission;
use super::client::{Client, Turn};
use crate::random::Random;
use crate::world::{STAKE, terms_of};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, WorkerStatus};
use frith_ledger::key::{SecretKey, Seed};
use frith_ledger::operation::{Action, consent_hash};
use frith_ledger::vrf::{VrfPublic, VrfSecret};
use frith_neighbourhood::Node;
use frith_tasks::{Receipt, Rules};

/// Times that an owner adds to a stake: weights stay nearly equal.
const ADDS_MAX: u8 = 4;

/// What an owner asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Entry,
    Rotation,
    Exit,
}

/// A machine that can be a worker.
struct Machine {
    worker: SecretKey,
    vrf: VrfPublic,
    /// It misbehaves or loses its disk: its worker stays, and counts as faulty.
    excused: bool,
    /// Its node may vote in what begins.
    fit: bool,
}

impl Machine {
    /// Whether it may take a place that it hasn't got: no worker has, had lately or will have its key.
    fn is_spare(&self, node: &Node) -> bool {
        self.fit && !self.excused && node.state().place_of(&self.worker.public()).is_none()
    }
}

/// Who has an account, and at most one worker. At first it is the machine of the same number.
struct Owner {
    client: Client,
    number: usize,
    /// It has asked to leave, or does.
    leaves: bool,
    adds: u8,
    asked: Asked,
}

/// Where an owner's worker stands.
enum Place {
    None,
    Waits,
    Active {
        seat: Address,
        /// Another key waits for its epoch.
        rotates: bool,
    },
    Ends,
}

fn place(node: &Node, owner: &Owner) -> Place {
    let account = owner.client.seed.account().public().address();
    let Some(Entity::Account(account)) = node.state().entity(&account) else {
        return Place::None;
    };
    let Some(worker) = account.workers.first() else {
        return Place::None;
    };
    let Some(seat) = worker.seat else {
        return Place::Waits;
    };
    match node.state().entity(&seat) {
        Some(Entity::Worker(worker)) if worker.status == WorkerStatus::Active => Place::Active {
            seat,
            rotates: worker.next_keys().is_some(),
        },
        _ => Place::Ends,
    }
}

pub(super) struct Owners {
    owners: Vec<Owner>,
    machines: Vec<Machine>,
    rests: bool,
    moves: Moves,
}

/// What happened to workers in a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moves {
    /// Workers that were registered.
    pub registered: u64,
    /// Workers that were given the key of another machine.
    pub rotated: u64,
    /// Workers that left.
    pub left: u64,
}

impl Owners {
    pub(super) fn new(members: usize, seeds: impl Iterator<Item = (Seed, bool)>) -> Self {
        let (mut owners, mut machines) = (Vec::new(), Vec::new());
        for (number, (seed, excused)) in seeds.enumerate() {
            machines.push(Machine {
                worker: seed.worker(),
                vrf: VrfSecret::from_seed(&seed.vrf()).public(),
                excused,
                fit: number < members,
            });
            owners.push(Owner {
                client: Client::new(1_000 + number as u64, seed),
                number,
                leaves: false,
                adds: 0,
                asked: Asked::Nothing,
            });
        }
        Self {
            owners,
            machines,
            rests: false,
            moves: Moves::default(),
        }
    }

    pub(super) const fn moves(&self) -> Moves {
        self.moves
    }

    /// Nothing new is asked for.
    pub(super) const fn rest(&mut self) {
        self.rests = true;
    }

    pub(super) fn note_fit(&mut self, machine: usize, fit: bool) {
        if let Some(machine) = self.machines.get_mut(machine) {
            machine.fit = fit;
        }
    }

    pub(super) fn unsettled(&self, node: &Node) -> Option<String> {
        self.owners.iter().find_map(|owner| {
            let number = owner.number;
            match place(node, owner) {
                Place::Waits => Some(format!("the worker of owner {number} has no seat")),
                Place::Ends => Some(format!("the worker of owner {number} isn't gone")),
                Place::Active { rotates: true, .. } => Some(format!(
                    "the worker of owner {number} waits for its new key"
                )),
                Place::None | Place::Active { .. } => None,
            }
        })
    }

    /// Whether those that would stay withstand the faulty ones when one more leaves.
    fn spares(&self, node: &Node) -> bool {
        let stays =
            |owner: &&Owner| !owner.leaves && matches!(place(node, owner), Place::Active { .. });
        let staying = self.owners.iter().filter(stays).count();
        let faulty = self.machines.iter().filter(|machine| machine.excused);
        staying > 3 * faulty.count() + 1
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
        let own = self.machines.get(number)?;
        if rests || own.excused {
            return None;
        }
        let action = match place(node, owner) {
            Place::None if own.is_spare(node) => owner.register(rules, own),
            Place::Active { seat, rotates } => {
                let mut others = self.machines.iter();
                let other = others.find(|machine| !rotates && machine.is_spare(node));
                owner.change(rules, seat, spares, other, random)?
            }
            Place::None | Place::Waits | Place::Ends => return None,
        };
        owner.asked = match &action {
            Action::RegisterWorker { .. } => Asked::Entry,
            Action::RotateWorker { .. } => Asked::Rotation,
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
                    self.moves.registered += 1;
                    owner.leaves = false;
                }
                Asked::Rotation => self.moves.rotated += 1,
                Asked::Exit => self.moves.left += 1,
                Asked::Nothing => {}
            }
        }
    }
}

impl Owner {
    /// The consent of a machine to what this owner orders next.
    fn consent(&self, rules: &Rules, machine: &Machine) -> frith_ledger::key::Signature {
        let account = self.client.seed.account().public().address();
        let consent = consent_hash(&rules.hash, &account, self.client.nonce);
        machine.worker.sign(&consent)
    }

    fn register(&self, rules: &Rules, machine: &Machine) -> Action {
        Action::RegisterWorker {
            key: machine.worker.public(),
            consent: self.consent(rules, machine),
            vrf: machine.vrf,
            stake: Credits::whole(STAKE),
            collateral: Credits::whole(100),
            terms: terms_of(self.number),
        }
    }

    /// What an owner does with a worker that has its seat; `other` is a machine that could take it over.
    fn change(
        &mut self,
        rules: &Rules,
        seat: Address,
        spares: bool,
        other: Option<&Machine>,
        random: &mut Random,
    ) -> Option<Action> {
        match random.below(6) {
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
                terms: terms_of(self.number),
            }),
            4 => other.map(|machine| Action::RotateWorker {
                seat,
                key: machine.worker.public(),
                consent: self.consent(rules, machine),
                vrf: machine.vrf,
            }),
            _ => None,
        }
    }
}
