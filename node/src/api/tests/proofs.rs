//! Proofs that begin where the asker has got to.

use super::{EntityView, World, world};
use crate::client::{Following, NodeClient, prove};
use crate::failure::Exit;
use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::light::{ENTITY_PROOF_BYTES_MAX, EntityProof};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_goes_on_where_it_was_and_begins_again_when_that_does_not_fit() {
    let world = Arc::new(world());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let base = format!("http://{}", listener.local_addr().expect("is bound"));
    tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    let period = world.rules.parameters().period;
    roots(&world, period + 1).await;
    let genesis = world.rules.genesis.clone();
    let commands = tokio::task::spawn_blocking(move || {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let address = Address([9; 32]);
        let node = NodeClient::new(&base).expect("an address");
        // As three commands do.
        let command = |spoil: &dyn Fn(&mut Following)| {
            let mut following = Following::open(dir.path(), &genesis).expect("usable");
            spoil(&mut following);
            let asked = following.client.period();
            let view = node
                .entity_from(&address.to_string(), asked)
                .expect("answers");
            let (view, proven) = following
                .check(&genesis, &node, &address, view)
                .expect("it holds");
            following.keep().expect("writes");
            assert_eq!(Some(proven.epoch), view.epoch);
            (asked, following.client.period(), following.notice)
        };
        let (asked, reached, notice) = command(&|_| {});
        assert_eq!((asked, notice), (0, None));
        assert!(reached >= 1);
        let (asked, again, notice) = command(&|_| {});
        assert_eq!((asked, notice), (reached, None));
        // A node that is behind what was verified, or a file that somebody wrote. Nothing is kept of what it shows from
        // the genesis on, however long.
        let file = dir.path().join(format!("{}.txt", genesis.hash().to_hex()));
        std::fs::remove_file(&file).expect("it was kept");
        let (asked, after, notice) = command(&|following| {
            let mut checkpoint = following.client.checkpoint();
            checkpoint.period = 1000;
            let resumed = frith_ledger::light::LightClient::resume(&genesis, checkpoint);
            following.client = resumed.expect("usable").expect("its own");
        });
        assert_eq!(asked, 1000);
        assert!(after >= again && after < 1000);
        let notice = notice.expect("it is told");
        assert!(notice.contains("from the genesis"), "{notice}");
        assert!(!file.exists(), "another history replaced the checkpoint");
        let (asked, _, notice) = command(&|_| {});
        assert_eq!((asked, notice), (0, None));
    });
    commands.await.expect("all hold");
    world.core.stop().await;
}
