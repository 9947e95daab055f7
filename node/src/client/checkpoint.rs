//! How far the user's client has followed a network: a file for each, so that proofs don't grow with its age.
//!
//! `verified/<genesis hash>.txt` in the user's directory. The first line is `frith checkpoint 1` and BLAKE3 of what
//! follows, the second SCALE of a [`Checkpoint`] in hexadecimal. It is replaced in one step. One that isn't whole, or of
//! another network, is told and not used: the client begins at the genesis again.

use super::http::NodeClient;
use super::proof::{Proven, prove_by};
use crate::checked_file::{self, Kind};
use crate::failure::{Exit, Failure, Result};
use crate::views::EntityView;
use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::genesis::Genesis;
use frith_ledger::light::{Checkpoint, LightClient};
use parity_scale_codec::Encode as _;
use std::io;
use std::path::{Path, PathBuf};

const KIND: Kind = Kind {
    head: "frith checkpoint 1 ",
    bytes_max: 1 << 20,
};

/// Why a file isn't used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    File(#[from] checked_file::Unusable),
    #[error("it holds no checkpoint: {0}")]
    NoCheckpoint(String),
    #[error("it is of another network")]
    OtherNetwork,
}

/// A client that has followed a network as far as its file says, or begins at the genesis.
#[derive(Debug)]
pub struct Following {
    /// Checks proofs, and goes on with them.
    pub client: LightClient,
    /// Why the network is followed from its genesis although it was followed before.
    pub notice: Option<String>,
    /// Where it is kept; nowhere for one that begins at the genesis by intent.
    path: Option<PathBuf>,
    kept: u64,
}

impl Following {
    /// What `directory` holds of the network.
    ///
    /// # Errors
    /// The genesis is unusable.
    pub fn open(directory: &Path, genesis: &Genesis) -> Result<Self> {
        let path = directory.join(format!("{}.txt", genesis.hash().to_hex()));
        let fresh = LightClient::new(genesis).map_err(Failure::usage)?;
        let (client, notice) = match load(&path, genesis) {
            Ok(client) => (client, None),
            Err(Unusable::File(checked_file::Unusable::Io(error)))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                (fresh, None)
            }
            Err(reason) => {
                let notice = format!(
                    "{} isn't used: {reason}. The network is followed from its genesis again",
                    path.display()
                );
                (fresh, Some(notice))
            }
        };
        Ok(Self {
            kept: client.period(),
            client,
            notice,
            path: Some(path),
        })
    }

    /// A client at the genesis, of which nothing is kept: for proofs that others are to check.
    ///
    /// # Errors
    /// The genesis is unusable.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self> {
        Ok(Self {
            client: LightClient::new(genesis).map_err(Failure::usage)?,
            notice: None,
            path: None,
            kept: 0,
        })
    }

    /// Checks a node's answer about `address`. One that doesn't follow from what was verified before is asked for from
    /// the genesis, with a notice: the node may know less than an earlier one did, and only the genesis decides who is
    /// wrong. Gives the answer that was checked.
    ///
    /// # Errors
    /// [`Exit::Proof`] when the proof from the genesis doesn't hold either; that the node can't be reached.
    pub fn check(
        &mut self,
        genesis: &Genesis,
        node: &NodeClient,
        address: &Address,
        view: EntityView,
    ) -> Result<(EntityView, Proven)> {
        let began = self.client.period();
        match prove_by(&mut self.client, address, &view) {
            Err(failure) if began > 0 && failure.exit == Exit::Proof => {
                self.notice = Some(format!(
                    "{failure}. It was checked from period {began}, which was verified before{}; now from the genesis",
                    self.path.as_ref().map_or_else(String::new, |path| format!(
                        " and stays in {}",
                        path.display()
                    ))
                ));
                // Whoever shows another history, however long, doesn't replace what was verified.
                self.path = None;
                self.client = LightClient::new(genesis).map_err(Failure::usage)?;
                let view = node.entity(&address.to_string())?;
                let proven = prove_by(&mut self.client, address, &view)?;
                Ok((view, proven))
            }
            proven => Ok((view, proven?)),
        }
    }

    /// Keeps how far the client has followed, when that is further than before: who shows an older or another history
    /// doesn't take away what was verified.
    ///
    /// # Errors
    /// The system refuses; nothing changed then.
    pub fn keep(&mut self) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        if self.client.period() <= self.kept {
            return Ok(());
        }
        let text = encode(&self.client.checkpoint());
        checked_file::replace(path, &text).map_err(|error| Failure::file("write", path, error))?;
        self.kept = self.client.period();
        Ok(())
    }
}

fn load(path: &Path, genesis: &Genesis) -> std::result::Result<LightClient, Unusable> {
    let checkpoint = parse(&KIND.read(path)?)?;
    LightClient::resume(genesis, checkpoint)
        .map_err(|error| Unusable::NoCheckpoint(error.to_string()))?
        .ok_or(Unusable::OtherNetwork)
}

fn encode(checkpoint: &Checkpoint) -> String {
    KIND.text(&format!("{}\n", hex::encode(checkpoint.encode())))
}

