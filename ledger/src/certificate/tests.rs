//! Certificates hold only as they were made, and only with a quorum.

use super::*;
use crate::address::{Address, Prefix};
use crate::block::{BatchDigest, BlockHeader, BlockId, ChainKind, Instance};
use crate::codec::{BoundedVec, decode};
use crate::hash::{Domain, Hash};
use crate::key::{PublicKey, SecretKey, Signature};
use crate::parameters::OWED_MAX;
use crate::tree::Summary;
use crate::units::{Epoch, Generation, Height, View};
use crate::vrf::VrfPublic;
use parity_scale_codec::Encode;

const GENESIS: Hash = Hash([9; 32]);

struct World {
    committee: Committee,
    keys: Vec<SecretKey>,
    instance: Instance,
}

fn world(weights: &[Weight]) -> World {
    let secret = |index: usize| SecretKey::from_bytes(&Hash::of(Domain::Draw, &(index as u64)).0);
    let keys: Vec<SecretKey> = (0..weights.len()).map(secret).collect();
    let member = |(index, weight): (usize, &Weight)| {
        let mut seat = [0; 32];
        seat[..2].copy_from_slice(&u16::try_from(index).unwrap_or(u16::MAX).to_be_bytes());
        Member {
            seat: Address(seat),
            key: keys[index].public(),
            vrf: VrfPublic([0; 32]),
            weight: *weight,
        }
    };
    let committee = Committee::new(weights.iter().enumerate().map(member).collect());
    let instance = Instance {
        kind: ChainKind::Leaf,
        prefix: Prefix::ROOT,
        generation: Generation::ZERO,
        epoch: Epoch::new(3),
        committee: committee.hash(),
    };
    World {
        committee,
        keys,
        instance,
    }
}

fn batch(number: u64) -> BatchDigest {
    Hash::of(Domain::Batch, &number)
}

fn batches(numbers: impl Iterator<Item = u64>) -> BoundedVec<BatchDigest, OWED_MAX> {
    let mut batches: Vec<BatchDigest> = numbers.map(batch).collect();
    batches.sort_unstable();
    batches.try_into().unwrap_or_default()
}

impl World {
    fn vote(&self, member: u16, block: BlockId, known: BoundedVec<BatchDigest, OWED_MAX>) -> Vote {
        let key = &self.keys[usize::from(member)];
        Vote::sign(
            self.instance,
            View::new(4),
            block,
            member,
            known,
            &GENESIS,
            key,
        )
    }

    fn certificate(&self, members: &[u16], block: BlockId) -> Option<QuorumCertificate> {
        let known = |member: u16| batches((0..u64::from(member)).chain([7]));
        let votes: Vec<Vote> = members
            .iter()
            .map(|m| self.vote(*m, block, known(*m)))
            .collect();
        QuorumCertificate::from_votes(&self.committee, &votes)
    }

    fn verify(&self, certificate: &QuorumCertificate) -> Result<(), CertificateError> {
        certificate.verify(&self.committee, &GENESIS)
    }
}

#[test]
fn only_more_than_two_thirds_of_the_weight_certify() {
    let equal = world(&[1; 6]);
    assert!(
        equal.certificate(&[0, 1, 2, 3], batch(1)).is_none(),
        "exactly two thirds"
    );
    assert!(
        equal
            .certificate(&[5, 1, 2, 3, 0], batch(1))
            .is_some_and(|c| equal.verify(&c) == Ok(()))
    );
    let unequal = world(&[70, 10, 10, 10]);
    assert!(unequal.certificate(&[1, 2, 3], batch(1)).is_none());
    assert!(
        unequal
            .certificate(&[0], batch(1))
            .is_some_and(|c| unequal.verify(&c) == Ok(()))
    );
    assert!(!Committee::default().is_quorum(0) && !Committee::default().is_third(0));
    let heavy = world(&[Weight::MAX, Weight::MAX]);
    assert!(
        heavy.certificate(&[0], batch(1)).is_none(),
        "sums that don't fit certify nothing"
    );
}

