//! Signed lists of batches on their way into one certificate, which has room for a bounded number of batches.

use super::{Committee, Part, Weight};
use crate::block::BatchDigest;
use crate::codec::BoundedVec;
use crate::key::Signature;
use crate::parameters::{MEMBERS_MAX, OWED_MAX};
use crate::units::View;
use std::collections::{BTreeMap, BTreeSet};

/// Different batches that one certificate names. A signer's own list can't be cut (it is signed), so
/// a vote that would pass the bound is not taken into the certificate; when not all fit, those that
/// name the fewest batches which hardly anyone else names come first, so that a few members with
/// long lists of their own can't keep the others out.
pub const LISTED_MAX: usize = 4 * OWED_MAX;

pub(super) type Parts = (
    BoundedVec<BatchDigest, LISTED_MAX>,
    BoundedVec<Part, MEMBERS_MAX>,
);

pub(super) type Signed<'a> = (u16, View, &'a BoundedVec<BatchDigest, OWED_MAX>, Signature);

pub(super) fn assemble<'a>(
    committee: &Committee,
    entries: impl Iterator<Item = Signed<'a>>,
) -> Option<Parts> {
    let mut entries: Vec<Signed<'a>> = entries.collect();
    common_first(committee, &mut entries);
    let mut listed: BTreeSet<BatchDigest> = BTreeSet::new();
    let mut taken = Vec::new();
    let mut weight: Weight = 0;
    for entry in entries {
        let more = entry
            .2
            .iter()
            .filter(|batch| !listed.contains(batch))
            .count();
        if listed.len() + more <= LISTED_MAX {
            listed.extend(entry.2.iter().copied());
            weight = weight.saturating_add(committee.get(entry.0)?.weight);
            taken.push(entry);
        }
    }
    taken.sort_by_key(|entry| entry.0);
    if !committee.is_quorum(weight) {
        return None;
    }
    let listed: Vec<BatchDigest> = listed.into_iter().collect();
    let index = |batch: &BatchDigest| {
        listed
            .binary_search(batch)
            .ok()
            .and_then(|i| u16::try_from(i).ok())
    };
    let parts: Option<Vec<Part>> = taken
        .into_iter()
        .map(|(member, high, known, signature)| {
            let known: Option<Vec<u16>> = known.iter().map(index).collect();
            Some(Part {
                member,
                high,
                known: known?.try_into().ok()?,
                signature,
            })
        })
        .collect();
    let parts = parts?.try_into().ok()?;
    Some((listed.try_into().ok()?, parts))
}

/// When all the lists together pass [`LISTED_MAX`]: puts the signers first that name the fewest
/// batches which no third of the weight names.
fn common_first(committee: &Committee, entries: &mut [Signed<'_>]) {
    let mut weights: BTreeMap<BatchDigest, Weight> = BTreeMap::new();
    for (member, _, known, _) in entries.iter() {
        let weight = committee.get(*member).map_or(0, |member| member.weight);
        for batch in *known {
            let sum = weights.entry(*batch).or_default();
            *sum = sum.saturating_add(weight);
        }
    }
    if weights.len() > LISTED_MAX {
        let rare =
            |batch: &&BatchDigest| !committee.is_third(weights.get(*batch).copied().unwrap_or(0));
        entries.sort_by_cached_key(|entry| (entry.2.iter().filter(rare).count(), entry.0));
    }
}
