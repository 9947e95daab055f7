//! Gathers the facts, and keeps what stands.

use super::judge::{Alert, Code, Facts, judge};
use crate::service::clock::wall;
use crate::service::disk::{DiskGuard, free_bytes};
use crate::service::due::due;
use crate::service::handle::{CoreError, CoreHandle};
use crate::service::status::seat_of;
use crate::views::{AlertView, EventView};
use frith_ledger::entity::WorkerStatus;
use frith_ledger::key::PublicKey;
use frith_ledger::units::{Epoch, UnixMillis};
use frith_tasks::LeafState;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// How often the facts are looked at, beside every new epoch.
const EVERY: Duration = Duration::from_secs(5);
/// Wall and steady clock may drift apart by this much between two looks.
const CLOCK_JUMP: Duration = Duration::from_secs(1);
/// How long a jump of the clock stays an alert.
const CLOCK_REMEMBERED: Duration = Duration::from_secs(600);

/// The alerts that stand, and since when. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Alerts(Arc<Mutex<BTreeMap<Code, (String, Instant)>>>);

impl Alerts {
    /// What stands now, worst first.
    #[must_use]
    pub fn standing(&self) -> Vec<AlertView> {
        let standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut views: Vec<AlertView> = standing
            .iter()
            .map(|(code, (message, since))| AlertView {
                code: code.name().to_owned(),
                severity: code.severity().name().to_owned(),
                message: message.clone(),
                for_s: since.elapsed().as_secs(),
            })
            .collect();
        views.sort_by(|a, b| a.severity.cmp(&b.severity));
        views
    }

    /// Replaces what stands; the codes that are new, and those that are gone.
    fn replace(&self, alerts: &[Alert]) -> (Vec<Alert>, Vec<Code>) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now: BTreeMap<Code, String> = alerts
            .iter()
            .map(|alert| (alert.code, alert.message.clone()))
            .collect();
        let gone: Vec<Code> = standing
            .keys()
            .filter(|code| !now.contains_key(code))
            .copied()
            .collect();
        standing.retain(|code, _| now.contains_key(code));
        let mut raised = Vec::new();
        for (code, message) in now {
            match standing.get_mut(&code) {
                Some((text, _)) => *text = message,
                None => {
                    standing.insert(code, (message.clone(), Instant::now()));
                    raised.push(Alert { code, message });
                }
            }
        }
        (raised, gone)
    }
}

/// Gathers facts and keeps [`Alerts`] up to date.
pub(in crate::service) struct Watch {
    core: CoreHandle,
    alerts: Alerts,
    key: PublicKey,
    disk: DiskGuard,
    clocks: (Instant, SystemTime),
    jumped: Option<(Instant, Duration)>,
    /// Root records known at the last look, and how far the clock was from the newest.
    roots: Option<Epoch>,
    clock_off_ms: Option<i64>,
    syncs: (u64, u64),
}

impl Watch {
    /// A watch over the node of `core`, whose worker has `key` and whose store is where `disk` says.
    #[must_use]
    pub(in crate::service) fn new(
        core: CoreHandle,
        alerts: Alerts,
        key: PublicKey,
        disk: DiskGuard,
    ) -> Self {
        Self {
            core,
            alerts,
            key,
            disk,
            clocks: (Instant::now(), SystemTime::now()),
            jumped: None,
            roots: None,
            clock_off_ms: None,
            syncs: (0, 0),
        }
    }

