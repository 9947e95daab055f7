//! Logs on a seeded network that delays and loses frames, over stores that lose their power.

use super::{
    Durability, Input, Log, LogConfig, LogError, LogLimits, LogMessage, OpenLogError, Output,
};
use frith_ledger::address::Address;
use frith_ledger::block::{Batch, BatchDigest};
use frith_ledger::certificate::{Committee, Member};
use frith_ledger::codec::BoundedVec;
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, Seed};
use frith_ledger::store::SharedMemoryStore;
use frith_ledger::units::Millis;
use frith_ledger::vrf::VrfPublic;
use parity_scale_codec::Encode as _;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

mod faulty;

const GROUP: Hash = Hash([7; 32]);

fn seed(number: usize) -> Seed {
    Seed::from_bytes([u8::try_from(number).unwrap_or(u8::MAX); 32])
}

fn committee(members: usize) -> Arc<Committee> {
    let member = |number| Member {
        seat: Address([u8::try_from(number).unwrap_or(u8::MAX); 32]),
        key: seed(number).worker().public(),
        vrf: VrfPublic([0; 32]),
        weight: 1,
    };
    Arc::new(Committee::new((1..=members).map(member).collect()))
}

/// A frame under way.
struct Frame {
    at: Millis,
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

struct World {
    members: Vec<Option<Log>>,
    stores: Vec<SharedMemoryStore>,
    keys: Vec<PublicKey>,
    committee: Arc<Committee>,
    frames: Vec<Frame>,
    now: Millis,
    random: u64,
    /// Of a thousand frames so many are lost.
    loss: u64,
    limits: LogLimits,
    durability: Durability,
    /// What each member said is committed, by height.
    committed: Vec<BTreeMap<u64, Vec<BatchDigest>>>,
    finalised: Vec<Vec<u64>>,
    refused: Vec<LogError>,
    /// Frames that told of kept batches.
    held: usize,
}

impl World {
    fn new(members: usize, random: u64) -> Self {
        let limits = LogLimits {
            batch_bytes: 512,
            view_timeout: Millis::new(100),
            ..LogLimits::default()
        };
        Self::with(members, random, limits)
    }

    fn with(members: usize, random: u64, limits: LogLimits) -> Self {
        let committee = committee(members);
        let mut world = Self {
            members: Vec::new(),
            stores: (0..members).map(|_| SharedMemoryStore::default()).collect(),
            keys: (1..=members).map(|n| seed(n).worker().public()).collect(),
            committee,
            frames: Vec::new(),
            now: Millis::ZERO,
            random,
            loss: 0,
            limits,
            durability: Durability::Disk,
            committed: vec![BTreeMap::new(); members],
            finalised: vec![Vec::new(); members],
            refused: Vec::new(),
            held: 0,
        };
        for member in 0..members {
            let log = world.open(member, true).expect("an empty store opens");
            world.members.push(Some(log));
        }
        for member in 0..members {
            world.connect(member);
        }
        world
    }

    fn open(&self, member: usize, founding: bool) -> Result<Log, OpenLogError> {
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.now.get().to_le_bytes());
        let config = LogConfig {
            group: GROUP,
            committee: self.committee.clone(),
            key: seed(member + 1).worker(),
            founding,
            entropy,
            durability: self.durability,
            limits: self.limits.clone(),
        };
        Log::open(config, Box::new(self.stores[member].clone()), self.now)
    }

    fn draw(&mut self, below: u64) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    /// Both sides of all connections of a member.
    fn connect(&mut self, member: usize) {
        for other in 0..self.members.len() {
            if other != member && self.members[other].is_some() {
                self.input(
                    member,
                    Input::Connected {
                        peer: self.keys[other],
                    },
                );
                self.input(
                    other,
                    Input::Connected {
                        peer: self.keys[member],
                    },
                );
            }
        }
    }

