//! Commands on their way into batches, and batches on their way into blocks.

use super::api::{LogError, LogLimits, Source};
use frith_ledger::block::{Batch, BatchDigest};
use frith_ledger::certificate::{Committee, Weight};
use frith_ledger::codec::BoundedVec;
use frith_ledger::key::PublicKey;
use frith_ledger::parameters::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, OPERATION_BYTES_MAX};
use frith_ledger::units::Millis;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Batches wanted at one time because one member said first that it keeps them. What a block needs is wanted beside
/// these: the blocks bound it.
const HEARD_MAX: usize = 512;
/// Bytes of a batch beside its commands, and of a command beside its bytes.
const BATCH_FRAME: usize = 64;
const COMMAND_FRAME: usize = 5;

/// A command of a length that a batch takes.
type Command = BoundedVec<u8, OPERATION_BYTES_MAX>;

/// Whose commands these are.
pub(super) type Ticket = (Source, u64);

/// Against what a kept batch counts: who gave it, and whether that wrote it. A batch isn't signed, so only its author
/// proves, by sending it, whose it is; and what a member passes on takes no room from what it writes.
pub(super) type Share = (PublicKey, bool);

/// A batch that is kept and waits for a block.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) at: u64,
    author: PublicKey,
    share: Share,
    pub(super) commands: u64,
    holders: BTreeSet<u16>,
    weight: Weight,
    /// Commands of each ticket, in an own batch.
    tickets: Vec<(Ticket, usize)>,
}

/// A batch that isn't here, and who says that it keeps it.
#[derive(Debug)]
struct Want {
    holders: BTreeSet<u16>,
    /// The member that said first that it keeps it: it counts against that one. `None` when a block named it first.
    by: Option<u16>,
    /// Whether a block needs it that was proposed or copied.
    needed: bool,
    due: Millis,
    pause: u64,
    turn: usize,
}

impl Want {
    fn new(now: Millis, by: Option<u16>, limits: &LogLimits) -> Self {
        let pause = limits.retry_min.get().max(1);
        Self {
            holders: by.into_iter().collect(),
            by,
            needed: false,
            due: now.plus(pause),
            pause,
            turn: 0,
        }
    }

    /// Whom to ask next: those who should have it. What a block needs is asked of all who are connected as well, every
    /// other time: who voted for the block keeps it.
    fn whom(&self, digest: &BatchDigest, members: usize, connected: &BTreeSet<u16>) -> Option<u16> {
        let round = if self.needed {
            self.turn / 2
        } else {
            self.turn
        };
        if self.needed && self.turn % 2 == 1 {
            // With whom it begins differs from batch to batch, so that not all are asked of one.
            let first = (usize::from(digest.0[0]) + round) % members.max(1);
            let first = u16::try_from(first).unwrap_or_default();
            return connected.range(first..).chain(connected).next().copied();
        }
        let turn = round % self.holders.len().max(1);
        self.holders.iter().nth(turn).copied()
    }
}

/// Everything that waits.
#[derive(Debug)]
pub(super) struct LogPool {
    me: PublicKey,
    number: u64,
    next_at: u64,
    queue: VecDeque<(Ticket, Command)>,
    queue_bytes: usize,
    since: Option<Millis>,
    batches: BTreeMap<BatchDigest, Kept>,
    order: BTreeMap<u64, BatchDigest>,
    shares: BTreeMap<Share, usize>,
    wants: BTreeMap<BatchDigest, Want>,
    /// Wants that count against each member.
    heard: BTreeMap<u16, usize>,
    /// Commands of a ticket that aren't final.
    open: BTreeMap<Ticket, usize>,
}

