//! What the core keeps in its store, and under which keys.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | Meta | `genesis` | hash of the network that the store belongs to |
//! | Meta | `first` | the first block since the state was copied |
//! | Meta | `copied` | the first epoch of which every operation's receipt is here, when the state was copied |
//! | Meta | `voting` | present once this store may vote without asking others first |
//! | Meta | `founding` | present while a founder at its first start asks whether the network has begun |
//! | Meta | `closing/` epoch | [`Closing`]: where the next epoch begins |
//! | Meta | `committee/` epoch | the leaf's committee |
//! | Meta | `roots/` period | the root committee |
//! | Meta | `content/` content id | its length, when that is known: contents are long to read |
//! | Meta | `held/` digest | [`HeldMark`]: a batch that no committed block has |
//! | Safety | kind, epoch, 0 | the safety record |
//! | Safety | kind, epoch, 1, view | the proposal that was voted for |
//! | Blocks | block id | a committed block |
//! | Chain | height | [`ChainEntry`] |
//! | Batches | digest | a signed batch |
//! | Batches | digest, `c` | its availability certificate |
//! | Roots | epoch | a certified root record |
//! | Receipts | operation id | height and result |
//! | History | see [`crate::history`] | which blocks touched which account |
//!
//! A copy of the state under way adds what [`crate::sync`] says.
//!
//! Every value ends with a checksum over its table, its key and itself, so that damage is found when it is read.
//! Numbers in keys are big-endian, so that ranges run in their order. Nodes and Stale belong to the
//! tree, Content to whoever fetches, Work to the worker.
//!
//! Invariant: a write that refers to another (a chain entry to its block and batches, a closing to
//! its state) comes in the same batch or a later one, so after a power loss what is there is whole.

mod sealed;

pub(crate) use sealed::{VALUE_BYTES_MAX, corrupt, load, put, under, unsealed};

use frith_ledger::block::{
    BatchDigest, Block, BlockHeader, BlockId, ChainKind, Claim, Owed, Proposal, SignedBatch,
};
use frith_ledger::certificate::{AvailabilityCertificate, CommitProof, Committee};
use frith_ledger::entity::ContentId;
use frith_ledger::hash::Hash;
use frith_ledger::key::PublicKey;
use frith_ledger::light::CertifiedRoot;
use frith_ledger::operation::OperationId;
use frith_ledger::store::{Entry, Store, StoreError, Table, Write};
use frith_ledger::units::{Epoch, Height, View};
use frith_tasks::{Receipt, Refusal};
use parity_scale_codec::{Decode, Encode};

/// A committed block's place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChainEntry {
    /// The block.
    pub id: BlockId,
    /// Its epoch.
    pub epoch: Epoch,
    /// What commits it, when it was the last block of what was committed at once.
    pub proof: Option<Tail>,
}

/// A commit proof, and the empty blocks that lead to what it commits.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Tail {
    /// Headers after the block, up to the one that `proof` commits; empty when it commits the block.
    pub headers: Vec<BlockHeader>,
    /// The proof.
    pub proof: CommitProof,
}

/// The end of an epoch: where the next begins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Closing {
    /// Which epoch ended.
    pub epoch: Epoch,
    /// The closing block.
    pub id: BlockId,
    /// Its height.
    pub height: Height,
    /// What the leaf claims.
    pub claim: Claim,
    /// Batches that the next epoch owes first.
    pub owed: Vec<Owed>,
    /// Commits the closing block or an empty block after it; `None` when the state was copied.
    pub proof: Option<CommitProof>,
}

/// A batch that waits for a block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HeldMark {
    /// Who made it.
    pub author: PublicKey,
    /// The epoch in which it came.
    pub epoch: Epoch,
}

/// Where an operation ended.
pub type Ended = (Height, Result<(), Refusal>);

fn keyed(name: &str, number: u64) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn safety_key(kind: ChainKind, epoch: Epoch, sub: u8) -> Vec<u8> {
    let mut key = vec![match kind {
        ChainKind::Leaf => 0,
        ChainKind::Root => 1,
    }];
    key.extend_from_slice(&epoch.get().to_be_bytes());
    key.push(sub);
    key
}

fn marked(digest: &BatchDigest, mark: u8) -> Vec<u8> {
    let mut key = digest.0.to_vec();
    key.push(mark);
    key
}

fn held_key(digest: &BatchDigest) -> Vec<u8> {
    let mut key = b"held/".to_vec();
    key.extend_from_slice(&digest.0);
    key
}

fn content_key(id: &ContentId) -> Vec<u8> {
    let mut key = b"content/".to_vec();
    key.extend_from_slice(&id.0);
    key
}

