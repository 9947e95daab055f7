//! What stands in the state: one entity an address.
//!
//! The encoding of every entity begins with a version byte. Its credits and stake are what the
//! Merkle-sum tree adds up; [`Entity::leaf`] is the only place that computes them.

use crate::address::Address;
use crate::codec::{BoundedBytes, BoundedVec, DecodeError, decode};
use crate::credits::{Credits, CreditsError};
use crate::hash::{Domain, Hash};
use crate::key::PublicKey;
use crate::parameters::{
    ARBITRATORS_MAX, ENTITY_BYTES_MAX, INLINE_BYTES_MAX, REPLICAS_MAX, RETIRED_KEYS_MAX, SLOTS_MAX,
};
use crate::tree::Leaf;
use crate::units::{Epoch, Fuel, Nonce, UnixMillis};
use crate::vrf::VrfPublic;
use parity_scale_codec::{Decode, Encode};

/// BLAKE3 hash of content: a program, an input, a result. Plain BLAKE3, so that any tool can check it.
pub type ContentId = Hash;

/// Version byte of entities written by this protocol version.
pub const ENTITY_VERSION: u8 = 1;

/// Anything with a balance.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Entity {
    /// Money of a key.
    Account(Account),
    /// A registration that waits for its seat; a sub-object of the account that pays for it.
    Registration(Registration),
    /// A worker, at its seat.
    Worker(Box<Worker>),
    /// A compute task, at the hash of the operation that submitted it.
    Task(Box<Task>),
}

impl Entity {
    /// The version byte and the SCALE encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        (ENTITY_VERSION, self).encode()
    }

    /// Decodes an entity of this protocol version.
    ///
    /// # Errors
    /// [`DecodeError`], also for another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, entity) = decode::<(u8, Self)>(bytes, ENTITY_BYTES_MAX)?;
        if version == ENTITY_VERSION {
            Ok(entity)
        } else {
            Err(DecodeError::Malformed {
                at: 0,
                reason: format!("entity version {version}, known is {ENTITY_VERSION}"),
            })
        }
    }

    /// All credits that the entity holds: balance, stake, collateral, bonds, escrow.
    ///
    /// # Errors
    /// [`CreditsError`] when the sum doesn't fit.
    pub fn credits(&self) -> Result<Credits, CreditsError> {
        match self {
            Self::Account(account) => Ok(account.balance),
            Self::Registration(registration) => registration.stake.add(registration.collateral),
            Self::Worker(worker) => worker.stake.add(worker.collateral),
            Self::Task(task) => {
                let bonds = task
                    .places
                    .iter()
                    .try_fold(Credits::ZERO, |sum, place| sum.add(place.bond))?;
                bonds.add(task.escrow)
            }
        }
    }

    /// Active stake: the weight in draws.
    #[must_use]
    pub fn stake(&self) -> Credits {
        match self {
            Self::Worker(worker) if worker.status == WorkerStatus::Active => worker.stake,
            _ => Credits::ZERO,
        }
    }

    /// The leaf of the state tree.
    ///
    /// # Errors
    /// [`CreditsError`] when the credits don't add up in 128 bits.
    pub fn leaf(&self) -> Result<Leaf, CreditsError> {
        Ok(Leaf {
            bytes: self.to_bytes().into(),
            credits: self.credits()?,
            stake: self.stake(),
        })
    }
}

/// Money of a key. Its address is [`Address::of_key`] of the first key it had.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Account {
    /// The key in force; `None` while it is still the one that the address is the hash of.
    pub key: Option<PublicKey>,
    /// What it can spend.
    pub balance: Credits,
    /// Signed operations executed.
    pub nonce: Nonce,
    /// Workers that it pays for.
    pub workers: BoundedVec<WorkerSeat, 16>,
}

/// Where a worker of an account sits.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WorkerSeat {
    /// The worker's key.
    pub key: PublicKey,
    /// The seat; `None` until the root that brings its beacon was accepted.
    pub seat: Option<Address>,
}

