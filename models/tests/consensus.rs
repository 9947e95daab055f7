//! The voting rules hold in every order of a few views, and each broken rule gives a counterexample.

use frith_models::consensus::{
    BUILT_ON, COMMITS, COMMITS_AFTER_TIMEOUT, Consensus, ONE_CERTIFICATE, ONE_CHAIN, ONE_SIGNATURE,
    Planted, Scope, State,
};
use stateright::{Checker as _, HasDiscoveries, Model as _};
use std::collections::{BTreeSet, HashSet};

const SAFETY: [&str; 4] = [ONE_CERTIFICATE, ONE_CHAIN, BUILT_ON, ONE_SIGNATURE];

/// Corrupt leaders, one corrupt member.
fn views(views: u8, variants: u8) -> Scope {
    Scope {
        views,
        variants,
        corrupt: 1,
        leaders: Vec::new(),
        apart: false,
        planted: None,
    }
}

/// Every state of `scope` is visited, which are so many, and nothing breaks; the properties that are there to come
/// about are `seen`.
fn holds(scope: Scope, states: usize, seen: &[&'static str]) {
    let checker = Consensus::new(scope).checker().spawn_bfs().join();
    for property in SAFETY {
        checker.assert_no_discovery(property);
    }
    for property in seen {
        checker.assert_any_discovery(property);
    }
    assert_eq!(checker.unique_state_count(), states);
}

/// With a rule broken, a state is found in which `property` doesn't hold.
fn finds(scope: Scope, planted: Planted, property: &'static str) {
    let planted = Some(planted);
    breaks(Scope { planted, ..scope }, property);
}

fn breaks(scope: Scope, property: &'static str) {
    let checker = Consensus::new(scope)
        .checker()
        .finish_when(HasDiscoveries::AllOf([property].into()))
        .spawn_bfs()
        .join();
    let path = checker.assert_any_discovery(property);
    eprintln!("{property}: {:?}", path.into_actions());
}

#[test]
fn two_views_with_crashes_and_certificates_that_come_alone_hold() {
    let scope = Scope {
        apart: true,
        ..views(2, 2)
    };
    holds(scope, 15_303, &[COMMITS]);
}

#[test]
fn three_views_hold() {
    holds(views(3, 2), 814_050, &[COMMITS, COMMITS_AFTER_TIMEOUT]);
}

#[test]
fn three_views_with_correct_leaders_hold() {
    let scope = Scope {
        leaders: vec![Some(0), Some(1), Some(2)],
        ..views(3, 2)
    };
    holds(scope, 166_580, &[COMMITS, COMMITS_AFTER_TIMEOUT]);
}

#[test]
fn leaders_that_crash_propose_once_a_view() {
    let scope = Scope {
        leaders: vec![Some(0), Some(1)],
        apart: true,
        ..views(2, 2)
    };
    holds(scope, 11_460, &[COMMITS]);
}

#[test]
fn certificates_that_come_alone_and_crashes_allow_no_other_signatures() {
    for leaders in [vec![], vec![Some(0), Some(1)]] {
        let reached = |apart| {
            let scope = Scope {
                leaders: leaders.clone(),
                apart,
                ..views(2, 2)
            };
            signatures(&Consensus::new(scope))
        };
        assert_eq!(reached(true), reached(false));
    }
}

/// What correct members have signed in all states that can be reached, by a walk of its own.
fn signatures(model: &Consensus) -> BTreeSet<String> {
    let mut waiting = model.init_states();
    let mut seen: HashSet<State> = waiting.iter().cloned().collect();
    let mut signed = BTreeSet::new();
    while let Some(state) = waiting.pop() {
        signed.insert(format!("{:?}", state.signed()));
        for next in model.next_states(&state) {
            if seen.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    signed
}

#[test]
fn a_proposal_below_its_timeout_certificate_is_found() {
    finds(views(3, 1), Planted::IgnoresTimeoutHigh, BUILT_ON);
}

#[test]
fn a_proposal_below_its_timeout_certificate_forks_in_four_views() {
    finds(views(4, 1), Planted::IgnoresTimeoutHigh, ONE_CHAIN);
}

#[test]
fn timeouts_that_name_no_certificate_are_found() {
    finds(views(3, 1), Planted::NamesNoCertificate, BUILT_ON);
}

#[test]
fn two_votes_in_a_view_are_found() {
    finds(views(2, 2), Planted::VotesTwice, ONE_SIGNATURE);
    finds(views(2, 2), Planted::VotesTwice, ONE_CERTIFICATE);
}

#[test]
fn a_vote_in_a_view_that_was_given_up_is_found() {
    finds(views(3, 1), Planted::VotesAfterGivingUp, BUILT_ON);
}

#[test]
fn a_vote_that_leaves_before_its_sync_is_found() {
    let scope = Scope {
        apart: true,
        ..views(2, 2)
    };
    finds(scope, Planted::VotesBeforeSync, ONE_CERTIFICATE);
}

#[test]
fn a_leader_that_forgets_its_proposal_is_found() {
    let scope = Scope {
        leaders: vec![Some(0), Some(1)],
        apart: true,
        ..views(2, 2)
    };
    finds(scope, Planted::ForgetsProposals, ONE_SIGNATURE);
}

#[test]
fn a_commit_over_a_gap_is_found() {
    finds(views(4, 1), Planted::CommitsOverGaps, BUILT_ON);
}

#[test]
fn half_of_the_weight_as_a_quorum_is_found() {
    finds(views(2, 2), Planted::HalfIsQuorum, ONE_CERTIFICATE);
}

#[test]
fn two_corrupt_members_of_four_are_too_many() {
    let scope = Scope {
        corrupt: 2,
        ..views(2, 2)
    };
    breaks(scope, ONE_CERTIFICATE);
}
