//! What is signed: damage never makes a valid statement of something else.

use std::sync::LazyLock;

use frith_fuzz::{codec, harness, mutate, value};
use frith_ledger::certificate::{
    AvailabilityCertificate, CommitProof, QuorumCertificate, TimeoutCertificate,
};
use frith_ledger::codec::decode;
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, Signature};
use frith_ledger::operation::{Evidence, Operation};
use frith_ledger::units::View;
use frith_ledger::vrf::{VrfProof, VrfPublic, VrfSecret};
use parity_scale_codec::{Decode, Encode};

use crate::world::WORLD;

const MANY: usize = 1 << 20;

fn damaged<T: Encode + Decode>(input: &[u8], honest: &T) -> Option<T> {
    let mut bytes = honest.encode();
    mutate(&mut bytes, input);
    decode(&bytes, MANY).ok()
}

#[test]
fn fuzz_certificates_certify_what_was_voted_for() {
    static HONEST: LazyLock<QuorumCertificate> =
        LazyLock::new(|| WORLD.certificate(View::new(4), Hash([6; 32])));
    harness!(|input: &[u8]| {
        if let Some(certificate) = damaged(input, &*HONEST)
            && certificate.verify(&WORLD.committee, &WORLD.hash).is_ok()
        {
            let said = |c: &QuorumCertificate| (c.instance, c.view, c.block);
            assert_eq!(said(&certificate), said(&HONEST));
            assert!(certificate.parts.len() >= 3, "a quorum of four is three");
        }
        for certificate in codec::<QuorumCertificate, _>(input, MANY, |b| decode(b, MANY)) {
            assert!(certificate.verify(&WORLD.committee, &WORLD.hash).is_err());
        }
    });
}

#[test]
fn fuzz_timeout_certificates_need_signatures() {
    harness!(|input: &[u8]| {
        for certificate in codec::<TimeoutCertificate, _>(input, MANY, |b| decode(b, MANY)) {
            assert!(certificate.verify(&WORLD.committee, &WORLD.hash).is_err());
            let ours = TimeoutCertificate {
                instance: WORLD.instance,
                ..certificate
            };
            assert!(ours.verify(&WORLD.committee, &WORLD.hash).is_err());
            let _ = (ours.owed(&WORLD.committee), ours.high());
        }
    });
}

#[test]
fn fuzz_availability_certificates_need_signatures() {
    harness!(|input: &[u8]| {
        for certificate in codec::<AvailabilityCertificate, _>(input, MANY, |b| decode(b, MANY)) {
            assert!(certificate.verify(&WORLD.committee, &WORLD.hash).is_err());
            let ours = AvailabilityCertificate {
                instance: WORLD.instance,
                ..certificate
            };
            assert!(ours.verify(&WORLD.committee, &WORLD.hash).is_err());
        }
    });
}

#[test]
fn fuzz_commit_proofs_commit_what_was_certified() {
    harness!(|input: &[u8]| {
        if let Some(proof) = damaged::<CommitProof>(input, &WORLD.root.proof)
            && proof.verify(&WORLD.committee, &WORLD.hash).is_ok()
        {
            assert_eq!(proof.header, WORLD.root.proof.header);
        }
    });
}

#[test]
fn fuzz_operations_verify_totally() {
    harness!(|input: &[u8]| {
        if let Some(operation) = value::<Operation>(input) {
            let _ = operation.id();
            assert!(operation.verify(&WORLD.hash).is_err(), "nobody signed it");
        }
        if let Some(evidence) = value::<Evidence>(input) {
            assert!(evidence.verify(&WORLD.hash).is_err(), "nobody said it");
        }
    });
}

#[test]
fn fuzz_signatures_verify_totally() {
    static HONEST: LazyLock<(PublicKey, Signature)> =
        LazyLock::new(|| (WORLD.keys[0].public(), WORLD.keys[0].sign(&Hash([5; 32]))));
    harness!(|input: &[u8]| {
        if let Some(forged) = damaged(input, &*HONEST)
            && forged != *HONEST
        {
            assert!(forged.0.verify(&Hash([5; 32]), &forged.1).is_err());
        }
        if let Some((key, signature)) = value::<(PublicKey, Signature)>(input) {
            assert!(key.verify(&Hash([5; 32]), &signature).is_err());
        }
    });
}

#[test]
fn fuzz_vrf_proofs_give_one_output() {
    static HONEST: LazyLock<(VrfPublic, VrfProof, [u8; 64])> = LazyLock::new(|| {
        let secret = VrfSecret::from_seed(&[9; 32]);
        let (proof, output) = secret.prove(b"alpha");
        (secret.public(), proof, output)
    });
    harness!(|input: &[u8]| {
        let (public, proof, output) = &*HONEST;
        if let Some(proof) = damaged::<VrfProof>(input, proof)
            && let Ok(found) = public.verify(b"alpha", &proof)
        {
            assert_eq!(found, *output);
        }
        if let Some((public, proof)) = value::<(VrfPublic, VrfProof)>(input) {
            let _ = public.is_valid();
            assert!(public.verify(b"alpha", &proof).is_err());
        }
    });
}
