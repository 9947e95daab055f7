//! For simulations: what a process has once signed or checked it takes from memory. Ed25519 signs without chance and a
//! verdict depends on key, message and signature alone, so nothing comes out otherwise than without; many simulated nodes
//! that check the same signature, and scenarios that begin alike, cost it once. Never on in a node.

use super::{BadSignature, PublicKey, SecretKey, Signature};
use crate::hash::Hash;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Of each kind, for each thread: some 60 MiB in all. All are forgotten when there are more.
const KEPT_MAX: usize = 1 << 17;

type Kept<K, V> = RefCell<BTreeMap<K, V>>;

thread_local! {
    static VERDICTS: Kept<(PublicKey, Hash, Signature), bool> = RefCell::default();
    static SIGNATURES: Kept<(PublicKey, Hash), Signature> = RefCell::default();
}

fn get<K: Ord, V: Copy>(kept: &Kept<K, V>, key: K, make: impl FnOnce() -> V) -> V {
    let mut kept = kept.borrow_mut();
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
    *kept.entry(key).or_insert_with(make)
}

pub(super) fn verdict(
    key: &PublicKey,
    message: &Hash,
    signature: &Signature,
) -> Result<(), BadSignature> {
    let known = (*key, *message, *signature);
    let holds = VERDICTS.with(|kept| get(kept, known, || key.check(message, signature).is_ok()));
    holds.then_some(()).ok_or(BadSignature)
}

pub(super) fn signature(key: &SecretKey, message: &Hash) -> Signature {
    let known = (key.public(), *message);
    SIGNATURES.with(|kept| get(kept, known, || key.make(message)))
}
