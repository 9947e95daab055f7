//! Silent members, partitions, two-faced members, twins, garbage.

use super::world::World;
use crate::wire::{PeerMessage, Response};
use crate::{Input, Limits, NodeEvent};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{ChainKind, Instance, Payload};
use frith_ledger::certificate::Vote;
use frith_ledger::codec::BoundedVec;
use frith_ledger::entity::{Entity, WorkerStatus};
use frith_ledger::hash::Hash;
use frith_ledger::operation::Action;
use frith_ledger::parameters::Parameters;
use frith_ledger::units::Generation;
use parity_scale_codec::Encode as _;

const TO: Address = Address([0x42; 32]);

#[test]
fn a_silent_member_is_tolerated() {
    let mut world = World::new(4);
    world.hosts[2].silent = true;
    world.transfer(0, 1, 0, TO);
    assert!(world.run_until(10_000, |w| {
        [0, 1, 3].iter().all(|n| w.nonce(*n, 1).get() == 1)
    }));
    assert!(
        world.run_until(20_000, |w| w.epoch(0) >= 3),
        "epochs go on: {}",
        world.epoch(0)
    );
    world.check();
}

#[test]
fn a_neighbourhood_cut_in_halves_waits_and_goes_on_when_healed() {
    let mut world = World::new(4);
    world.run(700);
    world.cut = [(0, 2), (0, 3), (1, 2), (1, 3)].into();
    world.transfer(0, 1, 0, TO);
    world.transfer(2, 3, 0, TO);
    world.run(4_000);
    assert_eq!((world.nonce(0, 1).get(), world.nonce(2, 3).get()), (0, 0));
    world.cut.clear();
    assert!(world.run_until(20_000, |w| {
        (0..4).all(|n| w.nonce(n, 1).get() == 1 && w.nonce(n, 3).get() == 1)
    }));
    world.check();
}

#[test]
fn a_member_that_votes_twice_in_a_view_is_slashed() {
    let mut world = World::new(4);
    world.run(200);
    let node = world.node(0);
    let instance = Instance {
        kind: ChainKind::Leaf,
        prefix: Prefix::ROOT,
        generation: Generation::ZERO,
        epoch: node.epoch(),
        committee: node.committee().hash(),
    };
    let (view, epoch) = (node.status().view, node.epoch());
    let member = node
        .committee()
        .index_of(&world.key(3))
        .expect("it is a member");
    let seat = node.committee().get(member).expect("it is a member").seat;
    for block in [Hash([1; 32]), Hash([2; 32])] {
        let key = &world.hosts[3].key;
        let vote = Vote::sign(
            instance,
            view,
            block,
            member,
            BoundedVec::new(),
            &world.rules.hash,
            key,
        );
        let message = Box::new(crate::consensus::ConsensusMessage::Vote(Box::new(vote)));
        let bytes = PeerMessage::Consensus {
            kind: ChainKind::Leaf,
            epoch,
            message,
        }
        .encode();
        world.input(
            0,
            Input::Message {
                from: world.key(3),
                bytes,
            },
        );
    }
    assert!(
        world.hosts[0]
            .events
            .iter()
            .any(|event| matches!(event, NodeEvent::Offence { .. }))
    );
    let slashed = |w: &World| match w.node(1).state().entity(&seat) {
        Some(Entity::Worker(worker)) => matches!(worker.status, WorkerStatus::Slashed { .. }),
        _ => false,
    };
    assert!(world.run_until(10_000, slashed), "the evidence is accepted");
    let key = world.key(3);
    assert!(
        world.run_until(10_000, |w| w.node(1).committee().index_of(&key).is_none()),
        "it is no member any more"
    );
    world.check();
}