/// The length of a content of the store, if it was noted.
///
/// # Errors
/// [`StoreError`].
pub fn content_len(store: &dyn Store, id: &ContentId) -> Result<Option<u32>, StoreError> {
    load(store, Table::Meta, &content_key(id), "length of a content")
}

/// Notes the length of a content that is in the store, or comes with this batch.
#[must_use]
pub fn put_content_len(id: &ContentId, len: u32) -> Write {
    put(Table::Meta, content_key(id), &len)
}

/// The network that the store belongs to; `None` when it is empty.
///
/// # Errors
/// [`StoreError`].
pub fn genesis(store: &dyn Store) -> Result<Option<Hash>, StoreError> {
    load(store, Table::Meta, b"genesis", "genesis hash")
}

/// Binds the store to a network.
#[must_use]
pub fn put_genesis(hash: &Hash) -> Write {
    put(Table::Meta, b"genesis".to_vec(), hash)
}

/// The first block of the chain since the state was copied; `None` when it never was.
///
/// # Errors
/// [`StoreError`].
pub fn first(store: &dyn Store) -> Result<Option<Height>, StoreError> {
    load(store, Table::Meta, b"first", "first height")
}

/// Keeps the first block of the chain after a copy of the state: older ones don't lead to it.
#[must_use]
pub fn put_first(height: Height) -> Write {
    put(Table::Meta, b"first".to_vec(), &height)
}

/// The first epoch whose blocks this store has all receipts of, when its state was copied.
///
/// # Errors
/// [`StoreError`].
pub fn copied(store: &dyn Store) -> Result<Option<Epoch>, StoreError> {
    load(store, Table::Meta, b"copied", "epoch of the copy")
}

/// Notes it.
#[must_use]
pub fn put_copied(epoch: Epoch) -> Write {
    put(Table::Meta, b"copied".to_vec(), &epoch)
}

/// Whether this store may vote without asking others first.
///
/// # Errors
/// [`StoreError`].
pub fn voting(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.get(Table::Meta, b"voting")?.is_some())
}

/// Notes that this store may vote.
#[must_use]
pub fn put_voting() -> Write {
    put(Table::Meta, b"voting".to_vec(), &())
}

/// Notes that this store may not.
#[must_use]
pub fn delete_voting() -> Write {
    Write::Delete {
        table: Table::Meta,
        key: b"voting".to_vec(),
    }
}

/// Whether a founder that may not vote yet started on this store for the first time.
///
/// # Errors
/// [`StoreError`].
pub fn founding(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.get(Table::Meta, b"founding")?.is_some())
}

/// Notes that a founder starts on this store for the first time.
#[must_use]
pub fn put_founding() -> Write {
    put(Table::Meta, b"founding".to_vec(), &())
}

/// Notes that it isn't a founder's first start, or not any more.
#[must_use]
pub fn delete_founding() -> Write {
    Write::Delete {
        table: Table::Meta,
        key: b"founding".to_vec(),
    }
}

/// The ends of the last epochs that are kept, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn closings(store: &dyn Store, from: Epoch, max: usize) -> Result<Vec<Closing>, StoreError> {
    let entries = store.range(Table::Meta, &keyed("closing/", from.get()), max)?;
    let mine = entries
        .into_iter()
        .take_while(|(key, _)| key.starts_with(b"closing/"));
    mine.map(|(key, value)| unsealed(Table::Meta, &key, &value, "end of an epoch"))
        .collect()
}

/// The end of one epoch.
///
/// # Errors
/// [`StoreError`].
pub fn closing(store: &dyn Store, epoch: Epoch) -> Result<Option<Closing>, StoreError> {
    load(
        store,
        Table::Meta,
        &keyed("closing/", epoch.get()),
        "end of an epoch",
    )
}

/// Keeps the end of an epoch.
#[must_use]
pub fn put_closing(closing: &Closing) -> Write {
    put(Table::Meta, keyed("closing/", closing.epoch.get()), closing)
}

/// Forgets the end of an epoch.
#[must_use]
pub fn delete_closing(epoch: Epoch) -> Write {
    Write::Delete {
        table: Table::Meta,
        key: keyed("closing/", epoch.get()),
    }
}

/// The leaf's committee of an epoch.
///
/// # Errors
/// [`StoreError`].
pub fn committee(store: &dyn Store, epoch: Epoch) -> Result<Option<Committee>, StoreError> {
    load(
        store,
        Table::Meta,
        &keyed("committee/", epoch.get()),
        "committee",
    )
}

/// Keeps the leaf's committee of an epoch.
#[must_use]
pub fn put_committee(epoch: Epoch, committee: &Committee) -> Write {
    put(Table::Meta, keyed("committee/", epoch.get()), committee)
}

