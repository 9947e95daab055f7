//! Proofs that begin where the asker has got to.

use super::{EntityView, World, world};
use crate::client::{
    CheckpointId, Following, NodeClient, SavedProof, Start, kept, prove, take, write,
};
use crate::failure::{Exit, Result};
use crate::service::wall;
use frith_ledger::address::Address;
use frith_ledger::certificate::{Committee, Member};
use frith_ledger::codec::decode;
use frith_ledger::genesis::Genesis;
use frith_ledger::hash::Hash;
use frith_ledger::key::SecretKey;
use frith_ledger::light::{Checkpoint, ENTITY_PROOF_BYTES_MAX, EntityProof, LightClient, Newest};
use frith_ledger::units::Epoch;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Waits until so many root records are committed.
async fn roots(world: &World, count: u64) {
    let mut progress = world.core.progress();
    let waited = progress.wait_for(|now| now.roots >= count).await;
    assert!(waited.is_ok(), "the core runs");
}

fn links(view: &EntityView) -> usize {
    let bytes = hex::decode(view.proof.as_ref().expect("a proof")).expect("hexadecimal");
    let proof: EntityProof = decode(&bytes, ENTITY_PROOF_BYTES_MAX).expect("a proof");
    proof.links.len()
}

#[tokio::test]
async fn a_proof_has_the_links_after_the_period_that_is_named() {
    let world = world();
    let period = world.rules.parameters().period;
    roots(&world, 2 * period + 1).await;
    let address = Address([9; 32]);
    let ask = |query: &str| format!("/v1/entities/{address}{query}");
    let (_, whole) = world.get::<EntityView>(&ask("")).await;
    let (_, same) = world.get::<EntityView>(&ask("?period=0")).await;
    let (_, rest) = world.get::<EntityView>(&ask("?period=1")).await;
    let (_, later) = world.get::<EntityView>(&ask("?period=1000000")).await;
    assert!(links(&whole) >= 2 && links(&same) >= 2);
    assert!(links(&rest) < links(&whole) || rest.epoch > whole.epoch);
    assert_eq!(links(&later), 0);
    let genesis = &world.rules.genesis;
    assert!(prove(genesis, &address, &whole).is_ok());
    for partial in [rest, later] {
        let refused = prove(genesis, &address, &partial).expect_err("it begins elsewhere");
        assert_eq!(refused.exit, Exit::Proof);
    }
    let (_, local) = world.get::<EntityView>(&ask("?proof=false")).await;
    assert_eq!((local.proof, local.epoch), (None, None));
    let (status, _) = world.send("GET", &ask("?period=first"), "", "").await;
    assert_eq!(status.as_u16(), 400);
    world.core.stop().await;
}

/// A client with a directory of its own, and a node on loopback.
struct Client {
    dir: tempfile::TempDir,
    genesis: Genesis,
    node: NodeClient,
}

impl Client {
    fn file(&self) -> std::path::PathBuf {
        self.dir
            .path()
            .join(format!("{}.txt", self.genesis.hash().to_hex()))
    }

    fn open(&self, start: Start) -> Result<Following> {
        Following::open(self.dir.path(), &self.genesis, start, wall())
    }

    /// As a command does. The period that it began at, the one that it got to, and what it told.
    fn command(&self, start: Start) -> Result<(u64, u64, Option<String>)> {
        let mut following = self.open(start)?;
        let asked = following.client.period();
        let address = Address([9; 32]);
        let view = self.node.entity_from(&address.to_string(), asked)?;
        let proven = following.check(&SavedProof::about(&address, &view)?)?;
        following.keep()?;
        assert_eq!(Some(proven.epoch), view.epoch);
        Ok((asked, following.client.period(), following.notice))
    }

    /// Replaces what was kept.
    fn spoil(&self, spoil: impl FnOnce(&mut Checkpoint)) -> Vec<u8> {
        let (kept, _) = kept(self.dir.path(), &self.genesis).expect("usable");
        let mut checkpoint = kept.expect("it was kept").checkpoint();
        spoil(&mut checkpoint);
        let client = LightClient::resume(&self.genesis, checkpoint).expect("usable");
        write(&self.file(), &client.expect("its own")).expect("writes");
        self.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).expect("it was kept")
    }
}

