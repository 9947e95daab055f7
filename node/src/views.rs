//! What the HTTP API says, as JSON: one type an answer, used by the server and by its clients.
//!
//! Amounts are decimal strings in credits with up to six places (`"12.5"`), since JSON numbers lose
//! digits. Hashes, keys and SCALE bytes are lower-case hexadecimal. Addresses are bech32m.

mod error;
mod history;
mod lists;
mod log;
mod work;

pub use error::{ErrorBody, ErrorView};
pub use history::{HappeningView, HistoryView};
pub use lists::{LedgerView, ListedTaskView, TasksView};
pub use log::{ExcerptView, LogView};
pub use work::{KeyState, NextKeyView, OwnKeyView, RetiredKeyView, UnpaidView, WorkStatusView};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An operation that was taken into the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmittedView {
    /// The operation's id. Of a submission it is also the task's address, as bytes.
    pub id: String,
}

/// An operation to submit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationRequest {
    /// The SCALE encoding of the signed operation, in hexadecimal.
    pub operation: String,
}

/// How sure it is that an operation was executed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Finality {
    /// Not seen in a committed block (yet).
    Pending,
    /// Committed by the neighbourhood (two-chain). Holds while at most a third of its weight is corrupt.
    Local,
    /// Under a committed root.
    Final,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationView {
    /// Its id.
    pub id: String,
    /// How sure it is.
    pub finality: Finality,
    /// Height of its block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Epoch of its block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Whether it did what it says; `false`: it was refused when it was executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<bool>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<ErrorBody>,
    /// No block has it, and none can have it any more: its nonce was used by another operation, or it expired. `done` is
    /// `false` then, and `refusal` says which.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_executed: bool,
    /// It waits at this node for a block. One that doesn't, and is pending, may wait elsewhere, or may not have arrived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

/// An entity with its proof, and what the neighbourhood has committed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntityView {
    /// The address asked for.
    pub address: String,
    /// The proven state of it; absent: the proof shows that there is none, or there is no proof yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Entity>,
    /// Epoch of the root that the proof leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Time of that root's record, in ms since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_time_ms: Option<u64>,
    /// How old it is by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_age_ms: Option<u64>,
    /// Why that is worth a word: the record is far behind, or the node's clock is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_warning: Option<String>,
    /// The proof: SCALE of `EntityProof`, in hexadecimal, from the period that was named. Absent until the first root is
    /// committed, and when none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// What the node's neighbourhood holds now: `local`, not proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Entity>,
    /// Height of `local`.
    pub height: u64,
    /// Epoch that the node is in.
    pub now: u64,
    /// Of an account, when no proof is asked for: the first nonce that neither `local` nor an operation that waits at this
    /// node has used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_nonce: Option<u64>,
}

/// What stands at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entity {
    /// Money of a key.
    Account(AccountView),
    /// A registration that waits for its seat.
    Registration(RegistrationView),
    /// A worker at its seat.
    Worker(WorkerView),
    /// A compute task.
    Task(Box<TaskView>),
}

/// Money of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// Spendable.
    pub balance: String,
    /// Operations executed.
    pub nonce: u64,
    /// The key in force, when it was rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Workers that it pays for.
    pub workers: Vec<SeatView>,
}

/// A worker of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeatView {
    /// The worker's key.
    pub key: String,
    /// Its seat; absent until it is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
}

/// What a worker offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TermsView {
    /// Engines it runs.
    pub engines: Vec<String>,
    /// Least price for 10⁶ fuel.
    pub price: String,
    /// Tasks that it holds at once.
    pub slots: u8,
}

/// A registration that waits for its seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegistrationView {
    /// The account that pays.
    pub account: String,
    /// The worker's key.
    pub key: String,
    /// Stake.
    pub stake: String,
    /// Collateral.
    pub collateral: String,
    /// What it offers.
    pub terms: TermsView,
    /// Epoch whose root records it.
    pub recorded: u64,
}

/// A worker at its seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerView {
    /// Its key.
    pub key: String,
    /// Where its pay goes.
    pub account: String,
    /// Weight in votes and draws.
    pub stake: String,
    /// What bonds are taken from.
    pub collateral: String,
    /// What it offers.
    pub terms: TermsView,
    /// `active`, `leaving` or `slashed`.
    pub status: String,
    /// First epoch in which its stake may return, when it left or was slashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Tasks that it committed to and that aren't settled.
    pub open: Vec<String>,
    /// Tasks for which it was paid.
    pub tasks_paid: u64,
    /// Tasks for which it lost its bond.
    pub tasks_lost: u64,
    /// Changes of its stake and terms that don't count yet, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeView>,
    /// The key that replaces its key, if a rotation waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<NextKeyView>,
    /// Keys that were replaced and still answer for what they signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_keys: Vec<RetiredKeyView>,
}

