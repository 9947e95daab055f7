//! Checking what a node says, from the genesis alone.

use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::views::EntityView;
use frith_ledger::address::Address;
use frith_ledger::block::Flows;
use frith_ledger::codec::decode;
use frith_ledger::entity::Entity;
use frith_ledger::genesis::Genesis;
use frith_ledger::light::{ENTITY_PROOF_BYTES_MAX, EntityProof, LightClient, LightError};
use frith_ledger::tree::Summary;
use frith_ledger::units::UnixMillis;
use serde::{Deserialize, Serialize};

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Epoch of the root that it leads to.
    pub epoch: u64,
    /// The root record's id.
    pub root: String,
    /// The root record's time.
    pub time: UnixMillis,
    /// The whole state: the sum of all credits among it.
    pub state: Summary,
    /// Credits created and destroyed since genesis.
    pub flows: Flows,
    /// What stands at the address; `None`: nothing does, and the proof shows it.
    pub entity: Option<Entity>,
}

/// A proof in a file, as `wallet balance --save-proof` writes it and `proof verify` reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedProof {
    /// The address that it is about.
    pub address: String,
    /// SCALE of [`EntityProof`], in hexadecimal.
    pub proof: String,
}

impl SavedProof {
    /// The proof that a node gave.
    ///
    /// # Errors
    /// The node has none yet.
    pub fn of(view: &EntityView) -> Result<Self> {
        let proof = view.proof.clone().ok_or_else(|| {
            Failure::unreachable("the node has no proof yet: no root is committed")
                .advise("wait for the first epochs, or see `frith node status`")
        })?;
        Ok(Self {
            address: view.address.clone(),
            proof,
        })
    }

    /// A node's answer about `address`, whatever address it names itself.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn about(address: &Address, view: &EntityView) -> Result<Self> {
        Ok(Self {
            address: address.to_string(),
            ..Self::of(view)?
        })
    }

    /// Checks the proof.
    ///
    /// # Errors
    /// [`crate::failure::Exit::Proof`] when it doesn't hold.
    pub fn verify(&self, genesis: &Genesis) -> Result<(Address, Proven)> {
        let mut client = LightClient::new(genesis).map_err(Failure::usage)?;
        self.verify_by(&mut client)
    }

    /// Checks the proof by a client that may have followed the network before, and takes it along.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub(super) fn verify_by(&self, client: &mut LightClient) -> Result<(Address, Proven)> {
        let address: Address = self
            .address
            .parse()
            .map_err(|error| Failure::usage(format!("in the proof: {error}")))?;
        let bytes = hex::decode(&self.proof)
            .map_err(|error| Failure::proof(format!("the proof is no hexadecimal: {error}")))?;
        let proof: EntityProof = decode(&bytes, ENTITY_PROOF_BYTES_MAX)
            .map_err(|error| Failure::proof(format!("the proof can't be read: {error}")))?;
        let verified = client.verify(&address, &proof).map_err(|error| {
            let behind = matches!(error, LightError::Behind { .. });
            if behind {
                return Failure::new(Exit::Unreachable, Code::NodeBehind, error);
            }
            Failure::proof(format!("the proof of {address} does not hold: {error}"))
        })?;
        let proven = Proven {
            epoch: verified.epoch.get(),
            root: verified.root.to_hex(),
            time: verified.time,
            state: verified.state,
            flows: proof
                .root
                .record()
                .map(|record| record.flows)
                .unwrap_or_default(),
            entity: verified.entity,
        };
        Ok((address, proven))
    }
}

/// Checks a node's answer about `address`.
///
/// # Errors
/// [`crate::failure::Exit::Proof`] when it doesn't hold or is about another address.
pub fn prove(genesis: &Genesis, address: &Address, view: &EntityView) -> Result<Proven> {
    let proof = SavedProof::about(address, view)?;
    proof.verify(genesis).map(|(_, proven)| proven)
}