/// What a worker offers. Changes take effect A epochs after they were included.
#[derive(
    Debug, Clone, PartialEq, Eq, Default, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
pub struct Terms {
    /// Engines it runs, as a bit set by the engine's number (0 wasmtime, 1 wasmi, 2 V8, 3 SpiderMonkey, 4 JavaScriptCore).
    pub engines: u8,
    /// Least price for 10⁶ fuel.
    pub price: Credits,
    /// Tasks that it holds at once, 1 to [`SLOTS_MAX`].
    pub slots: u8,
}

/// A registration that waits for its seat.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Registration {
    /// The account that pays.
    pub account: Address,
    /// The worker's key.
    pub key: PublicKey,
    /// Its VRF key.
    pub vrf: VrfPublic,
    /// Stake: weight in votes and draws.
    pub stake: Credits,
    /// Collateral: bonds are taken from it.
    pub collateral: Credits,
    /// What it offers.
    pub terms: Terms,
    /// r: the epoch whose root records this registration.
    pub recorded: Epoch,
}

/// Whether a worker takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum WorkerStatus {
    /// Votes and is drawn.
    Active,
    /// Left: the stake returns in this epoch.
    Leaving {
        /// First epoch in which it may return.
        until: Epoch,
    },
    /// Lost its stake to evidence; what is left returns in this epoch.
    Slashed {
        /// First epoch in which the rest may return.
        until: Epoch,
    },
}

/// A worker, at its seat.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Worker {
    /// The key that votes, commits and reveals.
    pub key: PublicKey,
    /// Its VRF key.
    pub vrf: VrfPublic,
    /// The account that gets pay and, in the end, the stake.
    pub account: Address,
    /// Weight in votes and draws.
    pub stake: Credits,
    /// What bonds are taken from; operation fees of its blocks are added to it.
    pub collateral: Credits,
    /// What it offers now.
    pub terms: Terms,
    /// Terms, additional stake, new keys, and since when they count.
    pub pending: BoundedVec<PendingChange, 8>,
    /// Whether it takes part.
    pub status: WorkerStatus,
    /// Tasks that it has committed to and not yet seen settled.
    pub open: BoundedVec<OpenCommitment, SLOTS_MAX>,
    /// Tasks for which it was paid.
    pub tasks_paid: u64,
    /// Tasks for which it lost its bond.
    pub tasks_lost: u64,
    /// Keys that were in force before, oldest first, while they answer for what they signed.
    pub retired: BoundedVec<RetiredKey, RETIRED_KEYS_MAX>,
}

impl Worker {
    /// Keys that will be in force, if a rotation waits for its epoch.
    #[must_use]
    pub fn next_keys(&self) -> Option<(Epoch, WorkerKeys)> {
        self.pending
            .iter()
            .find_map(|pending| match pending.change {
                WorkerChange::Keys(keys) => Some((pending.since, keys)),
                WorkerChange::Terms(_) | WorkerChange::AddStake(_) => None,
            })
    }

    /// What is kept of a key that was replaced.
    #[must_use]
    pub fn retired_key(&self, key: &PublicKey) -> Option<&RetiredKey> {
        self.retired.iter().find(|retired| retired.key == *key)
    }

    /// Whether a key may act for what it has open here: it is in force, or was not long ago.
    #[must_use]
    pub fn acts_with(&self, key: &PublicKey) -> bool {
        self.key == *key || self.retired_key(key).is_some()
    }
}

/// The keys of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct WorkerKeys {
    /// Votes, commits and reveals.
    pub key: PublicKey,
    /// Proves beacons.
    pub vrf: VrfPublic,
}

/// A worker's key that another has replaced.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RetiredKey {
    /// The key.
    pub key: PublicKey,
    /// The last epoch of an instance in which it can be a member; it answers for none that is later.
    pub last: Epoch,
    /// The last epoch in which it is kept: evidence is too old then, and no arbitration waits for it.
    pub until: Epoch,
}