impl LogPool {
    /// An empty pool. Own batches are numbered from `number` on, kept ones keyed from `next_at` on.
    pub(super) fn new(me: PublicKey, number: u64, next_at: u64) -> Self {
        Self {
            me,
            number,
            next_at,
            queue: VecDeque::new(),
            queue_bytes: 0,
            since: None,
            batches: BTreeMap::new(),
            order: BTreeMap::new(),
            shares: BTreeMap::new(),
            wants: BTreeMap::new(),
            heard: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// Takes commands into the queue, all or none.
    pub(super) fn submit(
        &mut self,
        now: Millis,
        ticket: Ticket,
        commands: Vec<Vec<u8>>,
        limits: &LogLimits,
    ) -> Result<(), LogError> {
        if commands.is_empty() || commands.iter().any(Vec::is_empty) {
            return Err(LogError::Empty);
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let bounded = |(index, command): (usize, Vec<u8>)| {
            let bytes = count(command.len());
            Command::try_from(command).map_err(|_| LogError::TooLong {
                index: count(index),
                bytes,
                max: count(OPERATION_BYTES_MAX),
            })
        };
        let commands = commands.into_iter().enumerate().map(bounded);
        let commands: Vec<Command> = commands.collect::<Result<_, _>>()?;
        let bytes: usize = commands.iter().map(|c| c.len() + COMMAND_FRAME).sum();
        if self.queue_bytes.saturating_add(bytes) > limits.queue_bytes_max {
            return Err(LogError::Overloaded {
                retry_ms: limits.retry_min.get(),
            });
        }
        self.queue_bytes += bytes;
        self.since.get_or_insert(now);
        *self.open.entry(ticket).or_default() += commands.len();
        self.queue
            .extend(commands.into_iter().map(|command| (ticket, command)));
        Ok(())
    }

    /// When the next own batch is due; `None` when nothing waits or nothing more may be under way.
    pub(super) fn due(&self, limits: &LogLimits) -> Option<Millis> {
        let under_way = self.shares.get(&(self.me, true)).copied().unwrap_or(0);
        let since = self
            .since
            .filter(|_| under_way < limits.own_batches_max.max(1))?;
        let full = self.queue_bytes >= limits.batch_bytes.min(BATCH_BYTES_MAX - BATCH_FRAME)
            || self.queue.len() >= limits.batch_commands;
        Some(if full || under_way == 0 {
            since
        } else {
            since.plus(limits.batch_delay.get())
        })
    }

    /// The next own batch, from the front of the queue, with whose commands it has.
    pub(super) fn take(
        &mut self,
        now: Millis,
        limits: &LogLimits,
    ) -> (Batch, Vec<(Ticket, usize)>) {
        let room = limits.batch_bytes.min(BATCH_BYTES_MAX - BATCH_FRAME);
        let most = limits.batch_commands.clamp(1, BATCH_OPERATIONS_MAX);
        let (mut operations, mut bytes) = (BoundedVec::new(), 0_usize);
        let mut tickets: Vec<(Ticket, usize)> = Vec::new();
        while let Some((_, command)) = self.queue.front() {
            let size = command.len() + COMMAND_FRAME;
            if operations.len() >= most || (bytes + size > room && !operations.is_empty()) {
                break;
            }
            let Some((ticket, command)) = self.queue.pop_front() else {
                break;
            };
            bytes += size;
            // `most` is within the bound, as a test checks.
            if operations.push(command).is_err() {
                break;
            }
            match tickets.last_mut() {
                Some((last, count)) if *last == ticket => *count += 1,
                _ => tickets.push((ticket, 1)),
            }
        }
        self.queue_bytes = self.queue_bytes.saturating_sub(bytes);
        self.since = (!self.queue.is_empty()).then_some(now);
        self.number = self.number.wrapping_add(1);
        let batch = Batch {
            author: self.me,
            number: self.number,
            operations,
        };
        (batch, tickets)
    }

    /// Later batches are kept under keys from `at` on.
    pub(super) fn skip_to(&mut self, at: u64) {
        self.next_at = self.next_at.max(at);
    }

    /// The key under which the next batch is kept.
    pub(super) fn next_at(&mut self) -> u64 {
        let at = self.next_at;
        self.next_at = at.saturating_add(1);
        at
    }

    /// Whether one more batch may be kept that counts against `share`.
    pub(super) fn has_room(&self, share: &Share, limits: &LogLimits) -> bool {
        self.shares.get(share).copied().unwrap_or(0) < limits.author_batches_max
    }

    /// Notes a batch that is in the store, kept here and by its author. `me` is the own index.
    pub(super) fn keep(
        &mut self,
        digest: BatchDigest,
        share: Share,
        (author, at, commands): (PublicKey, u64, u64),
        tickets: Vec<(Ticket, usize)>,
        (committee, me): (&Committee, u16),
    ) {
        let mut holders = self.came(&digest);
        holders.insert(me);
        holders.extend(committee.index_of(&author));
        let weight = weigh(committee, &holders);
        let kept = Kept {
            at,
            author,
            share,
            commands,
            holders,
            weight,
            tickets,
        };
        if self.batches.insert(digest, kept).is_none() {
            self.order.insert(at, digest);
            *self.shares.entry(share).or_default() += 1;
        }
    }

    /// A batch isn't wanted any more: who said that they keep it.
    fn came(&mut self, digest: &BatchDigest) -> BTreeSet<u16> {
        let Some(want) = self.wants.remove(digest) else {
            return BTreeSet::new();
        };
        if let Some(heard) = want.by.and_then(|by| self.heard.get_mut(&by)) {
            *heard = heard.saturating_sub(1);
        }
        want.holders
    }

    /// A member keeps a batch. Whether a leader may name it from now on.
    pub(super) fn held(
        &mut self,
        now: Millis,
        digest: &BatchDigest,
        member: u16,
        committee: &Committee,
        limits: &LogLimits,
    ) -> bool {
        let Some(kept) = self.batches.get_mut(digest) else {
            self.hear(now, *digest, member, limits);
            return false;
        };
        let before = committee.is_quorum(kept.weight);
        if kept.holders.insert(member) {
            kept.weight = weigh(committee, &kept.holders);
        }
        !before && committee.is_quorum(kept.weight)
    }

    /// Asks for a batch that `member` says it keeps, unless it comes by itself in time. Not when `member` named too many
    /// before that didn't come.
    fn hear(&mut self, now: Millis, digest: BatchDigest, member: u16, limits: &LogLimits) {
        if let Some(want) = self.wants.get_mut(&digest) {
            want.holders.insert(member);
            return;
        }
        let heard = self.heard.entry(member).or_default();
        if *heard < HEARD_MAX {
            *heard += 1;
            self.wants
                .insert(digest, Want::new(now, Some(member), limits));
        }
    }

    /// Asks for a batch that a block needs and `member` should have, unless it comes by itself in time.
    pub(super) fn need(
        &mut self,
        now: Millis,
        digest: BatchDigest,
        member: u16,
        limits: &LogLimits,
    ) {
        let fresh = Want::new(now, None, limits);
        let (due, pause) = (fresh.due, fresh.pause);
        let want = self.wants.entry(digest).or_insert(fresh);
        want.holders.insert(member);
        if !want.needed {
            want.needed = true;
            want.due = want.due.min(due);
            want.pause = pause;
            want.turn = 0;
        }
    }

    /// Lets go of what no block needs any more: `needed` is what one still does.
    pub(super) fn release(&mut self, needed: &BTreeSet<BatchDigest>) {
        self.wants.retain(|digest, want| {
            want.needed &= needed.contains(digest);
            want.needed || want.by.is_some()
        });
    }

    pub(super) fn is_wanted(&self, digest: &BatchDigest) -> bool {
        self.wants.contains_key(digest)
    }

    /// Whether a block needs a batch that isn't here.
    pub(super) fn is_needed(&self, digest: &BatchDigest) -> bool {
        self.wants.get(digest).is_some_and(|want| want.needed)
    }

    /// Whom to ask for what now, of so many members of whom these are `connected`.
    pub(super) fn asks(
        &mut self,
        now: Millis,
        members: usize,
        connected: &BTreeSet<u16>,
        limits: &LogLimits,
    ) -> Vec<(BatchDigest, u16)> {
        let due = self.wants.iter_mut().filter(|(_, want)| want.due <= now);
        due.filter_map(|(digest, want)| {
            let member = want.whom(digest, members, connected);
            want.turn = want.turn.wrapping_add(1);
            want.due = now.plus(want.pause);
            want.pause = want
                .pause
                .saturating_mul(2)
                .min(limits.retry_max.get().max(1));
            member.map(|member| (*digest, member))
        })
        .collect()
    }

    /// When to ask again.
    pub(super) fn next_ask(&self) -> Option<Millis> {
        self.wants.values().map(|want| want.due).min()
    }

    /// A batch that waits for a block.
    pub(super) fn get(&self, digest: &BatchDigest) -> Option<&Kept> {
        self.batches.get(digest)
    }

    /// Batches that a quorum keeps, in the order in which they came.
    pub(super) fn ready<'a>(
        &'a self,
        committee: &'a Committee,
    ) -> impl Iterator<Item = (&'a BatchDigest, &'a Kept)> {
        self.order.values().filter_map(|digest| {
            let kept = self.batches.get(digest)?;
            committee.is_quorum(kept.weight).then_some((digest, kept))
        })
    }

    /// Own batches that wait for a block.
    pub(super) fn own(&self) -> impl Iterator<Item = &BatchDigest> {
        let me = self.me;
        self.batches
            .iter()
            .filter(move |(_, kept)| kept.author == me)
            .map(|(digest, _)| digest)
    }

    /// A batch is in a committed block: where it is kept, and the tickets that are through with it.
    pub(super) fn committed(&mut self, digest: &BatchDigest) -> Option<(u64, Vec<Ticket>)> {
        let kept = self.batches.remove(digest)?;
        self.order.remove(&kept.at);
        if let Some(count) = self.shares.get_mut(&kept.share) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.shares.remove(&kept.share);
            }
        }
        let mut through = Vec::new();
        for (ticket, count) in kept.tickets {
            let left = self.open.get_mut(&ticket).map(|left| {
                *left = left.saturating_sub(count);
                *left
            });
            if left == Some(0) {
                self.open.remove(&ticket);
                through.push(ticket);
            }
        }
        Some((kept.at, through))
    }

