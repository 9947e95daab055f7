//! What an operator has to know before it costs money: judged from facts, kept, told when it changes.
//!
//! [`judge`] is a pure function from [`Facts`] to [`Alert`]s; a task gathers the facts every few seconds and after every
//! root record, which begins an epoch. An alert is *raised* when it is first true and *cleared* when it no longer is;
//! both are logged and told as events. The status lists what stands, and `/metrics` has one gauge for each code.
//! docs/operators.md says what each means and what to do; a test compares that list with [`Code::ALL`].

use super::core::free_bytes;
use super::due::{Due, due};
use super::handle::{CoreError, CoreHandle};
use super::status::seat_of;
use crate::amounts::{bytes, short};
use crate::views::{AlertView, EventView};
use frith_ledger::entity::WorkerStatus;
use frith_ledger::key::PublicKey;
use frith_ledger::units::Epoch;
use frith_neighbourhood::Unready;
use frith_tasks::LeafState;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// How often the facts are looked at, beside every new epoch.
const EVERY: Duration = Duration::from_secs(5);
/// Epochs before a deadline from which on it is an alert. The last one in which it can be met is the next.
const DUE_EPOCHS: u64 = 1;
/// Syncs slower than this on average since the last look are worth a word.
const SLOW_SYNC: Duration = Duration::from_millis(200);
/// Wall and steady clock may drift apart by this much between two looks.
const CLOCK_JUMP: Duration = Duration::from_secs(1);
/// How long a jump of the clock stays an alert.
const CLOCK_REMEMBERED: Duration = Duration::from_secs(600);
/// Tasks that one alert names.
const NAMED_MAX: usize = 4;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It will cost something if nothing changes.
    Warning,
    /// It costs something now, or the node doesn't take part.
    Critical,
}

impl Severity {
    /// Its name, as it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $severity:ident;)*) => {
        /// What an alert is about. The names are part of the interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, as in the status, events, metrics and the guide.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// A task that this worker was drawn for must be committed by the end of the next epoch.
    CommitDue "commit_due" Warning;
    /// A committed result must be revealed by the end of the next epoch.
    RevealDue "reveal_due" Critical;
    /// The stake was taken for an offence.
    Slashed "slashed" Critical;
    /// A member showed a signature of this node's key that its record doesn't know.
    RecordLost "record_lost" Critical;
    /// The collateral doesn't cover the least bond: no task is drawn for this worker.
    CollateralLow "collateral_low" Warning;
    /// Runs fail on this machine's side and are tried again.
    RunsFailing "runs_failing" Warning;
    /// The node takes no further part.
    Halted "halted" Critical;
    /// It asks the others what it signed, and doesn't vote.
    Recovering "recovering" Warning;
    /// It copies the state, and doesn't vote.
    Copying "copying" Warning;
    /// Less than two thirds of the committee's weight is connected.
    NoQuorum "no_quorum" Critical;
    /// Its epoch is behind the others'.
    Behind "behind" Warning;
    /// The disk is nearly full, or the quota used up: content is or will soon be refused.
    DiskFilling "disk_filling" Warning;
    /// The disk is full: the next write may end the node's part.
    DiskFull "disk_full" Critical;
    /// The disk takes long to make writes durable.
    SyncSlow "sync_slow" Warning;
    /// The wall clock jumped.
    ClockJumped "clock_jumped" Warning;
}

/// Something that an operator has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What it is about.
    pub code: Code,
    /// What is wrong, with figures.
    pub message: String,
}

/// What alerts are judged by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The epoch that the leaf is in.
    pub now: Epoch,
    /// Why the node isn't ready.
    pub unready: Vec<Unready>,
    /// Open places of this worker.
    pub due: Vec<Due>,
    /// Whether its stake was taken.
    pub slashed: bool,
    /// Whether a member showed a signature of this node's key that its record doesn't know.
    pub record_lost: bool,
    /// What the collateral lacks to the least bond, as shown; `None` when it suffices or there is no worker.
    pub collateral_lacks: Option<String>,
    /// Runs that failed here and wait for another try.
    pub failing: u64,
    /// Bytes free on the store's disk, and bytes that content leaves free.
    pub disk: Option<(u64, u64)>,
    /// Bytes that the data directory has, and may have; `None` without a quota.
    pub quota: Option<(u64, u64)>,
    /// Average time of a sync since the last look.
    pub sync: Duration,
    /// How far the wall clock jumped, lately.
    pub jumped: Option<Duration>,
}

/// What is wrong by these facts.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut say = |code, message: String| alerts.push(Alert { code, message });
    deadlines(facts, &mut say);
    if facts.slashed {
        say(
            Code::Slashed,
            "the stake of this worker was taken: its key signed two things that exclude each other"
                .to_owned(),
        );
    }
    if facts.record_lost {
        say(
            Code::RecordLost,
            "a member shows a signature of this key that the record doesn't know: the directory is an older copy, or \
             another process signs with this key"
                .to_owned(),
        );
    }
    if let Some(lacks) = &facts.collateral_lacks {
        say(
            Code::CollateralLow,
            format!(
                "the collateral is {lacks} credits below the least bond: no task is drawn for this worker"
            ),
        );
    }
    if facts.failing > 0 {
        say(
            Code::RunsFailing,
            format!(
                "{} runs failed on this machine and are tried again; a place that isn't committed in time is lost",
                facts.failing
            ),
        );
    }
    for reason in &facts.unready {
        let code = match reason {
            Unready::Halted { .. } => Code::Halted,
            Unready::Recovering => Code::Recovering,
            Unready::Copying => Code::Copying,
            Unready::Weight { .. } => Code::NoQuorum,
            Unready::Behind { .. } => Code::Behind,
        };
        say(code, reason.to_string());
    }
    room(facts, &mut say);
    if facts.sync > SLOW_SYNC {
        say(
            Code::SyncSlow,
            format!(
                "a sync of the disk takes {} ms on average: votes come late",
                facts.sync.as_millis()
            ),
        );
    }
    if let Some(jump) = facts.jumped {
        say(
            Code::ClockJumped,
            format!("the wall clock jumped by {} ms", jump.as_millis()),
        );
    }
    alerts
}

