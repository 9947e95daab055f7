//! Messages between leaves are delivered or refunded, once, whatever couriers do, and each broken rule gives a
//! counterexample.

use frith_models::outcomes::{
    CONSERVED, DELIVERED, ENDS, FORGOTTEN, KNOWN, NOT_BOTH, ONCE, Outcomes, Planted,
    RECORDED_AGAIN, REFUNDED, Scope,
};
use stateright::{Checker as _, HasDiscoveries, Model as _};

const SAFETY: [&str; 5] = [ONCE, NOT_BOTH, CONSERVED, KNOWN, ENDS];

const fn messages(messages: u32, lifetime: u64, epochs: u64) -> Scope {
    Scope {
        messages,
        lifetime,
        epochs,
        ahead: 2,
        planted: None,
    }
}

fn holds(scope: Scope, states: usize) {
    let checker = Outcomes::new(scope).checker().spawn_bfs().join();
    for property in SAFETY {
        checker.assert_no_discovery(property);
    }
    for property in [DELIVERED, REFUNDED, FORGOTTEN] {
        checker.assert_any_discovery(property);
    }
    assert_eq!(checker.unique_state_count(), states);
}

fn finds(planted: Planted, property: &'static str) {
    let planted = Some(planted);
    let scope = Scope {
        planted,
        ..messages(1, 1, 4)
    };
    let checker = Outcomes::new(scope)
        .checker()
        .finish_when(HasDiscoveries::AllOf([property].into()))
        .spawn_bfs()
        .join();
    let path = checker.assert_any_discovery(property);
    eprintln!("{property}: {:?}", path.into_actions());
}

#[test]
fn one_message_over_five_epochs_is_delivered_or_refunded_once() {
    holds(messages(1, 2, 5), 2_067);
}

#[test]
fn two_messages_over_three_epochs_are_delivered_or_refunded_once() {
    holds(messages(2, 1, 3), 7_163);
}

#[test]
fn a_forgotten_delivery_can_be_recorded_as_expired_and_moves_nothing() {
    let checker = Outcomes::new(messages(1, 1, 4))
        .checker()
        .spawn_bfs()
        .join();
    checker.assert_any_discovery(RECORDED_AGAIN);
    checker.assert_no_discovery(NOT_BOTH);
}

#[test]
fn a_second_delivery_is_found() {
    finds(Planted::DeliversTwice, ONCE);
}

#[test]
fn a_delivery_after_the_last_epoch_is_found() {
    finds(Planted::DeliversLate, ONCE);
}

#[test]
fn a_message_that_the_outbox_does_not_list_is_found() {
    finds(Planted::SkipsTheProof, CONSERVED);
}

#[test]
fn an_outcome_that_is_deleted_before_expiry_is_found() {
    finds(Planted::ForgetsEarly, ONCE);
}

#[test]
fn an_outcome_that_is_deleted_while_the_sender_waits_is_found() {
    finds(Planted::ForgetsUnasked, NOT_BOTH);
}

#[test]
fn a_claim_from_before_the_sending_is_found_when_it_counts() {
    finds(Planted::TrustsAStaleClaim, NOT_BOTH);
}

#[test]
fn a_refund_for_want_of_an_outcome_is_found() {
    finds(Planted::RefundsOnAbsence, NOT_BOTH);
}

#[test]
fn a_second_refund_is_found() {
    finds(Planted::KeepsPending, NOT_BOTH);
}
