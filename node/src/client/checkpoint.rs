//! How far the user's client has followed a network: a file for each, so that proofs don't grow with its age.
//!
//! `verified/<genesis hash>.txt` in the user's directory. The first line is `frith checkpoint 2` and BLAKE3 of what
//! follows, the second SCALE of a [`Checkpoint`] in hexadecimal. It is replaced in one step.
//!
//! The checkpoint is what answers are checked from, and it doesn't yield:
//!
//! - An answer that contradicts it is refused, whatever the genesis alone would say of it: who has the keys of most of an
//!   old committee can show another history that holds from the genesis.
//! - An answer of an earlier period can't be checked from it, and is refused as that of a node which is behind.
//! - A checkpoint older than the stake of its committee is bound is refused: nobody answers for those keys any more.
//! - `--from-genesis` says that the genesis alone decides. What holds from it replaces the checkpoint only when it
//!   doesn't contradict it. A checkpoint by its id, from somebody who is trusted, replaces any.
//! - A file that isn't whole, or of another network, is told and not used: nobody but who can write here brings it
//!   about, and who can write here can remove it as well. The client begins at the genesis then, as it does at first.

use super::proof::{Proven, SavedProof};
use crate::age::Age;
use crate::amounts::span;
use crate::checked_file::{self, Kind};
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use frith_ledger::codec::decode;
use frith_ledger::genesis::Genesis;
use frith_ledger::light::{Checkpoint, LightClient, Newest};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::UnixMillis;
use parity_scale_codec::Encode as _;
use std::io;
use std::path::{Path, PathBuf};

const KIND: Kind = Kind {
    head: "frith checkpoint 2 ",
    bytes_max: 1 << 20,
};
/// The shortest time, in ms, in which a checkpoint grows too old, however soon stake returns.
const TOO_OLD_MS_MIN: u64 = 7 * 24 * 3_600_000;
/// A newer record of the same period is kept when it is so much newer, in ms.
const KEEP_MS: u64 = 60_000;

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

/// What answers are checked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Where the client got to; the genesis at first.
    Kept,
    /// The genesis, for a node's proof that others are to check. It must not contradict what was verified.
    Whole,
    /// The genesis, for a proof in a file. It must not contradict what was verified, and may be older.
    File,
    /// The genesis, whatever was verified before: the user says so.
    Genesis,
}

/// A client that has followed a network as far as its file says, or begins at the genesis.
#[derive(Debug)]
pub struct Following {
    /// Checks proofs, and goes on with them.
    pub client: LightClient,
    /// What the user has to know beside the answer.
    pub notice: Option<String>,
    start: Start,
    /// What the file holds.
    kept: Option<LightClient>,
    path: PathBuf,
    /// Whether what was verified may be kept.
    keeps: bool,
}

/// The file of a network.
pub(super) fn path_in(directory: &Path, genesis: &Genesis) -> PathBuf {
    directory.join(format!("{}.txt", genesis.hash().to_hex()))
}

/// After how many ms a checkpoint is too old to go on from: when nobody's stake answers for what its committee signs.
#[must_use]
pub fn too_old_ms(parameters: &Parameters) -> u64 {
    let bound = parameters.unbonding.saturating_mul(parameters.epoch_ms);
    bound.max(TOO_OLD_MS_MIN)
}

impl Following {
    /// What `directory` holds of the network, at `now`.
    ///
    /// # Errors
    /// The genesis is unusable; [`Code::CheckpointOld`] when what is kept is too old to go on from.
    pub fn open(
        directory: &Path,
        genesis: &Genesis,
        start: Start,
        now: UnixMillis,
    ) -> Result<Self> {
        let path = path_in(directory, genesis);
        let (kept, notice) = read(&path, genesis)?;
        let fresh = LightClient::new(genesis).map_err(Failure::usage)?;
        let notice = notice.or_else(|| {
            let first = kept.is_none() && start == Start::Kept;
            first.then(|| unknown_for_long(genesis, now)).flatten()
        });
        let client = match (&kept, start) {
            (Some(kept), Start::Kept) => {
                if let Some(newest) = kept.newest() {
                    check_age(&path, genesis, kept.period(), &newest, now)?;
                }
                kept.clone()
            }
            _ => fresh,
        };
        Ok(Self {
            client,
            notice,
            start,
            kept,
            path,
            keeps: matches!(start, Start::Kept | Start::Genesis),
        })
    }