    fn input(&mut self, member: usize, input: Input) {
        let mut out = Vec::new();
        if let Some(log) = &mut self.members[member] {
            log.handle(self.now, input, &mut out);
        }
        for output in out {
            match output {
                Output::Sync => {
                    if let Some(log) = &mut self.members[member] {
                        log.sync_store().expect("memory does not fail");
                    }
                }
                Output::Send { to, bytes, .. } => {
                    let message = LogMessage::from_bytes(&bytes);
                    self.held += usize::from(matches!(message, Ok(LogMessage::Held(_))));
                    let to = self.keys.iter().position(|key| *key == to);
                    if let Some(to) = to
                        && self.draw(1000) >= self.loss
                    {
                        let at = self.now.plus(1 + self.draw(9));
                        let bytes = bytes.to_vec();
                        self.frames.push(Frame {
                            at,
                            from: member,
                            to,
                            bytes,
                        });
                    }
                }
                Output::Committed {
                    height, batches, ..
                } => {
                    self.committed[member].insert(height.get(), batches);
                }
                Output::Finalised { tokens } => self.finalised[member].extend(tokens),
                Output::Refused { error, .. } => self.refused.push(error),
                Output::Misbehaviour { reason, .. } => {
                    panic!("a correct member is accused: {reason}")
                }
                Output::Halted { reason } => panic!("member {member} halted: {reason}"),
            }
        }
        self.check_order();
    }

    /// No two members committed different batches at one height.
    fn check_order(&self) {
        for (a, one) in self.committed.iter().enumerate() {
            for other in &self.committed[a + 1..] {
                let differs = one.iter().any(|(height, batches)| {
                    other.get(height).is_some_and(|found| found != batches)
                });
                assert!(
                    !differs,
                    "two members committed different batches at one height"
                );
            }
        }
    }

    /// One member says something to another, without a network between them.
    fn say(&mut self, from: usize, to: usize, message: &LogMessage) {
        let from = self.keys[from];
        let bytes = message.encode();
        self.input(to, Input::Message { from, bytes });
    }

    /// Goes to the next thing that happens. Whether there was any.
    fn step(&mut self) -> bool {
        let due = |log: &Option<Log>| log.as_ref().and_then(Log::next_deadline);
        let tick = self.members.iter().filter_map(due).min();
        let next = self
            .frames
            .iter()
            .enumerate()
            .min_by_key(|(_, frame)| frame.at);
        let next = next.map(|(at, frame)| (at, frame.at));
        match (next, tick) {
            (Some((at, when)), tick) if tick.is_none_or(|tick| when <= tick) => {
                let frame = self.frames.remove(at);
                self.now = self.now.max(when);
                let message = Input::Message {
                    from: self.keys[frame.from],
                    bytes: frame.bytes,
                };
                self.input(frame.to, message);
                true
            }
            (_, Some(tick)) => {
                self.now = self.now.next().max(tick);
                for member in 0..self.members.len() {
                    self.input(member, Input::Tick);
                }
                true
            }
            _ => false,
        }
    }

    fn submit(&mut self, member: usize, token: u64, commands: usize) {
        let command = |number: usize| format!("{member} {token} {number} {:64}", "").into_bytes();
        let commands = (0..commands).map(command).collect();
        self.input(member, Input::Submit { token, commands });
    }

    /// Until every running member has committed so many commands and agrees on them.
    fn until(&mut self, commands: u64) {
        for _ in 0..60_000 {
            let running = || self.members.iter().flatten().map(Log::status);
            let states: Vec<Hash> = running().map(|status| status.state).collect();
            if running().all(|status| status.commands == commands)
                && states.windows(2).all(|pair| pair[0] == pair[1])
            {
                return;
            }
            assert!(
                self.step(),
                "nothing happens any more, and not all is committed"
            );
        }
        let statuses: Vec<_> = self.members.iter().flatten().map(Log::status).collect();
        panic!("{commands} commands were not committed in time: {statuses:?}");
    }

    fn all_sign(&self) -> bool {
        self.members.iter().flatten().all(|log| log.status().signs)
    }

