//! Values with checksums: how everything that the core keeps is written and read.

use frith_ledger::codec::decode;
use frith_ledger::hash::Domain;
use frith_ledger::store::{Entry, Store, StoreError, Table, Write};
use parity_scale_codec::{Decode, Encode};

/// Bytes of any value that the core stores; longer ones are corrupt.
pub(crate) const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError {
        action: "read",
        reason: format!(
            "the stored {what} is damaged; take the store away and start again, it comes back from the others"
        ),
    }
}

pub(crate) fn load<T: Decode + Encode>(
    store: &dyn Store,
    table: Table,
    key: &[u8],
    what: &str,
) -> Result<Option<T>, StoreError> {
    let Some(bytes) = store.get(table, key)? else {
        return Ok(None);
    };
    unsealed(table, key, &bytes, what).map(Some)
}

/// Bytes at the end of a value that show that the rest, its key and its table weren't altered.
const CHECKSUM_BYTES: usize = 8;

fn checksum(table: Table, key: &[u8], bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let length = u64::try_from(key.len()).unwrap_or(u64::MAX);
    let hash = Domain::StoredRecord
        .hasher()
        .update(&[table as u8])
        .update(&length.to_le_bytes())
        .update(key)
        .update(bytes)
        .finish();
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&hash.0[..CHECKSUM_BYTES]);
    checksum
}

/// Reads a value that [`put`] wrote under this key. A damaged record is found here and never believed: a bit
/// of a safety record may be a vote.
///
/// # Errors
/// [`StoreError`] when it isn't what was written.
pub(crate) fn unsealed<T: Decode + Encode>(
    table: Table,
    key: &[u8],
    bytes: &[u8],
    what: &str,
) -> Result<T, StoreError> {
    let at = bytes.len().checked_sub(CHECKSUM_BYTES);
    let (value, found) = bytes.split_at(at.ok_or_else(|| corrupt(what))?);
    if checksum(table, key, value) != *found {
        return Err(corrupt(what));
    }
    decode(value, VALUE_BYTES_MAX).map_err(|_| corrupt(what))
}

pub(crate) fn put(table: Table, key: Vec<u8>, value: &impl Encode) -> Write {
    let mut value = value.encode();
    value.extend(checksum(table, &key, &value));
    Write::Put { table, key, value }
}

/// Reads all entries whose keys begin with `prefix`, at most `max`.
pub(crate) fn under(
    store: &dyn Store,
    table: Table,
    prefix: &[u8],
    max: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = store.range(table, prefix, max)?;
    entries.retain(|(key, _)| key.starts_with(prefix));
    Ok(entries)
}