#[test]
fn a_certificate_holds_only_as_it_was_made() {
    let world = world(&[1; 4]);
    let Some(good) = world.certificate(&[0, 1, 2], batch(1)) else {
        return;
    };
    assert_eq!(decode(&good.encode(), 1 << 16).as_ref(), Ok(&good));
    let spoil = |change: &dyn Fn(&mut QuorumCertificate)| {
        let mut bad = good.clone();
        change(&mut bad);
        world.verify(&bad)
    };
    let part = 0;
    assert_eq!(spoil(&|_| ()), Ok(()));
    assert_eq!(
        spoil(&|c| c.block = batch(2)),
        Err(CertificateError::Signature { part })
    );
    assert_eq!(
        spoil(&|c| c.view = View::new(5)),
        Err(CertificateError::Signature { part })
    );
    assert_eq!(
        spoil(&|c| c.instance.epoch = Epoch::new(4)),
        Err(CertificateError::Signature { part })
    );
    assert_eq!(
        spoil(&|c| c.instance.committee = batch(2)),
        Err(CertificateError::Instance)
    );
    assert_eq!(
        spoil(&|c| c.parts.retain(|p| p.member > 0)),
        Err(CertificateError::NoQuorum)
    );
    assert_eq!(
        spoil(&|c| c.parts.as_mut_slice().swap(0, 1)),
        Err(CertificateError::Member { part: 1 })
    );
    assert_eq!(
        spoil(&|c| c.parts.as_mut_slice()[1].member = 0),
        Err(CertificateError::Member { part: 1 })
    );
    assert_eq!(
        spoil(&|c| c.parts.as_mut_slice()[2].member = 4),
        Err(CertificateError::Member { part: 2 })
    );
    assert_eq!(
        spoil(&|c| c.parts.as_mut_slice()[2].member = 3),
        Err(CertificateError::Signature { part: 2 })
    );
    assert_eq!(
        spoil(&|c| c.parts.as_mut_slice()[1].high = View::new(1)),
        Err(CertificateError::High { part: 1 })
    );
    assert_eq!(
        spoil(&|c| c.parts.as_mut_slice()[1].known = BoundedVec::new()),
        Err(CertificateError::Signature { part: 1 })
    );
    assert_eq!(
        spoil(&|c| c.listed.as_mut_slice()[0] = Hash([255; 32])),
        Err(CertificateError::Listed { part })
    );
    let beyond = |c: &mut QuorumCertificate| {
        c.parts.as_mut_slice()[2].known = vec![9].try_into().unwrap_or_default()
    };
    assert_eq!(spoil(&beyond), Err(CertificateError::Listed { part: 2 }));
}

#[test]
fn a_batch_that_no_signer_names_is_not_listed() {
    let world = world(&[1; 4]);
    let votes: Vec<Vote> = (0..3)
        .map(|m| world.vote(m, batch(1), BoundedVec::new()))
        .collect();
    let Some(mut certificate) = QuorumCertificate::from_votes(&world.committee, &votes) else {
        return;
    };
    assert_eq!(world.verify(&certificate), Ok(()));
    certificate.listed = vec![batch(1)].try_into().unwrap_or_default();
    assert_eq!(world.verify(&certificate), Err(CertificateError::Unnamed));
}

#[test]
fn owed_is_what_more_than_a_third_names() {
    let world = world(&[1; 4]);
    // Member m names batches below m, and batch 7: so 7 is named by all, 0 by two, 1 by one.
    let certificate = world.certificate(&[0, 1, 2], batch(1));
    let owed = certificate.map(|certificate| certificate.owed(&world.committee));
    assert_eq!(owed, Some(batches([0, 7].into_iter()).into_inner()));
}

#[test]
fn a_few_members_with_long_lists_do_not_keep_the_others_out() {
    let n: u16 = 16;
    let world = world(&vec![1; usize::from(n)]);
    let (common, max) = (OWED_MAX as u64, OWED_MAX as u64);
    let votes: Vec<Vote> = (0..n)
        .map(|member| {
            let first = if member < 5 {
                10_000 * u64::from(member + 1)
            } else {
                0
            };
            let list = if first == 0 {
                0..common
            } else {
                first..first + max
            };
            world.vote(member, batch(1), batches(list))
        })
        .collect();
    let certificate = QuorumCertificate::from_votes(&world.committee, &votes);
    let signers =
        |c: &QuorumCertificate| (5..n).all(|m| c.parts.iter().any(|part| part.member == m));
    assert!(certificate.is_some_and(|c| world.verify(&c) == Ok(()) && signers(&c)));
}

#[test]
fn timeouts_claim_only_what_can_be() {
    let world = world(&[1; 4]);
    let high = world.certificate(&[0, 1, 2], batch(1));
    let timeout = |member: u16, view: u64, high: Option<QuorumCertificate>| {
        let key = &world.keys[usize::from(member)];
        Timeout::sign(
            world.instance,
            View::new(view),
            high,
            member,
            BoundedVec::new(),
            &GENESIS,
            key,
        )
    };
    let make = |view: u64| {
        let timeouts = [
            timeout(0, view, None),
            timeout(1, view, high.clone()),
            timeout(3, view, None),
        ];
        TimeoutCertificate::from_timeouts(&world.committee, &timeouts)
    };
    let Some(good) = make(6) else { return };
    assert_eq!(good.verify(&world.committee, &GENESIS), Ok(()));
    assert_eq!(good.high(), View::new(4));
    let mut bad = good.clone();
    bad.parts.as_mut_slice()[0].high = View::new(3);
    assert_eq!(
        bad.verify(&world.committee, &GENESIS),
        Err(CertificateError::Signature { part: 0 })
    );
    let own_view = make(4).map(|certificate| certificate.verify(&world.committee, &GENESIS));
    assert_eq!(own_view, Some(Err(CertificateError::High { part: 1 })));
}