    /// Watches until `ending` becomes true or the core is gone.
    pub(in crate::service) async fn run(mut self, mut ending: watch::Receiver<bool>) {
        let mut progress = self.core.progress();
        let mut roots = progress.borrow().roots;
        loop {
            if self.look().await.is_err() {
                return;
            }
            let new_epoch = async {
                loop {
                    if progress.changed().await.is_err() {
                        return;
                    }
                    let now = progress.borrow_and_update().roots;
                    if now != roots {
                        roots = now;
                        return;
                    }
                }
            };
            tokio::select! {
                () = new_epoch => {}
                () = tokio::time::sleep(EVERY) => {}
                ended = ending.wait_for(|ending| *ending) => {
                    // An error means that nobody can end it any more, which is an end too.
                    let _sender_gone = ended.is_err();
                    return;
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), CoreError> {
        let facts = self.facts().await?;
        let (raised, gone) = self.alerts.replace(&judge(&facts));
        for alert in raised {
            let (code, severity) = (alert.code.name(), alert.code.severity().name());
            tracing::warn!(code, severity, message = alert.message, "ALERT");
            self.tell(alert.code, Some(alert.message));
        }
        for code in gone {
            tracing::info!(code = code.name(), "alert cleared");
            self.tell(code, None);
        }
        Ok(())
    }

    fn tell(&self, code: Code, message: Option<String>) {
        self.core.tell(EventView::Alert {
            code: code.name().to_owned(),
            severity: code.severity().name().to_owned(),
            raised: message.is_some(),
            message: message.unwrap_or_default(),
        });
    }

    async fn facts(&mut self) -> Result<Facts, CoreError> {
        let (state, unready, now, record) = self
            .core
            .query(|node| {
                let record = (node.roots(), node.record_time());
                (node.state().clone(), node.unready(), node.epoch(), record)
            })
            .await?;
        // Who catches up meets old records.
        let fresh = self
            .roots
            .replace(record.0)
            .is_some_and(|before| before < record.0);
        let fresh = fresh && unready.is_empty();
        let counters = self.core.counters().clone();
        let mut facts = Facts {
            now,
            unready,
            record_lost: counters.records_lost.get() > 0,
            failing: counters.failing.get(),
            disk: free_bytes(&self.disk.path)
                .ok()
                .map(|free| (free, self.disk.free_bytes_min)),
            quota: self
                .disk
                .used()
                .map(|used| (used, self.disk.used_bytes_max)),
            sync: self.sync(counters.syncs.get(), counters.sync_us.get()),
            clock_off_ms: self.clock_off(fresh, record.1, wall()),
            jumped: self.clock(),
            ..Facts::default()
        };
        self.worker(&state, &mut facts);
        Ok(facts)
    }

    /// The worker's own part: its places, its stake, its collateral.
    fn worker(&self, state: &LeafState, facts: &mut Facts) {
        let Some((seat, worker)) = seat_of(state, &self.key) else {
            return;
        };
        facts.slashed = matches!(worker.status, WorkerStatus::Slashed { .. });
        let least = self.core.rules().parameters().bond_min;
        if worker.status == WorkerStatus::Active
            && worker.key == self.key
            && let Ok(lacks) = least.sub(worker.collateral)
            && lacks > frith_ledger::credits::Credits::ZERO
        {
            facts.collateral_lacks = Some(lacks.to_string());
        }
        facts.due = due(state, &seat, &worker, &self.key);
    }

    /// The average time of the syncs since the last look.
    fn sync(&mut self, count: u64, micros: u64) -> Duration {
        let (before, before_us) = std::mem::replace(&mut self.syncs, (count, micros));
        let (made, took) = (
            count.saturating_sub(before),
            micros.saturating_sub(before_us),
        );
        Duration::from_micros(took.checked_div(made).unwrap_or(0))
    }

    /// How far the clock is behind a record that came since the last look, in ms, when that is further than members vote
    /// for. A record may have waited for so long as there is between two looks.
    fn clock_off(&mut self, fresh: bool, record: UnixMillis, own: UnixMillis) -> Option<i64> {
        if fresh {
            let tolerance = self.core.rules().parameters().clock_tolerance_ms();
            let waited = u64::try_from(EVERY.as_millis()).unwrap_or_default();
            let off = record
                .get()
                .cast_signed()
                .saturating_sub(own.get().cast_signed());
            let allowed = if off > 0 {
                tolerance
            } else {
                tolerance.saturating_add(waited)
            };
            self.clock_off_ms = (off.unsigned_abs() > allowed).then_some(off);
        }
        self.clock_off_ms
    }

    /// How far the wall clock jumped lately.
    fn clock(&mut self) -> Option<Duration> {
        let (steady, wall) =
            std::mem::replace(&mut self.clocks, (Instant::now(), SystemTime::now()));
        let passed = steady.elapsed();
        let shown = wall.elapsed().unwrap_or(Duration::ZERO);
        let jump = passed.abs_diff(shown);
        if jump > CLOCK_JUMP {
            self.jumped = Some((Instant::now(), jump));
        }
        self.jumped
            .filter(|(at, _)| at.elapsed() < CLOCK_REMEMBERED)
            .map(|(_, jump)| jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_raised_once_and_cleared_once() {
        let alerts = Alerts::default();
        let one = [Alert {
            code: Code::Behind,
            message: "x".to_owned(),
        }];
        assert_eq!(alerts.replace(&one), (one.to_vec(), Vec::new()));
        assert_eq!(alerts.replace(&one), (Vec::new(), Vec::new()));
        assert_eq!(alerts.standing().len(), 1);
        assert_eq!(alerts.replace(&[]), (Vec::new(), vec![Code::Behind]));
        assert!(alerts.standing().is_empty());
    }
}
