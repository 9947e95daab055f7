//! Asking the workers that ran a task.

use super::kept::KeptLog;
use crate::service::content::FetchRequest;
use bytes::Bytes;
use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::entity::{PlaceState, Task, TaskState};
use frith_ledger::key::PublicKey;
use frith_network::{FetchError, Network, PeerKey};
use futures::StreamExt as _;
use parity_scale_codec::Encode as _;

/// Workers that are asked at one time.
const ASKED_AT_ONCE: usize = 3;

/// A worker that has run a task, or should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// Its seat.
    pub seat: Address,
    /// The key that its node has in the network.
    pub key: PublicKey,
}

/// A worker that gave no log, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// Its seat.
    pub seat: Address,
    /// Why not.
    pub reason: String,
}

/// Who ran a task, as far as its entity says: those first that have committed to a result.
#[must_use]
pub fn ran(task: &Task) -> Vec<Ran> {
    let has_committed = |state: &PlaceState| {
        matches!(
            state,
            PlaceState::Committed | PlaceState::Revealed(_) | PlaceState::Unrevealed
        )
    };
    let (first, last): (Vec<_>, Vec<_>) = task
        .places
        .iter()
        .partition(|place| has_committed(&place.state));
    let arbitrators = match &task.state {
        TaskState::Arbitrating { arbitrators, .. } => &arbitrators[..],
        _ => &[],
    };
    let places = first.into_iter().chain(last);
    let places = places.map(|place| (place.seat, place.key));
    let deciding = arbitrators.iter().map(|own| (own.seat, own.key));
    let mut all = Vec::new();
    for (seat, key) in places.chain(deciding) {
        let worker = Ran { seat, key };
        if !all.contains(&worker) {
            all.push(worker);
        }
    }
    all
}

/// The first log that one of these workers has, or why none has one.
///
/// # Errors
/// Each worker's reason.
pub async fn ask(
    network: &Network,
    task: &Address,
    workers: Vec<Ran>,
) -> Result<(Ran, KeptLog), Vec<Silent>> {
    let asked = workers.into_iter().map(|worker| async move {
        let request = FetchRequest::Logs { task: *task }.encode();
        let answer = network.fetch(PeerKey::new(worker.key.0), Bytes::from(request));
        taken(&worker, answer.await)
    });
    let mut answers = futures::stream::iter(asked).buffer_unordered(ASKED_AT_ONCE);
    let mut silent = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(found) => return Ok(found),
            Err(none) => silent.push(none),
        }
    }
    Err(silent)
}

/// A worker's answer, if it is one.
fn taken(worker: &Ran, answer: Result<Bytes, FetchError>) -> Result<(Ran, KeptLog), Silent> {
    let silent = |reason: String| Silent {
        seat: worker.seat,
        reason,
    };
    let bytes = answer.map_err(|error| match error {
        FetchError::Refused => silent("it keeps no log of this task".to_owned()),
        other => silent(other.to_string()),
    })?;
    let kept: KeptLog = decode(&bytes, KeptLog::BYTES_MAX)
        .map_err(|error| silent(format!("its answer is no log: {error}")))?;
    if kept.log.seat != worker.seat || !kept.log.stderr.is_possible() {
        return Err(silent("its answer is no log of its own".to_owned()));
    }
    Ok((*worker, kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::logs::RunLog;
    use frith_ledger::entity::RunStatus;
    use frith_ledger::units::Fuel;

    fn kept(seat: u8) -> KeptLog {
        KeptLog {
            age_s: 1,
            log: RunLog {
                seat: Address([seat; 32]),
                engine: 0,
                status: RunStatus::Exit(0),
                fuel: Fuel::new(1),
                stderr: b"words"[..].into(),
            },
        }
    }

    fn said(answer: Result<Vec<u8>, FetchError>) -> Result<KeptLog, String> {
        let worker = Ran {
            seat: Address([1; 32]),
            key: PublicKey([2; 32]),
        };
        let taken = taken(&worker, answer.map(Bytes::from));
        taken.map(|(_, kept)| kept).map_err(|silent| silent.reason)
    }

    #[test]
    fn only_a_workers_log_of_its_own_place_is_passed_on() {
        assert_eq!(said(Ok(kept(1).encode())), Ok(kept(1)));
        let check = |answer: Result<Vec<u8>, FetchError>, part: &str| {
            let reason = said(answer).expect_err("no log");
            assert!(reason.contains(part), "{reason}");
        };
        check(Ok(kept(3).encode()), "no log of its own");
        check(Ok(kept(1).encode()[1..].to_vec()), "no log:");
        check(Ok(vec![0; KeptLog::BYTES_MAX + 1]), "no log:");
        check(Err(FetchError::Refused), "keeps no log");
        // A tail without a whole head: no text has such an excerpt.
        let mut spoilt = kept(1).encode();
        spoilt.pop();
        spoilt.extend(vec![7_u8].encode());
        check(Ok(spoilt), "no log of its own");
    }
}
