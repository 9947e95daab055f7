//! Random histories: whatever users and workers do, nothing is created, lost or paid twice, and in the end
//! every task is over and holds nothing.

use super::listing;
use super::world::{Manner, STAKE, USERS, World, right, spec, terms, worker_key, wrong};
use crate::event::TaskEvent;
use crate::worker::salt;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, TaskState};
use frith_ledger::hash::Hash;
use frith_ledger::key::SecretKey;
use frith_ledger::operation::{
    Action, Operation, WorkerAction, WorkerBody, WorkerOperation, consent_hash, result_commitment,
};
use frith_ledger::parameters::Parameters;
use frith_ledger::vrf::VrfSecret;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One step of a history. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Transfer {
        from: u8,
        to: u8,
        amount: u64,
    },
    Submit {
        user: u8,
        replicas: u8,
        price: u8,
        wait: u8,
    },
    Cancel {
        user: u8,
        task: u8,
    },
    Register {
        user: u8,
        key: u8,
    },
    Leave {
        worker: u8,
    },
    Rotate {
        worker: u8,
        key: u8,
    },
    AddStake {
        worker: u8,
        stake: u8,
        collateral: u8,
    },
    Unstake {
        worker: u8,
        collateral: u8,
    },
    SetTerms {
        worker: u8,
        engines: u8,
        slots: u8,
        price: u8,
    },
    Manner {
        worker: u8,
        manner: u8,
    },
    /// A worker's operation that its plan may not ask for.
    Stray {
        worker: u8,
        task: u8,
        kind: u8,
    },
    Replay {
        which: u8,
    },
    Work,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let byte = any::<u8>;
    let step = prop_oneof![
        2 => (byte(), byte(), 0u64..4_000).prop_map(|(from, to, amount)| Step::Transfer { from, to, amount }),
        4 => (byte(), 0u8..6, 5u8..40, 2u8..14)
            .prop_map(|(user, replicas, price, wait)| Step::Submit { user, replicas, price, wait }),
        1 => (byte(), byte()).prop_map(|(user, task)| Step::Cancel { user, task }),
        1 => (byte(), byte()).prop_map(|(user, key)| Step::Register { user, key }),
        1 => byte().prop_map(|worker| Step::Leave { worker }),
        2 => (byte(), byte()).prop_map(|(worker, key)| Step::Rotate { worker, key }),
        1 => (byte(), byte(), byte()).prop_map(|(worker, stake, collateral)| Step::AddStake { worker, stake, collateral }),
        1 => (byte(), byte()).prop_map(|(worker, collateral)| Step::Unstake { worker, collateral }),
        1 => (byte(), 0u8..4, 0u8..5, 0u8..30)
            .prop_map(|(worker, engines, slots, price)| Step::SetTerms { worker, engines, slots, price }),
        2 => (byte(), byte()).prop_map(|(worker, manner)| Step::Manner { worker, manner }),
        3 => (byte(), byte(), byte()).prop_map(|(worker, task, kind)| Step::Stray { worker, task, kind }),
        1 => byte().prop_map(|which| Step::Replay { which }),
        6 => Just(Step::Work),
        8 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..60)
}

/// A history as it goes on.
struct History {
    world: World,
    tasks: Vec<Address>,
    operations: Vec<Operation>,
}

impl History {
    fn new(parameters: Parameters) -> Self {
        Self {
            world: World::with(&[1, 2, 1, 2, 3], parameters),
            tasks: Vec::new(),
            operations: Vec::new(),
        }
    }

    fn pick<T: Copy>(items: &[T], index: u8) -> Option<T> {
        let at = usize::from(index).checked_rem(items.len())?;
        items.get(at).copied()
    }

    fn act(&mut self, user: u8, action: Action) -> bool {
        let operation = self.world.sign(usize::from(user % USERS), action);
        self.operations.push(operation.clone());
        self.world.one(operation).is_ok()
    }

    /// The seat of a worker, and the user that it belongs to.
    fn owned(&self, worker: u8) -> Option<(Address, u8)> {
        let worker = usize::from(worker) % self.world.workers.len();
        let seat = self.world.seat(worker);
        let Some(Entity::Worker(entity)) = self.world.state.entity(&seat) else {
            return None;
        };
        let owner =
            (0..USERS).find(|user| self.world.address(usize::from(*user)) == entity.account);
        Some((seat, owner.unwrap_or(0)))
    }