fn parse(text: &str) -> std::result::Result<Checkpoint, Unusable> {
    let line = KIND.body(text)?.trim_end();
    let bytes = hex::decode(line).map_err(|error| Unusable::NoCheckpoint(error.to_string()))?;
    decode(&bytes, bytes.len()).map_err(|error| Unusable::NoCheckpoint(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::certificate::{Committee, Member};
    use frith_ledger::credits::Credits;
    use frith_ledger::entity::Terms;
    use frith_ledger::genesis::GenesisWorker;
    use frith_ledger::key::Seed;
    use frith_ledger::parameters::Parameters;
    use frith_ledger::vrf::VrfSecret;

    fn genesis(name: &str) -> Genesis {
        let worker = Seed::from_bytes([2; 32]);
        Genesis {
            name: name.to_owned(),
            time_ms: 0,
            beacon: [1; 32],
            parameters: Parameters::test(),
            accounts: Vec::new(),
            workers: vec![GenesisWorker {
                key: worker.worker().public().0,
                vrf: VrfSecret::from_seed(&worker.vrf()).public().0,
                account: worker.account().public().address(),
                stake: Credits::whole(1000),
                collateral: Credits::whole(1000),
                terms: Terms {
                    engines: 1,
                    price: Credits::new(1),
                    slots: 4,
                },
            }],
        }
    }

    fn checkpoint(genesis: &Genesis) -> Checkpoint {
        Checkpoint {
            period: 7,
            ..LightClient::new(genesis).expect("usable").checkpoint()
        }
    }

    fn file(directory: &Path, genesis: &Genesis) -> PathBuf {
        directory.join(format!("{}.txt", genesis.hash().to_hex()))
    }

    #[test]
    fn what_was_followed_is_there_for_the_next_command_and_for_its_network_only() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (one, other) = (genesis("one"), genesis("other"));
        let verified = dir.path().join("verified");
        let mut following = Following::open(&verified, &one).expect("usable");
        assert_eq!((following.client.period(), &following.notice), (0, &None));
        following.keep().expect("nothing is written");
        assert!(!verified.exists());
        following.client = LightClient::resume(&one, checkpoint(&one))
            .expect("usable")
            .expect("its own");
        following.keep().expect("writes");
        let mut again = Following::open(&verified, &one).expect("usable");
        assert_eq!((again.client.period(), &again.notice), (7, &None));
        again.client = LightClient::new(&one).expect("usable");
        again.keep().expect("nothing is written");
        let again = Following::open(&verified, &one).expect("usable");
        assert_eq!(again.client.period(), 7, "it doesn't go back");
        let another = Following::open(&verified, &other).expect("usable");
        assert_eq!((another.client.period(), another.notice), (0, None));
        // The file of one network under the name of another.
        std::fs::copy(file(&verified, &one), file(&verified, &other)).expect("copies");
        let another = Following::open(&verified, &other).expect("usable");
        assert_eq!(another.client.period(), 0);
        let notice = another.notice.expect("it is told");
        assert!(notice.contains("another network"), "{notice}");
    }

    #[test]
    fn a_file_that_is_not_a_whole_checkpoint_begins_at_the_genesis_with_a_notice() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let genesis = genesis("one");
        let path = file(dir.path(), &genesis);
        let text = encode(&checkpoint(&genesis)).into_bytes();
        let told = |bytes: &[u8], what: &str| {
            std::fs::write(&path, bytes).expect("writes");
            let following = Following::open(dir.path(), &genesis).expect("usable");
            assert_eq!(following.client.period(), 0, "{what}");
            assert!(following.notice.is_some(), "{what}");
        };
        told(&text[..text.len() - 1], "cut");
        told(
            KIND.text("00\n").as_bytes(),
            "whole, and no checkpoint in it",
        );
        told(&vec![b' '; (1 << 20) + 1], "too long");
        std::fs::write(&path, &text).expect("writes");
        let whole = Following::open(dir.path(), &genesis).expect("usable");
        assert_eq!((whole.client.period(), whole.notice), (7, None));
    }

    #[test]
    fn the_largest_checkpoint_fits_its_file() {
        let members = (0..frith_ledger::parameters::MEMBERS_MAX).map(|number| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(number as u64).to_be_bytes());
            Member {
                key: frith_ledger::key::PublicKey(key),
                seat: frith_ledger::address::Address(key),
                vrf: frith_ledger::vrf::VrfPublic(key),
                weight: u128::from(u64::MAX),
            }
        });
        let checkpoint = Checkpoint {
            genesis: frith_ledger::hash::Hash([1; 32]),
            period: u64::MAX,
            committee: Committee::new(members.collect()),
        };
        assert_eq!(
            checkpoint.committee.members().len(),
            frith_ledger::parameters::MEMBERS_MAX
        );
        let text = encode(&checkpoint);
        assert_eq!(parse(&text).expect("it is whole"), checkpoint);
    }

    #[test]
    fn fuzz_checkpoints() {
        let checkpoint_of_one = checkpoint(&genesis("one"));
        let valid = encode(&checkpoint_of_one);
        frith_fuzz::harness!(|input: &[u8]| {
            let noise = String::from_utf8_lossy(input).into_owned();
            for text in [noise, frith_fuzz::damage_text(&valid, input)] {
                if let Ok(checkpoint) = parse(&text) {
                    assert_eq!(checkpoint, checkpoint_of_one, "it was changed unnoticed");
                }
            }
        });
    }
}
