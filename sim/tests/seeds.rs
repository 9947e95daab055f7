//! Seeds that must hold, seeds that must be the same twice, and bugs that must be found.

use frith_neighbourhood::consensus::Faults as Bugs;
use frith_sim::adversaries::ALL;
use frith_sim::{Failure, Report, Scenario, run};

/// Runs `seeds` on two threads, each up to its first failure: all reports, or the failure of the lowest seed.
fn all(
    seeds: std::ops::Range<u64>,
    scenario: impl Fn(u64) -> Scenario + Sync,
) -> Result<Vec<Report>, Failure> {
    let half = |odd: u64| -> Result<Vec<Report>, Failure> {
        let mine = seeds.clone().filter(move |seed| seed % 2 == odd);
        mine.map(|seed| run(scenario(seed))).collect()
    };
    let (even, odd) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        (half(0), other.join().expect("a run panicked"))
    });
    match (even, odd) {
        (Ok(mut even), Ok(odd)) => {
            even.extend(odd);
            Ok(even)
        }
        (Err(one), Err(other)) if other.seed < one.seed => Err(other),
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    }
}

/// The failure of the lowest seed, if any.
fn first_failure(
    seeds: std::ops::Range<u64>,
    scenario: impl Fn(u64) -> Scenario + Sync,
) -> Option<Failure> {
    all(seeds, scenario).err()
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
fn three_hundred_power_losses_alone_break_nothing() -> Result<(), Failure> {
    let reports = all(0..9, |seed| Scenario::power_losses(seed, 4))?;
    let losses: u64 = reports.iter().map(|report| report.power_losses).sum();
    assert!(losses >= 300, "only {losses} came about");
    Ok(())
}

#[test]
fn every_adversary_is_withstood() {
    for adversary in ALL {
        for (members, seeds) in [(4, 0..6), (7, 0..2)] {
            let scenario = |seed| Scenario::adversarial(seed, members, adversary);
            let failure = first_failure(seeds, scenario);
            assert_eq!(failure, None, "{adversary:?} among {members}");
        }
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

#[test]
fn clocks_of_fewer_than_a_third_that_are_set_wrong_change_nothing() {
    for (members, seeds) in [(4, 0..6), (7, 0..2)] {
        let scenario = |seed| Scenario::wrong_clocks(seed, members);
        assert_eq!(first_failure(seeds, scenario), None, "among {members}");
    }
}

#[test]
fn a_vote_for_a_record_of_any_time_is_found() {
    let bugs = Bugs {
        any_time: true,
        ..Bugs::default()
    };
    let scenario = |seed| Scenario::wrong_clocks(seed, 4).with_bugs(bugs);
    assert!(first_failure(0..20, scenario).is_some());
}
