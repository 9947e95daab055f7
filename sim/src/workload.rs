//! What users and workers do: transfers and tasks, each user one operation at a time.

use crate::random::Random;
use frith_ledger::address::Address;
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Bytes, ContentId, Entity, RunStatus, TaskOutcome, TaskSpec};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::key::Seed;
use frith_ledger::operation::{Action, Operation, OperationBody, OperationId, SignedOperation};
use frith_ledger::units::{Epoch, Fuel, Nonce};
use frith_neighbourhood::Node;
use frith_tasks::worker::TaskJob;
use frith_tasks::{Receipt, Rules};
use parity_scale_codec::Encode as _;

/// Users.
pub const USERS: usize = 6;
/// Most fuel of a task.
const FUEL_MAX: u64 = 1_000_000;
/// After so long without a receipt the operation is submitted again, elsewhere, in ms.
const AGAIN_MS: u64 = 2_500;
/// After so long the user looks at its account and starts over, in ms.
const GIVE_UP_MS: u64 = 15_000;

/// The program of all tasks: nobody runs it here, but members must hold it.
#[must_use]
pub fn program() -> Vec<u8> {
    b"\0asm\x01\0\0\0".to_vec()
}

/// Its content id.
#[must_use]
pub fn program_id() -> ContentId {
    Hash(*blake3::hash(&program()).as_bytes())
}

struct Sent {
    id: OperationId,
    bytes: Vec<u8>,
    first_ms: u64,
    last_ms: u64,
}

struct User {
    seed: Seed,
    nonce: Nonce,
    sent: Option<Sent>,
    /// Operations executed since everything healed.
    healed: u64,
}

/// All users of a run.
pub struct Workload {
    users: Vec<User>,
    executed: u64,
    tasks: bool,
    replicas: u8,
}

/// What a user does now.
pub struct Submission {
    /// The encoded operation.
    pub bytes: Vec<u8>,
    /// The number of the user.
    pub user: u64,
}

impl Workload {
    /// Users for a network of so many members.
    #[must_use]
    pub fn new(members: usize) -> Self {
        let user = |seed| User {
            seed,
            nonce: Nonce::ZERO,
            sent: None,
            healed: 0,
        };
        let replicas = if members >= 4 { 3 } else { 1 };
        Self {
            users: Self::seeds().into_iter().map(user).collect(),
            executed: 0,
            tasks: true,
            replicas,
        }
    }

    /// The users' secrets.
    #[must_use]
    pub fn seeds() -> Vec<Seed> {
        (0..USERS)
            .map(|i| Seed::from_bytes([u8::try_from(100 + i).unwrap_or(255); 32]))
            .collect()
    }

    /// Operations executed.
    #[must_use]
    pub const fn executed(&self) -> u64 {
        self.executed
    }

    /// From now on only transfers, counted anew.
    pub fn healed(&mut self) {
        self.tasks = false;
        for user in &mut self.users {
            user.healed = 0;
        }
    }

    /// Whether every user had an operation executed since everything healed.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.users.iter().all(|user| user.healed > 0)
    }

    /// Something for a random user to submit to `node`, if it is its turn.
    pub fn next(
        &mut self,
        now: u64,
        random: &mut Random,
        rules: &Rules,
        node: &Node,
    ) -> Option<Submission> {
        let number = random.index(self.users.len());
        let (tasks, replicas) = (self.tasks, self.replicas);
        let user = self.users.get_mut(number)?;
        if let Some(sent) = &mut user.sent {
            if now.saturating_sub(sent.first_ms) > GIVE_UP_MS {
                user.nonce = nonce_of(node, user);
                user.sent = None;
            } else if now.saturating_sub(sent.last_ms) > AGAIN_MS {
                sent.last_ms = now;
                return Some(Submission {
                    bytes: sent.bytes.clone(),
                    user: number as u64,
                });
            }
            return None;
        }
        let action = if tasks && random.chance(350) {
            Action::SubmitTask(Box::new(spec(random, node.epoch(), replicas)))
        } else {
            Action::Transfer {
                to: Address(random.bytes()),
                amount: Credits::new(u128::from(random.between(1, 5_000_000))),
            }
        };
        let key = user.seed.account();
        let body = OperationBody {
            genesis: rules.hash,
            account: key.public().address(),
            nonce: user.nonce,
            expires: node.epoch().plus(200),
            fee: Credits::new(100_000),
            action,
        };
        let operation = Operation::Signed(SignedOperation::sign(body, &key));
        let bytes = operation.encode();
        user.sent = Some(Sent {
            id: operation.id(),
            bytes: bytes.clone(),
            first_ms: now,
            last_ms: now,
        });
        Some(Submission {
            bytes,
            user: number as u64,
        })
    }

    /// A block was committed somewhere, with these receipts.
    pub fn committed(&mut self, receipts: &[Receipt], node: &Node) {
        for receipt in receipts {
            let theirs = |user: &&mut User| {
                user.sent
                    .as_ref()
                    .is_some_and(|sent| sent.id == receipt.operation)
            };
            let Some(user) = self.users.iter_mut().find(theirs) else {
                continue;
            };
            user.sent = None;
            user.nonce = nonce_of(node, user);
            if receipt.result.is_ok() {
                user.healed += 1;
                self.executed += 1;
            }
        }
    }
}

fn nonce_of(node: &Node, user: &User) -> Nonce {
    match node.state().entity(&user.seed.account().public().address()) {
        Some(Entity::Account(account)) => account.nonce.max(user.nonce),
        _ => user.nonce,
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

/// What running a job gives: a function of the job, as it must be; a liar adds something of its own.
#[must_use]
pub fn outcome(job: &TaskJob, lie: Option<u64>) -> TaskOutcome {
    let digest = Hash::of(
        Domain::ResultOutcome,
        &(job.program, job.seed, job.input.encode(), lie),
    );
    let fuel = u64::from(digest.0[0]) * 1_000 + u64::from(digest.0[1]);
    TaskOutcome {
        status: RunStatus::Exit(0),
        fuel: Fuel::new(fuel.min(FUEL_MAX)),
        output: Bytes::Inline(digest.0.to_vec().try_into().unwrap_or_default()),
    }
}
