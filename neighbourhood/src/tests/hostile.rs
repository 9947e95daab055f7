//! A node of a running network, alone with peers that send anything: it never panics, never stops, never signs two
//! blocks of one view, and asks nobody to believe a block that it didn't check.
//!
//! Frames are recorded while four nodes run. Then one of them is opened again on what its disk held, and gets, in the
//! order that the fuzzer's bytes name: those frames, damaged ones, messages grown from bytes, statements with other
//! content and a valid signature of another member, operations, ticks.

use super::world::World;
use crate::consensus::ConsensusMessage;
use crate::wire::PeerMessage;
use crate::{Input, Moment, Node, Output};
use frith_fuzz::{harness, mutate, value};
use frith_ledger::block::{BlockId, ChainKind, Instance, Payload, Proposal};
use frith_ledger::certificate::{Timeout, Vote};
use frith_ledger::key::{PublicKey, SecretKey};
use frith_ledger::operation::Operation;
use frith_ledger::store::{MemoryStore, SharedMemoryStore};
use frith_ledger::units::{Epoch, View};
use parity_scale_codec::Encode as _;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What the harness starts from; made once.
struct Recorded {
    config: Box<dyn Fn() -> crate::NodeConfig + Send + Sync>,
    store: SharedMemoryStore,
    now: Moment,
    /// Frames to the node and from it.
    frames: Vec<Vec<u8>>,
    /// The other members' keys.
    keys: Vec<SecretKey>,
    instances: Vec<(ChainKind, Epoch, Instance)>,
    /// What the node signed before.
    spoken: Spoken,
}

/// Blocks voted for and blocks proposed, by instance and view.
#[derive(Clone, Default)]
struct Spoken {
    votes: BTreeMap<(Instance, View), BlockId>,
    proposals: BTreeMap<(Instance, View), BlockId>,
}

impl Spoken {
    fn hear(&mut self, bytes: &[u8], me: &PublicKey, committee: impl Fn(u16) -> Option<PublicKey>) {
        let Ok(PeerMessage::Consensus { message, .. }) = PeerMessage::from_bytes(bytes) else {
            return;
        };
        let (said, key, block) = match *message {
            ConsensusMessage::Vote(vote) => {
                (&mut self.votes, (vote.instance, vote.view), vote.block)
            }
            ConsensusMessage::Proposal(proposal) => {
                let header = &proposal.block.header;
                if committee(header.proposer) != Some(*me) {
                    return;
                }
                let key = (header.instance, header.view);
                (&mut self.proposals, key, proposal.id())
            }
            _ => return,
        };
        let before = *said.entry(key).or_insert(block);
        assert_eq!(before, block, "two statements in one view");
    }
}

static RECORDED: LazyLock<Recorded> = LazyLock::new(|| {
    let mut world = World::new(4);
    world.recording = true;
    let to = frith_ledger::address::Address([1; 32]);
    for (nonce, user) in [(0, 0), (0, 1), (1, 0)] {
        world.transfer(1, user, nonce, to);
        world.run(700);
    }
    let mut spoken = Spoken::default();
    let me = world.key(0);
    let committee = world.node(0).committee().clone();
    let member = |index: u16| committee.get(index).map(|member| member.key);
    let mut frames = Vec::new();
    let mut instances = Vec::new();
    for (from, to, bytes) in &world.frames {
        if *from == 0 {
            spoken.hear(bytes, &me, member);
        }
        if *from != 0 && *to != 0 {
            continue;
        }
        frames.push(bytes.to_vec());
        if let Ok(PeerMessage::Consensus {
            kind,
            epoch,
            message,
        }) = PeerMessage::from_bytes(bytes)
        {
            instances.push((kind, epoch, message.instance()));
        }
    }
    // The last frames are of what is going on; older ones only matter as stale ones.
    let frames = frames.split_off(frames.len().saturating_sub(400));
    let instances = instances.split_off(instances.len().saturating_sub(40));
    Recorded {
        config: Box::new(world.config(0, false)),
        store: world.hosts[0].store.clone(),
        now: world.moment(0),
        frames,
        keys: (1..4).map(|index| world.hosts[index].key.clone()).collect(),
        instances,
        spoken,
    }
});

/// The node and what it has said.
struct Target {
    node: Node,
    now: Moment,
    spoken: Spoken,
    me: PublicKey,
}

impl Target {
    fn open() -> Self {
        let config = (RECORDED.config)();
        let me = config.key.public();
        let store: MemoryStore = RECORDED.store.contents();
        let node = Node::open(config, Box::new(store), RECORDED.now).expect("the store opens");
        let mut target = Self {
            node,
            now: RECORDED.now,
            spoken: RECORDED.spoken.clone(),
            me,
        };
        target.input(Input::Tick);
        for key in &RECORDED.keys {
            target.input(Input::Connected { peer: key.public() });
        }
        target
    }

    fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.node.handle(self.now, input, &mut out);
        for output in out {
            match output {
                Output::Sync => self.node.sync_store().expect("memory does not fail"),
                Output::Send { bytes, .. } => {
                    let committee = self.node.committee().clone();
                    let member = |index: u16| committee.get(index).map(|member| member.key);
                    self.spoken.hear(&bytes, &self.me, member);
                }
                Output::Halted { reason } => panic!("peers stopped the node: {reason}"),
                _ => {}
            }
        }
        let state = self.node.state();
        let flows = state.flows();
        assert_eq!(
            state.summary().credits.add(flows.burned),
            RULES_SUPPLY.with(|supply| supply.add(flows.issued)),
            "credits are conserved"
        );
    }
}