/// Forgets the leaf's committee of an epoch.
#[must_use]
pub fn delete_committee(epoch: Epoch) -> Write {
    Write::Delete {
        table: Table::Meta,
        key: keyed("committee/", epoch.get()),
    }
}

/// The root committee of a period.
///
/// # Errors
/// [`StoreError`].
pub fn root_committee(store: &dyn Store, period: u64) -> Result<Option<Committee>, StoreError> {
    load(
        store,
        Table::Meta,
        &keyed("roots/", period),
        "root committee",
    )
}

/// Keeps the root committee of a period. Never forgotten: light clients follow them.
#[must_use]
pub fn put_root_committee(period: u64, committee: &Committee) -> Write {
    put(Table::Meta, keyed("roots/", period), committee)
}

/// Batches that waited for a block when the node stopped, at most `max`.
///
/// # Errors
/// [`StoreError`].
pub fn held(store: &dyn Store, max: usize) -> Result<Vec<(BatchDigest, HeldMark)>, StoreError> {
    let entry = |(key, value): Entry| {
        let digest = key
            .get(5..)
            .and_then(|d| <[u8; 32]>::try_from(d).ok())
            .map(Hash);
        let mark = unsealed(Table::Meta, &key, &value, "list of batches")?;
        Ok((digest.ok_or_else(|| corrupt("list of batches"))?, mark))
    };
    under(store, Table::Meta, b"held/", max)?
        .into_iter()
        .map(entry)
        .collect()
}

/// Keeps a batch that waits for a block.
#[must_use]
pub fn put_held(digest: &BatchDigest, batch: &SignedBatch, epoch: Epoch) -> [Write; 2] {
    let mark = HeldMark {
        author: batch.batch.author,
        epoch,
    };
    [
        put(Table::Batches, digest.0.to_vec(), batch),
        put(Table::Meta, held_key(digest), &mark),
    ]
}

/// The batch no longer waits. It is kept itself.
#[must_use]
pub fn delete_held(digest: &BatchDigest) -> [Write; 2] {
    [
        Write::Delete {
            table: Table::Meta,
            key: held_key(digest),
        },
        Write::Delete {
            table: Table::Batches,
            key: marked(digest, b'c'),
        },
    ]
}

/// A batch.
///
/// # Errors
/// [`StoreError`].
pub fn batch(store: &dyn Store, digest: &BatchDigest) -> Result<Option<SignedBatch>, StoreError> {
    load(store, Table::Batches, &digest.0, "batch")
}

/// Forgets a batch.
#[must_use]
pub fn delete_batch(digest: &BatchDigest) -> Write {
    Write::Delete {
        table: Table::Batches,
        key: digest.0.to_vec(),
    }
}

/// A batch's certificate.
///
/// # Errors
/// [`StoreError`].
pub fn certificate(
    store: &dyn Store,
    digest: &BatchDigest,
) -> Result<Option<AvailabilityCertificate>, StoreError> {
    load(
        store,
        Table::Batches,
        &marked(digest, b'c'),
        "availability certificate",
    )
}

/// Keeps a batch's certificate.
#[must_use]
pub fn put_certificate(certificate: &AvailabilityCertificate) -> Write {
    put(
        Table::Batches,
        marked(&certificate.batch, b'c'),
        certificate,
    )
}

/// A safety record's bytes.
///
/// # Errors
/// [`StoreError`].
pub fn safety<T: Decode + Encode>(
    store: &dyn Store,
    kind: ChainKind,
    epoch: Epoch,
) -> Result<Option<T>, StoreError> {
    load(
        store,
        Table::Safety,
        &safety_key(kind, epoch, 0),
        "safety record",
    )
}

/// Keeps a safety record.
#[must_use]
pub fn put_safety(kind: ChainKind, epoch: Epoch, record: &impl Encode) -> Write {
    put(Table::Safety, safety_key(kind, epoch, 0), record)
}

/// Forgets a safety record: who has none asks the others.
#[must_use]
pub fn delete_safety(kind: ChainKind, epoch: Epoch) -> Write {
    Write::Delete {
        table: Table::Safety,
        key: safety_key(kind, epoch, 0),
    }
}

pub(crate) fn proposal_key(kind: ChainKind, epoch: Epoch, view: View) -> Vec<u8> {
    let mut key = safety_key(kind, epoch, 1);
    key.extend_from_slice(&view.get().to_be_bytes());
    key
}

/// Keeps a proposal that was voted for.
#[must_use]
pub fn put_proposal(kind: ChainKind, epoch: Epoch, proposal: &Proposal) -> Write {
    put(
        Table::Safety,
        proposal_key(kind, epoch, proposal.block.header.view),
        proposal,
    )
}

