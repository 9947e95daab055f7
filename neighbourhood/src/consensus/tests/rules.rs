//! One member at a time: what it sends on what.

use super::super::{ConsensusMessage, Effect, Fault, Proven};
use super::host::state;
use super::net::GENESIS;
use super::solo::{Solo, faults, follower, speaks, votes};
use frith_ledger::block::{Payload, Proposal};
use frith_ledger::codec::decode;
use frith_ledger::hash::Hash;
use frith_ledger::operation::Offence;
use frith_ledger::units::{Height, Millis, View};
use parity_scale_codec::Encode as _;

#[test]
fn a_vote_is_sent_once_and_after_it_is_durable() {
    let mut solo = follower();
    let proposal = solo.proposal(1, &solo.base(), None);
    let effects = solo.propose(&proposal);
    let sync = effects.iter().position(|effect| *effect == Effect::Sync);
    let vote = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Send { .. }));
    assert!(sync.is_some() && sync < vote, "{effects:?}");
    assert_eq!(votes(&effects).len(), 1);
    assert_eq!(
        solo.host.disk.record().map(|record| record.voted),
        Some(View::new(1))
    );
    assert!(!speaks(&solo.propose(&proposal)), "again the same");
}

#[test]
fn there_is_no_vote_in_a_view_that_was_given_up() {
    let mut solo = follower();
    solo.want(1);
    let effects = solo.tick_at_deadline();
    assert!(effects.iter().any(
        |e| matches!(e, Effect::Broadcast(ConsensusMessage::Timeout(t)) if t.view == View::new(1))
    ));
    let proposal = solo.proposal(1, &solo.base(), None);
    assert!(votes(&solo.propose(&proposal)).is_empty());
}

#[test]
fn a_restarted_member_votes_for_nothing_else_in_the_view() {
    let mut solo = follower();
    let first = solo.proposal(1, &solo.base(), None);
    assert_eq!(votes(&solo.propose(&first)).len(), 1);
    let record = solo.host.disk.record();
    let mut again = Solo::started(|setup| setup.safety = record, solo.consensus.me);
    let proposer = first.block.header.proposer;
    let other = again.proposal_of(1, &again.base(), None, Payload::Empty, proposer);
    assert!(votes(&again.propose(&other)).is_empty());
}

#[test]
fn a_leader_proposes_once_in_a_view_also_over_a_restart() {
    let leader = Solo::new(0).consensus.leader(View::new(1));
    let mut solo = Solo::new(leader);
    let proposals = |effects: &[Effect]| {
        effects
            .iter()
            .filter(|e| matches!(e, Effect::Broadcast(ConsensusMessage::Proposal(_))))
            .count()
    };
    assert_eq!(proposals(&solo.want(1)), 1);
    assert_eq!(proposals(&solo.want(5)), 0);
    let record = solo.host.disk.record();
    let mut again = Solo::started(|setup| setup.safety = record, Some(leader));
    assert_eq!(proposals(&again.want(7)), 0);
}

#[test]
fn a_proposal_must_build_on_what_its_timeout_certificate_names() {
    // It leads neither view 1, nor 3, nor 4.
    let me = Solo::new(0).consensus.leader(View::new(2));
    let mut solo = Solo::new(me);
    let others: Vec<u16> = (0..4).filter(|member| *member != me).collect();
    let first = solo.proposal(1, &solo.base(), None);
    let certified = solo.certify(&first, &others);
    let high = certified.certificate.clone();
    let timeout = solo.timeouts(
        2,
        &[
            (others[0], high.clone()),
            (others[1], None),
            (others[2], None),
        ],
    );
    let too_low = solo.proposal(3, &solo.base(), timeout.clone());
    let effects = solo.propose(&too_low);
    assert!(
        matches!(faults(&effects)[..], [Fault::Malformed { .. }]) && votes(&effects).is_empty()
    );
    solo.propose(&first);
    let fine = solo.proposal(3, &certified, timeout);
    assert_eq!(votes(&solo.propose(&fine)).len(), 1);
    assert_eq!(solo.consensus.view(), View::new(3));
}