fn deadlines(facts: &Facts, say: &mut impl FnMut(Code, String)) {
    let near = |due: &&Due| due.until <= facts.now.plus(DUE_EPOCHS);
    for committed in [false, true] {
        let these: Vec<&Due> = facts
            .due
            .iter()
            .filter(|due| due.committed == committed)
            .filter(near)
            .collect();
        if these.is_empty() {
            continue;
        }
        let names: Vec<String> = these
            .iter()
            .take(NAMED_MAX)
            .map(|due| format!("{} until epoch {}", short(&due.task), due.until))
            .collect();
        let (code, what) = if committed {
            (Code::RevealDue, "revealed")
        } else {
            (Code::CommitDue, "committed")
        };
        say(
            code,
            format!(
                "{} tasks must be {what} (now epoch {}): {}",
                these.len(),
                facts.now,
                names.join(", ")
            ),
        );
    }
}

fn room(facts: &Facts, say: &mut impl FnMut(Code, String)) {
    if let Some((free, min)) = facts.disk {
        if free < min / 4 {
            say(Code::DiskFull, format!("{} free on the disk", bytes(free)));
        } else if free < min.saturating_mul(2) {
            say(
                Code::DiskFilling,
                format!(
                    "{} free on the disk; below {} no content is taken",
                    bytes(free),
                    bytes(min)
                ),
            );
        }
    }
    if let Some((used, max)) = facts.quota
        && used > max / 10 * 9
    {
        say(
            Code::DiskFilling,
            format!(
                "{} of the {} that disk_mib_max allows are used; above it no content is taken",
                bytes(used),
                bytes(max)
            ),
        );
    }
}

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
pub(super) struct Watch {
    core: CoreHandle,
    alerts: Alerts,
    key: PublicKey,
    disk: super::core::DiskGuard,
    clocks: (Instant, SystemTime),
    jumped: Option<(Instant, Duration)>,
    syncs: (u64, u64),
}

impl Watch {
    /// A watch over the node of `core`, whose worker has `key` and whose store is where `disk` says.
    #[must_use]
    pub(super) fn new(
        core: CoreHandle,
        alerts: Alerts,
        key: PublicKey,
        disk: super::core::DiskGuard,
    ) -> Self {
        Self {
            core,
            alerts,
            key,
            disk,
            clocks: (Instant::now(), SystemTime::now()),
            jumped: None,
            syncs: (0, 0),
        }
    }

    /// Watches until `ending` becomes true or the core is gone.
    pub(super) async fn run(mut self, mut ending: watch::Receiver<bool>) {
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
        let (state, unready, now) = self
            .core
            .query(|node| (node.state().clone(), node.unready(), node.epoch()))
            .await?;
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

    fn check(facts: Facts, expected: &[Code]) {
        let found: Vec<Code> = judge(&facts).into_iter().map(|alert| alert.code).collect();
        assert_eq!(found, expected, "{facts:?}");
    }

    fn due(until: u64, committed: bool) -> Facts {
        Facts {
            now: Epoch::new(10),
            due: vec![Due {
                task: "frith1…".to_owned(),
                until: Epoch::new(until),
                committed,
            }],
            ..Facts::default()
        }
    }

    #[test]
    fn a_healthy_node_has_no_alert() {
        check(Facts::default(), &[]);
    }

    #[test]
    fn a_deadline_is_an_alert_from_the_epoch_before_it_on() {
        check(due(12, false), &[]);
        check(due(11, false), &[Code::CommitDue]);
        check(due(10, false), &[Code::CommitDue]);
        check(due(12, true), &[]);
        check(due(11, true), &[Code::RevealDue]);
    }

    #[test]
    fn a_disk_is_an_alert_before_it_is_full() {
        let disk = |free, min| Facts {
            disk: Some((free, min)),
            ..Facts::default()
        };
        check(disk(200, 100), &[]);
        check(disk(199, 100), &[Code::DiskFilling]);
        check(disk(24, 100), &[Code::DiskFull]);
        let quota = |used| Facts {
            quota: Some((used, 100)),
            ..Facts::default()
        };
        check(quota(90), &[]);
        check(quota(91), &[Code::DiskFilling]);
    }

    #[test]
    fn what_costs_the_stake_is_critical() {
        let facts = Facts {
            slashed: true,
            record_lost: true,
            ..Facts::default()
        };
        check(facts, &[Code::Slashed, Code::RecordLost]);
        assert_eq!(Code::RecordLost.severity(), Severity::Critical);
    }

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

    #[test]
    fn every_alert_stands_in_the_operators_guide() {
        let guide = include_str!("../../../docs/operators.md");
        for code in Code::ALL {
            assert!(
                guide.contains(&format!("| `{}` |", code.name())),
                "{} is missing in docs/operators.md",
                code.name()
            );
        }
    }
}
