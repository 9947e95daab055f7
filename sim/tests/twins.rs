//! Twins: no scenario forks or stops the rules as they are, and a planted bug shows.

use frith_neighbourhood::consensus::Faults as Bugs;
use frith_sim::twins::cluster::Violation;
use frith_sim::twins::search::{Search, all, random};

#[test]
fn every_scenario_of_two_rounds_holds() {
    let search = Search {
        rounds: 2,
        parts_max: 2,
        bugs: Bugs::default(),
        stale: false,
    };
    let coverage = all(search, 2).expect("nothing breaks");
    // Sixteen partitions in two rounds, four leaders in three views.
    assert_eq!(coverage.scenarios, 16 * 16 * 4 * 4 * 4);
}

#[test]
fn random_scenarios_of_seven_members_with_two_twins_hold() {
    for seed in 0..100 {
        assert_eq!(random(seed, 7, 2, Bugs::default(), false), Ok(()), "{seed}");
    }
}

fn forks(seed: u64, bugs: Bugs) -> bool {
    let found = random(seed, 4, 1, bugs, false).err();
    found.is_some_and(|found| matches!(found.violation, Violation::Fork { .. }))
}

#[test]
fn a_dropped_lock_is_found() {
    let bugs = Bugs {
        skip_lock: true,
        ..Bugs::default()
    };
    assert!((0..2_000).any(|seed| forks(seed, bugs)));
}