#[test]
fn malformed_proposals_are_faults_and_change_nothing() {
    let mut solo = follower();
    let good = solo.proposal(1, &solo.base(), None);
    let leader = good.block.header.proposer;
    let stranger = (0..4).find(|m| *m != leader).unwrap_or_default();
    let mut bad = vec![solo.proposal_of(1, &solo.base(), None, Payload::Empty, stranger)];
    let spoil = |change: &dyn Fn(&mut Proposal)| {
        let mut proposal = good.clone();
        change(&mut proposal);
        let Proposal {
            block,
            justify,
            timeout,
            ..
        } = proposal;
        Proposal::sign(
            block,
            justify,
            timeout,
            &GENESIS,
            &solo.keys[usize::from(leader)],
        )
    };
    bad.push(spoil(&|p| p.block.payload = Payload::Empty));
    bad.push(spoil(&|p| p.block.header.grounds = Hash([3; 32])));
    bad.push(spoil(&|p| p.block.header.parent = Hash([3; 32])));
    bad.push(spoil(&|p| p.block.header.view = View::new(5)));
    bad.push(spoil(&|p| p.block.header.proposer = 77));
    bad.push(spoil(&|p| p.block.header.height = Height::new(8)));
    bad.push(spoil(&|p| p.block.header.state = state(40)));
    let mut unsigned = good.clone();
    unsigned.signature.0[3] ^= 1;
    bad.insert(0, unsigned);
    for (i, proposal) in bad.iter().enumerate() {
        let mut solo = follower();
        let effects = solo.propose(proposal);
        assert_eq!(faults(&effects).len(), 1, "{i}: {effects:?}");
        assert!(
            !speaks(&effects) && solo.consensus.view() == View::new(1),
            "{i}"
        );
    }
    assert_eq!(votes(&solo.propose(&good)).len(), 1);
}

#[test]
fn certificates_that_do_not_hold_are_faults() {
    let mut solo = follower();
    let proposal = solo.proposal(1, &solo.base(), None);
    let Some(mut certificate) = solo.certify(&proposal, &[0, 1, 2]).certificate else {
        return;
    };
    certificate.view = View::new(9);
    let effects = solo.send(ConsensusMessage::Certificate(Box::new(certificate)));
    assert!(matches!(faults(&effects)[..], [Fault::Certificate(_)]));
    assert_eq!(solo.consensus.high_view(), View::ZERO);
}

#[test]
fn a_timeout_certificate_without_the_certificate_that_it_names_leads_nowhere() {
    let mut solo = follower();
    let proposal = solo.proposal(1, &solo.base(), None);
    let high = solo.certify(&proposal, &[0, 1, 2]).certificate;
    let Some(certificate) = solo.timeouts(2, &[(0, high.clone()), (1, None), (2, None)]) else {
        return;
    };
    let bare = Proven {
        certificate: certificate.clone(),
        high: None,
    };
    let effects = solo.send(ConsensusMessage::TimeoutCertificate(Box::new(bare)));
    assert!(matches!(faults(&effects)[..], [Fault::Malformed { .. }]));
    assert_eq!(solo.consensus.view(), View::new(1));
    solo.send(ConsensusMessage::TimeoutCertificate(Box::new(Proven {
        certificate,
        high,
    })));
    assert_eq!(solo.consensus.view(), View::new(3));
}

#[test]
fn the_first_vote_counts_and_a_second_is_evidence_once() {
    let collector = Solo::new(0).consensus.leader(View::new(2));
    let mut solo = Solo::new(collector);
    let proposal = solo.proposal(1, &solo.base(), None);
    let others: Vec<u16> = (0..4).filter(|m| *m != collector).collect();
    let vote =
        |solo: &Solo, member, block| ConsensusMessage::Vote(Box::new(solo.vote(member, 1, block)));
    let (real, other) = (proposal.id(), Hash([8; 32]));
    assert!(solo.send(vote(&solo, others[0], other)).is_empty());
    let effects = solo.send(vote(&solo, others[0], real));
    assert!(
        matches!(&effects[..], [Effect::Offence(o)] if matches!(**o, Offence::Votes(..))),
        "{effects:?}"
    );
    assert!(
        solo.send(vote(&solo, others[0], Hash([6; 32]))).is_empty(),
        "once"
    );
    solo.send(vote(&solo, others[1], real));
    solo.send(vote(&solo, others[2], real));
    assert_eq!(
        solo.consensus.high_view(),
        View::ZERO,
        "two votes are no quorum"
    );
    solo.propose(&proposal);
    assert_eq!(
        solo.consensus.high_view(),
        View::new(1),
        "the own vote makes it one"
    );
}