/// The proposals of an instance that were voted for, from view `from` on by rising views, at most `max`.
///
/// # Errors
/// [`StoreError`].
pub fn proposals(
    store: &dyn Store,
    kind: ChainKind,
    epoch: Epoch,
    from: View,
    max: usize,
) -> Result<Vec<Proposal>, StoreError> {
    let prefix = safety_key(kind, epoch, 1);
    let entries = store.range(Table::Safety, &proposal_key(kind, epoch, from), max)?;
    entries
        .into_iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .map(|(key, value)| unsealed(Table::Safety, &key, &value, "proposal"))
        .collect()
}

/// Forgets the proposals of an instance, and with `all` its safety record too.
///
/// # Errors
/// [`StoreError`].
pub fn forget_instance(
    store: &dyn Store,
    kind: ChainKind,
    epoch: Epoch,
    all: bool,
) -> Result<Vec<Write>, StoreError> {
    let entries = under(
        store,
        Table::Safety,
        &safety_key(kind, epoch, 1),
        usize::from(u16::MAX),
    )?;
    let mut writes: Vec<Write> = entries
        .into_iter()
        .map(|(key, _)| Write::Delete {
            table: Table::Safety,
            key,
        })
        .collect();
    if all {
        writes.push(Write::Delete {
            table: Table::Safety,
            key: safety_key(kind, epoch, 0),
        });
    }
    Ok(writes)
}

/// A committed block.
///
/// # Errors
/// [`StoreError`].
pub fn block(store: &dyn Store, id: &BlockId) -> Result<Option<Block>, StoreError> {
    load(store, Table::Blocks, &id.0, "block")
}

/// Keeps a committed block and its place.
#[must_use]
pub fn put_block(height: Height, block: &Block, entry: &ChainEntry) -> [Write; 2] {
    [
        put(Table::Blocks, entry.id.0.to_vec(), block),
        put_entry(height, entry),
    ]
}

/// Forgets a committed block and its place.
#[must_use]
pub fn delete_block(height: Height, id: &BlockId) -> [Write; 2] {
    [
        Write::Delete {
            table: Table::Blocks,
            key: id.0.to_vec(),
        },
        Write::Delete {
            table: Table::Chain,
            key: height.get().to_be_bytes().to_vec(),
        },
    ]
}

/// Keeps a place in the chain.
#[must_use]
pub fn put_entry(height: Height, entry: &ChainEntry) -> Write {
    put(Table::Chain, height.get().to_be_bytes().to_vec(), entry)
}

/// The place at `height`.
///
/// # Errors
/// [`StoreError`].
pub fn entry(store: &dyn Store, height: Height) -> Result<Option<ChainEntry>, StoreError> {
    load(store, Table::Chain, &height.get().to_be_bytes(), "chain")
}

/// The places from `from` on, at most `max`.
///
/// # Errors
/// [`StoreError`].
pub fn entries(
    store: &dyn Store,
    from: Height,
    max: usize,
) -> Result<Vec<(Height, ChainEntry)>, StoreError> {
    let place = |(key, value): Entry| {
        let height = <[u8; 8]>::try_from(&key[..])
            .map(u64::from_be_bytes)
            .map(Height::new);
        let height = height.map_err(|_| corrupt("chain"))?;
        Ok((height, unsealed(Table::Chain, &key, &value, "chain")?))
    };
    store
        .range(Table::Chain, &from.get().to_be_bytes(), max)?
        .into_iter()
        .map(place)
        .collect()
}

/// A certified root record.
///
/// # Errors
/// [`StoreError`].
pub fn root(store: &dyn Store, epoch: Epoch) -> Result<Option<CertifiedRoot>, StoreError> {
    load(
        store,
        Table::Roots,
        &epoch.get().to_be_bytes(),
        "root record",
    )
}

/// Keeps a certified root record.
#[must_use]
pub fn put_root(epoch: Epoch, root: &CertifiedRoot) -> Write {
    put(Table::Roots, epoch.get().to_be_bytes().to_vec(), root)
}

/// Forgets a root record.
#[must_use]
pub fn delete_root(epoch: Epoch) -> Write {
    Write::Delete {
        table: Table::Roots,
        key: epoch.get().to_be_bytes().to_vec(),
    }
}

/// Where an operation ended.
///
/// # Errors
/// [`StoreError`].
pub fn receipt(store: &dyn Store, id: &OperationId) -> Result<Option<Ended>, StoreError> {
    load(store, Table::Receipts, &id.0, "receipt")
}

/// Keeps where an operation ended.
#[must_use]
pub fn put_receipt(height: Height, receipt: &Receipt) -> Write {
    put(
        Table::Receipts,
        receipt.operation.0.to_vec(),
        &(height, receipt.result.clone()),
    )
}
