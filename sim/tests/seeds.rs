//! Seeds that must hold, seeds that must be the same twice, and bugs that must be found.

use frith_neighbourhood::consensus::Faults as Bugs;
use frith_sim::adversaries::ALL;
use frith_sim::{Failure, Scenario, run};

/// Runs `seeds` on two threads; the failure of the lowest seed, if any.
fn first_failure(
    seeds: std::ops::Range<u64>,
    scenario: impl Fn(u64) -> Scenario + Sync,
) -> Option<Failure> {
    let half = |odd: u64| {
        let mine = seeds.clone().filter(move |seed| seed % 2 == odd);
        mine.map(|seed| run(scenario(seed))).find_map(Result::err)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let even = half(0);
        let odd = other.join().expect("a run panicked");
        even.into_iter()
            .chain(odd)
            .min_by_key(|failure| failure.seed)
    })
}

#[test]
fn two_hundred_seeds_hold() {
    assert_eq!(first_failure(0..200, |seed| Scenario::new(seed, 0)), None);
}

#[test]
fn thirty_two_members_hold() {
    assert_eq!(first_failure(0..2, |seed| Scenario::new(seed, 32)), None);
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    for seed in [3, 11] {
        let trace = || run(Scenario::new(seed, 4)).expect("the seed holds").trace;
        assert_eq!(trace(), trace(), "seed {seed}");
    }
    let other = run(Scenario::new(12, 4)).expect("the seed holds").trace;
    assert_ne!(
        run(Scenario::new(11, 4)).expect("the seed holds").trace,
        other
    );
}

#[test]
fn power_losses_alone_break_nothing() {
    assert_eq!(
        first_failure(0..5, |seed| Scenario::power_losses(seed, 4)),
        None
    );
}

#[test]
fn every_adversary_is_withstood() {
    for adversary in ALL {
        let scenario = |seed| Scenario::adversarial(seed, 4, adversary);
        assert_eq!(first_failure(0..6, scenario), None, "{adversary:?}");
    }
}

#[test]
fn a_vote_before_its_sync_is_found() {
    let bugs = Bugs {
        vote_before_sync: true,
        ..Bugs::default()
    };
    let scenario = |seed| Scenario::power_losses(seed, 4).with_bugs(bugs);
    assert!(first_failure(0..50, scenario).is_some());
}

#[test]
fn a_dropped_lock_is_found() {
    let bugs = Bugs {
        skip_lock: true,
        ..Bugs::default()
    };
    assert!(first_failure(0..300, |seed| Scenario::new(seed, 4).with_bugs(bugs)).is_some());
}

#[test]
fn a_member_whose_directory_is_made_anew_again_and_again_signs_nothing_twice() {
    assert_eq!(first_failure(0..4, |seed| Scenario::remade(seed, 4)), None);
}

#[test]
fn a_founder_that_votes_without_asking_is_found() {
    let bugs = Bugs {
        vote_unasked: true,
        ..Bugs::default()
    };
    let scenario = |seed| Scenario::remade(seed, 4).with_bugs(bugs);
    assert!(first_failure(0..50, scenario).is_some());
}
