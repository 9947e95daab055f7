//! Four members in one process: finalised transfers per second over the bound that signature checks alone set, the
//! time to finality at a tenth of that load, and what is left of it at several times the load.
//!
//! Every member is a whole node on a thread of its own: it verifies every operation and every vote itself and syncs its
//! own RocksDB before it votes. Members reach one another through channels; nothing leaves the process. What submits
//! is one more thread, on the same cores. Its transfers are signed before; what it costs nevertheless is measured.

use super::cpu::{Span, ThreadClock};
use super::members::{MEMBERS, Member, Refusal, Told, Unfinished, rules, start, stop, warm};
use super::overload::{Overloaded, overload};
use super::transfers::{self, Account, prepare, seeds};
use super::{failed, signature_checks_per_s};
use crate::failure;
use frith_ledger::operation::OperationId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many that the queues of all members fill before an account is too far ahead with its nonces.
const ACCOUNTS: usize = 256;
/// Longest that signature checks are measured.
const CHECKS_TIME_MAX: Duration = Duration::from_secs(2);
/// How long the members may empty their queues.
const DRAIN: Duration = Duration::from_secs(2);
/// Operations per account that wait at once in the saturated run.
const WINDOW: usize = 128;
/// Between two looks at what members told.
const LOOK: Duration = Duration::from_millis(2);

/// How long the transfers run before they are counted, and how long they are.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Before.
    pub warm_up: Duration,
    /// Counted; the same again at a tenth of the load.
    pub measured: Duration,
    /// Times the load that can be finalised that is offered at last, until all queues are full, and then for both
    /// times again; 0: not at all.
    pub overload: f64,
}

/// How many cores are busy, on average.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cores {
    /// With the threads of the members, whose stores' own threads aren't counted.
    pub members: f64,
    /// With the thread that submits.
    pub generator: f64,
}

/// What four members do together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConsensusFigures {
    /// Strict signature checks a second on one core.
    pub checks_per_s: f64,
    /// Transfers a second if nothing but these checks had to be done, by all members, on all cores.
    pub bound_per_s: f64,
    /// Finalised transfers a second.
    pub transfers_per_s: f64,
    /// What that keeps busy.
    pub cores: Cores,
    /// Half of the transfers were finalised after at most this long, at a tenth of that load, in ms.
    pub p50_ms: f64,
    /// Under more than that load, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<Overloaded>,
}

/// Runs four members with their stores in `folder`. Takes twice `times.measured`, `times.warm_up`, and some seconds.
///
/// # Errors
/// A member that fails, or that refuses what it must take.
pub fn consensus(folder: &Path, times: Times) -> failure::Result<ConsensusFigures> {
    let checks = signature_checks_per_s(times.measured.min(CHECKS_TIME_MAX))?;
    measured(folder, times, checks).map_err(|error| failed("consensus")(error.to_string()))
}

fn measured(folder: &Path, times: Times, checks: f64) -> Result<ConsensusFigures, Unfinished> {
    let (workers, accounts) = (seeds(MEMBERS, 1), seeds(ACCOUNTS, 2));
    let rules = Arc::new(rules(&workers, &accounts)?);
    let cores = std::thread::available_parallelism()?.get();
    let bound = checks * cores as f64 / MEMBERS as f64;
    let span = (times.warm_up + times.measured).as_secs_f64();
    let mut accounts = transfers::accounts(&rules, &accounts);
    prepare(&mut accounts, bound * span + (ACCOUNTS * WINDOW) as f64);

    let members = start(&rules, &workers, folder)?;
    warm(&members, &mut accounts)?;
    let (rate, cores) = saturate(&members, &mut accounts, times)?;
    // Let the queues drain before the second measurement.
    std::thread::sleep(DRAIN);
    for member in &members {
        member.told.try_iter().for_each(drop);
    }
    let median = pace(&members, &mut accounts, rate / 10.0, times.measured)?;
    let overload = if times.overload > 0.0 {
        // Twice what should be finalised while the queues fill and afterwards: no account gets on as fast as another.
        prepare(&mut accounts, rate * span * 4.0);
        let offered = rate * times.overload;
        Some(overload(&members, &mut accounts, offered, times)?)
    } else {
        None
    };
    stop(members)?;
    Ok(ConsensusFigures {
        checks_per_s: checks,
        bound_per_s: bound,
        transfers_per_s: rate,
        cores,
        p50_ms: median,
        overload,
    })
}

/// Counts what becomes final, and the cores that are busy meanwhile.
pub(super) struct Meter<'a> {
    after: Instant,
    clocks: &'a (Vec<ThreadClock>, [ThreadClock; 1]),
    spans: Option<(Span<'a>, Span<'a>)>,
    counted: u64,
    first: Option<Instant>,
    last: Instant,
}

