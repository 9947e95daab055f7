//! Honest proofs verify and say what the tree says.

use super::{address, entities, entries, version_of};
use crate::address::{Address, Prefix};
use crate::codec::decode;
use crate::hash::Hash;
use crate::tree::{
    DrawProof, LeafClaim, MultiProof, PathProof, RangeProof, Summary, Version, draw_point,
};
use parity_scale_codec::{Decode, Encode};
use proptest::prelude::*;

/// Through its encoding and back, as a peer would get it.
fn sent<T: Encode + Decode>(proof: &T) -> T {
    decode(&proof.encode(), 1 << 24).expect("an honest proof decodes")
}

fn claim_of(version: &Version, address: &Address) -> Option<LeafClaim> {
    let leaf = version.get(address)?;
    Some(LeafClaim {
        entity: leaf.entity_hash(),
        credits: leaf.credits,
        stake: leaf.stake,
    })
}

proptest! {
    #[test]
    fn a_path_proves_what_is_at_an_address(entities in entities(60), other in address()) {
        let version = version_of(&entities);
        for address in entities.keys().chain([&other]) {
            let proof: PathProof = sent(&version.prove(address));
            prop_assert_eq!(proof.verify(&version.summary(), address), Ok(claim_of(&version, address)));
            let entity = version.get(address).map_or(&[][..], |leaf| &leaf.bytes);
            let with_entity = proof.verify_entity(&version.summary(), address, entity);
            prop_assert_eq!(with_entity.ok(), claim_of(&version, address));
            let another = [entity, &[1]].concat();
            prop_assert!(proof.verify_entity(&version.summary(), address, &another).is_err());
        }
    }

    #[test]
    fn a_path_proves_nothing_about_another_root(mine in entities(20), theirs in entities(20), at in address()) {
        let (mine, theirs) = (version_of(&mine), version_of(&theirs));
        let verdict = mine.prove(&at).verify(&theirs.summary(), &at);
        prop_assert!(verdict.is_err() || mine.summary() == theirs.summary());
    }

    #[test]
    fn a_multi_proof_says_what_single_proofs_say(
        entities in entities(60), others in prop::collection::vec(address(), 0..20), every in 1_usize..5,
    ) {
        let version = version_of(&entities);
        let mut asked: Vec<Address> = entities.keys().step_by(every).copied().collect();
        asked.extend(others);
        asked.reverse();
        let proof: MultiProof = sent(&version.prove_many(&asked));
        let expected: Vec<_> = asked.iter().map(|address| claim_of(&version, address)).collect();
        prop_assert_eq!(proof.verify(&version.summary(), &asked), Ok(expected));
    }

    #[test]
    fn a_multi_proof_says_nothing_about_what_was_not_asked(entities in entities(60), other in address()) {
        let version = version_of(&entities);
        let Some(first) = entities.keys().next() else { return Ok(()) };
        let proof = version.prove_many(&[*first]);
        match proof.verify(&version.summary(), &[*first, other]) {
            // What the first one's path happens to show of the other may be used.
            Ok(claims) => prop_assert_eq!(claims.get(1), Some(&claim_of(&version, &other))),
            Err(error) => {
                let missing = matches!(error, crate::tree::ProofError::Missing { .. });
                prop_assert!(missing);
            }
        }
    }

    #[test]
    fn a_draw_finds_the_holder_of_the_unit(entities in entities(40), random in any::<[u8; 32]>()) {
        let version = version_of(&entities);
        let random = Hash(random);
        let point = draw_point(&random, version.summary().stake);
        let mut before = 0;
        let expected = point.and_then(|point| {
            entities.iter().find(|(_, leaf)| {
                before += leaf.stake.get();
                point.get() < before
            })
        });
        let expected = expected.map(|(address, _)| *address);
        prop_assert_eq!(version.draw(&random), expected);
        let proof = version.prove_draw(&random).map(|proof| sent::<DrawProof>(&proof));
        let verdict = proof.map(|proof| proof.verify(&version.summary(), &random));
        prop_assert_eq!(verdict, expected.map(Ok));
    }

    #[test]
    fn nobody_else_can_claim_a_draw(entities in entities(40), random in any::<[u8; 32]>()) {
        let version = version_of(&entities);
        let random = Hash(random);
        let drawn = version.draw(&random);
        for address in entities.keys().filter(|address| Some(**address) != drawn) {
            let forged = DrawProof { address: *address, path: version.prove(address) };
            prop_assert!(forged.verify(&version.summary(), &random).is_err());
        }
    }

    #[test]
    fn ranges_copy_a_prefix_piece_by_piece(
        entities in entities(60), at in address(), len in 0_u8..12, limit in 1_usize..9, bytes_max in 0_usize..900,
    ) {
        let version = version_of(&entities);
        let prefix = Prefix::of(&at, len).expect("at most 64");
        let mut from = Some(Address::default());
        let (mut copied, mut tree) = (Vec::new(), Version::empty());
        while let Some(start) = from {
            let proof: RangeProof = sent(&version.range(prefix, start, limit, bytes_max));
            let part = proof.verify(&version.summary(), prefix, start).expect("an honest range");
            prop_assert!(entries(&part).len() <= limit);
            copied.extend(entries(&part));
            tree = tree.append(&part.tree).expect("parts follow each other");
            from = part.next;
        }
        let expected: Vec<_> = entities.iter().filter(|(address, _)| prefix.contains(address))
            .map(|(address, leaf)| (*address, leaf.clone())).collect();
        prop_assert_eq!(copied, expected);
        prop_assert_eq!(tree.summary(), version.summary_under(prefix));
    }

    #[test]
    fn a_range_starts_anywhere(entities in entities(60), from in address(), limit in 1_usize..9) {
        let version = version_of(&entities);
        let part = version.range(Prefix::ROOT, from, limit, usize::MAX)
            .verify(&version.summary(), Prefix::ROOT, from).expect("an honest range");
        let mut expected = entities.range(from..).map(|(address, leaf)| (*address, leaf.clone()));
        let first: Vec<_> = expected.by_ref().take(limit).collect();
        prop_assert_eq!(entries(&part), first);
        prop_assert_eq!(part.next, expected.next().map(|(address, _)| address));
    }
}

#[test]
fn the_empty_tree_proves_that_nothing_is_there() {
    let (version, address) = (Version::empty(), Address([5; 32]));
    assert_eq!(
        version.prove(&address).verify(&Summary::EMPTY, &address),
        Ok(None)
    );
    assert_eq!(
        version
            .prove_many(&[address])
            .verify(&Summary::EMPTY, &[address]),
        Ok(vec![None])
    );
    assert_eq!(version.draw(&Hash([9; 32])), None);
    assert!(version.prove_draw(&Hash([9; 32])).is_none());
    let part = version.range(Prefix::ROOT, address, 10, 1000).verify(
        &Summary::EMPTY,
        Prefix::ROOT,
        address,
    );
    assert_eq!(
        part.map(|part| (entries(&part), part.next)),
        Ok((Vec::new(), None))
    );
}