#[test]
fn a_second_process_with_the_same_key_stops() {
    let mut world = World::new(4);
    world.run(300);
    // A copy of node 3 on a host of its own: peers know both by one key.
    let twin = world.add(3);
    world.hosts[twin].store = world.hosts[3].store.clone();
    world.start(twin, false);
    let first = crate::twin::Twin::new(&[1; 32], world.rules.hash, &world.hosts[3].key);
    // A peer relays the other process's hello and its answer; each is delivered to the twin.
    let answered = world.hosts[3].node.as_ref().map(|node| node.twin_hello());
    let hello = world.hosts[twin]
        .node
        .as_ref()
        .map(|node| node.twin_hello())
        .expect("it runs");
    assert_ne!(answered.map(|h| h.process), Some(hello.process));
    let crate::twin::TwinFinding::Suspicion(answer) = first.relayed(&hello, &world.hosts[3].key)
    else {
        panic!("another process answers");
    };
    let bytes = PeerMessage::Answer(answer).encode();
    world.input(
        twin,
        Input::Message {
            from: world.key(0),
            bytes,
        },
    );
    assert!(
        world.hosts[twin]
            .halted
            .as_ref()
            .is_some_and(|why| why.contains("another node runs with this key"))
    );
}

#[test]
fn garbage_is_reported_and_changes_nothing() {
    let mut world = World::new(4);
    world.run(200);
    for length in 0..200 {
        let bytes: Vec<u8> = (0..length).map(|_| world.draw().to_le_bytes()[0]).collect();
        world.input(
            0,
            Input::Message {
                from: world.key(1),
                bytes,
            },
        );
    }
    assert!(world.hosts[0].misbehaviour.len() > 100);
    world.input(
        0,
        Input::Submit {
            token: 1,
            operation: vec![0xff; 70_000],
        },
    );
    assert!(
        world.hosts[0]
            .results
            .pop()
            .is_some_and(|result| result.is_err())
    );
    world.transfer(0, 1, 0, TO);
    assert!(world.run_until(5_000, |w| w.nonce(2, 1).get() == 1));
    world.check();
}

#[test]
fn lost_and_late_messages_stop_nothing() {
    let mut world = World::new(4);
    (world.loss, world.repeats) = (10, 10);
    for round in 0..6 {
        world.transfer(round % 4, round, 0, TO);
        world.run(700);
    }
    assert!(
        world.run_until(60_000, |w| (0..4)
            .all(|n| (0..6).all(|user| w.nonce(n, user).get() == 1))
            && w.epoch(0) >= 5),
        "epoch {}: {:?}",
        world.epoch(0),
        world.node(0).status(),
    );
    world.check();
}

/// A random life: loss, cuts, crashes with unsynced writes lost. Then it heals, and there is progress.
fn survives(seed: u64) {
    let mut world = World::new(4);
    world.reseed(seed);
    (world.loss, world.repeats) = (world.draw() % 8, world.draw() % 8);
    for round in 0..12_u64 {
        let run = world.draw() % 600;
        world.run(run);
        let victim = usize::try_from(world.draw() % 4).unwrap_or(0);
        match world.draw() % 3 {
            0 => {
                let keep = usize::try_from(world.draw() % 8).unwrap_or(0);
                world.crash(victim, keep);
                let run = world.draw() % 1_500;
                world.run(run);
                world.start(victim, false);
            }
            1 => {
                world.cut = (0..4)
                    .filter(|o| *o != victim)
                    .map(|o| (o.min(victim), o.max(victim)))
                    .collect();
                let run = world.draw() % 2_000;
                world.run(run);
                world.cut.clear();
            }
            _ => {}
        }
        let (node, user) = (
            usize::try_from(round % 4).unwrap_or(0),
            usize::try_from(round % 8).unwrap_or(0),
        );
        let nonce = world.nonce(node, user).get();
        world.transfer(node, user, nonce, TO);
    }
    (world.loss, world.repeats) = (0, 0);
    world.run(3_000);
    world.check();
    let (epoch, nonce) = (world.epoch(0), world.nonce(0, 7).get());
    world.transfer(1, 7, nonce, TO);
    let went_on = world.run_until(20_000, |w| {
        (0..4).all(|n| w.nonce(n, 7).get() > nonce && w.epoch(n) > epoch)
    });
    assert!(went_on, "seed {seed}: {:?}", world.node(0).status());
    world.check();
}

