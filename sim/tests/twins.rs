//! Twins: no scenario forks or stops the rules as they are.

use frith_neighbourhood::consensus::Faults as Bugs;
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