    /// An order of the account that the worker belongs to.
    fn order(&mut self, worker: u8, action: impl FnOnce(Address) -> Action) {
        if let Some((seat, owner)) = self.owned(worker) {
            self.act(owner, action(seat));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Transfer { from, to, amount } => {
                let to = self.world.address(usize::from(to % USERS));
                self.act(
                    from,
                    Action::Transfer {
                        to,
                        amount: Credits::whole(amount),
                    },
                );
            }
            Step::Submit {
                user,
                replicas,
                price,
                wait,
            } => {
                let mut spec = spec(replicas, self.world.epoch.plus(2 + u64::from(wait)));
                spec.price = Credits::new(u128::from(price));
                let operation = self.world.sign(
                    usize::from(user % USERS),
                    Action::SubmitTask(Box::new(spec)),
                );
                self.operations.push(operation.clone());
                let task = Address(operation.id().0);
                if self.world.one(operation).is_ok() {
                    self.tasks.push(task);
                }
            }
            Step::Cancel { user, task } => {
                if let Some(task) = Self::pick(&self.tasks, task) {
                    self.act(user, Action::CancelTask { task });
                }
            }
            Step::Register { user, key } => self.register(user, 60 + key % 4),
            Step::Rotate { worker, key } => self.rotate(worker, 70 + key % 6),
            Step::Leave { worker } => self.order(worker, |seat| Action::Leave { seat }),
            Step::AddStake {
                worker,
                stake,
                collateral,
            } => self.order(worker, |seat| Action::AddStake {
                seat,
                stake: Credits::whole(u64::from(stake)),
                collateral: Credits::whole(u64::from(collateral)),
            }),
            Step::Unstake { worker, collateral } => self.order(worker, |seat| Action::Unstake {
                seat,
                collateral: Credits::whole(u64::from(collateral % 64)),
            }),
            Step::SetTerms {
                worker,
                engines,
                slots,
                price,
            } => self.order(worker, |seat| {
                let mut terms = terms(engines);
                (terms.slots, terms.price) = (slots, Credits::new(u128::from(price)));
                Action::SetTerms { seat, terms }
            }),
            Step::Manner { worker, manner } => {
                use Manner::{Hides, Honest, NoVerdict, Silent, Wrong};
                let worker = usize::from(worker) % self.world.workers.len();
                let manners = [Honest, Wrong, Silent, Hides, NoVerdict];
                self.world.workers[worker].1 = Self::pick(&manners, manner).unwrap_or(Honest);
            }
            Step::Stray { worker, task, kind } => self.stray(worker, task, kind),
            Step::Replay { which } => {
                let at = usize::from(which).checked_rem(self.operations.len());
                if let Some(operation) = at.and_then(|at| self.operations.get(at)).cloned() {
                    assert!(
                        self.world.one(operation).is_err(),
                        "what was executed or refused at its nonce never comes again"
                    );
                }
            }
            Step::Work => self.world.work_unless_poor(),
            Step::Close => self.world.close(),
        }
    }

    fn register(&mut self, user: u8, key: u8) {
        let key = worker_key(key);
        let user = user % USERS;
        let account = self.world.address(usize::from(user));
        let nonce = self.world.nonce(usize::from(user));
        let action = Action::RegisterWorker {
            key: key.public(),
            consent: key.sign(&consent_hash(&self.world.rules.hash, &account, nonce)),
            vrf: VrfSecret::from_seed(&[42; 32]).public(),
            stake: STAKE,
            collateral: Credits::whole(3),
            terms: terms(3),
        };
        if self.act(user, action) {
            self.joins(key);
        }
    }

    /// Somebody works with this key from now on.
    fn joins(&mut self, key: SecretKey) {
        let mut known = self.world.workers.iter();
        if !known.any(|(known, _)| known.public() == key.public()) {
            self.world.workers.push((key, Manner::Honest));
        }
    }

    /// Another key for a worker; who has the old one goes on with what is its own.
    fn rotate(&mut self, worker: u8, key: u8) {
        let key = worker_key(key);
        let Some((seat, user)) = self.owned(worker) else {
            return;
        };
        let account = self.world.address(usize::from(user));
        let nonce = self.world.nonce(usize::from(user));
        let action = Action::RotateWorker {
            seat,
            key: key.public(),
            consent: key.sign(&consent_hash(&self.world.rules.hash, &account, nonce)),
            vrf: VrfSecret::from_seed(&[43; 32]).public(),
        };
        if self.act(user, action) {
            self.joins(key);
        }
    }

    fn stray(&mut self, worker: u8, task: u8, kind: u8) {
        let worker = usize::from(worker) % self.world.workers.len();
        let Some(task) = Self::pick(&self.tasks, task) else {
            return;
        };
        let key = self.world.workers[worker].0.clone();
        let outcome = if kind & 1 == 0 {
            right(&task)
        } else {
            wrong(&task, kind)
        };
        let salt = salt(&key, &task);
        let action = match kind / 2 % 3 {
            0 => WorkerAction::Commit {
                commitment: result_commitment(&task, &key.public(), &outcome, &salt),
                bond: Parameters::test().bond_min,
            },
            1 => WorkerAction::Reveal { outcome, salt },
            _ => WorkerAction::Verdict { outcome },
        };
        let body = WorkerBody {
            genesis: self.world.rules.hash,
            seat: self.world.seat(worker),
            task,
            action,
        };
        let operation = Operation::Worker(WorkerOperation::sign(body, &key));
        if self.world.one(operation.clone()).is_ok() {
            self.operations.push(operation);
        }
    }