thread_local! {
    static RULES_SUPPLY: frith_ledger::credits::Credits = (RECORDED.config)().rules.supply;
}

/// A statement of the live instance with arbitrary content, and a valid signature of a member where it has one.
fn signed(material: &[u8], key: &SecretKey, which: usize) -> Option<PeerMessage> {
    let genesis = (RECORDED.config)().rules.hash;
    let (kind, epoch, instance) = *RECORDED.instances.get(which % RECORDED.instances.len())?;
    let message = match value::<ConsensusMessage>(material)? {
        ConsensusMessage::Vote(vote) => {
            let Vote {
                view,
                block,
                member,
                known,
                ..
            } = *vote;
            let vote = Vote::sign(instance, view, block, member % 4, known, &genesis, key);
            ConsensusMessage::Vote(Box::new(vote))
        }
        ConsensusMessage::Timeout(timeout) => {
            let Timeout {
                view,
                high,
                member,
                known,
                ..
            } = *timeout;
            let timeout = Timeout::sign(instance, view, high, member % 4, known, &genesis, key);
            ConsensusMessage::Timeout(Box::new(timeout))
        }
        ConsensusMessage::Proposal(mut proposal) => {
            proposal.block.header.instance = instance;
            ConsensusMessage::Proposal(Box::new(resigned(*proposal, key)))
        }
        ConsensusMessage::Certificate(mut certificate) => {
            certificate.instance = instance;
            ConsensusMessage::Certificate(certificate)
        }
        ConsensusMessage::TimeoutCertificate(mut proven) => {
            proven.certificate.instance = instance;
            ConsensusMessage::TimeoutCertificate(proven)
        }
    };
    Some(PeerMessage::Consensus {
        kind,
        epoch,
        message: Box::new(message),
    })
}

/// The proposal with a header that fits its parts, signed by `key`.
fn resigned(proposal: Proposal, key: &SecretKey) -> Proposal {
    let genesis = (RECORDED.config)().rules.hash;
    let Proposal {
        mut block,
        justify,
        timeout,
        ..
    } = proposal;
    block.header.payload = block.payload.hash();
    block.header.grounds = Proposal::grounds(&justify, &timeout);
    Proposal::sign(block, justify, timeout, &genesis, key)
}

/// A recorded proposal whose payload is another.
fn altered_proposal(frame: &[u8], material: &[u8], key: &SecretKey) -> Option<PeerMessage> {
    let PeerMessage::Consensus {
        kind,
        epoch,
        message,
    } = PeerMessage::from_bytes(frame).ok()?
    else {
        return None;
    };
    let ConsensusMessage::Proposal(mut proposal) = *message else {
        return None;
    };
    if let Some(payload) = value::<Payload>(material) {
        proposal.block.payload = payload;
    }
    let message = Box::new(ConsensusMessage::Proposal(Box::new(resigned(
        *proposal, key,
    ))));
    Some(PeerMessage::Consensus {
        kind,
        epoch,
        message,
    })
}

/// One step of a hostile peer.
fn step(target: &mut Target, chunk: &[u8]) {
    let [what, a, b, c, material @ ..] = chunk else {
        return;
    };
    let which = usize::from(u16::from_le_bytes([*a, *b]));
    let key = &RECORDED.keys[usize::from(*c) % RECORDED.keys.len()];
    let frame = &RECORDED.frames[which % RECORDED.frames.len()];
    let bytes = match what % 12 {
        0..=2 => Some(frame.clone()),
        3 | 4 => {
            let mut damaged = frame.clone();
            mutate(&mut damaged, material);
            Some(damaged)
        }
        5 => value::<PeerMessage>(material).map(|message| message.encode()),
        6 | 7 => signed(material, key, which).map(|message| message.encode()),
        8 => altered_proposal(frame, material, key).map(|message| message.encode()),
        9 => {
            target.now.now = target.now.now.plus(which as u64 % 3000);
            return target.input(Input::Tick);
        }
        10 => {
            let operation = value::<Operation>(material).map_or(material.to_vec(), |o| o.encode());
            return target.input(Input::Submit {
                token: 0,
                operation,
            });
        }
        _ => {
            let peer = PublicKey([*c; 32]);
            target.input(Input::Connected { peer });
            target.input(Input::Message {
                from: peer,
                bytes: frame.clone(),
            });
            return target.input(Input::Disconnected { peer });
        }
    };
    if let Some(bytes) = bytes {
        target.input(Input::Message {
            from: key.public(),
            bytes,
        });
    }
}

#[test]
fn fuzz_a_node_withstands_any_messages() {
    LazyLock::force(&RECORDED);
    harness!(|input: &[u8]| {
        let mut target = Target::open();
        for chunk in input.chunks(128).take(24) {
            step(&mut target, chunk);
        }
        // Left in peace it goes on.
        for _ in 0..4 {
            if let Some(due) = target.node.next_deadline() {
                target.now.now = target.now.now.max(due);
            }
            target.input(Input::Tick);
        }
    });
}