    /// Whether all members have committed the same, and nobody waits for a commit.
    fn level(&self) -> bool {
        let running = || self.members.iter().flatten().map(Log::status);
        let first = running()
            .next()
            .map(|status| (status.commands, status.state));
        running().all(|status| Some((status.commands, status.state)) == first)
    }

    /// The power of a member fails; `synced` writes and perhaps more survive.
    fn power_loss(&mut self, member: usize) {
        self.members[member] = None;
        let keep = usize::try_from(self.draw(4)).unwrap_or(0);
        self.stores[member].crash(keep);
        self.frames.retain(|frame| frame.to != member);
        for other in 0..self.members.len() {
            self.input(
                other,
                Input::Disconnected {
                    peer: self.keys[member],
                },
            );
        }
    }

    fn restart(&mut self, member: usize) {
        let log = self
            .open(member, false)
            .expect("a store opens after a power loss");
        self.members[member] = Some(log);
        self.connect(member);
    }
}

#[test]
fn members_commit_the_same_commands_in_the_same_order() {
    for members in [1, 4, 7] {
        let mut world = World::new(members, 1);
        for token in 0..20 {
            world.submit(usize::try_from(token).unwrap_or(0) % members, token, 7);
        }
        world.until(140);
        let mut final_tokens: Vec<u64> = world.finalised.concat();
        final_tokens.sort_unstable();
        assert_eq!(final_tokens, (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn an_idle_log_says_nothing_and_sets_no_timer() {
    let mut world = World::new(4, 2);
    world.submit(0, 1, 3);
    world.until(3);
    while world.step() {}
    assert!(world.frames.is_empty());
    let idle = |log: &Log| log.next_deadline().is_none();
    assert!(world.members.iter().flatten().all(idle));
}

#[test]
fn news_of_kept_batches_are_gathered_only_while_leaders_have_enough_to_propose() {
    let told = |held_delay, commands| {
        let limits = LogLimits {
            batch_commands: 1,
            batch_delay: Millis::ZERO,
            block_batches: 1,
            held_delay: Millis::new(held_delay),
            ..LogLimits::default()
        };
        let mut world = World::with(4, 5, limits);
        for token in 0..commands {
            world.submit(usize::try_from(token % 4).unwrap_or(0), token, 1);
        }
        world.until(commands);
        world.held
    };
    let (at_once, gathered) = (told(0, 200), told(50, 200));
    assert!(gathered * 2 < at_once, "{gathered} frames of {at_once}");
    // One batch: each of the three others tells three.
    assert_eq!((told(0, 1), told(50, 1)), (9, 9));
}

#[test]
fn a_full_queue_refuses_with_a_time_to_come_back() {
    let mut world = World::new(4, 3);
    world.limits.queue_bytes_max = 1_000;
    world.members[0] = None;
    let log = world.open(0, false).expect("it opens");
    world.members[0] = Some(log);
    world.submit(0, 1, 500);
    let retry_ms = world.limits.retry_min.get();
    assert_eq!(world.refused, [LogError::Overloaded { retry_ms }]);
    world.input(
        0,
        Input::Submit {
            token: 2,
            commands: vec![vec![0; 65 * 1024]],
        },
    );
    assert!(matches!(
        world.refused[1],
        LogError::TooLong { index: 0, .. }
    ));
    world.input(
        0,
        Input::Submit {
            token: 3,
            commands: vec![Vec::new()],
        },
    );
    assert_eq!(world.refused[2], LogError::Empty);
}

#[test]
fn a_batch_frame_is_the_index_of_its_message_and_the_batch() {
    let batch = Batch {
        author: PublicKey([1; 32]),
        number: 3,
        operations: BoundedVec::try_from(vec![BoundedVec::try_from(vec![5; 9]).expect("short")])
            .expect("one"),
    };
    assert_eq!(
        LogMessage::batch_frame(&batch.encode()),
        LogMessage::Batch(batch).encode()
    );
}

#[test]
fn a_store_of_another_log_is_refused() {
    let world = World::new(1, 4);
    let config = LogConfig {
        group: Hash([8; 32]),
        committee: world.committee.clone(),
        key: seed(1).worker(),
        founding: true,
        entropy: [0; 32],
        durability: Durability::Disk,
        limits: LogLimits::default(),
    };
    let opened = Log::open(config, Box::new(world.stores[0].clone()), Millis::ZERO);
    assert!(matches!(opened.err(), Some(OpenLogError::Group { .. })));
}

#[test]
fn a_member_that_was_away_for_long_copies_what_it_missed() {
    let mut world = World::new(4, 5);
    world.submit(0, 0, 3);
    world.until(3);
    world.power_loss(3);
    for token in 1..150 {
        world.submit(1, token, 3);
        world.until(3 + token * 3);
    }
    world.restart(3);
    world.until(450);
    world.submit(3, 999, 1);
    world.until(451);
    assert!(world.finalised[3].contains(&999));
}

#[test]
fn a_member_with_an_empty_store_takes_part_again() {
    let mut world = World::new(4, 6);
    world.submit(0, 0, 30);
    world.until(30);
    world.power_loss(2);
    world.stores[2] = SharedMemoryStore::default();
    world.restart(2);
    world.until(30);
    // It counts as faulty until the others led it into a new view.
    world.submit(0, 100, 1);
    world.until(31);
    assert!(world.all_sign());
    world.power_loss(1);
    for token in 1..20 {
        world.submit(0, token, 2);
    }
    world.until(69);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 12, ..ProptestConfig::default() })]

    #[test]
    fn losses_and_power_failures_lose_nothing_that_is_final(
        random in any::<u64>(),
        loss in 0_u64..150,
        failures in prop::collection::vec((0_usize..4, 10_usize..400), 0..6),
        in_memory in any::<bool>(),
    ) {
        let mut world = World::new(4, random);
        if in_memory {
            world.durability = Durability::Process;
            for member in 0..4 {
                world.members[member] = None;
                world.stores[member] = SharedMemoryStore::default();
            }
            for member in 0..4 {
                let log = world.open(member, true).expect("it opens");
                world.members[member] = Some(log);
                world.connect(member);
            }
        }
        world.loss = loss;
        let mut token = 0;
        for (member, steps) in failures {
            for _ in 0..4 {
                token += 1;
                world.submit((member + 1) % 4, token, 5);
            }
            for _ in 0..steps {
                world.step();
            }
            if in_memory {
                // Until it takes part again a restarted member is as good as lost, and one may be.
                world.loss = 0;
                let mut rounds = 0;
                while !world.all_sign() {
                    token += 1;
                    world.submit((member + 1) % 4, token, 1);
                    for _ in 0..100 {
                        world.step();
                    }
                    rounds += 1;
                    prop_assert!(rounds < 200, "a restarted member doesn't take part again");
                }
                world.loss = loss;
            }
            let known: Vec<u64> = world.finalised.concat();
            world.power_loss(member);
            for _ in 0..steps {
                world.step();
            }
            world.restart(member);
            prop_assert!(known.iter().all(|token| world.finalised.concat().contains(token)));
        }
        world.loss = 0;
        world.submit(0, 10_000, 1);
        let mut steps = 0;
        while !world.finalised[0].contains(&10_000) {
            prop_assert!(world.step() && steps < 60_000, "no progress after healing");
            steps += 1;
        }
        // A frame that was lost on a connection that stands is one that no real transport loses. Whoever missed what
        // only it said learns of it with the next command.
        let mut token = 10_000;
        while !world.level() {
            if !world.step() {
                token += 1;
                prop_assert!(token < 10_004, "members don't become level");
                world.submit(0, token, 1);
            }
            steps += 1;
            prop_assert!(steps < 120_000, "members don't become level in time");
        }
    }
}
