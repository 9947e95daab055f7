//! The inclusion rule.

use super::{Fault, LeafBlocks, LeafHost, Missing};
use crate::limits::Limits;
use crate::pool::{Held, Pool};
use crate::roots::Roots;
use crate::tests::world_rules;
use frith_ledger::address::Prefix;
use frith_ledger::block::{
    Batch, BatchDigest, Block, BlockHeader, ChainKind, Instance, LeafPayload, Owed, Payload,
    Proposal, SignedBatch,
};
use frith_ledger::certificate::{QuorumCertificate, Vote};
use frith_ledger::hash::Hash;
use frith_ledger::operation::Operation;
use frith_ledger::store::MemoryStore;
use frith_ledger::units::{Epoch, Generation, Height, Millis, View};
use frith_tasks::{BlockContext, LeafState, Rules};
use parity_scale_codec::Encode as _;
use std::sync::Arc;

struct Bench {
    rules: Arc<Rules>,
    store: MemoryStore,
    blocks: LeafBlocks,
    pool: Pool,
    roots: Roots,
}

/// Four members of equal weight, on the genesis.
fn bench() -> Bench {
    let rules = world_rules(4);
    let committee = Arc::new(rules.genesis.committee().expect("the genesis is usable"));
    let instance = Instance {
        kind: ChainKind::Leaf,
        prefix: Prefix::ROOT,
        generation: Generation::ZERO,
        epoch: Epoch::ZERO,
        committee: committee.hash(),
    };
    let state = LeafState::genesis(&rules).expect("the genesis is usable");
    let blocks = LeafBlocks::new(
        instance,
        committee,
        (rules.hash, Height::ZERO),
        state,
        &[],
        Millis::ZERO,
    );
    let me = crate::tests::worker_key(0).public();
    Bench {
        store: MemoryStore::new(),
        blocks,
        pool: Pool::new(me, 0, &Limits::default()),
        roots: Roots::new(&rules),
        rules,
    }
}

impl Bench {
    /// A batch of one transfer that this node holds.
    fn batch(&mut self, number: u64, operation: &Operation) -> BatchDigest {
        let key = crate::tests::worker_key(1);
        let operations = vec![operation.encode().try_into().expect("it fits")]
            .try_into()
            .expect("it fits");
        let signed = SignedBatch::new(
            Batch {
                author: key.public(),
                number,
                operations,
            },
            &self.rules.hash,
            &key,
        );
        let held = Held::verify(&signed, &self.rules.hash).expect("the batch holds");
        let digest = held.digest;
        self.pool.hold(Millis::ZERO, held, Epoch::ZERO, true);
        digest
    }

    /// A block in `view` on `parent` that includes and owes these.
    fn block(
        &self,
        parent: Hash,
        view: u64,
        batches: &[BatchDigest],
        owed: &[Owed],
        justify: &Option<QuorumCertificate>,
    ) -> Block {
        let before = self.blocks.get(&parent).expect("the parent is executed");
        let payload = LeafPayload {
            roots: Epoch::ZERO,
            batches: batches.to_vec().try_into().expect("it fits"),
            owed: owed.to_vec().try_into().expect("it fits"),
            claim: None,
        };
        let operations: Vec<Operation> = batches
            .iter()
            .flat_map(|digest| {
                self.pool
                    .get(digest)
                    .expect("it is held")
                    .held
                    .operations
                    .iter()
                    .cloned()
            })
            .collect();
        let proposer = self.blocks.committee.get(0).expect("a member").seat;
        let height = before.height.next();
        let context = BlockContext {
            epoch: Epoch::ZERO,
            height,
            proposer,
            roots: &[],
        };
        let executed = before
            .state
            .execute(&self.rules, &context, &operations)
            .expect("it executes");
        let payload = Payload::Leaf(payload);
        let header = BlockHeader {
            instance: self.blocks.instance,
            height,
            view: View::new(view),
            parent,
            grounds: Proposal::grounds(justify, &None),
            proposer: 0,
            payload: payload.hash(),
            state: executed.state.summary(),
        };
        Block { header, payload }
    }

    /// A certificate of a block in which these members list a batch.
    fn certify(&self, block: &Block, listing: &[usize], batch: BatchDigest) -> QuorumCertificate {
        let votes: Vec<Vote> = (0..3)
            .map(|i| {
                let key = crate::tests::worker_key(i);
                let member = self
                    .blocks
                    .committee
                    .index_of(&key.public())
                    .expect("a member");
                let known = if listing.contains(&i) {
                    vec![batch]
                } else {
                    Vec::new()
                };
                let known = known.try_into().expect("it fits");
                let header = &block.header;
                Vote::sign(
                    header.instance,
                    header.view,
                    header.id(),
                    member,
                    known,
                    &self.rules.hash,
                    &key,
                )
            })
            .collect();
        QuorumCertificate::from_votes(&self.blocks.committee, &votes)
            .expect("three of four are a quorum")
    }

    fn run(&mut self, block: &Block, justify: &Option<QuorumCertificate>) -> Result<(), Fault> {
        let mut host = LeafHost {
            rules: &self.rules,
            store: &mut self.store,
            blocks: &mut self.blocks,
            pool: &self.pool,
            roots: &self.roots,
            seat: None,
            missing: &mut Missing::default(),
            failed: &mut None,
        };
        let entry = host.run(block, Some((justify.as_ref(), None)))?;
        self.blocks.put(block.header.id(), entry);
        Ok(())
    }
}

fn refused(result: Result<(), Fault>) -> bool {
    matches!(result, Err(Fault::Invalid(_)))
}

#[test]
fn a_batch_named_by_more_than_a_third_of_the_weight_must_be_included() {
    let mut bench = bench();
    let transfer = crate::tests::transfer(&bench.rules, 0, 0);
    let batch = bench.batch(1, &transfer);
    let first = bench.block(bench.rules.hash, 1, &[], &[], &None);
    bench
        .run(&first, &None)
        .expect("an empty block owes nothing");
    let id = first.header.id();
    for (listing, must) in [(vec![0], false), (vec![0, 2], true)] {
        let justify = Some(bench.certify(&first, &listing, batch));
        let without = bench.block(id, 2, &[], &[], &justify);
        assert_eq!(refused(bench.run(&without, &justify)), must, "{listing:?}");
        let later = Owed {
            since: View::new(1),
            batch,
        };
        let put_off = bench.block(id, 2, &[], &[later], &justify);
        assert!(
            refused(bench.run(&put_off, &justify)),
            "it fits, so it can't be put off"
        );
        let with = bench.block(id, 2, &[batch], &[], &justify);
        bench
            .run(&with, &justify)
            .expect("a certified batch may be included");
    }
}

#[test]
fn no_batch_is_included_twice_in_an_epoch() {
    let mut bench = bench();
    let transfer = crate::tests::transfer(&bench.rules, 0, 0);
    let batch = bench.batch(1, &transfer);
    let first = bench.block(bench.rules.hash, 1, &[batch], &[], &None);
    bench
        .run(&first, &None)
        .expect("a batch that is held may be included");
    let justify = Some(bench.certify(&first, &[0, 1, 2], batch));
    let id = first.header.id();
    let again = bench.block(id, 2, &[batch], &[], &justify);
    assert!(refused(bench.run(&again, &justify)));
    let without = bench.block(id, 2, &[], &[], &justify);
    bench
        .run(&without, &justify)
        .expect("what the chain included isn't owed");
}
