//! All scenarios of a small committee, and random ones of a larger one.
//!
//! A scenario of r rounds is r partitions and the leaders of the first r + 1 views; later views are led in turn.
//! All of them are gone through depth first: when a cluster comes up that can't be told apart from one that was gone on
//! from after as many rounds, its scenarios are counted and not run again. Which member is twinned doesn't matter, since the others are alike; for
//! the same reason the first round is tried up to permutations of the correct members and of the twins.

use super::cluster::{Cluster, Violation};
use crate::random::Random;
use frith_neighbourhood::consensus::Faults;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Members of the committee whose scenarios are all tried; one of them runs twice.
pub const MEMBERS: u16 = 4;
/// Rounds with a whole network within which everyone must commit: three correct leaders follow one another in
/// each cycle, and a first cycle may end half way.
pub const HEALING_ROUNDS: u64 = 16;
/// Views that are led in turn after the chosen ones.
const VIEWS: usize = 64;

/// A scenario that broke something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{violation}; parts by round: {parts:?}, leaders by view: {leaders:?}")]
pub struct Found {
    /// What.
    pub violation: Violation,
    /// In which part each process was, by round.
    pub parts: Vec<Vec<u8>>,
    /// Who led the first views.
    pub leaders: Vec<u16>,
}

/// What was gone through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Scenarios, each partition and leader of each round counted.
    pub scenarios: u64,
    /// Rounds that were really run.
    pub rounds_run: u64,
    /// Clusters after the last round, each of which had to commit again with a whole network.
    pub ends: u64,
}

/// How a search is made.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// Rounds.
    pub rounds: usize,
    /// Parts into which the processes may be cut, at the most.
    pub parts_max: u8,
    /// Bugs in all processes.
    pub bugs: Faults,
    /// Whether the twins also build on less than they know.
    pub stale: bool,
}

/// All partitions of `count` processes into at most `most` parts, as restricted growth strings.
fn partitions(count: usize, most: u8) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        all = all
            .into_iter()
            .flat_map(|parts: Vec<u8>| {
                let next = parts.iter().max().map_or(0, |max| max + 1);
                (0..=next.min(most - 1)).map(move |part| {
                    let mut parts = parts.clone();
                    parts.push(part);
                    parts
                })
            })
            .collect();
    }
    all
}

/// Names parts in the order in which they first appear.
fn renamed(parts: &[u8]) -> Vec<u8> {
    let mut names: Vec<u8> = Vec::new();
    let name = |part: &u8| {
        let at = names.iter().position(|name| name == part);
        let at = at.unwrap_or_else(|| {
            names.push(*part);
            names.len() - 1
        });
        u8::try_from(at).unwrap_or(u8::MAX)
    };
    parts.iter().map(name).collect()
}

/// The ways in which the four processes 0, 4 (twins) and 1, 2, 3 can change places.
fn symmetries() -> Vec<[usize; 5]> {
    let orders = [
        [1, 2, 3],
        [1, 3, 2],
        [2, 1, 3],
        [2, 3, 1],
        [3, 1, 2],
        [3, 2, 1],
    ];
    orders
        .iter()
        .flat_map(|[a, b, c]| [[0, *a, *b, *c, 4], [4, *a, *b, *c, 0]])
        .collect()
}

fn led_in_turn(leaders: &[u16], members: u16) -> Vec<u16> {
    let rest = (0..members).cycle().take(VIEWS);
    leaders.iter().copied().chain(rest).collect()
}

#[derive(Clone)]
struct Branch {
    cluster: Cluster,
    parts: Vec<Vec<u8>>,
    leaders: Vec<u16>,
    /// How many scenarios begin like this one, but for the names of members.
    alike: u64,
}

impl Branch {
    fn found(&self, violation: Violation) -> Box<Found> {
        Box::new(Found {
            violation,
            parts: self.parts.clone(),
            leaders: self.leaders.clone(),
        })
    }

    /// One more round, and who leads the view after it.
    fn on(&self, parts: &[u8], leader: u16) -> Result<Self, Box<Found>> {
        let mut after = self.clone();
        after.parts.push(parts.to_vec());
        after.leaders.push(leader);
        after.cluster.lead(&led_in_turn(&after.leaders, MEMBERS));
        let run = after.cluster.round(parts);
        run.map_err(|violation| after.found(violation))?;
        Ok(after)
    }
}

/// What a cluster can't be told apart by, and the leader that comes next.
type Seen = BTreeSet<([u8; 32], u16)>;

struct Walk {
    rounds: usize,
    cuts: Vec<Vec<u8>>,
    /// By rounds done.
    seen: Vec<Mutex<Seen>>,
    coverage: Mutex<Coverage>,
}

impl Walk {
    /// Choices for one round.
    fn width(&self) -> u64 {
        self.cuts.len() as u64 * u64::from(MEMBERS)
    }

