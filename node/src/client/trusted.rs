//! A checkpoint by its id, from somebody who is trusted.
//!
//! The id is a hash of network, period and root committee. It is no record's: keys of an old committee could certify a copy of
//! the true record in a history of their own.

use super::checkpoint::{path_in, write};
use super::http::NodeClient;
use super::proof::{Proven, SavedProof};
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::views::EntityView;
use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::genesis::Genesis;
use frith_ledger::hash::Hash;
use frith_ledger::light::{Checkpoint, ENTITY_PROOF_BYTES_MAX, EntityProof, LightClient, RootLink};
use std::path::Path;

/// A checkpoint by its id, as `frith checkpoint show` prints it: `12-3fa9…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointId {
    period: u64,
    hash: Hash,
}

impl CheckpointId {
    /// What `client` has followed to.
    #[must_use]
    pub fn of(client: &LightClient) -> Self {
        let hash = client.checkpoint().id();
        Self {
            period: client.period(),
            hash,
        }
    }
}

impl std::fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.period, self.hash)
    }
}

impl std::str::FromStr for CheckpointId {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || {
            "no checkpoint: it is a number, a hyphen and 64 hexadecimal digits, as `frith checkpoint show` prints it"
                .to_owned()
        };
        let (period, hash) = text.split_once('-').ok_or_else(wrong)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(hash, &mut bytes).map_err(|_| wrong())?;
        Ok(Self {
            period: period.parse().map_err(|_| wrong())?,
            hash: Hash(bytes),
        })
    }
}

/// Goes by the checkpoint that somebody named who is trusted: what belongs to it comes from the node, which can't change
/// it, and the node's newest record must follow from it. Whatever was kept before is replaced.
///
/// # Errors
/// The node doesn't have it, shows another one, or shows nothing that follows from it; the file can't be written.
pub fn take(
    directory: &Path,
    genesis: &Genesis,
    node: &NodeClient,
    id: CheckpointId,
) -> Result<(LightClient, Proven)> {
    // Any address will do: what is asked for are the committee, and a record that it certified.
    let address = Address::default();
    let view = node.entity_from(&address.to_string(), id.period.saturating_sub(1))?;
    let mut client = named(genesis, &view, id)?;
    let (_, proven) = SavedProof::about(&address, &view)?.verify_by(&mut client)?;
    write(&path_in(directory, genesis), &client)?;
    Ok((client, proven))
}

/// A client at the checkpoint of this id, with the committee that a node's answer has.
fn named(genesis: &Genesis, view: &EntityView, id: CheckpointId) -> Result<LightClient> {
    let start = LightClient::new(genesis).map_err(Failure::usage)?;
    let client = if id.period == 0 {
        start
    } else {
        let length = genesis.parameters.period.max(1);
        let last = id.period.saturating_mul(length).saturating_sub(1);
        let proof = view.proof.as_deref().unwrap_or_default();
        let bytes = hex::decode(proof).map_err(Failure::proof)?;
        let proof: EntityProof = decode(&bytes, ENTITY_PROOF_BYTES_MAX).map_err(Failure::proof)?;
        let epoch = |link: &RootLink| link.root.record().map(|record| record.epoch.get());
        let mut links = proof.links.into_inner().into_iter();
        let link = links
            .find(|link| epoch(link) == Some(last))
            .ok_or_else(|| {
                Failure::new(
                    Exit::Unreachable,
                    Code::NodeBehind,
                    format!("the node doesn't know period {} yet", id.period),
                )
            })?;
        let checkpoint = Checkpoint {
            genesis: genesis.hash(),
            period: id.period,
            committee: link.next,
            newest: None,
        };
        let client = LightClient::resume(genesis, checkpoint).map_err(Failure::usage)?;
        client.ok_or_else(|| Failure::other("a checkpoint of another network"))?
    };
    let found = CheckpointId::of(&client);
    if found == id {
        return Ok(client);
    }
    Err(Failure::new(
        Exit::Proof,
        Code::Contradiction,
        format!("the node shows another checkpoint for period {}: {found}, not {id}", id.period),
    )
    .advise("check the id, and that your genesis file is of the same network; then ask another node with --api"))
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::tests::{checkpoint, genesis};
    use super::*;
    use frith_ledger::certificate::Committee;

    #[test]
    fn a_checkpoint_has_an_id_that_covers_network_period_and_committee() {
        let (one, other) = (genesis("one"), genesis("other"));
        let id = |checkpoint: Checkpoint| checkpoint.id();
        let first = id(checkpoint(&one));
        assert_ne!(first, id(checkpoint(&other)));
        assert_ne!(
            first,
            id(Checkpoint {
                period: 8,
                ..checkpoint(&one)
            })
        );
        let committee = Committee::new(Vec::new());
        assert_ne!(
            first,
            id(Checkpoint {
                committee,
                ..checkpoint(&one)
            })
        );
        let client = LightClient::resume(&one, checkpoint(&one)).expect("usable");
        let shown = CheckpointId::of(&client.expect("its own"));
        assert_eq!(shown.to_string().parse(), Ok(shown));
        assert_eq!(shown.to_string(), format!("7-{first}"));
        for wrong in ["", "7", "7-00", "x-00", "-7-00"] {
            assert!(wrong.parse::<CheckpointId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn fuzz_checkpoint_ids() {
        frith_fuzz::harness!(|input: &[u8]| {
            let text = String::from_utf8_lossy(input);
            let valid = format!("12-{}", Hash([7; 32]));
            for text in [text.into_owned(), frith_fuzz::damage_text(&valid, input)] {
                if let Ok(id) = text.parse::<CheckpointId>() {
                    assert_eq!(id.to_string().parse(), Ok(id));
                }
            }
        });
    }
}