/// Runs commands beside a node that has gone through a period.
async fn beside_a_node(commands: impl FnOnce(Client) + Send + 'static) {
    let world = Arc::new(world());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let base = format!("http://{}", listener.local_addr().expect("is bound"));
    tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    let period = world.rules.parameters().period;
    roots(&world, period + 1).await;
    let genesis = world.rules.genesis.clone();
    let done = tokio::task::spawn_blocking(move || {
        commands(Client {
            dir: tempfile::tempdir().expect("a temporary directory"),
            genesis,
            node: NodeClient::new(&base).expect("an address"),
        });
    });
    done.await.expect("all hold");
    world.core.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_goes_on_where_it_was_and_refuses_a_node_that_is_behind_it() {
    beside_a_node(|client| {
        let (asked, reached, notice) = client.command(Start::Kept).expect("it holds");
        assert_eq!((asked, notice), (0, None));
        assert!(reached >= 1);
        let (asked, again, notice) = client.command(Start::Kept).expect("it holds");
        assert_eq!((asked, notice), (reached, None));
        // The node knows less than was verified: nothing of it can be checked.
        let before = client.spoil(|checkpoint| checkpoint.period = 1000);
        let refused = client.command(Start::Kept).expect_err("it is behind");
        assert_eq!(
            (refused.exit, refused.code.as_str()),
            (Exit::Unreachable, "node_behind")
        );
        let whole = client.command(Start::Whole).expect_err("it is behind");
        assert_eq!(whole.code, "node_behind");
        for start in [Start::Genesis, Start::File] {
            let (asked, after, notice) = client.command(start).expect("it holds from there");
            assert!(asked == 0 && after >= again && after < 1000);
            let notice = notice.expect("it is told");
            assert!(
                notice.contains("behind what was verified here before"),
                "{notice}"
            );
        }
        assert_eq!(client.bytes(), before, "the checkpoint stays");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_contradicts_the_checkpoint_is_refused_unless_the_genesis_is_said_to_decide()
{
    beside_a_node(|client| {
        let (_, reached, _) = client.command(Start::Kept).expect("it holds");
        let right = client.bytes();
        // The history that was verified had another committee: of this one and the node's one is a lie.
        let stranger = Member {
            key: SecretKey::from_bytes(&[77; 32]).public(),
            ..client.genesis.committee().expect("usable").members()[0].clone()
        };
        let spoilt = client.spoil(|checkpoint| {
            checkpoint.committee = Committee::new(vec![stranger]);
            checkpoint.newest = None;
        });
        for start in [Start::Kept, Start::Whole, Start::File] {
            let refused = client.command(start).expect_err("it contradicts");
            assert_eq!(
                (refused.exit, refused.code.as_str()),
                (Exit::Proof, "contradiction")
            );
            assert_eq!(client.bytes(), spoilt, "{start:?}: the checkpoint stays");
        }
        let (asked, _, notice) = client.command(Start::Genesis).expect("the user says so");
        assert_eq!(asked, 0);
        assert!(
            notice
                .expect("it is told")
                .contains("contradicts what was verified")
        );
        assert_eq!(client.bytes(), spoilt, "the checkpoint stays");
        // By the id that somebody else has, it is replaced; not by another one.
        std::fs::write(client.file(), &right).expect("writes");
        let (kept, _) = kept(client.dir.path(), &client.genesis).expect("usable");
        let id = CheckpointId::of(&kept.expect("it was kept"));
        std::fs::write(client.file(), &spoilt).expect("writes");
        let take = |id: CheckpointId| take(client.dir.path(), &client.genesis, &client.node, id);
        let wrong = id
            .to_string()
            .replacen(&format!("{reached}-"), &format!("{reached}-00"), 1);
        let wrong: CheckpointId = wrong[..wrong.len() - 2].parse().expect("an id");
        assert_eq!(take(wrong).expect_err("another one").exit, Exit::Proof);
        let later: CheckpointId = format!("1000-{}", "00".repeat(32)).parse().expect("an id");
        assert_eq!(take(later).expect_err("not yet").code, "node_behind");
        assert_eq!(client.bytes(), spoilt);
        let (taken, proven) = take(id).expect("the node has it");
        assert!(taken.period() >= reached && proven.epoch > 0);
        let (asked, _, notice) = client.command(Start::Kept).expect("it holds again");
        assert_eq!((asked, notice), (taken.period(), None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_records_of_one_epoch_and_a_time_that_falls_are_contradictions() {
    beside_a_node(|client| {
        client.command(Start::Kept).expect("it holds");
        let address = Address([9; 32]);
        let period = client.open(Start::Kept).expect("young").client.period();
        let view = client.node.entity_from(&address.to_string(), period);
        let shown = SavedProof::about(&address, &view.expect("answers")).expect("a proof");
        let mut following = client.open(Start::Kept).expect("young");
        let epoch = following.check(&shown).expect("it holds").epoch;
        let spoils: [fn(&mut Newest); 3] = [
            |newest| newest.root = Hash::ZERO,
            |newest| {
                newest.epoch = newest.epoch.minus(1);
                newest.time = newest.time.plus(3_600_000);
            },
            // What was verified is newer than the answer, and has an earlier time.
            |newest| {
                newest.epoch = newest.epoch.plus(1);
                newest.time = newest.time.minus(7_200_000);
            },
        ];
        for spoil in spoils {
            client.spoil(|checkpoint| {
                let newest = checkpoint.newest.as_mut().expect("it was verified");
                newest.epoch = Epoch::new(epoch);
                spoil(newest);
            });
            let mut following = client.open(Start::Kept).expect("young");
            let refused = following
                .check(&shown)
                .expect_err("they exclude each other");
            assert_eq!(
                (refused.exit, refused.code.as_str()),
                (Exit::Proof, "contradiction")
            );
            assert!(refused.message.contains("excludes"), "{refused}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_is_too_old_is_renewed_from_the_genesis_when_that_is_said() {
    beside_a_node(|client| {
        client.command(Start::Kept).expect("it holds");
        client.spoil(|checkpoint| {
            let newest = checkpoint.newest.as_mut().expect("it was verified");
            newest.time = newest.time.minus(8 * 24 * 3_600_000);
            newest.epoch = newest.epoch.minus(1);
        });
        let refused = client.command(Start::Kept).expect_err("it is too old");
        assert_eq!(
            (refused.exit, refused.code.as_str()),
            (Exit::Proof, "checkpoint_old")
        );
        let (asked, _, notice) = client.command(Start::Genesis).expect("the user says so");
        assert_eq!((asked, notice), (0, None));
        client.command(Start::Kept).expect("it is a fresh one now");
    })
    .await;
}
