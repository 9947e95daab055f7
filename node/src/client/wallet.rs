//! An account and the operations that it signs. The key stays here, or with its agent.

use super::http::NodeClient;
use crate::agent::Agent;
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::views::{Entity, EntityView, Finality, OperationView};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::genesis::Genesis;
use frith_ledger::key::{SecretKey, Signature};
use frith_ledger::operation::{Action, Operation, OperationBody, SignedOperation};
use frith_ledger::parameters::{OPERATION_BYTES_MAX, Parameters};
use frith_ledger::units::{Epoch, Nonce};
use parity_scale_codec::Encode as _;
use std::time::Duration;

/// Epochs for which a signed operation is good, unless the network allows fewer.
const EXPIRY_EPOCHS: u64 = 60;

/// The fee of an operation that does `action`.
#[must_use]
pub fn fee_of(action: &Action, parameters: &Parameters) -> Credits {
    let body = OperationBody {
        genesis: frith_ledger::hash::Hash::ZERO,
        account: Address::default(),
        nonce: Nonce::ZERO,
        expires: Epoch::ZERO,
        fee: Credits::ZERO,
        action: action.clone(),
    };
    // All fields beside the action have a fixed size, so the size doesn't depend on their values.
    let key = frith_ledger::key::PublicKey([0; 32]);
    let operation = Operation::Signed(SignedOperation {
        body,
        key,
        signature: Signature([0; 64]),
    });
    parameters.fee(operation.encoded_size())
}

/// Who signs for an account.
#[derive(Debug)]
pub enum Signer {
    /// Its key in force, in this process.
    Key {
        /// The key.
        key: SecretKey,
        /// The account.
        account: Address,
    },
    /// The agent that holds its key.
    Agent(Agent),
}

impl Signer {
    /// The key that its account began with.
    #[must_use]
    pub fn first_key(key: SecretKey) -> Self {
        let account = key.public().address();
        Self::Key { key, account }
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> Address {
        match self {
            Self::Key { account, .. } => *account,
            Self::Agent(agent) => agent.described.account,
        }
    }

    fn sign(&self, body: OperationBody) -> Result<SignedOperation> {
        match self {
            Self::Key { key, .. } => Ok(SignedOperation::sign(body, key)),
            Self::Agent(agent) => agent.sign(body).map_err(|error| {
                Failure::refused(Code::Agent, error)
                    .advise("unlock the key again with `frith key unlock`, or lock it and say the passphrase")
            }),
        }
    }
}

/// An account and who signs for it.
pub struct Wallet<'a> {
    /// The network.
    pub genesis: &'a Genesis,
    /// The node that is asked.
    pub node: &'a NodeClient,
    /// Signs.
    pub signer: Signer,
    /// The account.
    pub account: Address,
}

impl<'a> Wallet<'a> {
    /// The account that `signer` signs for.
    #[must_use]
    pub fn new(genesis: &'a Genesis, node: &'a NodeClient, signer: Signer) -> Self {
        let account = signer.account();
        Self {
            genesis,
            node,
            signer,
            account,
        }
    }

    /// What the node's neighbourhood holds for this account now. Not proven: for nonces and warnings.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn local(&self) -> Result<EntityView> {
        self.node.local(&self.account.to_string())
    }

    /// The operation that does `action` next.
    ///
    /// # Errors
    /// The account doesn't exist, or the operation is too large.
    pub fn sign(&self, action: Action) -> Result<SignedOperation> {
        let view = self.local()?;
        let Some(Entity::Account(account)) = &view.local else {
            return Err(Failure::refused(
                Code::NoAccount,
                format!(
                    "the account {} doesn't exist: nothing was ever sent to it",
                    self.account
                ),
            ));
        };
        let parameters = &self.genesis.parameters;
        let body = OperationBody {
            genesis: self.genesis.hash(),
            account: self.account,
            nonce: Nonce::new(account.nonce),
            expires: Epoch::new(view.now).plus(EXPIRY_EPOCHS.min(parameters.expiry_max)),
            fee: fee_of(&action, parameters),
            action,
        };
        self.signer.sign(body)
    }

    /// Submits a signed operation and waits until it is `finality` sure. Its id and fate.
    ///
    /// # Errors
    /// A refusal, now or at execution, or that it wasn't committed in `time`.
    pub fn submit(
        &self,
        operation: SignedOperation,
        finality: Finality,
        time: Duration,
    ) -> Result<OperationView> {
        let bytes = Operation::Signed(operation).encode();
        if bytes.len() > OPERATION_BYTES_MAX {
            return Err(Failure::usage(format!(
                "the operation has {} bytes, at most {OPERATION_BYTES_MAX} are allowed",
                bytes.len()
            )));
        }
        let submitted = self.node.submit(&bytes)?;
        if finality == Finality::Pending {
            return self
                .node
                .operation(&submitted.id, Finality::Pending, Duration::ZERO);
        }
        let fate = self.node.operation(&submitted.id, finality, time)?;
        if let Some(refusal) = &fate.refusal {
            return Err(Failure::answered(Exit::Refused, refusal.clone()));
        }
        if fate.finality < finality {
            let asked = if finality == Finality::Final {
                "under a committed root"
            } else {
                "committed"
            };
            return Err(Failure::unreachable(format!(
                "operation {} was not {asked} within {} s; it may still be",
                submitted.id,
                time.as_secs()
            ))
            .advise("see `frith node status`: does the node see a quorum?"));
        }
        Ok(fate)
    }
}
