//! A leaf with users and workers, driven epoch by epoch. After every block it checks what must always
//! hold: the same block twice gives the same state, and the index equals the one rebuilt from the tree.

use crate::event::{Receipt, TaskEvent};
use crate::refusal::Refusal;
use crate::rules::Rules;
use crate::runtime::{BlockContext, LeafState};
use crate::worker::{RunResult, WorkerIdentity, WorkerStep, plan};
use frith_ledger::address::Address;
use frith_ledger::block::RootRecord;
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{
    Account, Bytes, Entity, RunStatus, Task, TaskOutcome, TaskSpec, Terms, Worker,
};
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker, seat};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::key::SecretKey;
use frith_ledger::operation::{Action, Operation, OperationBody, SignedOperation, WorkerAction};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, Fuel, Height, Nonce, UnixMillis, View};
use frith_ledger::vrf::{VrfProof, VrfSecret};
use std::collections::{BTreeMap, BTreeSet};

/// How a worker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Does what it should.
    Honest,
    /// Finds a result of its own, and stands by it as an arbitrator.
    Wrong,
    /// Never does anything.
    Silent,
    /// Commits and never reveals; decides honestly.
    Hides,
    /// Honest until it is asked for a verdict.
    NoVerdict,
}

pub(super) struct World {
    pub(super) rules: Rules,
    pub(super) state: LeafState,
    pub(super) epoch: Epoch,
    pub(super) height: Height,
    pub(super) users: Vec<SecretKey>,
    pub(super) workers: Vec<(SecretKey, Manner)>,
    pub(super) events: Vec<TaskEvent>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) roots: Vec<RootRecord>,
}

/// The time of the record of an epoch: epochs take longer than they should.
pub(super) const fn time_of(epoch: Epoch) -> UnixMillis {
    UnixMillis::new(1_000_000 + (epoch.get() + 1) * 1_730)
}

pub(super) const USERS: u8 = 3;
pub(super) const FUNDS: Credits = Credits::whole(10_000);
pub(super) const STAKE: Credits = Credits::whole(100);
pub(super) const COLLATERAL: Credits = Credits::whole(50);

pub(super) fn user_key(index: u8) -> SecretKey {
    SecretKey::from_bytes(&[index + 1; 32])
}

pub(super) fn worker_key(index: u8) -> SecretKey {
    SecretKey::from_bytes(&[index + 101; 32])
}

pub(super) fn terms(engines: u8) -> Terms {
    Terms {
        engines,
        price: Credits::new(10),
        slots: 4,
    }
}

/// The first 16 workers belong to user 0, the next to user 1; a worker's key is [`worker_key`].
pub(super) fn genesis(engines: &[u8], parameters: Parameters) -> Genesis {
    // An account has at most 16 workers.
    let account = |index: u8| user_key(index / 16).public().address();
    let worker = |(index, engines): (usize, &u8)| {
        let index = u8::try_from(index).expect("few workers");
        GenesisWorker {
            key: worker_key(index).public().0,
            vrf: VrfSecret::from_seed(&[index; 32]).public().0,
            account: account(index),
            stake: STAKE,
            collateral: COLLATERAL,
            terms: terms(*engines),
        }
    };
    Genesis {
        name: "test".to_owned(),
        time_ms: 1_000_000,
        beacon: [7; 32],
        parameters,
        accounts: (0..USERS)
            .map(|user| GenesisAccount {
                address: user_key(user).public().address(),
                balance: FUNDS,
            })
            .collect(),
        workers: engines.iter().enumerate().map(worker).collect(),
    }
}

/// What an honest run of the task gives.
pub(super) fn right(task: &Address) -> TaskOutcome {
    TaskOutcome {
        status: RunStatus::Exit(0),
        fuel: Fuel::new(1_500_001),
        output: inline(&task.0[..4]),
    }
}

/// What no honest run gives.
pub(super) fn wrong(task: &Address, salt: u8) -> TaskOutcome {
    TaskOutcome {
        output: inline(&[salt]),
        ..right(task)
    }
}

pub(super) fn inline(bytes: &[u8]) -> Bytes {
    Bytes::Inline(BoundedVec::try_from(bytes.to_vec()).expect("short"))
}

pub(super) fn spec(replicas: u8, deadline: Epoch) -> TaskSpec {
    TaskSpec {
        program: Hash([9; 32]),
        program_len: 100,
        input: inline(b"input"),
        arguments: BoundedVec::new(),
        environment: BoundedVec::new(),
        fuel_max: Fuel::new(10_000_000),
        price: Credits::new(20),
        replicas,
        memory_pages: 16,
        result_max: 1024,
        deadline,
    }
}

