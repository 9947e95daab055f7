//! What changes the state: operations of users, of workers, and proofs that anyone may bring.
//!
//! An operation's id is the hash of its body and never covers the signature. A signed operation
//! executes at its account, once, in order of its nonce. A worker's operation executes at the
//! worker's seat. A proof-carrying operation has no signer: what it proves is its authority.

use crate::address::Address;
use crate::block::{BlockHeader, Instance};
use crate::certificate::Vote;
use crate::credits::Credits;
use crate::entity::{TaskOutcome, TaskSpec, Terms};
use crate::hash::{Domain, Hash};
use crate::key::{BadSignature, PublicKey, Role, SecretKey, Signature, signing_hash};
use crate::units::{Epoch, Nonce};
use crate::vrf::VrfPublic;
use parity_scale_codec::{Decode, Encode};

/// The id of an operation.
pub type OperationId = Hash;

/// Anything that a batch holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Operation {
    /// Signed by an account's key.
    Signed(SignedOperation),
    /// Signed by a worker's key.
    Worker(WorkerOperation),
    /// Carries its own authority.
    Proof(ProofOperation),
}

impl Operation {
    /// The operation's id.
    #[must_use]
    pub fn id(&self) -> OperationId {
        match self {
            Self::Signed(operation) => Hash::of(Domain::Operation, &(0u8, &operation.body)),
            Self::Worker(operation) => Hash::of(Domain::Operation, &(1u8, &operation.body)),
            Self::Proof(operation) => Hash::of(Domain::Operation, &(2u8, operation)),
        }
    }

    /// Checks every signature that it carries, for the network with this genesis: the signer's, the
    /// consent of a worker key that is registered or put in force, and those that evidence shows.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, genesis: &Hash) -> Result<(), BadSignature> {
        match self {
            Self::Signed(operation) => {
                if let Action::RegisterWorker { key, consent, .. }
                | Action::RotateWorker { key, consent, .. } = &operation.body.action
                {
                    key.verify(
                        &consent_hash(genesis, &operation.body.account, operation.body.nonce),
                        consent,
                    )?;
                }
                operation.key.verify(
                    &signing_hash(Role::Operation, genesis, &operation.body),
                    &operation.signature,
                )
            }
            Self::Worker(operation) => operation.key.verify(
                &signing_hash(Role::WorkerOperation, genesis, &operation.body),
                &operation.signature,
            ),
            Self::Proof(ProofOperation::Evidence(evidence)) => {
                evidence.verify(genesis).map(drop).map_err(|_| BadSignature)
            }
        }
    }
}

/// What a worker signs to let an account register it, or put its key in the place of another worker key of
/// the account's, with the account's operation of this nonce.
#[must_use]
pub fn consent_hash(genesis: &Hash, account: &Address, nonce: Nonce) -> Hash {
    signing_hash(Role::WorkerOperation, genesis, &(account, nonce))
}

/// An account's order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SignedOperation {
    /// What is signed.
    pub body: OperationBody,
    /// The account's key in force.
    pub key: PublicKey,
    /// Its signature, in [`Role::Operation`].
    pub signature: Signature,
}

impl SignedOperation {
    /// Signs `body` with the account's key.
    #[must_use]
    pub fn sign(body: OperationBody, key: &SecretKey) -> Self {
        let signature = key.sign(&signing_hash(Role::Operation, &body.genesis, &body));
        Self {
            body,
            key: key.public(),
            signature,
        }
    }
}

/// What an account signs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OperationBody {
    /// The network.
    pub genesis: Hash,
    /// The account.
    pub account: Address,
    /// The account's nonce before this operation.
    pub nonce: Nonce,
    /// Last epoch in which it may execute.
    pub expires: Epoch,
    /// What the proposer gets.
    pub fee: Credits,
    /// What to do.
    pub action: Action,
}

/// What an account can order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Action {
    /// Moves credits.
    Transfer {
        /// To whom; an account is created where nothing is.
        to: Address,
        /// How much.
        amount: Credits,
    },
    /// Registers a worker; its seat is drawn A epochs later.
    RegisterWorker {
        /// The worker's key.
        key: PublicKey,
        /// The worker's signature on [`consent_hash`]: nobody registers another's key.
        consent: Signature,
        /// Its VRF key.
        vrf: VrfPublic,
        /// Weight in votes and draws.
        stake: Credits,
        /// What bonds are taken from.
        collateral: Credits,
        /// What it offers.
        terms: Terms,
    },
    /// Adds stake (after A epochs) and collateral (at once) to a worker of the account.
    AddStake {
        /// The worker's seat.
        seat: Address,
        /// To the stake.
        stake: Credits,
        /// To the collateral.
        collateral: Credits,
    },
    /// Takes collateral back.
    Unstake {
        /// The worker's seat.
        seat: Address,
        /// How much of the collateral.
        collateral: Credits,
    },
    /// Changes a worker's terms, after A epochs.
    SetTerms {
        /// The worker's seat.
        seat: Address,
        /// What it offers then.
        terms: Terms,
    },
    /// Ends a worker; its stake returns after unbonding.
    Leave {
        /// The worker's seat.
        seat: Address,
    },
    /// Submits a task; the maximum cost goes into escrow.
    SubmitTask(Box<TaskSpec>),
    /// Takes back a task that isn't drawn yet.
    CancelTask {
        /// The task.
        task: Address,
    },
    /// Puts another key in force.
    RotateKey {
        /// The new key.
        key: PublicKey,
    },
    /// Nothing but its bytes, which stay in the chain: notes and load tests.
    Note(crate::codec::BoundedBytes<4096>),
    /// Puts other keys in force for a worker, after A epochs. It keeps its seat.
    RotateWorker {
        /// The worker's seat.
        seat: Address,
        /// The new worker key.
        key: PublicKey,
        /// The new key's signature on [`consent_hash`]: nobody takes another's key.
        consent: Signature,
        /// The new VRF key.
        vrf: VrfPublic,
    },
}

