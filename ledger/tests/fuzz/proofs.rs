//! Proofs of the tree and of the outbox: whatever a peer sends, verification ends, and never shows a falsehood.

use std::sync::LazyLock;

use frith_fuzz::{codec, harness, mutate};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::codec::decode;
use frith_ledger::hash::Hash;
use frith_ledger::light::{EntityProof, LightClient};
use frith_ledger::outbox::{ListProof, outbox_root, prove};
use frith_ledger::tree::{DrawProof, MultiProof, PathProof, RangeProof};
use parity_scale_codec::{Decode, Encode};

use crate::world::WORLD;

const MANY: usize = 1 << 20;

/// An address of the state, or one beside it.
fn asked(input: &[u8]) -> Address {
    let first = input.first().copied().unwrap_or(0);
    if first.is_multiple_of(2) {
        Address([first / 13 * 12; 32])
    } else {
        Address([first; 32])
    }
}

/// What random bytes make, and `honest` with damage.
fn candidates<T: Encode + Decode>(input: &[u8], honest: &T) -> Vec<T> {
    let mut candidates = codec::<T, _>(input, MANY, |bytes| decode(bytes, MANY));
    let mut bytes = honest.encode();
    mutate(&mut bytes, input.get(1..).unwrap_or(&[]));
    candidates.extend(decode(&bytes, MANY).ok());
    candidates
}

#[test]
fn fuzz_path_proofs_show_the_truth() {
    harness!(|input: &[u8]| {
        let (root, asked) = (WORLD.state.summary(), asked(input));
        let honest = WORLD.state.prove(&asked);
        let truth = honest.verify(&root, &asked).expect("it is honest");
        for proof in candidates::<PathProof>(input, &honest) {
            if let Ok(claim) = proof.verify(&root, &asked) {
                assert_eq!(claim, truth);
            }
        }
    });
}

#[test]
fn fuzz_multi_proofs_show_the_truth() {
    harness!(|input: &[u8]| {
        let root = WORLD.state.summary();
        let asked = [asked(input), Address([24; 32]), Address([25; 32])];
        let honest = WORLD.state.prove_many(&asked);
        let truth = honest.verify(&root, &asked).expect("it is honest");
        for proof in candidates::<MultiProof>(input, &honest) {
            if let Ok(claims) = proof.verify(&root, &asked) {
                assert_eq!(claims, truth);
            }
        }
    });
}

#[test]
fn fuzz_range_proofs_show_the_truth() {
    harness!(|input: &[u8]| {
        let (root, from) = (WORLD.state.summary(), asked(input));
        let honest = WORLD.state.range(Prefix::ROOT, from, 5, usize::MAX);
        for proof in candidates::<RangeProof>(input, &honest) {
            if let Ok(part) = proof.verify(&root, Prefix::ROOT, from) {
                let inside = |address: &Address| part.next.is_none_or(|next| *address < next);
                let truth: Vec<_> = WORLD
                    .state
                    .iter_from(from)
                    .take_while(|(address, _)| inside(address))
                    .map(|(address, leaf)| (address, leaf.clone()))
                    .collect();
                let shown = part.tree.iter();
                let shown: Vec<_> = shown
                    .map(|(address, leaf)| (address, leaf.clone()))
                    .collect();
                assert_eq!(shown, truth);
            }
        }
    });
}

#[test]
fn fuzz_draw_proofs_show_the_truth() {
    harness!(|input: &[u8]| {
        let root = WORLD.state.summary();
        let random = Hash([input.first().copied().unwrap_or(0); 32]);
        let honest = WORLD.state.prove_draw(&random).expect("there is stake");
        for proof in candidates::<DrawProof>(input, &honest) {
            if let Ok(drawn) = proof.verify(&root, &random) {
                assert_eq!(Some(drawn), WORLD.state.draw(&random));
            }
        }
    });
}

#[test]
fn fuzz_list_proofs_show_the_truth() {
    static MESSAGES: LazyLock<Vec<Hash>> =
        LazyLock::new(|| (0..11).map(|i| Hash([i; 32])).collect());
    harness!(|input: &[u8]| {
        let root = outbox_root(&MESSAGES);
        let index = u32::from(input.first().copied().unwrap_or(0) % 11);
        let honest = prove(&MESSAGES, index).expect("it is in the list");
        for proof in candidates::<ListProof>(input, &honest) {
            for message in MESSAGES.iter() {
                if proof.verify(&root, index, message).is_ok() {
                    assert_eq!(*message, MESSAGES[index as usize]);
                }
            }
        }
    });
}

#[test]
fn fuzz_light_clients_believe_the_truth() {
    static CLIENT: LazyLock<LightClient> =
        LazyLock::new(|| LightClient::new(&WORLD.genesis).expect("the genesis is usable"));
    harness!(|input: &[u8]| {
        let asked = asked(input);
        let honest = WORLD.prove(&asked);
        let truth = CLIENT
            .clone()
            .verify(&asked, &honest)
            .expect("it is honest");
        for proof in candidates::<EntityProof>(input, &honest) {
            if let Ok(verified) = CLIENT.clone().verify(&asked, &proof) {
                assert_eq!(verified, truth);
            }
        }
    });
}