    /// The first key of a batch that waits for a block.
    pub(super) fn floor(&self) -> u64 {
        self.order.keys().next().copied().unwrap_or(self.next_at)
    }

    /// Batches kept that wait for a block, and bytes of commands that wait for a batch.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.batches.len(), self.queue_bytes)
    }
}

fn weigh(committee: &Committee, holders: &BTreeSet<u16>) -> Weight {
    holders
        .iter()
        .filter_map(|holder| committee.get(*holder))
        .fold(0, |sum: Weight, member| sum.saturating_add(member.weight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::hash::Domain;

    #[test]
    fn a_batch_has_as_many_commands_as_it_may_whatever_is_asked_for_and_none_is_lost() {
        let limits = |batch_commands| LogLimits {
            batch_commands,
            ..LogLimits::default()
        };
        let commands = BATCH_OPERATIONS_MAX + 10;
        for (asked, got) in [(0, 1), (7, 7), (usize::MAX, BATCH_OPERATIONS_MAX)] {
            let mut pool = LogPool::new(PublicKey([1; 32]), 0, 0);
            let submitted = vec![vec![7]; commands];
            pool.submit(Millis::ZERO, (Source::Host, 1), submitted, &limits(asked))
                .expect("has room");
            let (batch, tickets) = pool.take(Millis::ZERO, &limits(asked));
            assert_eq!((batch.operations.len(), tickets[0].1), (got, got));
            assert_eq!(pool.queue.len(), commands - got);
        }
    }

    #[test]
    fn a_command_that_no_batch_takes_is_refused_with_all_others() {
        let mut pool = LogPool::new(PublicKey([1; 32]), 0, 0);
        let commands = vec![vec![1], vec![0; OPERATION_BYTES_MAX + 1]];
        let refused = pool.submit(
            Millis::ZERO,
            (Source::Host, 1),
            commands,
            &LogLimits::default(),
        );
        assert!(matches!(refused, Err(LogError::TooLong { index: 1, .. })));
        assert_eq!(pool.counts(), (0, 0));
    }

    /// The digest of a batch that a member names.
    fn named(member: u16, number: u64) -> BatchDigest {
        BatchDigest::of(Domain::Batch, &(member, number))
    }

    #[test]
    fn what_members_say_they_keep_is_bounded_for_each_and_leaves_room_for_what_blocks_need() {
        let (limits, committee) = (LogLimits::default(), Committee::new(Vec::new()));
        let now = Millis::ZERO;
        let mut pool = LogPool::new(PublicKey([1; 32]), 0, 0);
        for member in 0..4 {
            for number in (0..).take(HEARD_MAX + 9) {
                pool.held(now, &named(member, number), member, &committee, &limits);
            }
        }
        assert_eq!(pool.wants.len(), 4 * HEARD_MAX);
        // One that came makes room for another of the same member.
        let author = PublicKey([2; 32]);
        let here = (&committee, 0);
        pool.keep(
            named(1, 0),
            (author, true),
            (author, 0, 1),
            Vec::new(),
            here,
        );
        for number in [1_000_000, 1_000_001] {
            pool.held(now, &named(1, number), 1, &committee, &limits);
        }
        assert!(pool.is_wanted(&named(1, 1_000_000)));
        assert!(!pool.is_wanted(&named(1, 1_000_001)));
        // A block needs one that nobody named, and one that somebody did.
        let needed = BTreeSet::from([named(9, 0), named(2, 0)]);
        for digest in &needed {
            pool.need(now, *digest, 3, &limits);
        }
        pool.release(&needed);
        assert!(needed.iter().all(|digest| pool.is_needed(digest)));
        // And then it doesn't any more.
        pool.release(&BTreeSet::new());
        assert!(!needed.iter().any(|digest| pool.is_needed(digest)));
        assert!(!pool.is_wanted(&named(9, 0)));
        assert_eq!(pool.wants.len(), 4 * HEARD_MAX);
    }

    #[test]
    fn what_a_block_needs_is_asked_of_all_who_are_connected_and_what_is_only_named_is_not() {
        let (limits, committee) = (LogLimits::default(), Committee::new(Vec::new()));
        let connected = BTreeSet::from([0, 1, 3]);
        let asked = |needed| {
            let mut pool = LogPool::new(PublicKey([1; 32]), 0, 0);
            pool.held(Millis::ZERO, &named(2, 0), 2, &committee, &limits);
            if needed {
                pool.need(Millis::ZERO, named(2, 0), 2, &limits);
            }
            let mut asked = BTreeSet::new();
            for _ in 0..8 {
                let now = pool.next_ask().expect("it is wanted");
                let asks = pool.asks(now, 4, &connected, &limits);
                asked.extend(asks.into_iter().map(|(_, member)| member));
            }
            asked
        };
        assert_eq!(asked(false), BTreeSet::from([2]));
        assert_eq!(asked(true), BTreeSet::from([0, 1, 2, 3]));
    }
}
