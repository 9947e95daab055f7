//! A member that signs and certifies what isn't so: certificates of other blocks, of later views, with signers
//! left out or counted twice, timeouts and proposals that carry them, reports, batches and availability that
//! nobody vouched for, and evidence against who did nothing.

use super::{Frame, Malice};
use crate::random::Random;
use frith_ledger::address::Address;
use frith_ledger::block::{BlockHeader, Proposal};
use frith_ledger::certificate::{QuorumCertificate, Timeout, TimeoutCertificate, Vote};
use frith_ledger::hash::Hash;
use frith_ledger::key::Signature;
use frith_ledger::operation::{Evidence, Offence, Operation, ProofOperation};
use frith_ledger::units::View;
use frith_neighbourhood::consensus::ConsensusMessage;
use frith_neighbourhood::wire::PeerMessage;
use parity_scale_codec::Encode as _;
use std::sync::Arc;

pub(super) fn sends(malice: &Malice, random: &mut Random, bytes: &Arc<[u8]>) -> Vec<Frame> {
    let mut frames = vec![(0, Arc::clone(bytes))];
    match PeerMessage::from_bytes(bytes) {
        Ok(PeerMessage::Consensus {
            kind,
            epoch,
            message,
        }) => {
            if let ConsensusMessage::Vote(vote) = &*message
                && random.chance(200)
            {
                frames.push((1, accusation(vote)));
            }
            if let Some(message) = forge(malice, random, *message) {
                let message = Box::new(message);
                let frame = PeerMessage::Consensus {
                    kind,
                    epoch,
                    message,
                };
                // Sometimes the forgery comes first, sometimes it is all there is.
                let at = random.index(2);
                frames.insert(at, (0, frame.encode().into()));
                frames.truncate(if random.chance(300) { 1 } else { 2 });
            }
        }
        Ok(PeerMessage::Certified(mut certificate)) if random.chance(400) => {
            let mut parts = certificate.parts.into_inner();
            let other = parts.first().copied();
            match random.below(2) {
                0 => drop(parts.pop()),
                _ => parts.extend(other.map(|(_, signature)| (u16::MAX, signature))),
            }
            certificate.parts = parts.try_into().unwrap_or_default();
            frames.push((0, PeerMessage::Certified(certificate).encode().into()));
        }
        Ok(PeerMessage::Report(mut report)) if random.chance(500) => {
            report.high = report.high.map(|high| certify_other(random, high));
            report.signature = malice.key.sign(&report.signing_hash(&malice.genesis));
            frames[0] = (0, PeerMessage::Report(report).encode().into());
        }
        _ => {}
    }
    frames
}

/// A message in which something isn't so, signed by the forger where it is its own.
fn forge(
    malice: &Malice,
    random: &mut Random,
    message: ConsensusMessage,
) -> Option<ConsensusMessage> {
    if !random.chance(350) {
        return None;
    }
    match message {
        ConsensusMessage::Certificate(certificate) => {
            let forged = certify_other(random, *certificate);
            Some(ConsensusMessage::Certificate(Box::new(forged)))
        }
        ConsensusMessage::TimeoutCertificate(mut proven) => {
            proven.certificate = give_up_other(random, proven.certificate);
            Some(ConsensusMessage::TimeoutCertificate(proven))
        }
        ConsensusMessage::Timeout(timeout) => {
            let high = timeout.high.map(|high| certify_other(random, high));
            let (view, known) = (timeout.view, timeout.known);
            Some(ConsensusMessage::Timeout(Box::new(Timeout::sign(
                timeout.instance,
                view,
                high,
                timeout.member,
                known,
                &malice.genesis,
                &malice.key,
            ))))
        }
        ConsensusMessage::Proposal(proposal) => {
            let Proposal {
                mut block,
                justify,
                timeout,
                ..
            } = *proposal;
            let justify = justify.map(|justify| certify_other(random, justify));
            let timeout = timeout.map(|timeout| give_up_other(random, timeout));
            block.header = BlockHeader {
                parent: justify.as_ref().map_or(block.header.parent, |qc| qc.block),
                grounds: Proposal::grounds(&justify, &timeout),
                ..block.header
            };
            let (genesis, key) = (&malice.genesis, &malice.key);
            let forged = Proposal::sign(block, justify, timeout, genesis, key);
            Some(ConsensusMessage::Proposal(Box::new(forged)))
        }
        ConsensusMessage::Vote(vote) => {
            let forged = Vote {
                member: vote.member.wrapping_add(1),
                ..*vote
            };
            Some(ConsensusMessage::Vote(Box::new(forged)))
        }
    }
}

fn certify_other(random: &mut Random, mut certificate: QuorumCertificate) -> QuorumCertificate {
    match random.below(4) {
        0 => certificate.block = Hash(random.bytes()),
        1 => certificate.view = View::new(certificate.view.get() + random.between(1, 9)),
        kind => {
            let mut parts = certificate.parts.into_inner();
            let again = parts.first().cloned();
            parts.pop();
            if kind == 3 {
                parts.extend(again);
            }
            certificate.parts = parts.try_into().unwrap_or_default();
        }
    }
    certificate
}

fn give_up_other(random: &mut Random, mut certificate: TimeoutCertificate) -> TimeoutCertificate {
    let mut parts = certificate.parts.into_inner();
    match random.below(3) {
        0 => certificate.view = certificate.view.next(),
        1 => drop(parts.pop()),
        _ => parts.iter_mut().for_each(|part| part.high = View::ZERO),
    }
    certificate.parts = parts.try_into().unwrap_or_default();
    certificate
}

/// Evidence that its own key voted twice, laid at another's door: the second signature is none.
fn accusation(vote: &Vote) -> Arc<[u8]> {
    let second = Vote {
        block: Hash([0xee; 32]),
        signature: Signature([7; 64]),
        ..vote.clone()
    };
    let evidence = Evidence {
        seat: Address::default(),
        key: frith_ledger::key::PublicKey([9; 32]),
        reporter: Address::default(),
        offence: Offence::Votes(vote.clone(), second),
    };
    let operation = Operation::Proof(ProofOperation::Evidence(Box::new(evidence))).encode();
    PeerMessage::Submit(operation.try_into().unwrap_or_default())
        .encode()
        .into()
}