/// A worker's order, executed at its seat.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WorkerOperation {
    /// What is signed.
    pub body: WorkerBody,
    /// The worker's key.
    pub key: PublicKey,
    /// Its signature, in [`Role::WorkerOperation`].
    pub signature: Signature,
}

impl WorkerOperation {
    /// Signs `body` with the worker's key.
    #[must_use]
    pub fn sign(body: WorkerBody, key: &SecretKey) -> Self {
        let signature = key.sign(&signing_hash(Role::WorkerOperation, &body.genesis, &body));
        Self {
            body,
            key: key.public(),
            signature,
        }
    }
}

/// What a worker signs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WorkerBody {
    /// The network.
    pub genesis: Hash,
    /// The worker's seat.
    pub seat: Address,
    /// The task.
    pub task: Address,
    /// What to do.
    pub action: WorkerAction,
}

/// What a worker can do for a task.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum WorkerAction {
    /// Binds itself to a result; the bond goes from its collateral to the task.
    Commit {
        /// [`result_commitment`].
        commitment: Hash,
        /// What it stakes on the result: exactly what the task asks for.
        bond: Credits,
    },
    /// Opens the commitment.
    Reveal {
        /// What it found.
        outcome: TaskOutcome,
        /// The secret of the commitment.
        salt: [u8; 32],
    },
    /// An arbitrator's finding.
    Verdict {
        /// What it found.
        outcome: TaskOutcome,
    },
}

/// The commitment of `worker` to an outcome: bound to the worker, so that copying it is useless.
#[must_use]
pub fn result_commitment(
    task: &Address,
    worker: &PublicKey,
    outcome: &TaskOutcome,
    salt: &[u8; 32],
) -> Hash {
    Hash::of(Domain::ResultCommitment, &(task, worker, outcome, salt))
}

/// An operation that proves its own right.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ProofOperation {
    /// Shows that a worker said two things where it may say one.
    Evidence(Box<Evidence>),
}

/// A worker's two statements that exclude each other, and who found them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Evidence {
    /// The worker's seat.
    pub seat: Address,
    /// The worker's key.
    pub key: PublicKey,
    /// Gets the reporter's share.
    pub reporter: Address,
    /// What it said.
    pub offence: Offence,
}

/// Two statements that exclude each other.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[expect(clippy::large_enum_variant, reason = "rare, and always behind a box")]
pub enum Offence {
    /// Two votes in one view of one instance for different blocks.
    Votes(Vote, Vote),
    /// Two proposals in one view of one instance.
    Proposals {
        /// One block.
        first: BlockHeader,
        /// Its signature by the proposer.
        first_signature: Signature,
        /// Another.
        second: BlockHeader,
        /// Its signature by the proposer.
        second_signature: Signature,
    },
}

impl Offence {
    /// Who made both statements: an index in the instance's committee.
    #[must_use]
    pub const fn member(&self) -> u16 {
        match self {
            Self::Votes(vote, _) => vote.member,
            Self::Proposals { first, .. } => first.proposer,
        }
    }
}

/// Why evidence shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Both may be said: they are of different instances or views, or name the same block.
    #[error("the two statements do not exclude each other")]
    Compatible,
    /// A statement isn't the worker's.
    #[error("a statement is not signed by the worker")]
    Signature(#[from] BadSignature),
}

impl Evidence {
    /// The instance in which both statements were made, if they exclude each other.
    #[must_use]
    pub fn instance(&self) -> Option<Instance> {
        let ((first, view, block), (second, other_view, other_block)) = match &self.offence {
            Offence::Votes(a, b) => ((a.instance, a.view, a.block), (b.instance, b.view, b.block)),
            Offence::Proposals {
                first: a,
                second: b,
                ..
            } => ((a.instance, a.view, a.id()), (b.instance, b.view, b.id())),
        };
        (first == second && view == other_view && block != other_block).then_some(first)
    }

    /// Checks that the worker made both statements and that they exclude each other. Two signature checks.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn verify(&self, genesis: &Hash) -> Result<Instance, EvidenceError> {
        let instance = self.instance().ok_or(EvidenceError::Compatible)?;
        match &self.offence {
            Offence::Votes(a, b) => {
                self.key.verify(&a.signing_hash(genesis), &a.signature)?;
                self.key.verify(&b.signing_hash(genesis), &b.signature)?;
            }
            Offence::Proposals {
                first,
                first_signature,
                second,
                second_signature,
            } => {
                self.key.verify(
                    &signing_hash(Role::Proposal, genesis, &first.id()),
                    first_signature,
                )?;
                self.key.verify(
                    &signing_hash(Role::Proposal, genesis, &second.id()),
                    second_signature,
                )?;
            }
        }
        Ok(instance)
    }
}