#[test]
fn a_second_proposal_is_evidence_and_gets_no_vote() {
    let mut solo = follower();
    let first = solo.proposal(1, &solo.base(), None);
    let second = solo.proposal_of(
        1,
        &solo.base(),
        None,
        Payload::Empty,
        first.block.header.proposer,
    );
    solo.propose(&first);
    let effects = solo.propose(&second);
    assert!(
        matches!(&effects[..], [Effect::Offence(o)] if matches!(**o, Offence::Proposals { .. }))
    );
}

#[test]
fn two_views_in_a_row_commit_and_a_gap_does_not() {
    let mut solo = follower();
    let first = solo.proposal(1, &solo.base(), None);
    solo.propose(&first);
    let one = solo.certify(&first, &[0, 1, 2]);
    let high = one.certificate.clone();
    let timeout = solo.timeouts(2, &[(0, high.clone()), (1, high.clone()), (2, high)]);
    let third = solo.proposal(3, &one, timeout);
    solo.propose(&third);
    let three = solo.certify(&third, &[0, 1, 3]);
    let fourth = solo.proposal(4, &three, None);
    let effects = solo.propose(&fourth);
    assert!(
        !effects
            .iter()
            .any(|e| matches!(e, Effect::Committed { .. })),
        "1 and 3 are not in a row"
    );
    let four = solo.certify(&fourth, &[0, 2, 3]);
    let Some(certificate) = four.certificate else {
        return;
    };
    let effects = solo.send(ConsensusMessage::Certificate(Box::new(certificate)));
    let committed = effects.iter().find_map(|e| match e {
        Effect::Committed { blocks, proof } => {
            Some((blocks.clone(), proof.verify(&solo.committee, &GENESIS)))
        }
        _ => None,
    });
    assert_eq!(committed, Some((vec![first.id(), third.id()], Ok(()))));
}

#[test]
fn missing_ancestors_are_asked_for_again_and_again() {
    let mut solo = follower();
    let first = solo.proposal(1, &solo.base(), None);
    let one = solo.certify(&first, &[0, 1, 2]);
    let second = solo.proposal(2, &one, None);
    let asked = |effects: &[Effect]| {
        let asked = effects.iter().filter_map(|e| match e {
            Effect::FetchBlock { id, from } => Some((*id, *from)),
            _ => None,
        });
        asked.collect::<Vec<_>>()
    };
    let before = asked(&solo.propose(&second));
    assert_eq!(before, [(first.id(), solo.peer())]);
    let later = asked(&solo.tick_at_deadline());
    assert!(
        later.len() == 1 && later[0].0 == first.id() && later[0].1 != before[0].1,
        "{later:?}"
    );
    let effects = solo.propose(&first);
    let collects = solo.consensus.leader(View::new(3)) == solo.consensus.me.unwrap_or(9);
    assert_eq!(votes(&effects).len(), usize::from(!collects));
}

#[test]
fn a_third_of_timeouts_is_joined_and_a_quorum_ends_the_view() {
    let mut solo = follower();
    let others: Vec<u16> = (0..4).filter(|m| Some(*m) != solo.consensus.me).collect();
    let timeout =
        |solo: &Solo, member| ConsensusMessage::Timeout(Box::new(solo.timeout(member, 1, None)));
    assert!(!speaks(&solo.send(timeout(&solo, others[0]))));
    let effects = solo.send(timeout(&solo, others[1]));
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::Broadcast(ConsensusMessage::Timeout(_))))
    );
    assert_eq!(
        solo.consensus.view(),
        View::new(2),
        "with the own one it is a quorum"
    );
}

#[test]
fn a_failing_disk_silences_the_member() {
    let mut solo = follower();
    solo.host.fails = true;
    let proposal = solo.proposal(1, &solo.base(), None);
    let effects = solo.propose(&proposal);
    assert!(effects.iter().any(|e| matches!(e, Effect::Halt(_))) && !speaks(&effects));
    solo.host.fails = false;
    solo.want(9);
    assert!(!speaks(&solo.tick_at_deadline()) && !solo.consensus.signs());
}