    /// Whether a node whose newest record is of this epoch knows less than was verified here. It may be about to learn it.
    #[must_use]
    pub fn is_ahead_of(&self, epoch: u64, parameters: &Parameters) -> bool {
        let verified = match self.start {
            Start::Kept => self.client.period(),
            Start::Whole => self.kept.as_ref().map_or(0, LightClient::period),
            Start::File | Start::Genesis => 0,
        };
        epoch / parameters.period.max(1) < verified
    }

    /// Checks a node's answer, from where the client begins; it goes on with the answer then.
    ///
    /// # Errors
    /// [`Exit::Proof`] when the proof doesn't hold, or contradicts what was verified before; [`Exit::Unreachable`] when the
    /// node is behind that. Nothing of the answer is believed then.
    pub fn check(&mut self, proof: &SavedProof) -> Result<Proven> {
        let mut client = self.client.clone();
        let proven = match (proof.verify_by(&mut client), self.start) {
            (Ok((_, proven)), _) => proven,
            (Err(failure), Start::Kept) => return Err(self.explain(failure)),
            (Err(failure), _) => return Err(failure),
        };
        if self.start != Start::Kept {
            self.compare(proof)?;
        } else if let Some(known) = self.client.newest()
            && proven.epoch < known.epoch.get()
        {
            self.notice = Some(format!(
                "the node's newest record is of epoch {}; this client has verified epoch {} before",
                proven.epoch, known.epoch
            ));
        }
        self.client = client;
        Ok(proven)
    }

    /// What holds from the genesis, beside what was verified before.
    fn compare(&mut self, proof: &SavedProof) -> Result<()> {
        let Some(mut kept) = self.kept.clone() else {
            return Ok(());
        };
        match proof.verify_by(&mut kept) {
            Ok(_) => {}
            Err(failure) if self.start == Start::Whole => return Err(self.explain(failure)),
            Err(failure) if failure.exit != Exit::Proof => {
                self.keeps = false;
                self.notice = Some(format!(
                    "{}. Nothing here can be compared with it",
                    self.explain(failure)
                ));
            }
            Err(failure) if self.start == Start::File => return Err(self.explain(failure)),
            Err(failure) => {
                self.keeps = false;
                self.notice = Some(format!(
                    "WARNING: {}. The answer below holds from the genesis, as you asked; the checkpoint stays. \
                     `frith checkpoint take ID` replaces it",
                    self.explain(failure)
                ));
            }
        }
        Ok(())
    }

    /// A failure to check an answer, told by one who has verified something before.
    fn explain(&self, failure: Failure) -> Failure {
        let Some(kept) = &self.kept else {
            return failure;
        };
        let verified = kept.newest().map_or_else(
            || format!("period {}", kept.period()),
            |newest| format!("epoch {} (record {})", newest.epoch, newest.root),
        );
        let path = self.path.display();
        if failure.exit == Exit::Proof {
            return Failure::new(
                Exit::Proof,
                Code::Contradiction,
                format!(
                    "the answer contradicts what was verified here before, up to {verified}: {failure}. Nothing of it is \
                     believed; {path} stays as it is"
                ),
            );
        }
        if failure.code == Code::NodeBehind.name() {
            return Failure::new(
                failure.exit,
                Code::NodeBehind,
                format!(
                    "this is behind what was verified here before, up to {verified}: {failure}"
                ),
            );
        }
        failure
    }

    /// Keeps how far the client has followed, when that is further than before: who shows an older or another history
    /// doesn't take away what was verified.
    ///
    /// # Errors
    /// The system refuses; nothing changed then.
    pub fn keep(&mut self) -> Result<()> {
        // Another command may have got further, while a node took its time with this one's answer.
        let there = KIND.read(&self.path).map_err(Unusable::from);
        let there = there.and_then(|text| parse(&text)).ok();
        let new = self.client.checkpoint();
        let known = there
            .filter(|there| there.genesis == new.genesis)
            .map(|there| (there.period, there.newest))
            .or_else(|| {
                let kept = self.kept.as_ref();
                kept.map(|kept| (kept.period(), kept.newest()))
            });
        let further = match (known, new.newest) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some((period, newest)), Some(new_newest)) => {
                new.period > period
                    || (new.period == period
                        && newest.is_none_or(|known| {
                            new_newest.time.get() >= known.time.get().saturating_add(KEEP_MS)
                        }))
            }
        };
        if !self.keeps || !further {
            return Ok(());
        }
        write(&self.path, &self.client)?;
        self.kept = Some(self.client.clone());
        Ok(())
    }
}

