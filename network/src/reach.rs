//! Whom to dial, look up or give up on, and when. Pure: what happened comes in, [`Action`]s come
//! out.
//!
//! A *target* is a peer that must be reached: a member (for as long as it is one) or the peer of a
//! fetch (once). An attempt is: dial at the addresses that are known; if that fails, look the peer
//! up in the routing table; if that found an address, dial again. After a failed attempt a member
//! waits, from `min` doubling to `max`, each pause jittered to between half of it and the whole, so
//! that nodes which lost one peer at one time do not return to it at one time. The peer of a fetch
//! is given up.
//!
//! Invariant: a target that is not connected always has a deadline, so a lost event delays it and
//! never strands it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::key::PeerKey;

/// Longest that an attempt may be silent before it counts as failed.
const ATTEMPT_MAX: Duration = Duration::from_secs(20);
/// A connection that held for less than this does not reset the pauses.
const STABLE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Dial the peer at every address known.
    Dial(PeerKey),
    /// Ask the routing table for its addresses.
    LookUp(PeerKey),
    /// Tell whoever waited that it cannot be reached.
    GiveUp(PeerKey),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connected { since: Duration },
    Waiting { until: Duration },
    Dialling { looked_up: bool, until: Duration },
    LookingUp { until: Duration },
}

#[derive(Debug)]
struct Target {
    member: bool,
    failures: u32,
    phase: Phase,
}

#[derive(Debug)]
pub(crate) struct Reach {
    min: Duration,
    max: Duration,
    targets: BTreeMap<PeerKey, Target>,
}

impl Reach {
    pub(crate) const fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max,
            targets: BTreeMap::new(),
        }
    }

    /// Replaces the set of members. `connected` says which are.
    pub(crate) fn set_members(
        &mut self,
        now: Duration,
        members: &BTreeSet<PeerKey>,
        connected: impl Fn(&PeerKey) -> bool,
    ) {
        self.targets.retain(|key, target| {
            target.member = members.contains(key);
            target.member
                || !matches!(
                    target.phase,
                    Phase::Connected { .. } | Phase::Waiting { .. }
                )
        });
        for key in members {
            self.targets.entry(*key).or_insert_with(|| Target {
                member: true,
                failures: 0,
                phase: if connected(key) {
                    Phase::Connected { since: now }
                } else {
                    Phase::Waiting { until: now }
                },
            });
        }
    }

    /// A fetch wants this peer. No effect on one that is already a target.
    pub(crate) fn want(&mut self, now: Duration, key: PeerKey) {
        let target = self.targets.entry(key).or_insert(Target {
            member: false,
            failures: 0,
            phase: Phase::Waiting { until: now },
        });
        if let Phase::Waiting { until } = &mut target.phase {
            *until = now;
        }
    }

    pub(crate) fn connected(&mut self, now: Duration, key: PeerKey) {
        match self.targets.get_mut(&key) {
            Some(target) if target.member => target.phase = Phase::Connected { since: now },
            Some(_) => {
                self.targets.remove(&key);
            }
            None => {}
        }
    }

    pub(crate) fn disconnected(&mut self, now: Duration, key: PeerKey, jitter: u64) {
        let Some(target) = self.targets.get_mut(&key) else {
            return;
        };
        if let Phase::Connected { since } = target.phase {
            target.failures = if now.saturating_sub(since) >= STABLE {
                0
            } else {
                target.failures.saturating_add(1)
            };
            let pause = pause(self.min, self.max, target.failures, jitter);
            target.phase = Phase::Waiting { until: now + pause };
        }
    }

    /// A dial to the peer failed, or its connection ended before it said hello.
    pub(crate) fn dial_failed(
        &mut self,
        now: Duration,
        key: PeerKey,
        jitter: u64,
        out: &mut Vec<Action>,
    ) {
        match self
            .targets
            .get_mut(&key)
            .map(|target| (&mut target.phase, target.member))
        {
            Some((
                phase @ Phase::Dialling {
                    looked_up: false, ..
                },
                _,
            )) => {
                *phase = Phase::LookingUp {
                    until: now + ATTEMPT_MAX,
                };
                out.push(Action::LookUp(key));
            }
            Some((
                Phase::Dialling {
                    looked_up: true, ..
                },
                _,
            )) => self.failed(now, key, jitter, out),
            _ => {}
        }
    }

    /// The look-up ended; `found` says whether it brought an address.
    pub(crate) fn looked_up(
        &mut self,
        now: Duration,
        key: PeerKey,
        found: bool,
        jitter: u64,
        out: &mut Vec<Action>,
    ) {
        let Some(target) = self.targets.get_mut(&key) else {
            return;
        };
        if !matches!(target.phase, Phase::LookingUp { .. }) {
            return;
        }
        if found {
            target.phase = Phase::Dialling {
                looked_up: true,
                until: now + ATTEMPT_MAX,
            };
            out.push(Action::Dial(key));
        } else {
            self.failed(now, key, jitter, out);
        }
    }

    /// Starts what is due.
    pub(crate) fn tick(
        &mut self,
        now: Duration,
        mut jitter: impl FnMut() -> u64,
        out: &mut Vec<Action>,
    ) {
        let mut overdue = Vec::new();
        for (key, target) in &mut self.targets {
            match target.phase {
                Phase::Waiting { until } if until <= now => {
                    target.phase = Phase::Dialling {
                        looked_up: false,
                        until: now + ATTEMPT_MAX,
                    };
                    out.push(Action::Dial(*key));
                }
                Phase::Dialling { until, .. } | Phase::LookingUp { until } if until <= now => {
                    overdue.push(*key)
                }
                _ => {}
            }
        }
        for key in overdue {
            self.failed(now, key, jitter(), out);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.targets
            .values()
            .filter_map(|target| match target.phase {
                Phase::Connected { .. } => None,
                Phase::Waiting { until }
                | Phase::Dialling { until, .. }
                | Phase::LookingUp { until } => Some(until),
            })
            .min()
    }

    fn failed(&mut self, now: Duration, key: PeerKey, jitter: u64, out: &mut Vec<Action>) {
        out.push(Action::GiveUp(key));
        let Some(target) = self.targets.get_mut(&key) else {
            return;
        };
        if target.member {
            let pause = pause(self.min, self.max, target.failures, jitter);
            target.failures = target.failures.saturating_add(1);
            target.phase = Phase::Waiting { until: now + pause };
        } else {
            self.targets.remove(&key);
        }
    }
}

