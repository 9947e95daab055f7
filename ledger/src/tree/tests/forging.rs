//! Altered proofs are refused or say the same.

use super::{Entities, address, entities, entries, leaf, version_of};
use crate::address::{Address, Prefix};
use crate::codec::{BoundedVec, decode};
use crate::credits::Credits;
use crate::hash::Hash;
use crate::tree::{
    DrawProof, FrontierItem, MultiProof, NodePrefix, PathEnd, PathProof, PathStep, RangeProof,
    Summary, Version,
};
use parity_scale_codec::{Decode, Encode};
use proptest::prelude::*;

const BYTES_MAX: usize = 1 << 24;

/// `proof` with one byte altered, if that still decodes.
fn altered<T: Encode + Decode>(proof: &T, at: prop::sample::Index, flip: u8) -> Option<T> {
    let mut bytes = proof.encode();
    let at = at.index(bytes.len());
    bytes[at] ^= flip;
    decode(&bytes, BYTES_MAX).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn a_path_with_any_byte_altered_is_refused_or_says_the_same(
        entities in entities(30), asked in address(), member in any::<prop::sample::Index>(), present in any::<bool>(),
        at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let version = version_of(&entities);
        let members: Vec<_> = entities.keys().copied().collect();
        let asked = if present && !members.is_empty() { *member.get(&members) } else { asked };
        let honest = version.prove(&asked);
        let claim = honest.verify(&version.summary(), &asked);
        if let Some(forged) = altered::<PathProof>(&honest, at, flip) {
            let verdict = forged.verify(&version.summary(), &asked);
            prop_assert!(verdict.is_err() || verdict == claim);
        }
    }

    #[test]
    fn a_multi_proof_with_any_byte_altered_is_refused_or_says_the_same(
        entities in entities(30), others in prop::collection::vec(address(), 0..4),
        at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let version = version_of(&entities);
        let mut asked: Vec<_> = entities.keys().step_by(4).copied().collect();
        asked.extend(others);
        let honest = version.prove_many(&asked);
        let claims = honest.verify(&version.summary(), &asked);
        if let Some(forged) = altered::<MultiProof>(&honest, at, flip) {
            let verdict = forged.verify(&version.summary(), &asked);
            prop_assert!(verdict.is_err() || verdict == claims);
        }
    }

    #[test]
    fn a_draw_with_any_byte_altered_is_refused_or_says_the_same(
        entities in entities(30), random in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let version = version_of(&entities);
        let random = Hash(random);
        let Some(honest) = version.prove_draw(&random) else { return Ok(()) };
        if let Some(forged) = altered::<DrawProof>(&honest, at, flip) {
            let verdict = forged.verify(&version.summary(), &random);
            prop_assert!(verdict.is_err() || verdict == Ok(honest.address));
        }
    }

    #[test]
    fn a_range_with_any_byte_altered_is_refused_or_shows_a_true_part(
        entities in entities(30), from in address(), limit in 1_usize..9,
        at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let version = version_of(&entities);
        let honest = version.range(Prefix::ROOT, from, limit, usize::MAX);
        let Some(forged) = altered::<RangeProof>(&honest, at, flip) else { return Ok(()) };
        if let Ok(part) = forged.verify(&version.summary(), Prefix::ROOT, from) {
            // It may say to go on elsewhere, but never past something that it left out.
            let expected: Vec<_> = entities.range(from..)
                .take_while(|(address, _)| part.next.is_none_or(|next| **address < next))
                .map(|(address, leaf)| (*address, leaf.clone())).collect();
            prop_assert_eq!(entries(&part), expected);
        }
    }

    #[test]
    fn arbitrary_bytes_never_verify_or_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let entities: Entities = (1..9).map(|i| (Address([i; 32]), leaf(i, 5, 3))).collect();
        let version = version_of(&entities);
        let (root, address) = (version.summary(), Address([4; 32]));
        if let Ok(proof) = decode::<PathProof>(&bytes, BYTES_MAX) {
            prop_assert!(proof.verify(&root, &address).is_err());
        }
        if let Ok(proof) = decode::<MultiProof>(&bytes, BYTES_MAX) {
            prop_assert!(proof.verify(&root, &[address]).is_err());
        }
        if let Ok(proof) = decode::<RangeProof>(&bytes, BYTES_MAX) {
            prop_assert!(proof.verify(&root, Prefix::ROOT, address).is_err());
        }
    }

    #[test]
    fn arbitrary_items_never_prove_a_falsehood(
        items in prop::collection::vec(item(), 0..12), asked in address(),
    ) {
        let entities: Entities = (0..8).map(|i| (Address([i << 5; 32]), leaf(i, 5, 3))).collect();
        let version = version_of(&entities);
        let multi = decode::<MultiProof>(&items.encode(), BYTES_MAX).expect("items are a proof's encoding");
        prop_assert!(multi.verify(&version.summary(), &[asked]).is_err());
        let range = decode::<RangeProof>(&(Some(asked), items).encode(), BYTES_MAX).expect("as above");
        prop_assert!(range.verify(&version.summary(), Prefix::ROOT, Address::default()).is_err());
    }
}

fn summary() -> impl Strategy<Value = Summary> {
    (any::<[u8; 32]>(), 0_u128..100, 1_u64..9).prop_map(|(hash, credits, entities)| Summary {
        hash: Hash(hash),
        credits: Credits::new(credits),
        stake: Credits::ZERO,
        entities,
    })
}