    fn count(&self, change: impl FnOnce(&mut Coverage)) {
        change(&mut self.coverage.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether nobody has gone on from such a cluster.
    fn is_new(&self, branch: &Branch, leader: u16) -> bool {
        let key = (branch.cluster.fingerprint(), leader);
        self.seen.get(branch.parts.len()).is_none_or(|seen| {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key)
        })
    }

    fn first_rounds(&self, start: &Cluster) -> Vec<(Branch, Vec<u8>, u16)> {
        let symmetries = symmetries();
        let mut all = Vec::new();
        for first in 0..MEMBERS {
            for parts in &self.cuts {
                for leader in 0..MEMBERS {
                    let alike = orbit(&symmetries, parts, &[first, leader]);
                    let branch = Branch {
                        cluster: start.clone(),
                        parts: Vec::new(),
                        leaders: vec![first],
                        alike,
                    };
                    if alike > 0 {
                        all.push((branch, parts.clone(), leader));
                    }
                }
            }
        }
        all
    }

    fn go(&self, branch: &Branch, parts: &[u8], leader: u16) -> Result<(), Box<Found>> {
        let mut after = branch.on(parts, leader)?;
        self.count(|coverage| coverage.rounds_run += 1);
        let left = self.rounds - after.parts.len();
        // At the end hardly any are alike: telling them apart would cost more than it spares.
        if left > 0 && !self.is_new(&after, leader) {
            let skipped = (0..left).fold(after.alike, |count, _| count * self.width());
            self.count(|coverage| coverage.scenarios += skipped);
            return Ok(());
        }
        if left > 0 {
            for parts in &self.cuts {
                for leader in 0..MEMBERS {
                    self.go(&after, parts, leader)?;
                }
            }
            return Ok(());
        }
        self.count(|coverage| {
            coverage.scenarios += after.alike;
            coverage.ends += 1;
        });
        let healed = after.cluster.heal(HEALING_ROUNDS);
        healed.map_err(|violation| after.found(violation))
    }
}

/// Goes through every scenario of four members of which one runs twice, some at once.
///
/// # Errors
/// A scenario that breaks something.
pub fn all(search: Search, jobs: usize) -> Result<Coverage, Box<Found>> {
    let start = Cluster::new(MEMBERS, 1, search.bugs, search.stale);
    let walk = Walk {
        rounds: search.rounds,
        cuts: partitions(start.len(), search.parts_max),
        seen: (0..search.rounds).map(|_| Mutex::default()).collect(),
        coverage: Mutex::default(),
    };
    let firsts = walk.first_rounds(&start);
    let (next, found) = (AtomicUsize::new(0), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some((branch, parts, leader)) =
                    firsts.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if let Err(broken) = walk.go(branch, parts, *leader) {
                        next.store(firsts.len(), Ordering::Relaxed);
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.get_or_insert(broken);
                    }
                }
            });
        }
    });
    let coverage = walk
        .coverage
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.map_or(Ok(coverage), Err)
}

/// How many first rounds are this one with members in other places; 0 when one of them stands for it.
fn orbit(symmetries: &[[usize; 5]], parts: &[u8], leaders: &[u16]) -> u64 {
    let original = (renamed(parts), leaders.to_vec());
    let images: BTreeSet<(Vec<u8>, Vec<u16>)> = symmetries
        .iter()
        .map(|places| {
            let moved: Vec<u8> = places.iter().map(|place| parts[*place]).collect();
            let lead = |leader: &u16| {
                let at = places.iter().position(|p| p % 4 == usize::from(*leader));
                u16::try_from(at.unwrap_or(0) % 4).unwrap_or(0)
            };
            (renamed(&moved), leaders.iter().map(lead).collect())
        })
        .collect();
    if images.first() == Some(&original) {
        images.len() as u64
    } else {
        0
    }
}

/// One random scenario of `members`, of which `twins` run twice.
///
/// # Errors
/// What it breaks.
pub fn random(
    seed: u64,
    members: u16,
    twins: u16,
    bugs: Faults,
    stale: bool,
) -> Result<(), Box<Found>> {
    let mut random = Random::new(seed ^ 0x7717_0000_0000_0007);
    let rounds = random.between(4, 7);
    let mut cluster = Cluster::new(members, twins, bugs, stale);
    let leaders: Vec<u16> = (0..=rounds)
        .map(|_| u16::try_from(random.below(u64::from(members))).unwrap_or(0))
        .collect();
    cluster.lead(&led_in_turn(&leaders, members));
    let mut found = Found {
        violation: Violation::Stuck {
            process: 0,
            rounds: 0,
        },
        parts: Vec::new(),
        leaders,
    };
    let mut run = || {
        for _ in 0..rounds {
            let most = random.between(1, 3);
            let parts: Vec<u8> = (0..cluster.len())
                .map(|_| u8::try_from(random.below(most)).unwrap_or(0))
                .collect();
            found.parts.push(parts.clone());
            cluster.round(&parts)?;
        }
        cluster.heal(HEALING_ROUNDS + u64::from(members))
    };
    run().map_err(|violation| {
        found.violation = violation;
        Box::new(found)
    })
}