/// `min`·2^failures, at most `max`, less up to a half of it by `jitter`.
fn pause(min: Duration, max: Duration, failures: u32, jitter: u64) -> Duration {
    let whole = min
        .saturating_mul(1u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX))
        .min(max);
    let half = u64::try_from((whole / 2).as_nanos()).unwrap_or(u64::MAX);
    whole - Duration::from_nanos(jitter % half.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PeerKey = PeerKey::new([1; 32]);
    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(8);

    fn member() -> Reach {
        let mut reach = Reach::new(MIN, MAX);
        reach.set_members(Duration::ZERO, &BTreeSet::from([KEY]), |_| false);
        reach
    }

    fn tick(reach: &mut Reach, now: Duration) -> Vec<Action> {
        let mut out = Vec::new();
        reach.tick(now, || 0, &mut out);
        out
    }

    fn fail_dial(reach: &mut Reach, now: Duration) -> Vec<Action> {
        let mut out = Vec::new();
        reach.dial_failed(now, KEY, 0, &mut out);
        out
    }

    fn end_look_up(reach: &mut Reach, now: Duration, found: bool) -> Vec<Action> {
        let mut out = Vec::new();
        reach.looked_up(now, KEY, found, 0, &mut out);
        out
    }

    #[test]
    fn a_member_is_dialled_then_looked_up_then_dialled_where_it_was_found() {
        let mut reach = member();
        let now = Duration::ZERO;
        assert_eq!(tick(&mut reach, now), [Action::Dial(KEY)]);
        assert_eq!(fail_dial(&mut reach, now), [Action::LookUp(KEY)]);
        assert_eq!(end_look_up(&mut reach, now, true), [Action::Dial(KEY)]);
        assert_eq!(fail_dial(&mut reach, now), [Action::GiveUp(KEY)]);
        assert_eq!(reach.next_deadline(), Some(MIN));
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_jitter_never_makes_them_zero() {
        let mut reach = member();
        let mut now = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert_eq!(tick(&mut reach, now), [Action::Dial(KEY)]);
            fail_dial(&mut reach, now);
            assert_eq!(end_look_up(&mut reach, now, false), [Action::GiveUp(KEY)]);
            let next = reach
                .next_deadline()
                .expect("a member always has a deadline");
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
        for jitter in [1, 12_345_678_901, u64::MAX] {
            let pause = pause(MIN, MAX, 9, jitter);
            assert!(pause > MAX / 2 && pause <= MAX, "{pause:?}");
        }
    }

    #[test]
    fn a_silent_attempt_counts_as_failed() {
        let mut reach = member();
        tick(&mut reach, Duration::ZERO);
        assert_eq!(reach.next_deadline(), Some(ATTEMPT_MAX));
        assert_eq!(tick(&mut reach, ATTEMPT_MAX), [Action::GiveUp(KEY)]);
        assert_eq!(tick(&mut reach, ATTEMPT_MAX + MIN), [Action::Dial(KEY)]);
    }

    #[test]
    fn a_connected_member_is_left_alone_and_dialled_again_when_it_is_lost() {
        let mut reach = member();
        tick(&mut reach, Duration::ZERO);
        reach.connected(Duration::ZERO, KEY);
        assert_eq!(reach.next_deadline(), None);
        assert!(fail_dial(&mut reach, MAX).is_empty());
        reach.disconnected(MAX, KEY, 0);
        assert_eq!(tick(&mut reach, MAX + MIN), [Action::Dial(KEY)]);
    }

    #[test]
    fn a_member_whose_connections_do_not_hold_is_dialled_ever_more_rarely() {
        let mut reach = member();
        for expected in [2, 4, 8, 8] {
            reach.connected(Duration::ZERO, KEY);
            reach.disconnected(Duration::ZERO, KEY, 0);
            assert_eq!(reach.next_deadline(), Some(Duration::from_secs(expected)));
        }
    }

    #[test]
    fn the_peer_of_a_fetch_is_tried_once_and_given_up() {
        let mut reach = Reach::new(MIN, MAX);
        reach.want(Duration::ZERO, KEY);
        assert_eq!(tick(&mut reach, Duration::ZERO), [Action::Dial(KEY)]);
        assert_eq!(fail_dial(&mut reach, Duration::ZERO), [Action::LookUp(KEY)]);
        assert_eq!(
            end_look_up(&mut reach, Duration::ZERO, false),
            [Action::GiveUp(KEY)]
        );
        assert_eq!(reach.next_deadline(), None);
    }

    #[test]
    fn who_is_no_member_any_more_is_not_dialled() {
        let mut reach = member();
        reach.set_members(Duration::ZERO, &BTreeSet::new(), |_| false);
        assert!(tick(&mut reach, MAX).is_empty());
    }
}