/// What is kept of a network, however old; and why a file that is there isn't used.
///
/// # Errors
/// The genesis is unusable.
pub fn kept(directory: &Path, genesis: &Genesis) -> Result<(Option<LightClient>, Option<String>)> {
    read(&path_in(directory, genesis), genesis)
}

fn read(path: &Path, genesis: &Genesis) -> Result<(Option<LightClient>, Option<String>)> {
    LightClient::new(genesis).map_err(Failure::usage)?;
    match load(path, genesis) {
        Ok(client) => Ok((Some(client), None)),
        Err(Unusable::File(checked_file::Unusable::Io(error)))
            if error.kind() == io::ErrorKind::NotFound =>
        {
            Ok((None, None))
        }
        Err(reason) => {
            let notice = format!(
                "{} isn't used: {reason}. The network is followed from its genesis again",
                path.display()
            );
            Ok((None, Some(notice)))
        }
    }
}

/// Refuses to go on from a checkpoint for whose committee nobody's stake answers any more.
fn check_age(
    path: &Path,
    genesis: &Genesis,
    period: u64,
    newest: &Newest,
    now: UnixMillis,
) -> Result<()> {
    let bound = too_old_ms(&genesis.parameters);
    let age = now.get().saturating_sub(newest.time.get());
    if age <= bound {
        return Ok(());
    }
    let message = format!(
        "the checkpoint in {} is too old to go on from: the newest record that was verified, of epoch {} in period {period}, is \
         {} old by this machine's clock. After {} no stake answers any more for what its committee signs",
        path.display(),
        newest.epoch,
        span(age),
        span(bound)
    );
    Err(Failure::new(Exit::Proof, Code::CheckpointOld, message))
}

/// What to say to who has nothing but the genesis of a network that is older than its first committee answers for.
fn unknown_for_long(genesis: &Genesis, now: UnixMillis) -> Option<String> {
    let age = now.get().saturating_sub(genesis.time_ms);
    // A genesis without a time is a test's.
    let old = genesis.time_ms > 0 && age > too_old_ms(&genesis.parameters);
    old.then(|| {
        format!(
            "nothing of this network was verified here before, and its genesis is {} old: nobody's stake answers for its first \
             committees any more. Compare `frith checkpoint show` with somebody you trust, or take theirs: `frith checkpoint take`",
            span(age)
        )
    })
}

/// How old the record is that a client verified last.
#[must_use]
pub fn age_of(client: &LightClient, now: UnixMillis, parameters: &Parameters) -> Option<Age> {
    client
        .newest()
        .map(|newest| Age::of(newest.time, now, parameters))
}