/// A change of a worker that waits for its epoch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PendingChange {
    /// First epoch in which it counts.
    pub since: Epoch,
    /// What changes. Added stake is held as collateral until then.
    pub change: WorkerChange,
}

/// A delayed change of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum WorkerChange {
    /// New terms.
    Terms(Terms),
    /// So much of the collateral becomes stake.
    AddStake(Credits),
    /// Other keys. At most one such change waits at a time.
    Keys(WorkerKeys),
}

/// A result that a worker has committed to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenCommitment {
    /// The task.
    pub task: Address,
    /// The key that committed, and that alone can reveal.
    pub key: PublicKey,
    /// The salted commitment.
    pub commitment: Hash,
    /// Last epoch of the reveal; `None` until the task opened its reveals.
    pub reveal_until: Option<Epoch>,
    /// Whether the reveal was made.
    pub revealed: bool,
}

/// Bytes in the ledger, or content that members hold.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Bytes {
    /// In the ledger itself.
    Inline(BoundedBytes<INLINE_BYTES_MAX>),
    /// Content by id.
    Content {
        /// BLAKE3 of the bytes.
        id: ContentId,
        /// Their number.
        len: u32,
    },
}

/// Bytes of an encoded [`TaskSpec`]: with it and full lists a task's entity stays below
/// [`ENTITY_BYTES_MAX`].
pub const SPEC_BYTES_MAX: usize = 32 * 1024;

/// What a task asks for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TaskSpec {
    /// The program, a WebAssembly module.
    pub program: ContentId,
    /// Its size in bytes.
    pub program_len: u32,
    /// Standard input.
    pub input: Bytes,
    /// Arguments, the program's name not among them. UTF-8.
    pub arguments: BoundedVec<BoundedBytes<1024>, 32>,
    /// Environment, `NAME=value`. UTF-8.
    pub environment: BoundedVec<BoundedBytes<1024>, 32>,
    /// Most fuel that each replica may burn.
    pub fuel_max: Fuel,
    /// Price for 10⁶ fuel.
    pub price: Credits,
    /// k: how many workers run it.
    pub replicas: u8,
    /// Most memory, in 64 KiB pages.
    pub memory_pages: u32,
    /// Most bytes of standard output.
    pub result_max: u32,
    /// Last epoch in which it may be drawn; unused escrow goes back after it.
    pub deadline: Epoch,
}

/// Where a task is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum TaskState {
    /// Waits for its draw.
    Submitted,
    /// Drawn; workers run it and commit.
    Assigned {
        /// Last epoch for commits.
        commit_until: Epoch,
    },
    /// Workers open their commitments.
    Revealing {
        /// Last epoch for reveals.
        reveal_until: Epoch,
        /// The first reveal in full; places keep only hashes.
        first: Option<TaskOutcome>,
    },
    /// Reveals differ, or too few came: waits for the draw of arbitrators.
    Disputed {
        /// Last epoch in which they may be drawn.
        until: Epoch,
    },
    /// Drawn arbitrators decide.
    Arbitrating {
        /// Last epoch for verdicts.
        until: Epoch,
        /// Who decides, by seat, and what each said.
        arbitrators: BoundedVec<Arbitrator, ARBITRATORS_MAX>,
    },
    /// All replicas agreed (or arbitrators decided): paid.
    Settled {
        /// What came out.
        outcome: TaskOutcome,
        /// When.
        epoch: Epoch,
    },
    /// Ended without a result; escrow and bonds went back.
    Failed {
        /// Why.
        reason: FailReason,
        /// When.
        epoch: Epoch,
    },
    /// Taken back by who submitted it.
    Cancelled {
        /// When.
        epoch: Epoch,
    },
}