fn is_verdict(operation: &Operation) -> bool {
    matches!(operation, Operation::Worker(worker) if matches!(worker.body.action, WorkerAction::Verdict { .. }))
}

impl World {
    pub(super) fn new(engines: &[u8]) -> Self {
        Self::with(engines, Parameters::test())
    }

    pub(super) fn with(engines: &[u8], parameters: Parameters) -> Self {
        let rules = Rules::new(genesis(engines, parameters)).expect("a usable genesis");
        let state = LeafState::genesis(&rules).expect("a usable genesis");
        Self {
            rules,
            state,
            epoch: Epoch::ZERO,
            height: Height::ZERO,
            users: (0..USERS).map(user_key).collect(),
            workers: (0..engines.len())
                .map(|index| {
                    (
                        worker_key(u8::try_from(index).expect("few")),
                        Manner::Honest,
                    )
                })
                .collect(),
            events: Vec::new(),
            receipts: Vec::new(),
            roots: Vec::new(),
        }
    }

    pub(super) fn manner(mut self, worker: usize, manner: Manner) -> Self {
        self.workers[worker].1 = manner;
        self
    }

    pub(super) fn address(&self, user: usize) -> Address {
        self.users[user].public().address()
    }

    pub(super) fn seat(&self, worker: usize) -> Address {
        let key = self.workers[worker].0.public();
        self.state
            .place_of(&key)
            .unwrap_or_else(|| seat(&key, &Hash(self.rules.genesis.beacon)))
    }

    pub(super) fn account(&self, address: &Address) -> Account {
        match self.state.entity(address) {
            Some(Entity::Account(account)) => account,
            other => panic!("no account but {other:?}"),
        }
    }

    pub(super) fn worker(&self, worker: usize) -> Box<Worker> {
        match self.state.entity(&self.seat(worker)) {
            Some(Entity::Worker(worker)) => worker,
            other => panic!("no worker but {other:?}"),
        }
    }

    pub(super) fn task(&self, address: &Address) -> Box<Task> {
        match self.state.entity(address) {
            Some(Entity::Task(task)) => task,
            other => panic!("no task but {other:?}"),
        }
    }

    pub(super) fn nonce(&self, user: usize) -> Nonce {
        match self.state.entity(&self.address(user)) {
            Some(Entity::Account(account)) => account.nonce,
            _ => Nonce::ZERO,
        }
    }

    pub(super) fn body(&self, user: usize, action: Action) -> OperationBody {
        OperationBody {
            genesis: self.rules.hash,
            account: self.address(user),
            nonce: self.nonce(user),
            expires: self.epoch.plus(10),
            fee: Credits::new(20_000),
            action,
        }
    }

    pub(super) fn sign(&self, user: usize, action: Action) -> Operation {
        Operation::Signed(SignedOperation::sign(
            self.body(user, action),
            &self.users[user],
        ))
    }

    fn check_index(&self) {
        let opening = self.state.opening.clone();
        let rebuilt = LeafState::restore(
            &self.rules,
            self.state.tree.clone(),
            opening,
            self.state.side(),
        );
        let rebuilt = rebuilt.expect("a state that was executed can be restored");
        assert!(
            rebuilt.index == self.state.index,
            "the index is a function of the tree"
        );
    }

    fn execute(
        &mut self,
        roots: &[RootRecord],
        operations: &[Operation],
    ) -> Vec<Result<(), Refusal>> {
        for operation in operations {
            operation
                .verify(&self.rules.hash)
                .expect("the world signs rightly");
        }
        self.height = self.height.next();
        let proposer = self.seat(0);
        let block = BlockContext {
            epoch: self.epoch,
            height: self.height,
            proposer,
            roots,
        };
        let executed = self
            .state
            .execute(&self.rules, &block, operations)
            .expect("a block executes");
        let again = self
            .state
            .execute(&self.rules, &block, operations)
            .expect("a block executes");
        assert_eq!(
            executed.state.summary(),
            again.state.summary(),
            "execution is deterministic"
        );
        assert_eq!(executed.events, again.events);
        self.state = executed.state;
        self.check_index();
        self.events.extend(executed.events);
        self.receipts.extend(executed.receipts.iter().cloned());
        executed
            .receipts
            .into_iter()
            .map(|receipt| receipt.result)
            .collect()
    }

    /// A block with these operations; what came of each.
    pub(super) fn block(&mut self, operations: &[Operation]) -> Vec<Result<(), Refusal>> {
        self.execute(&[], operations)
    }

    /// One operation in a block of its own.
    pub(super) fn one(&mut self, operation: Operation) -> Result<(), Refusal> {
        self.block(&[operation]).remove(0)
    }

    /// A user's action in a block of its own.
    pub(super) fn act(&mut self, user: usize, action: Action) -> Result<(), Refusal> {
        let operation = self.sign(user, action);
        self.one(operation)
    }

