//! This node's own contents: read and, when they are large, stored beside the core, which goes on meanwhile.
//!
//! A large content that went through the core would lie in the log that votes wait for: it would be written twice, and
//! the next vote would wait until all of it is durable.

use crate::service::disk::DiskGuard;
use frith_ledger::entity::ContentId;
use frith_ledger::store::StoreError;
use frith_neighbourhood::{ContentAdder, ContentReader, Node};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use tokio::task::JoinError;

/// Contents read for this machine's own needs at one time; each may have 16 MiB.
const READS_MAX: usize = 4;
/// Content of so many bytes becomes a file of its own beside the core. Less isn't worth a file: the core writes it with
/// what else it writes.
const BESIDE_BYTES_MIN: usize = 1 << 20;

/// The contents of this node's store.
pub(in crate::service) struct Own {
    pub(in crate::service) reader: ContentReader,
    adder: Option<ContentAdder>,
    reads: Arc<Semaphore>,
    /// Whose turn it is to store: one at a time, so that each finds the room that is left.
    storing: Arc<Mutex<()>>,
    disk: Option<DiskGuard>,
}

/// What became of content that is to be stored.
pub(in crate::service) enum Kept {
    /// It is stored and durable; the core has to be told.
    Beside,
    /// The core has to write it.
    ByCore(Vec<u8>),
}

impl Own {
    /// The contents of a core's store.
    pub(in crate::service) fn of(node: &Node, disk: Option<DiskGuard>) -> Self {
        Self {
            reader: node.content_reader(),
            adder: node.content_adder(),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            storing: Arc::default(),
            disk,
        }
    }

    /// Reads content; the outer error is a shutdown.
    pub(in crate::service) async fn get(
        &self,
        id: ContentId,
    ) -> Result<Result<Option<Vec<u8>>, StoreError>, JoinError> {
        let permit = self.reads.clone().acquire_owned().await;
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            reader.get(&id)
        })
        .await
    }

    /// Whether there is room for content of `len` bytes; inside, why not. The outer error is a shutdown.
    pub(in crate::service) async fn room(&self, len: u32) -> Result<Result<(), String>, JoinError> {
        let Some(disk) = self.disk.clone() else {
            return Ok(Ok(()));
        };
        tokio::task::spawn_blocking(move || disk.check(u64::from(len))).await
    }

    /// Keeps content for which there is room, when it is large; what is there already stays. Waits for its turn, which
    /// lasts as long as what it gives. The outer error is a shutdown; inside, why the content is refused.
    pub(in crate::service) async fn keep(
        &self,
        id: ContentId,
        bytes: Vec<u8>,
    ) -> Result<Result<(Kept, OwnedMutexGuard<()>), String>, JoinError> {
        let turn = self.storing.clone().lock_owned().await;
        let (disk, adder, reader) = (self.disk.clone(), self.adder.clone(), self.reader.clone());
        tokio::task::spawn_blocking(move || {
            // A store that can't be read beside its owner says nothing here.
            if matches!(reader.get(&id), Ok(Some(_))) {
                return Ok((Kept::Beside, turn));
            }
            if let Some(disk) = disk {
                disk.check(bytes.len() as u64)?;
            }
            match adder.filter(|_| bytes.len() >= BESIDE_BYTES_MIN) {
                Some(adder) => adder
                    .add(&id, &bytes)
                    .map(|()| (Kept::Beside, turn))
                    .map_err(|error| error.to_string()),
                None => Ok((Kept::ByCore(bytes), turn)),
            }
        })
        .await
    }
}
