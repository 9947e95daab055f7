//! An account and the operations that it signs. The key stays here, or with its agent.

use super::http::NodeClient;
use crate::agent::Agent;
use crate::codes::Code;
use crate::failure::{Failure, Result};
use crate::views::EntityView;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::genesis::Genesis;
use frith_ledger::key::{SecretKey, Signature};
use frith_ledger::operation::{Action, Operation, OperationBody, SignedOperation};
use frith_ledger::parameters::{OPERATION_BYTES_MAX, Parameters};
use frith_ledger::units::{Epoch, Nonce};
use parity_scale_codec::Encode as _;

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
    /// Nobody: the account is only looked at.
    Nobody(Address),
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
            Self::Nobody(account) => *account,
        }
    }

    fn sign(&self, body: OperationBody) -> Result<SignedOperation> {
        match self {
            Self::Key { key, .. } => Ok(SignedOperation::sign(body, key)),
            Self::Nobody(account) => Err(Failure::other(format!(
                "nobody signs for {account} here"
            ))),
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

    /// An account for which nothing is signed.
    #[must_use]
    pub fn watching(genesis: &'a Genesis, node: &'a NodeClient, account: Address) -> Self {
        Self::new(genesis, node, Signer::Nobody(account))
    }

    /// What the node's neighbourhood holds for this account now. Not proven: for nonces and warnings.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn local(&self) -> Result<EntityView> {
        self.node.local(&self.account.to_string())
    }

    /// The operation that does `action` with this nonce, good for some epochs after `now`.
    ///
    /// # Errors
    /// The agent is gone, or the operation is too large.
    pub fn sign(&self, action: Action, nonce: Nonce, now: Epoch) -> Result<SignedOperation> {
        let parameters = &self.genesis.parameters;
        let body = OperationBody {
            genesis: self.genesis.hash(),
            account: self.account,
            nonce,
            expires: now.plus(EXPIRY_EPOCHS.min(parameters.expiry_max)),
            fee: fee_of(&action, parameters),
            action,
        };
        self.sign_body(body)
    }

    /// The operation with this body, signed by the account's key in force.
    ///
    /// # Errors
    /// The agent is gone, or the operation is too large.
    pub fn sign_body(&self, body: OperationBody) -> Result<SignedOperation> {
        let signed = self.signer.sign(body)?;
        let bytes = Operation::Signed(signed.clone()).encoded_size();
        if bytes > OPERATION_BYTES_MAX {
            return Err(Failure::usage(format!(
                "the operation has {bytes} bytes, at most {OPERATION_BYTES_MAX} are allowed"
            )));
        }
        Ok(signed)
    }
}