    /// Submits a task; returns its address.
    pub(super) fn submit(&mut self, user: usize, spec: TaskSpec) -> Address {
        let operation = self.sign(user, Action::SubmitTask(Box::new(spec)));
        let task = Address(operation.id().0);
        assert_eq!(self.one(operation), Ok(()));
        task
    }

    /// Closes the epoch; the first block of the next one accepts its root.
    pub(super) fn close(&mut self) {
        self.end_epoch();
        self.accept();
    }

    /// Closes the epoch and makes its root record; the next block is of the next epoch.
    pub(super) fn end_epoch(&mut self) {
        while self.state.has_due(self.epoch) {
            self.block(&[]);
        }
        let claim = self.state.claim(self.epoch);
        let beacon = Hash::of(Domain::Beacon, &(self.state.beacon(), self.epoch));
        let record = RootRecord {
            epoch: self.epoch,
            previous: self.roots.last().map_or(self.rules.hash, RootRecord::id),
            state: claim.state,
            flows: claim.flows,
            leaves: BoundedVec::new(),
            time: time_of(self.epoch),
            view: View::new(1),
            vrf: VrfProof([0; 80]),
            beacon,
            next_committee: None,
        };
        let synced = LeafState::from_claim(
            &self.rules,
            self.state.tree.clone(),
            &claim,
            self.roots.last(),
        );
        let synced = synced.expect("a closed state can be synced");
        assert!(synced.index == self.state.index);
        // Who synced and who executed go on alike.
        self.state = if self.epoch.get().is_multiple_of(2) {
            synced
        } else {
            self.state.clone()
        };
        self.roots.push(record);
        self.epoch = self.epoch.next();
    }

    /// Accepts the newest root record.
    pub(super) fn accept(&mut self) {
        self.accept_with(&[]);
    }

    /// The same with operations in the block; what came of each.
    pub(super) fn accept_with(&mut self, operations: &[Operation]) -> Vec<Result<(), Refusal>> {
        let record = self.roots.last().cloned();
        self.execute(record.as_slice(), operations)
    }

    /// What the workers want to do now, each in its manner. With `limit` workers at the most.
    pub(super) fn steps(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (index, (key, manner)) in self.workers.iter().enumerate() {
            if *manner == Manner::Silent {
                continue;
            }
            let me = WorkerIdentity {
                seat: self.seat(index),
                key: key.clone(),
            };
            let first = plan(
                &self.state,
                &self.rules,
                &me,
                &BTreeMap::new(),
                &BTreeSet::new(),
            );
            let results: BTreeMap<Address, RunResult> = first
                .iter()
                .filter_map(|step| match step {
                    WorkerStep::Run { task, job } => {
                        let outcome = match manner {
                            Manner::Wrong => wrong(task, 1),
                            _ => right(task),
                        };
                        let engine = job.engine;
                        Some((*task, RunResult { engine, outcome }))
                    }
                    WorkerStep::Submit(_) => None,
                })
                .collect();
            for step in plan(&self.state, &self.rules, &me, &results, &BTreeSet::new()) {
                let WorkerStep::Submit(operation) = step else {
                    continue;
                };
                let hidden = match operation.body.action {
                    WorkerAction::Commit { .. } => false,
                    WorkerAction::Reveal { .. } => *manner == Manner::Hides,
                    WorkerAction::Verdict { .. } => *manner == Manner::NoVerdict,
                };
                if !hidden {
                    operations.push(Operation::Worker(*operation));
                }
            }
        }
        operations
    }

    /// Lets the workers act until none of them has anything to do.
    pub(super) fn work(&mut self) {
        for _ in 0..32 {
            let operations = self.steps();
            if operations.is_empty() {
                return;
            }
            for (operation, result) in operations.iter().zip(self.block(&operations)) {
                if matches!(result, Err(Refusal::TaskPhase { .. })) && is_verdict(operation) {
                    // Others of the same block have decided.
                    continue;
                }
                assert_eq!(
                    result,
                    Ok(()),
                    "a worker that follows its plan is never refused"
                );
            }
        }
        panic!("the workers never come to an end");
    }

    /// Whole epochs: work, close.
    pub(super) fn epochs(&mut self, count: u64) {
        for _ in 0..count {
            self.work();
            self.close();
        }
        self.work();
    }

    /// Escrow and bonds that a task holds.
    pub(super) fn held(&self, task: &Address) -> Credits {
        Entity::Task(self.task(task)).credits().expect("small sums")
    }

    pub(super) fn count(&self, matches: impl Fn(&TaskEvent) -> bool) -> usize {
        self.events.iter().filter(|event| matches(event)).count()
    }
}
