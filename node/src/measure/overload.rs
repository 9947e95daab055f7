//! What is left of the throughput when much more is offered than can be finalised.

use super::consensus::{Failure, Load, Member, Times, Told};
use frith_ledger::operation::OperationId;
use frith_neighbourhood::Input;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two looks at what members answered.
const LOOK: Duration = Duration::from_millis(2);

/// What came of offering too much.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overloaded {
    /// Finalised transfers a second.
    pub transfers_per_s: f64,
    /// Submissions.
    pub submitted: u64,
    /// Submissions that were answered "later".
    pub refused: u64,
    /// The largest resident memory of the process, with all members and the generator, in bytes.
    pub resident_bytes: u64,
}

/// Submits at `rate`, whatever the answers. Who is told to come back later does so with the same transfer.
pub(super) fn overload(
    members: &[Member],
    loads: &mut [Load],
    rate: f64,
    times: Times,
) -> Result<Overloaded, Failure> {
    let began = Instant::now();
    let mut asked: BTreeMap<u64, (usize, OperationId, Vec<u8>)> = BTreeMap::new();
    let (mut submitted, mut refused, mut turn) = (0_u64, 0_u64, 0);
    let (mut counted, mut first, mut last) = (0_u64, None, began);
    let mut resident_bytes = 0;
    while began.elapsed() < times.warm_up + times.measured {
        let due = (began.elapsed().as_secs_f64() * rate) as u64;
        while submitted < due {
            turn = (turn + 1) % loads.len();
            let load = &mut loads[turn];
            let (id, bytes) = load
                .ready
                .pop_front()
                .ok_or("the signed transfers ran out; sign more")?;
            asked.insert(submitted, (turn, id, bytes.clone()));
            members[load.member].inbox.send(Input::Submit {
                token: submitted,
                operation: bytes,
            })?;
            submitted += 1;
        }
        let mut again = BTreeMap::new();
        for (m, member) in members.iter().enumerate() {
            for told in member.told.try_iter() {
                match told {
                    Told::Submitted { token, refused: no } => {
                        let sent = asked.remove(&token).filter(|_| no.is_some());
                        again.extend(sent.map(|sent| (token, sent)));
                    }
                    Told::Executed { operations, at } => {
                        if m == 0 && at.duration_since(began) > times.warm_up {
                            if first.is_some() {
                                counted += operations.len() as u64;
                            }
                            first.get_or_insert(at);
                            last = at;
                        }
                    }
                }
            }
        }
        refused += again.len() as u64;
        // In the order of their nonces again, as they were sent.
        for (load, id, bytes) in again.into_values().rev() {
            loads[load].ready.push_front((id, bytes));
        }
        resident_bytes = resident_bytes.max(resident()?);
        std::thread::sleep(LOOK);
    }
    let span = first.map_or(f64::INFINITY, |first| {
        last.duration_since(first).as_secs_f64()
    });
    Ok(Overloaded {
        transfers_per_s: counted as f64 / span,
        submitted,
        refused,
        resident_bytes,
    })
}

fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
    Ok(kib * 1024)
}
