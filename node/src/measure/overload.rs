//! What is left of the throughput when much more is offered than can be finalised.
//!
//! Clients honour nothing: they submit on, at a rate that no answer changes. Each account offers its next transfer
//! again until it is taken, since its later ones can't be executed before. First the queues fill, which
//! is told apart: members check signatures of what has to wait. Then, for as long as at the peak, what is finalised is
//! counted.

use super::consensus::{Cores, Meter, Times, clocks};
use super::members::{Member, Refusal, Told, Unfinished};
use super::transfers::Account;
use crate::service::resident_bytes;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Between two looks at what members answered.
const LOOK: Duration = Duration::from_millis(2);
/// Between two looks at the resident memory.
const RESIDENT_LOOK: Duration = Duration::from_millis(100);
/// How long queues may take to fill. A network that keeps up with checking what it takes fills them slowly or never: it is
/// measured then with the queues that it has, and how full they are is said.
const FILL_MAX: Duration = Duration::from_secs(10);

/// What came of offering too much.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overloaded {
    /// Finalised transfers a second, once the queues are full.
    pub transfers_per_s: f64,
    /// What that keeps busy.
    pub cores: Cores,
    /// Submissions, from the first on.
    pub submitted: u64,
    /// Submissions that were answered "later".
    pub refused: u64,
    /// Of these, such as the queue or the way to it was known to be full for, so that no core was asked.
    pub refused_before: u64,
    /// Transfers that had to be signed meanwhile, which the generator's cores include.
    pub signed_late: u64,
    /// Members whose queues were full before it was counted.
    pub full: usize,
    /// Operations that waited for a batch at the end, at all members.
    pub queued: usize,
    /// How long that took, in seconds.
    pub fill_s: f64,
    /// Finalised transfers a second meanwhile.
    pub fill_transfers_per_s: f64,
    /// The resident memory of the process before, with all members and the signed transfers, in bytes.
    pub before_bytes: u64,
    /// The largest while it was overloaded.
    pub resident_bytes: u64,
}

/// Submits at `rate`, whatever the answers.
pub(super) fn overload(
    members: &[Member],
    accounts: &mut [Account],
    rate: f64,
    times: Times,
) -> Result<Overloaded, Unfinished> {
    let before_bytes = resident_bytes();
    let mut flood = Flood {
        members,
        accounts,
        rate,
        began: Instant::now(),
        full: vec![false; members.len()],
        turn: 0,
        submitted: 0,
        refused: 0,
        refused_before: 0,
        resident_bytes: before_bytes,
        looked: Instant::now(),
    };
    let clocks = clocks(members)?;
    let mut filling = Meter::new(flood.began, &clocks);
    while !flood.full.iter().all(|full| *full) {
        if flood.began.elapsed() > FILL_MAX {
            break;
        }
        flood.step(&mut filling)?;
    }
    let full = Instant::now();
    let members_full = flood.full.iter().filter(|full| **full).count();
    let (fill_transfers_per_s, _) = filling.end()?;
    let mut meter = Meter::new(full + times.warm_up, &clocks);
    while full.elapsed() < times.warm_up + times.measured {
        flood.step(&mut meter)?;
    }
    let (transfers_per_s, cores) = meter.end()?;
    Ok(Overloaded {
        transfers_per_s,
        cores,
        submitted: flood.submitted,
        refused: flood.refused,
        refused_before: flood.refused_before,
        signed_late: flood.accounts.iter().map(|account| account.late).sum(),
        full: members_full,
        queued: members.iter().map(Member::queued).sum(),
        fill_s: full.duration_since(flood.began).as_secs_f64(),
        fill_transfers_per_s,
        before_bytes,
        resident_bytes: flood.resident_bytes,
    })
}

struct Flood<'a> {
    members: &'a [Member],
    accounts: &'a mut [Account],
    rate: f64,
    began: Instant,
    /// Which members had a full queue.
    full: Vec<bool>,
    turn: usize,
    submitted: u64,
    refused: u64,
    refused_before: u64,
    resident_bytes: u64,
    looked: Instant,
}

impl Flood<'_> {
    /// Submits what is due, takes in what was answered, and sleeps.
    fn step(&mut self, meter: &mut Meter<'_>) -> Result<(), Unfinished> {
        let due = (self.began.elapsed().as_secs_f64() * self.rate) as u64;
        while self.submitted < due {
            self.submit()?;
        }
        for (m, member) in self.members.iter().enumerate() {
            for told in member.told.try_iter() {
                match told {
                    Told::Submitted { refused: None, .. } => {}
                    Told::Submitted {
                        token,
                        refused: Some(Refusal::Overloaded),
                    } => {
                        // Only a full queue says so, once a submission is under way.
                        self.refused += 1;
                        self.full[m] = true;
                        let (account, transfer) = unpack(token);
                        let next = &mut self.accounts[account].next;
                        *next = (*next).min(transfer);
                    }
                    Told::Submitted {
                        refused: Some(Refusal::Other(reason)),
                        ..
                    } => return Err(reason.into()),
                    Told::Executed { operations, at } if m == 0 => {
                        meter.count(operations.len(), at)?;
                    }
                    Told::Executed { .. } => {}
                }
            }
        }
        if self.looked.elapsed() > RESIDENT_LOOK {
            self.resident_bytes = self.resident_bytes.max(resident_bytes());
            self.looked = Instant::now();
        }
        std::thread::sleep(LOOK);
        Ok(())
    }

    /// Submits the next transfer of the account whose turn it is.
    fn submit(&mut self) -> Result<(), Unfinished> {
        self.turn = (self.turn + 1) % self.accounts.len();
        let account = &mut self.accounts[self.turn];
        let token = pack(self.turn, account.next);
        let at = account.member;
        let (_, bytes) = account.peek()?;
        self.submitted += 1;
        let member = &self.members[at];
        if member.submit(token, bytes)? {
            account.next += 1;
        } else {
            self.full[at] |= member.is_full(bytes);
            self.refused += 1;
            self.refused_before += 1;
        }
        Ok(())
    }
}

/// A token that says which transfer of which account it is.
const fn pack(account: usize, transfer: usize) -> u64 {
    (account as u64) << 32 | transfer as u64
}

const fn unpack(token: u64) -> (usize, usize) {
    ((token >> 32) as usize, (token & 0xffff_ffff) as usize)
}