/// A change of a worker that waits for its epoch: one of `terms` and `stake`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeView {
    /// First epoch in which it counts.
    pub since: u64,
    /// What it offers then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<TermsView>,
    /// What is added to its stake then; collateral until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stake: Option<String>,
}

/// A compute task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// Its address.
    pub address: String,
    /// Who pays.
    pub account: String,
    /// `submitted`, `assigned`, `revealing`, `disputed`, `arbitrating`, `settled`, `failed` or `cancelled`.
    pub state: String,
    /// In words: what happens next, or why it ended.
    pub explanation: String,
    /// Whether it has ended.
    pub ended: bool,
    /// The last epoch of the present state, or the epoch in which it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// What is asked for.
    pub spec: SpecView,
    /// Still held for pay.
    pub escrow: String,
    /// Paid to workers.
    pub paid: String,
    /// Epoch whose root records the submission.
    pub recorded: u64,
    /// Epoch whose beacon drew the first places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<u64>,
    /// The program's clock, in ms since the Unix epoch: the time of the record that drew the first places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ms: Option<u64>,
    /// The drawn workers.
    pub places: Vec<PlaceView>,
    /// Who decided when results differed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arbitrators: Vec<ArbitratorView>,
    /// What came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeView>,
}

/// What a task asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecView {
    /// Content id of the program.
    pub program: String,
    /// Its bytes.
    pub program_len: u32,
    /// Bytes of the input.
    pub input_len: u64,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Most fuel of each replica.
    pub fuel_max: u64,
    /// Price for 10⁶ fuel.
    pub price: String,
    /// How many workers run it.
    pub replicas: u8,
    /// Most memory, in pages of 64 KiB.
    pub memory_pages: u32,
    /// Most bytes of the result.
    pub result_max: u32,
    /// Last epoch in which it may be drawn.
    pub deadline: u64,
}

/// A drawn worker's place in a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlaceView {
    /// The worker's seat.
    pub seat: String,
    /// The worker's key.
    pub key: String,
    /// Where its pay goes.
    pub account: String,
    /// The engine it was drawn for.
    pub engine: String,
    /// `drawn`, `committed`, `revealed`, `no_show` or `unrevealed`.
    pub state: String,
    /// What it found, once revealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<FoundView>,
    /// Bond that is still held.
    pub bond: String,
    /// What it was paid.
    pub paid: String,
    /// What it lost: a bond, or the penalty of a no-show.
    pub lost: String,
    /// Why it wasn't paid, once that is clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaid: Option<String>,
}

/// An arbitrator of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArbitratorView {
    /// Its seat.
    pub seat: String,
    /// The engine that it was drawn for.
    pub engine: String,
    /// What it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<FoundView>,
}

/// What a worker found. Equal hashes are equal outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundView {
    /// Hash of the outcome: status, fuel and output.
    pub result: String,
    /// Its fuel.
    pub fuel: u64,
}

/// What running a task gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeView {
    /// In words: `exit 0`, `trap: …`, `out of fuel`, `refused: …`.
    pub status: String,
    /// Whether it is exit status 0.
    pub success: bool,
    /// Fuel used.
    pub fuel: u64,
    /// Bytes of the output.
    pub output_len: u64,
    /// The output in hexadecimal, when it stands in the ledger itself (up to 4 KiB); never in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Content id of the output, when it is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// How many workers would take a task, if it were drawn now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OffersView {
    /// Active workers.
    pub workers: u64,
    /// Those of them that take its price.
    pub at_price: u64,
    /// Those of them that have a free slot too, and collateral for its bond.
    pub free: u64,
    /// The least price that as many workers take as it wants; absent when there aren't so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_of_all: Option<String>,
}

/// A state's sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SummaryView {
    /// Hash of the state tree's root.
    pub hash: String,
    /// Sum of all credits.
    pub credits: String,
    /// Sum of all active stake.
    pub stake: String,
    /// Entities.
    pub entities: u64,
}

/// A root record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RootView {
    /// Its epoch.
    pub epoch: u64,
    /// Its id.
    pub id: String,
    /// Its time, in ms since the Unix epoch.
    pub time_ms: u64,
    /// How old it is by the node's clock.
    pub age_ms: u64,
    /// The combined state.
    pub state: SummaryView,
    /// Credits created since genesis.
    pub issued: String,
    /// Credits destroyed since genesis.
    pub burned: String,
    /// beacon(epoch + 1).
    pub beacon: String,
    /// Record and commit proof: SCALE of `CertifiedRoot`, in hexadecimal.
    pub proof: String,
}

