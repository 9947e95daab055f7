//! Opening a log: what the store holds, and what may be signed after it.

use super::api::{Durability, LogConfig, OpenLogError};
use super::blocks::LogBlocks;
use super::core::Log;
use super::gather::Gathered;
use super::persist::{self as log_store, StoredHead};
use super::pool::LogPool;
use crate::consensus::{Base, Consensus, SafetyRecord, Setup};
use crate::persist;
use crate::recovery::Recovery;
use frith_ledger::address::Prefix;
use frith_ledger::block::{ChainKind, Instance};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::store::Store;
use frith_ledger::tree::Summary;
use frith_ledger::units::{Epoch, Generation, Height, Millis, View};
use std::collections::{BTreeMap, BTreeSet};

/// Batches read at once when a log is opened, and proposals taken up again.
const RESUMED_STEP: usize = 64;

impl Log {
    /// Opens the store and takes up where it ended. Costs a read of the batches that wait for a block.
    ///
    /// # Errors
    /// [`OpenLogError`].
    pub fn open(
        config: LogConfig,
        store: Box<dyn Store>,
        now: Millis,
    ) -> Result<Self, OpenLogError> {
        let LogConfig {
            group,
            committee,
            key,
            founding,
            entropy,
            durability,
            limits,
        } = config;
        let me = key.public();
        let index = committee.index_of(&me).ok_or(OpenLogError::NoMember)?;
        let instance = Instance {
            kind: ChainKind::Leaf,
            prefix: Prefix::ROOT,
            generation: Generation::ZERO,
            epoch: Epoch::ZERO,
            committee: committee.hash(),
        };
        let mut store = Gathered::new(store);
        let safety = claim(&mut store, &instance, (group, founding), durability)?;
        let abstains = safety.is_none();
        let head = log_store::head(&store)?.unwrap_or(StoredHead {
            id: group,
            height: Height::ZERO,
            state: Summary::EMPTY,
            floor: 0,
        });
        let setup = Setup {
            genesis: group,
            instance,
            me: Some(index),
            committee: committee.clone(),
            key,
            seed: Hash::of(Domain::Log, &(b"leaders", group)),
            base: Base {
                id: group,
                height: Height::ZERO,
                state: Summary::EMPTY,
            },
            timeout: limits.view_timeout,
            timeout_max: limits.view_timeout_max,
            safety,
            #[cfg(any(test, feature = "planted-bugs"))]
            faults: crate::consensus::Faults::default(),
        };
        let number = u64::from_le_bytes(entropy.first_chunk::<8>().copied().unwrap_or_default());
        let retry = (limits.retry_min.get(), limits.retry_max.get());
        let mut log = Self {
            core: Consensus::new(setup),
            blocks: LogBlocks::new(head.id, head.height, head.state),
            pool: LogPool::new(me, number, head.floor),
            recovery: Recovery::new(!abstains, entropy, retry),
            group,
            committee,
            me,
            index,
            durability,
            limits,
            store,
            peers: BTreeMap::new(),
            lacking: BTreeMap::new(),
            saved: BTreeSet::new(),
            untold: Vec::new(),
            untold_due: None,
            copied: None,
            copying: None,
            copy_turn: 0,
            copy_asked: None,
            failed: None,
            halted: None,
            work: true,
            resumed: Vec::new(),
        };
        if abstains {
            log.recovery.begin(now, instance);
        }
        log.resume(now, &head)?;
        log.store.flush()?;
        Ok(log)
    }

    /// Takes up what waited for a block, the last commit, and proposals that were voted for.
    fn resume(&mut self, now: Millis, head: &StoredHead) -> Result<(), OpenLogError> {
        let mut from = head.floor;
        loop {
            let stored = log_store::batches(&self.store, from, RESUMED_STEP)?;
            let Some((last, _)) = stored.last() else {
                break;
            };
            from = last.saturating_add(1);
            for (at, batch) in stored {
                let digest = batch.digest();
                let place = log_store::arrived(&self.store, &digest)?;
                if place.is_some_and(|place| place.at == at && place.committed.is_none()) {
                    self.keep(
                        digest,
                        (batch.author, true),
                        (batch.author, at, batch.operations.len()),
                        Vec::new(),
                    );
                }
            }
        }
        self.pool.skip_to(from);
        let proposals = persist::proposals(
            &self.store,
            ChainKind::Leaf,
            Epoch::ZERO,
            View::ZERO,
            usize::from(u16::MAX),
        )?;
        self.saved
            .extend(proposals.iter().map(|p| p.block.header.view));
        let proof = match head.height {
            Height::ZERO => None,
            height => {
                let place = persist::entry(&self.store, height)?;
                let proof = place
                    .filter(|place| place.id == head.id)
                    .and_then(|place| place.proof)
                    .ok_or(OpenLogError::Damaged {
                        what: "the last block has no proof",
                    })?;
                Some(proof.proof)
            }
        };
        let mut out = Vec::new();
        self.call(now, &mut out, |core, host, effects| {
            if let Some(proof) = &proof {
                // It was verified before it was stored.
                let _held = core.synced(now, host, proof, effects);
            }
            core.restore(now, host, proposals, effects);
        });
        self.resumed = out;
        Ok(())
    }
}

/// Binds the store to its log, and says what this member may have signed; `None`: it has to ask the others.
fn claim(
    store: &mut dyn Store,
    instance: &Instance,
    (group, founding): (Hash, bool),
    durability: Durability,
) -> Result<Option<SafetyRecord>, OpenLogError> {
    let fresh = match persist::genesis(store)? {
        None => true,
        Some(found) if found == group => false,
        Some(found) => {
            return Err(OpenLogError::Group {
                expected: group,
                found,
            });
        }
    };
    let trusted = durability == Durability::Disk && persist::voting(store)?;
    let stored = persist::safety::<SafetyRecord>(store, ChainKind::Leaf, Epoch::ZERO)?;
    let safety = match stored {
        _ if fresh && founding => Some(SafetyRecord::fresh(*instance)),
        stored => stored.filter(|record| trusted && record.instance == *instance),
    };
    // The mark stands only while every record is synced before what it allows leaves.
    let marked = durability == Durability::Disk && safety.is_some();
    let mut writes = vec![
        persist::put_genesis(&group),
        if marked {
            persist::put_voting()
        } else {
            persist::delete_voting()
        },
    ];
    writes.extend(
        safety
            .iter()
            .map(|record| persist::put_safety(ChainKind::Leaf, Epoch::ZERO, record)),
    );
    store.write(writes)?;
    store.sync()?;
    Ok(safety)
}