pub(crate) fn write(path: &Path, client: &LightClient) -> Result<()> {
    let text = encode(&client.checkpoint());
    checked_file::replace(path, &text).map_err(|error| Failure::file("write", path, error))
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
pub(super) mod tests {
    use super::*;
    use frith_ledger::certificate::{Committee, Member};
    use frith_ledger::credits::Credits;
    use frith_ledger::entity::Terms;
    use frith_ledger::genesis::GenesisWorker;
    use frith_ledger::hash::Hash;
    use frith_ledger::key::Seed;
    use frith_ledger::parameters::Parameters;
    use frith_ledger::units::Epoch;
    use frith_ledger::vrf::VrfSecret;

    pub(in crate::client) fn genesis(name: &str) -> Genesis {
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

    const NEWEST: Newest = Newest {
        epoch: Epoch::new(30),
        root: Hash([6; 32]),
        time: UnixMillis::new(1_800_000_000_000),
    };

    pub(in crate::client) fn checkpoint(genesis: &Genesis) -> Checkpoint {
        Checkpoint {
            period: 7,
            newest: Some(NEWEST),
            ..LightClient::new(genesis).expect("usable").checkpoint()
        }
    }

    fn file(directory: &Path, genesis: &Genesis) -> PathBuf {
        path_in(directory, genesis)
    }

    fn open(directory: &Path, genesis: &Genesis) -> Following {
        Following::open(directory, genesis, Start::Kept, NEWEST.time).expect("usable")
    }

    #[test]
    fn a_command_that_took_long_does_not_take_back_what_another_has_verified_meanwhile() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let one = genesis("one");
        let at = |period| {
            let checkpoint = Checkpoint {
                period,
                ..checkpoint(&one)
            };
            let client = LightClient::resume(&one, checkpoint).expect("usable");
            client.expect("its own")
        };
        let [mut slow, mut quick] = [open(dir.path(), &one), open(dir.path(), &one)];
        quick.client = at(9);
        quick.keep().expect("writes");
        slow.client = at(8);
        slow.keep().expect("nothing is written");
        assert_eq!(open(dir.path(), &one).client.period(), 9);
    }

    #[test]
    fn what_was_followed_is_there_for_the_next_command_and_for_its_network_only() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (one, other) = (genesis("one"), genesis("other"));
        let verified = dir.path().join("verified");
        let mut following = open(&verified, &one);
        assert_eq!((following.client.period(), &following.notice), (0, &None));
        following.keep().expect("nothing is written");
        assert!(!verified.exists());
        following.client = LightClient::resume(&one, checkpoint(&one))
            .expect("usable")
            .expect("its own");
        following.keep().expect("writes");
        let mut again = open(&verified, &one);
        assert_eq!((again.client.period(), &again.notice), (7, &None));
        assert_eq!(again.client.newest(), Some(NEWEST));
        again.client = LightClient::new(&one).expect("usable");
        again.keep().expect("nothing is written");
        let again = open(&verified, &one);
        assert_eq!(again.client.period(), 7, "it doesn't go back");
        let another = open(&verified, &other);
        assert_eq!((another.client.period(), another.notice), (0, None));
        // The file of one network under the name of another.
        std::fs::copy(file(&verified, &one), file(&verified, &other)).expect("copies");
        let another = open(&verified, &other);
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
            let following = open(dir.path(), &genesis);
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
        let whole = open(dir.path(), &genesis);
        assert_eq!((whole.client.period(), whole.notice), (7, None));
    }

    #[test]
    fn a_checkpoint_older_than_the_unbonding_time_is_not_gone_on_from() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let week = 7 * 24 * 3_600_000;
        let mut slow = genesis("slow");
        // Two weeks of unbonding.
        slow.parameters.unbonding = 120_960;
        slow.parameters.epoch_ms = 10_000;
        for (genesis, bound) in [(genesis("quick"), week), (slow, 2 * week)] {
            assert_eq!(too_old_ms(&genesis.parameters), bound);
            let text = encode(&checkpoint(&genesis));
            std::fs::write(file(dir.path(), &genesis), &text).expect("writes");
            let after =
                |ms: u64, start| Following::open(dir.path(), &genesis, start, NEWEST.time.plus(ms));
            let young = after(bound, Start::Kept).expect("young enough");
            assert_eq!(young.client.period(), 7);
            let refused = after(bound + 1, Start::Kept).expect_err("too old");
            assert_eq!(
                (refused.exit, refused.code.as_str()),
                (Exit::Proof, "checkpoint_old")
            );
            let days = format!("After {} days no stake", bound / 86_400_000);
            assert!(refused.message.contains(&days), "{refused}");
            let said = after(bound + 1, Start::Genesis).expect("the user says so");
            assert_eq!(said.client.period(), 0);
            let (kept, notice) = kept(dir.path(), &genesis).expect("usable");
            assert_eq!((kept.expect("it is shown").period(), notice), (7, None));
        }
    }

    #[test]
    fn who_knows_nothing_but_an_old_genesis_is_told_what_that_is_worth() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut old = genesis("old");
        old.time_ms = NEWEST.time.get();
        let after = |days: u64| {
            let now = NEWEST.time.plus(days * 24 * 3_600_000);
            Following::open(dir.path(), &old, Start::Kept, now)
                .expect("usable")
                .notice
        };
        assert_eq!(after(7), None);
        let notice = after(8).expect("it is told");
        assert!(
            notice.contains("8 days old") && notice.contains("checkpoint take"),
            "{notice}"
        );
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
            newest: Some(NEWEST),
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