/// A committed block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockView {
    /// Its id.
    pub id: String,
    /// Its height.
    pub height: u64,
    /// Its epoch.
    pub epoch: u64,
    /// View in which it was proposed.
    pub view: u64,
    /// The block before.
    pub parent: String,
    /// The proposer's index in the committee.
    pub proposer: u16,
    /// `operations`, `closing`, `root` or `empty`.
    pub kind: String,
    /// Digests of the batches it applies.
    pub batches: Vec<String>,
    /// Root records accepted up to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots: Option<u64>,
    /// The state after it.
    pub state: SummaryView,
    /// Headers of the blocks after it, up to the one that the proof commits: SCALE, in hexadecimal.
    pub headers: Vec<String>,
    /// Commit proof of the last header, or of this block: SCALE, in hexadecimal; absent when it isn't kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// The answer of `PUT /v1/content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContentView {
    /// BLAKE3 of the bytes.
    pub id: String,
    /// Their number.
    pub len: u64,
}

/// Whether a node is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyView {
    /// Whether it votes, sees more than two thirds of the weight, and is at most two epochs behind.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

/// Something that the operator has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    /// What it is about; stable.
    pub code: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// What is wrong, with figures.
    pub message: String,
    /// Seconds since it began.
    pub for_s: u64,
}

/// A node on one screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// Version of the program.
    pub version: String,
    /// The network's name.
    pub network: String,
    /// The genesis hash, which is the network's identity.
    pub genesis: String,
    /// Whether it is ready, and why not.
    #[serde(flatten)]
    pub readiness: ReadyView,
    /// Peers connected.
    pub peers: u64,
    /// Members of the committee, this node among them when it is one.
    pub members: u64,
    /// Members connected, this node among them.
    pub members_seen: u64,
    /// The committee, by key, and whether each is connected.
    pub committee: Vec<MemberView>,
    /// The epoch it works in.
    pub epoch: u64,
    /// Its view in that epoch.
    pub view: u64,
    /// Height of the committed head.
    pub height: u64,
    /// Root records known.
    pub roots: u64,
    /// Time of the newest of them (of the genesis when there is none), in ms since the Unix epoch.
    #[serde(default)]
    pub record_time_ms: u64,
    /// How old it is by the node's clock.
    #[serde(default)]
    pub record_age_ms: u64,
    /// Why that is worth a word: the record is far behind, or the node's clock is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_warning: Option<String>,
    /// Operations that wait in the pool.
    pub pool: u64,
    /// What the neighbourhood's state holds.
    #[serde(default)]
    pub ledger: LedgerView,
    /// The worker's key.
    pub key: String,
    /// The fault it was started with, for tests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What the operator has to know, worst first.
    #[serde(default)]
    pub alerts: Vec<AlertView>,
    /// The worker; absent while the key has no seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkStatusView>,
    /// Where it listens for peers.
    pub listening: Vec<String>,
    /// Who reached it; absent on a node of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<ReachedView>,
    /// Resident bytes.
    pub resident_bytes: u64,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// Why it stopped voting for good, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
}

/// Which of the peers that are connected reached this node by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReachedView {
    /// Those that opened a connection to it.
    pub by_peers: u64,
    /// Those of them that came from a public address.
    pub from_outside: u64,
}

/// A member of the committee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// Its key.
    pub key: String,
    /// Its seat.
    pub seat: String,
    /// Whether this node is connected to it (or is it).
    pub connected: bool,
    /// How far it last said it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
}

/// Something that happened, as `/v1/events` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventView {
    /// A block was committed.
    Block {
        /// Its height.
        height: u64,
        /// Its epoch.
        epoch: u64,
        /// Its id.
        id: String,
        /// Operations executed in it.
        operations: u64,
    },
    /// A root record was committed.
    Root {
        /// Its epoch.
        epoch: u64,
        /// Its id.
        id: String,
        /// Its time, in ms since the Unix epoch.
        time_ms: u64,
    },
    /// Something happened to a task or a worker.
    Task {
        /// What: `submitted`, `drawn`, `committed`, `settled`, `paid`, `bond_lost`, `seated`, …
        what: String,
        /// The task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
        /// The worker's seat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seat: Option<String>,
        /// Credits that moved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<String>,
        /// Height of the block.
        height: u64,
    },
    /// Something that the operator has to know begins or ends.
    Alert {
        /// What it is about: `commit_due`, `no_quorum`, `disk_filling`, … docs/operators.md lists them.
        code: String,
        /// `warning` or `critical`.
        severity: String,
        /// Whether it begins.
        raised: bool,
        /// What is wrong, with figures; empty when it ends.
        message: String,
    },
    /// The node became ready, or isn't any more.
    Ready {
        /// Which.
        ready: bool,
    },
    /// The client reads too slowly: so many events were skipped.
    Lagged {
        /// How many.
        skipped: u64,
    },
}