fn item() -> impl Strategy<Value = FrontierItem> {
    let claim = (address(), any::<[u8; 32]>()).prop_map(|(address, entity)| {
        let claim = crate::tree::LeafClaim {
            entity: Hash(entity),
            credits: Credits::new(5),
            stake: Credits::new(3),
        };
        FrontierItem::Claim { address, claim }
    });
    let entry =
        (address(), prop::collection::vec(any::<u8>(), 0..9)).prop_map(|(address, bytes)| {
            let bytes = BoundedVec::try_from(bytes).expect("few bytes");
            FrontierItem::Entry {
                address,
                bytes,
                credits: Credits::new(5),
                stake: Credits::new(3),
            }
        });
    let split =
        (address(), 0_u16..256, summary(), summary()).prop_map(|(address, len, left, right)| {
            FrontierItem::Split {
                prefix: NodePrefix::of(&address, len),
                left,
                right,
            }
        });
    prop_oneof![
        (any::<u8>(), summary()).prop_map(|(at, summary)| FrontierItem::Left { at, summary }),
        (any::<u8>(), summary()).prop_map(|(at, summary)| FrontierItem::Right { at, summary }),
        split,
        claim,
        entry,
    ]
}

/// Four entities, two in each half of the address space, and the proof of the first.
fn small() -> (Version, Address, PathProof) {
    let entities: Entities = [0x00, 0x40, 0x80, 0xc0]
        .map(|i| (Address([i; 32]), leaf(3, 10, 4)))
        .into();
    let version = version_of(&entities);
    let address = Address([0; 32]);
    let proof = version.prove(&address);
    (version, address, proof)
}

#[test]
fn a_subtree_cannot_be_hidden_to_exclude_what_it_holds() {
    let (version, _, _) = small();
    let root = version.root.as_ref().expect("not empty").summary;
    // The honest frontier for an address in the left half hides the right half. Told to exclude an
    // address of the right half, the same items must fail, whatever place they claim for it.
    let honest = version.prove_many(&[Address([0; 32])]);
    let there = Address([0x80; 32]);
    assert!(honest.verify(&root, &[Address([0; 32])]).is_ok());
    assert!(honest.verify(&root, &[there]).is_err());
    let items = Vec::<FrontierItem>::decode(&mut &honest.encode()[..]).expect("items");
    for at in 0..=u8::MAX {
        let moved: Vec<_> = items
            .iter()
            .cloned()
            .map(|item| match item {
                FrontierItem::Right { at: 0, summary } => FrontierItem::Right { at, summary },
                other => other,
            })
            .collect();
        let forged = decode::<MultiProof>(&moved.encode(), BYTES_MAX).expect("items");
        assert!(forged.verify(&root, &[there]).is_err(), "moved to {at}");
    }
}

#[test]
fn steps_that_do_not_lengthen_or_have_an_empty_sibling_are_refused() {
    let (version, address, honest) = small();
    let root = version.summary();
    assert!(honest.verify(&root, &address).is_ok());
    let with = |change: &dyn Fn(&mut Vec<PathStep>)| {
        let mut steps = honest.steps.to_vec();
        change(&mut steps);
        let steps = BoundedVec::try_from(steps).expect("few");
        PathProof {
            steps,
            end: honest.end,
        }
        .verify(&root, &address)
    };
    assert!(with(&|steps| steps.swap(0, 1)).is_err());
    assert!(
        with(&|steps| steps.push(PathStep {
            len: 200,
            sibling: Summary::EMPTY
        }))
        .is_err()
    );
    assert!(with(&|steps| steps.insert(1, steps[0])).is_err());
    assert!(with(&|steps| steps.truncate(1)).is_err());
}

#[test]
fn a_present_entity_cannot_be_excluded_by_its_neighbour() {
    let (version, address, honest) = small();
    let root = version.summary();
    let neighbour = version.prove(&Address([0x40; 32]));
    let PathEnd::Leaf(claim) = neighbour.end else {
        panic!("it is there")
    };
    let end = PathEnd::OtherLeaf {
        address: Address([0x40; 32]),
        claim,
    };
    assert!(
        PathProof {
            steps: neighbour.steps,
            end
        }
        .verify(&root, &address)
        .is_err()
    );
    let end = PathEnd::OtherLeaf {
        address: Address([0x40; 32]),
        claim,
    };
    assert!(
        PathProof {
            steps: honest.steps.clone(),
            end
        }
        .verify(&root, &address)
        .is_err()
    );
    let end = PathEnd::Empty;
    assert!(
        PathProof {
            steps: honest.steps,
            end
        }
        .verify(&root, &address)
        .is_err()
    );
}

#[test]
fn sums_are_part_of_what_is_proven() {
    let (version, address, honest) = small();
    let root = version.summary();
    for (credits, stake) in [(11, 4), (10, 5), (10, 11)] {
        let PathEnd::Leaf(mut claim) = honest.end else {
            panic!("it is there")
        };
        (claim.credits, claim.stake) = (Credits::new(credits), Credits::new(stake));
        let forged = PathProof {
            end: PathEnd::Leaf(claim),
            steps: honest.steps.clone(),
        };
        assert!(forged.verify(&root, &address).is_err());
        // Nor does it hold when the root is told the same lie with the true hash.
        let told = Summary {
            credits: Credits::new(40 - 10 + credits),
            stake: root.stake,
            ..root
        };
        assert!(forged.verify(&told, &address).is_err());
    }
}