    /// Lets everything come to its end, long enough for every window. All deadlines hold for workers that
    /// `reform` as for those that go on as they were.
    fn finish(&mut self, reform: bool) {
        for worker in self.world.workers.iter_mut().filter(|_| reform) {
            worker.1 = Manner::Honest;
        }
        for _ in 0..60 {
            self.world.work_unless_poor();
            self.world.close();
        }
    }

    fn check_end(&self) {
        let world = &self.world;
        let mut ends: BTreeMap<Address, usize> = BTreeMap::new();
        let mut paid: BTreeMap<(Address, Address), usize> = BTreeMap::new();
        for event in &world.events {
            match event {
                TaskEvent::Settled { task, .. }
                | TaskEvent::Failed { task, .. }
                | TaskEvent::Cancelled { task } => {
                    *ends.entry(*task).or_default() += 1;
                }
                TaskEvent::Paid { task, seat, .. } => *paid.entry((*task, *seat)).or_default() += 1,
                _ => {}
            }
        }
        for task in &self.tasks {
            assert_eq!(ends.get(task), Some(&1), "every task ends once");
            assert_eq!(world.held(task), Credits::ZERO, "and holds nothing then");
            let state = world.task(task).state.clone();
            assert!(matches!(
                state,
                TaskState::Settled { .. } | TaskState::Failed { .. } | TaskState::Cancelled { .. }
            ));
        }
        assert!(
            paid.values().all(|times| *times == 1),
            "nobody is paid twice"
        );
        for (_, leaf) in world.state.tree().iter() {
            if let Ok(Entity::Worker(worker)) = Entity::from_bytes(&leaf.bytes) {
                assert!(worker.open.is_empty(), "no commitment stays open");
                assert!(
                    worker.retired.is_empty(),
                    "no replaced key is kept for ever"
                );
                assert!(worker.pending.is_empty(), "and no change waits for ever");
            }
        }
        let summary = world.state.summary();
        assert_eq!(
            summary.credits.add(world.state.flows().burned),
            Ok(world.rules.supply)
        );
    }
}

impl World {
    /// As `work`, but a worker whose collateral is gone may be refused.
    fn work_unless_poor(&mut self) {
        for _ in 0..8 {
            let operations = self.steps();
            if operations.is_empty() || self.block(&operations).iter().all(Result::is_err) {
                return;
            }
        }
    }
}

/// Histories are long; a few on every run, more with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(24);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_credits_are_conserved_and_every_task_ends_once(
        steps in steps(),
        reform in any::<bool>(),
    ) {
        let mut history = History::new(Parameters::test());
        for (number, step) in steps.into_iter().enumerate() {
            history.step(step);
            if number % 8 == 0 {
                listing::check(&history.world.state, &history.world.rules);
            }
        }
        history.finish(reform);
        listing::check(&history.world.state, &history.world.rules);
        history.check_end();
    }

    #[test]
    fn the_same_operations_in_other_blocks_of_the_epoch_give_the_same_state(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), 0u64..300), 1..40),
        cuts in prop::collection::vec(any::<bool>(), 40),
    ) {
        let world = World::new(&[1, 2, 1]);
        let mut nonces = [0u64; USERS as usize];
        let mut operations = Vec::new();
        for (from, to, amount) in steps {
            let from = usize::from(from % USERS);
            let to = Address([to % 5; 32]);
            let mut body = world.body(from, Action::Transfer { to, amount: Credits::whole(amount) });
            body.nonce = frith_ledger::units::Nonce::new(nonces[from]);
            nonces[from] += 1;
            let signed = frith_ledger::operation::SignedOperation::sign(body, &world.users[from]);
            operations.push(Operation::Signed(signed));
        }
        let run = |cut: &dyn Fn(usize) -> bool| -> Hash {
            let mut world = World::new(&[1, 2, 1]);
            let mut block = Vec::new();
            for (index, operation) in operations.iter().enumerate() {
                block.push(operation.clone());
                if cut(index) {
                    world.block(&std::mem::take(&mut block));
                }
            }
            world.block(&block);
            world.state.summary().hash
        };
        prop_assert_eq!(run(&|_| false), run(&|index| cuts.get(index).copied().unwrap_or(false)));
    }
}
