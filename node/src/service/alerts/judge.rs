//! What is wrong, by the facts.

use crate::amounts::{bytes, short};
use crate::service::due::Due;
use frith_ledger::units::Epoch;
use frith_neighbourhood::Unready;
use std::time::Duration;

/// Epochs before a deadline from which on it is an alert. The last one in which it can be met is the next.
const DUE_EPOCHS: u64 = 1;
/// Syncs slower than this on average since the last look are worth a word.
const SLOW_SYNC: Duration = Duration::from_millis(200);
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
    /// The clock is far from the times of the root records: this node doesn't vote for them.
    ClockOff "clock_off" Critical;
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
    /// How far the clock is behind (positive) or ahead of the newest root record, in ms, when that is further than members
    /// vote for.
    pub clock_off_ms: Option<i64>,
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
    if let Some(off) = facts.clock_off_ms {
        let side = if off > 0 { "behind" } else { "ahead of" };
        say(
            Code::ClockOff,
            format!(
                "this machine's clock is {} s {side} the newest root record: this node votes for no \
                 such record",
                off.unsigned_abs() / 1000
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
    fn a_clock_far_from_the_records_is_an_alert_on_either_side() {
        for off in [-7_000, 7_000] {
            let facts = Facts {
                clock_off_ms: Some(off),
                ..Facts::default()
            };
            let said = judge(&facts).remove(0).message;
            assert_eq!(said.contains("7 s behind"), off > 0, "{said}");
            check(facts, &[Code::ClockOff]);
        }
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
    fn every_alert_stands_in_the_operators_guide() {
        let guide = include_str!("../../../../docs/operators.md");
        for code in Code::ALL {
            assert!(
                guide.contains(&format!("| `{}` |", code.name())),
                "{} is missing in docs/operators.md",
                code.name()
            );
        }
    }
}