#[test]
fn only_parts_that_were_verified_before_are_not_checked_again() {
    let world = world(&[1; 4]);
    let votes: Vec<Vote> = (0..3)
        .map(|member| world.vote(member, batch(1), batches(0..2)))
        .collect();
    let Some(good) = QuorumCertificate::from_votes(&world.committee, &votes) else {
        panic!("three of four are a quorum");
    };
    let own = &votes[1];
    let signed = own.signing_hash(&GENESIS);
    let key = world.keys[1].public();
    // What is asked for is the vote as it was signed, so another view or block is another question.
    let is_own = |asked: &PublicKey, hash: &Hash, signature: &Signature| {
        *asked == key && *hash == signed && *signature == own.signature
    };
    let verify = |certificate: &QuorumCertificate| {
        certificate.verify_rest(&world.committee, &GENESIS, &is_own)
    };
    assert_eq!(verify(&good), Ok(()));
    for part in 0..3 {
        let mut bad = good.clone();
        bad.parts.as_mut_slice()[part].signature.0[5] ^= 1;
        assert_eq!(verify(&bad), Err(CertificateError::Signature { part }));
    }
    let mut moved = good.clone();
    moved.view = View::new(5);
    assert_eq!(verify(&moved), Err(CertificateError::Signature { part: 0 }));
    // The caller's word counts for the part that it names, and for no other.
    let mut trusted = good;
    trusted.parts.as_mut_slice()[1].signature.0[5] ^= 1;
    let bent = trusted.parts[1].signature;
    let says_so = |_: &PublicKey, _: &Hash, signature: &Signature| *signature == bent;
    let told = trusted.verify_rest(&world.committee, &GENESIS, &says_so);
    assert_eq!(told, Ok(()));
}

#[test]
fn a_commit_proof_is_a_certified_child_in_the_next_view() {
    let world = world(&[1; 4]);
    let header = |view: u64, parent: BlockId| BlockHeader {
        instance: world.instance,
        height: Height::new(view),
        view: View::new(view),
        parent,
        grounds: Hash::ZERO,
        proposer: 0,
        payload: Hash::ZERO,
        state: Summary::EMPTY,
    };
    let prove = |header: BlockHeader, child: BlockHeader| {
        let certificate = world.certificate(&[0, 2, 3], child.id())?;
        Some(
            CommitProof {
                header,
                child,
                certificate,
            }
            .verify(&world.committee, &GENESIS),
        )
    };
    let parent = header(3, batch(1));
    assert_eq!(prove(parent.clone(), header(4, parent.id())), Some(Ok(())));
    assert_eq!(
        prove(parent.clone(), header(4, batch(2))),
        Some(Err(CertificateError::NotTwoChain))
    );
    let gap = header(2, batch(1));
    assert_eq!(
        prove(gap.clone(), header(4, gap.id())),
        Some(Err(CertificateError::NotTwoChain))
    );
    let other_view = header(5, parent.id());
    assert_eq!(
        prove(header(4, batch(1)), other_view),
        Some(Err(CertificateError::NotTwoChain))
    );
    let mut foreign = parent.clone();
    foreign.instance.kind = ChainKind::Root;
    assert_eq!(
        prove(foreign.clone(), header(4, foreign.id())),
        Some(Err(CertificateError::Instance))
    );
}

#[test]
fn a_committee_is_sorted_by_seat_and_has_each_key_once() {
    let world = world(&[5, 6, 7]);
    let mut members = world.committee.members().to_vec();
    members.reverse();
    members.push(Member {
        seat: Address([200; 32]),
        ..members[0].clone()
    });
    members.push(Member {
        seat: Address([201; 32]),
        weight: 0,
        key: PublicKey([1; 32]),
        ..members[0].clone()
    });
    assert_eq!(Committee::new(members), world.committee);
    assert_eq!(world.committee.index_of(&world.keys[2].public()), Some(2));
    assert_eq!(world.committee.get(3), None);
}

#[test]
fn availability_needs_a_quorum_of_signatures_on_the_batch() {
    let world = world(&[1; 4]);
    let make = |members: &[u16]| {
        let hash = AvailabilityCertificate::signing_hash(&GENESIS, &world.instance, &batch(1));
        let parts: Vec<(u16, Signature)> = members
            .iter()
            .map(|m| (*m, world.keys[usize::from(*m)].sign(&hash)))
            .collect();
        AvailabilityCertificate {
            instance: world.instance,
            batch: batch(1),
            parts: parts.try_into().unwrap_or_default(),
        }
    };
    let verify =
        |certificate: &AvailabilityCertificate| certificate.verify(&world.committee, &GENESIS);
    assert_eq!(verify(&make(&[0, 1, 3])), Ok(()));
    assert_eq!(verify(&make(&[0, 1])), Err(CertificateError::NoQuorum));
    assert_eq!(
        verify(&make(&[0, 1, 1])),
        Err(CertificateError::Member { part: 2 })
    );
    let mut other = make(&[0, 1, 3]);
    other.batch = batch(2);
    assert_eq!(verify(&other), Err(CertificateError::Signature { part: 0 }));
}