/// The clocks of all members, and of the thread that asks.
pub(super) fn clocks(
    members: &[Member],
) -> Result<(Vec<ThreadClock>, [ThreadClock; 1]), Unfinished> {
    let of_members = members.iter().map(|member| member.clock.clone()).collect();
    Ok((of_members, [ThreadClock::own()?]))
}

impl<'a> Meter<'a> {
    /// Counts what is final from `after` on.
    pub(super) fn new(after: Instant, clocks: &'a (Vec<ThreadClock>, [ThreadClock; 1])) -> Self {
        Self {
            after,
            clocks,
            spans: None,
            counted: 0,
            first: None,
            last: after,
        }
    }

    /// So many became final at once.
    pub(super) fn count(&mut self, operations: usize, at: Instant) -> Result<(), Unfinished> {
        if at < self.after {
            return Ok(());
        }
        if self.spans.is_none() {
            let (members, generator) = self.clocks;
            self.spans = Some((Span::begin(members)?, Span::begin(generator)?));
        }
        // The time begins with the first block and ends with the last.
        if self.first.is_some() {
            self.counted += operations as u64;
        }
        self.first.get_or_insert(at);
        self.last = at;
        Ok(())
    }

    /// Finalised a second, and what that kept busy.
    pub(super) fn end(&self) -> Result<(f64, Cores), Unfinished> {
        let (Some(first), Some((members, generator))) = (self.first, &self.spans) else {
            return Err("nothing was finalised".into());
        };
        let span = self.last.duration_since(first).as_secs_f64();
        let cores = Cores {
            members: members.cores()?,
            generator: generator.cores()?,
        };
        Ok((self.counted as f64 / span.max(1e-9), cores))
    }
}

/// Keeps every account's window full; returns finalised transfers per second at the first member.
fn saturate(
    members: &[Member],
    accounts: &mut [Account],
    times: Times,
) -> Result<(f64, Cores), Unfinished> {
    let began = Instant::now();
    let clocks = clocks(members)?;
    let mut meter = Meter::new(began + times.warm_up, &clocks);
    let mut owner: BTreeMap<OperationId, usize> = BTreeMap::new();
    while began.elapsed() < times.warm_up + times.measured {
        for (i, account) in accounts.iter_mut().enumerate() {
            while account.waiting < WINDOW {
                let member = account.member;
                let (id, bytes) = account.peek()?;
                // The way to the member is full; the rest of the window follows.
                if !members[member].submit(0, bytes)? {
                    break;
                }
                owner.insert(*id, i);
                account.next += 1;
                account.waiting += 1;
            }
        }
        for (m, member) in members.iter().enumerate() {
            for told in member.told.try_iter() {
                match told {
                    Told::Submitted {
                        refused: Some(Refusal::Other(reason)),
                        ..
                    } => return Err(reason.into()),
                    Told::Submitted {
                        refused: Some(Refusal::Overloaded),
                        ..
                    } => {
                        return Err("the windows fit the queue, and yet it was full".into());
                    }
                    Told::Submitted { .. } => {}
                    Told::Executed { operations, at } if m == 0 => {
                        for id in &operations {
                            if let Some(account) =
                                owner.remove(id).and_then(|i| accounts.get_mut(i))
                            {
                                account.waiting -= 1;
                            }
                        }
                        meter.count(operations.len(), at)?;
                    }
                    Told::Executed { .. } => {}
                }
            }
        }
        std::thread::sleep(LOOK);
    }
    meter.end()
}

/// Submits at `rate` and returns the median time from submission to commit at the same member, in ms.
fn pace(
    members: &[Member],
    accounts: &mut [Account],
    rate: f64,
    time: Duration,
) -> Result<f64, Unfinished> {
    let began = Instant::now();
    let mut pending: BTreeMap<OperationId, (usize, Instant)> = BTreeMap::new();
    let mut times = Vec::new();
    let (mut sent, mut turn) = (0_u64, 0);
    while began.elapsed() < time {
        let due = (began.elapsed().as_secs_f64() * rate) as u64;
        while sent < due {
            let account = &mut accounts[turn];
            let member = account.member;
            let (id, bytes) = account.peek()?;
            // The way to the member is full after a pause of this thread; the rest follows.
            if !members[member].submit(0, bytes)? {
                break;
            }
            pending.insert(*id, (member, Instant::now()));
            account.next += 1;
            turn = (turn + 1) % accounts.len();
            sent += 1;
        }
        for (m, member) in members.iter().enumerate() {
            for told in member.told.try_iter() {
                let Told::Executed { operations, at } = told else {
                    continue;
                };
                for id in operations {
                    if pending
                        .get(&id)
                        .is_some_and(|(at_member, _)| *at_member == m)
                        && let Some((_, since)) = pending.remove(&id)
                    {
                        times.push(at.duration_since(since).as_secs_f64() * 1e3);
                    }
                }
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    times.sort_by(f64::total_cmp);
    times
        .get(times.len() / 2)
        .copied()
        .ok_or_else(|| "nothing was finalised".into())
}