/// Why a task ended without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum FailReason {
    /// Not enough workers fit (engines, price, slots) until the deadline.
    NoWorkers,
    /// Nobody revealed.
    NoReveals,
    /// Arbitrators reached no verdict.
    NoVerdict,
}

/// A drawn worker's place in a task.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Place {
    /// The worker's seat.
    pub seat: Address,
    /// Its key.
    pub key: PublicKey,
    /// Where its pay goes.
    pub account: Address,
    /// The engine it was drawn for.
    pub engine: u8,
    /// Last epoch for its commit.
    pub commit_until: Epoch,
    /// What happened.
    pub state: PlaceState,
    /// The bond that came with the commit and is still held.
    pub bond: Credits,
    /// What it was paid at settlement.
    pub paid: Credits,
    /// What of its bond or collateral it lost over this task.
    pub lost: Credits,
}

/// What happened at a place.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum PlaceState {
    /// Drawn.
    Drawn,
    /// Committed.
    Committed,
    /// Revealed this.
    Revealed(OutcomeId),
    /// Never committed: drawn again.
    NoShow,
    /// Committed and hid: lost the bond.
    Unrevealed,
}

/// An arbitrator and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Arbitrator {
    /// The worker's seat.
    pub seat: Address,
    /// Its key.
    pub key: PublicKey,
    /// Where its share of the lost bonds goes.
    pub account: Address,
    /// The engine it was drawn for.
    pub engine: u8,
    /// What it found.
    pub verdict: Option<OutcomeId>,
}

/// What running a task gave: equal for every correct worker.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TaskOutcome {
    /// How it ended.
    pub status: RunStatus,
    /// Fuel burned.
    pub fuel: Fuel,
    /// Standard output.
    pub output: Bytes,
}

impl TaskOutcome {
    /// What stands for this outcome in places and verdicts, so that a task's entity stays small.
    #[must_use]
    pub fn id(&self) -> OutcomeId {
        OutcomeId {
            hash: Hash::of(Domain::ResultOutcome, self),
            fuel: self.fuel,
        }
    }
}

/// An outcome by its hash. Equal ids are equal outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct OutcomeId {
    /// Of the [`TaskOutcome`].
    pub hash: Hash,
    /// Its fuel, for people; the hash covers it.
    pub fuel: Fuel,
}

/// How a run ended. Mirrors the virtual machine's status in numbers, so that the ledger needs no
/// machine to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum RunStatus {
    /// The program returned or called `proc_exit`.
    Exit(u32),
    /// A trap, by the machine's stable number.
    Trap(u16),
    /// The fuel limit was reached.
    OutOfFuel,
    /// The stack limit was reached.
    StackOverflow,
    /// More output than the task allows.
    OutputLimit,
    /// The module starts with more memory than the task allows.
    MemoryLimit,
    /// The module was refused: code and byte offset.
    Refused {
        /// The machine's stable code.
        code: u16,
        /// Byte offset in the module.
        offset: u32,
    },
}

/// A compute task.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Task {
    /// Who pays and gets back what is unused.
    pub account: Address,
    /// What is asked for.
    pub spec: TaskSpec,
    /// What is still held for pay.
    pub escrow: Credits,
    /// The epoch whose root records the submission.
    pub recorded: Epoch,
    /// The epoch whose beacon drew the first places.
    pub drawn: Option<Epoch>,
    /// The guest's clock: the time of the record that brought that beacon; zero until then.
    pub clock: UnixMillis,
    /// Randomness of the guest, fixed with the first draw.
    pub seed: Hash,
    /// Draws made so far, so that a place drawn again uses fresh randomness.
    pub draws: u32,
    /// The first root that may draw for it (places, places again, or arbitrators).
    pub draw_from: Epoch,
    /// The drawn workers, past ones that never committed among them.
    pub places: BoundedVec<Place, PLACES_MAX>,
    /// Where it is in its life.
    pub state: TaskState,
}

/// Places of a task, with those drawn again.
pub const PLACES_MAX: usize = 4 * REPLICAS_MAX;