#[test]
fn a_member_without_a_record_signs_nothing() {
    let leader = Solo::new(0).consensus.leader(View::new(1));
    for me in [leader, follower().consensus.me.unwrap_or_default()] {
        let mut solo = Solo::started(|setup| setup.safety = None, Some(me));
        assert!(!speaks(&solo.want(3)) && solo.consensus.abstains());
        let proposal = solo.proposal(1, &solo.base(), None);
        assert!(!speaks(&solo.propose(&proposal)));
        assert!(!speaks(&solo.tick_at_deadline()));
    }
}

#[test]
fn an_own_later_vote_makes_a_member_abstain() {
    let mut solo = follower();
    let me = solo.consensus.me.unwrap_or_default();
    let proposal = solo.proposal(1, &solo.base(), None);
    let certified = solo.certify(&proposal, &[me, (me + 1) % 4, (me + 2) % 4]);
    let Some(certificate) = certified.certificate else {
        return;
    };
    let effects = solo.send(ConsensusMessage::Certificate(Box::new(certificate)));
    assert!(effects.contains(&Effect::RecordLost {
        shown: View::new(1)
    }));
    assert!(solo.consensus.abstains());
}

#[test]
fn hostile_indexes_and_views_are_ignored_or_faults() {
    let mut solo = follower();
    let block = Hash([4; 32]);
    let far = solo.vote(1, u64::MAX, block);
    assert!(solo.send(ConsensusMessage::Vote(Box::new(far))).is_empty());
    let mut vote = solo.vote(1, 1, block);
    vote.member = 99;
    assert_eq!(
        faults(&solo.send(ConsensusMessage::Vote(Box::new(vote)))).len(),
        1
    );
    let far = solo.timeout(1, u64::MAX, None);
    let effects = solo.send(ConsensusMessage::Timeout(Box::new(far)));
    assert!(effects.is_empty() && solo.consensus.view() == View::new(1));
    let proposal = solo.proposal(1, &solo.base(), None);
    let own = solo.certify(&proposal, &[0, 1, 2]).certificate;
    let odd = solo.timeout(1, 1, own);
    assert_eq!(
        faults(&solo.send(ConsensusMessage::Timeout(Box::new(odd)))).len(),
        1,
        "a certificate of its own view"
    );
    let mut out = Vec::new();
    let vote = ConsensusMessage::Vote(Box::new(solo.vote(1, 1, block)));
    solo.consensus
        .message(Millis::ZERO, &mut solo.host, 99, vote, &mut out);
    assert!(out.is_empty(), "from no member");
}

#[test]
fn who_is_behind_is_brought_up_but_not_for_every_message() {
    let mut solo = follower();
    let first = solo.proposal(1, &solo.base(), None);
    solo.propose(&first);
    let one = solo.certify(&first, &[0, 1, 2]);
    let second = solo.proposal(2, &one, None);
    solo.propose(&second);
    let peer = solo.peer();
    let late = ConsensusMessage::Timeout(Box::new(solo.timeout(peer, 1, None)));
    let effects = solo.send(late.clone());
    assert!(
        matches!(&effects[..], [Effect::Send { to, message: ConsensusMessage::Certificate(_) }] if *to == peer)
    );
    assert!(solo.send(late.clone()).is_empty());
    solo.now += 1_000;
    assert_eq!(solo.send(late).len(), 1);
}

#[test]
fn messages_survive_their_encoding() {
    let solo = follower();
    let first = solo.proposal(1, &solo.base(), None);
    let high = solo.certify(&first, &[0, 1, 2]).certificate;
    let timeout = solo.timeouts(2, &[(0, high.clone()), (1, None), (2, None)]);
    let mut messages = vec![
        ConsensusMessage::Proposal(Box::new(first.clone())),
        ConsensusMessage::Vote(Box::new(solo.vote(2, 1, first.id()))),
        ConsensusMessage::Timeout(Box::new(solo.timeout(2, 2, high.clone()))),
    ];
    messages.extend(
        high.clone()
            .map(|qc| ConsensusMessage::Certificate(Box::new(qc))),
    );
    messages.extend(timeout.map(|certificate| {
        ConsensusMessage::TimeoutCertificate(Box::new(Proven {
            certificate,
            high: high.clone(),
        }))
    }));
    assert_eq!(messages.len(), 5);
    for message in messages {
        assert_eq!(decode(&message.encode(), 1 << 16), Ok(message));
    }
}
