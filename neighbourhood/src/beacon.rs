//! The beacon: a public random value for each epoch that nobody chooses.
//!
//! beacon(0) is a field of the genesis. beacon(e+1), in root(e), is the hash of beacon(e) and the
//! VRF output of the record's proposer on (genesis, e, view, beacon(e)). A VRF has one output, so a
//! proposer decides only whether to propose; beacon(e) fixes the order of the proposers, so j corrupt
//! ones in a row choose among j + 1 values.
//!
//! The same values seed the order of leaders: root(e)'s from beacon(e), the leaf's epoch e from
//! beacon(e-1), the last one that every member knows when the epoch begins.

use frith_ledger::block::RootRecord;
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::units::{Epoch, View};
use frith_ledger::vrf::{BadVrfProof, VrfProof, VrfPublic, VrfSecret};

/// What the order of a root instance's leaders is drawn from.
#[must_use]
pub fn root_seed(beacon: &Hash) -> Hash {
    Hash::of(Domain::Draw, &(b"root leaders", beacon))
}

/// What the order of the leaf's leaders in an epoch is drawn from; `beacon` is the one of the epoch
/// before, in epoch 0 the genesis's.
#[must_use]
pub fn leaf_seed(epoch: Epoch, beacon: &Hash) -> Hash {
    Hash::of(Domain::Draw, &(b"leaf leaders", epoch, beacon))
}

/// The proof that a proposer adds to its record, and the beacon that it gives.
#[must_use]
pub fn evaluate(
    secret: &VrfSecret,
    genesis: &Hash,
    epoch: Epoch,
    view: View,
    beacon: &Hash,
) -> (VrfProof, Hash) {
    let (proof, output) = secret.prove(&RootRecord::vrf_input(genesis, epoch, view, beacon));
    (proof, RootRecord::next_beacon(beacon, &output))
}

/// The beacon that a record's proof gives, if the proof holds for its proposer.
///
/// # Errors
/// [`BadVrfProof`].
pub fn verify(
    public: &VrfPublic,
    genesis: &Hash,
    epoch: Epoch,
    view: View,
    beacon: &Hash,
    proof: &VrfProof,
) -> Result<Hash, BadVrfProof> {
    let output = public.verify(&RootRecord::vrf_input(genesis, epoch, view, beacon), proof)?;
    Ok(RootRecord::next_beacon(beacon, &output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_gives_one_beacon_and_holds_only_for_its_epoch_view_and_proposer() {
        let (secret, other) = (
            VrfSecret::from_seed(&[1; 32]),
            VrfSecret::from_seed(&[2; 32]),
        );
        let (genesis, beacon, epoch, view) =
            (Hash([3; 32]), Hash([4; 32]), Epoch::new(5), View::new(1));
        let (proof, next) = evaluate(&secret, &genesis, epoch, view, &beacon);
        let check = |public: VrfPublic, epoch, view| {
            verify(&public, &genesis, epoch, view, &beacon, &proof)
        };
        assert_eq!(check(secret.public(), epoch, view), Ok(next));
        assert!(check(secret.public(), epoch.next(), view).is_err());
        assert!(check(secret.public(), epoch, view.next()).is_err());
        assert!(check(other.public(), epoch, view).is_err());
        assert_ne!(root_seed(&beacon), leaf_seed(epoch, &beacon));
    }
}