#[test]
fn random_faults_break_nothing_and_after_them_there_is_progress() {
    let first = std::env::var("FRITH_FIRST")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let seeds = std::env::var("FRITH_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(16);
    for seed in first..first + seeds {
        survives(seed);
    }
}

/// A task whose program has this name and, by its word, this length.
fn task_of(program: frith_ledger::entity::ContentId, program_len: u32) -> Action {
    Action::SubmitTask(Box::new(frith_ledger::entity::TaskSpec {
        program,
        program_len,
        input: frith_ledger::entity::Bytes::Inline(BoundedVec::new()),
        arguments: BoundedVec::new(),
        environment: BoundedVec::new(),
        fuel_max: frith_ledger::units::Fuel::new(1_000),
        price: frith_ledger::credits::Credits::new(1),
        replicas: 3,
        memory_pages: 16,
        result_max: 1_000,
        deadline: frith_ledger::units::Epoch::new(20),
    }))
}

#[test]
fn members_hold_a_tasks_program_before_they_certify_its_batch() {
    let mut world = World::new(4);
    world.run(100);
    let program = vec![7; 5_000];
    let id = frith_tasks::content::content_id(&program);
    let operation = world.operation(0, 0, 20, task_of(id, 5_000));
    let submit = Input::Submit {
        token: 1,
        operation: operation.encode(),
    };
    world.input(1, submit.clone());
    let refused = world.hosts[1].results.pop();
    assert!(
        matches!(refused, Some(Err(crate::SubmitError::MissingContent { id: missing, .. })) if missing == id)
    );
    let node = world.hosts[1].node.as_mut().expect("it runs");
    node.put_content(&id, program.clone())
        .expect("the store takes it");
    // A false length would send all others after what nobody has.
    let false_length = world.operation(0, 0, 20, task_of(id, 5_001));
    world.input(
        1,
        Input::Submit {
            token: 2,
            operation: false_length.encode(),
        },
    );
    let refused = world.hosts[1].results.pop();
    assert!(
        matches!(
            refused,
            Some(Err(crate::SubmitError::ContentLength {
                len: 5_001,
                held: 5_000,
                ..
            }))
        ),
        "{refused:?}"
    );
    world.input(1, submit);
    assert!(matches!(world.hosts[1].results.pop(), Some(Ok(_))));
    assert!(world.run_until(5_000, |w| w.nonce(2, 0).get() == 1));
    let holders = (0..4).filter(|n| {
        world
            .node(*n)
            .content(&id)
            .ok()
            .flatten()
            .is_some_and(|held| held == program)
    });
    assert!(holders.count() >= 3);
    world.check();
}

#[test]
fn blocks_that_wait_for_a_batch_may_be_committed_by_consensus_meanwhile() {
    let parameters = Parameters {
        epoch_ms: 30_000,
        ..Parameters::test()
    };
    let mut world = World::with(4, parameters, Limits::default());
    world.run(100);
    world.crash(3, 0);
    for (user, nonce) in [(1, 0), (2, 0), (1, 1)] {
        world.transfer(0, user, nonce, TO);
        assert!(world.run_until(2_000, |w| w.nonce(0, user).get() > nonce));
    }
    // Node 3 gets the blocks, and everything that they name but what the second of them does.
    let missing = world.hosts[0]
        .committed
        .iter()
        .filter_map(|block| match &block.block.payload {
            Payload::Leaf(payload) => payload.batches.first().copied(),
            _ => None,
        })
        .nth(1)
        .expect("three blocks have batches");
    world.drops = Some(Box::new(move |_, message| match message {
        PeerMessage::Batch(signed) => signed.batch.digest() == missing,
        PeerMessage::Response(response) => {
            matches!(&**response, Response::Batch(signed) if signed.batch.digest() == missing)
        }
        _ => false,
    }));
    world.start(3, false);
    world.run(1_500);
    world.transfer(1, 4, 0, TO);
    world.run(3_000);
    assert_eq!(world.nonce(3, 2).get(), 0, "it waits for the batch");
    world.drops = None;
    assert!(
        world.run_until(10_000, |w| w.nonce(3, 4).get() == 1),
        "{:?}",
        world.hosts[3].halted
    );
    world.check();
}
