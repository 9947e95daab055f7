//! Content that operations name: members hold it before they vouch for a batch.

use frith_ledger::codec::BoundedVec;
use frith_ledger::entity::{Bytes, ContentId};
use frith_ledger::hash::Hash;
use frith_ledger::operation::{Action, Operation};

/// The id of content: its plain BLAKE3 hash.
#[must_use]
pub fn content_id(bytes: &[u8]) -> ContentId {
    Hash(*blake3::hash(bytes).as_bytes())
}

/// Bytes as the ledger names them: inline when they fit, by id above that.
///
/// The rule is fixed, so that equal outputs are equal outcomes. At most 4 GiB - 1 can be named; the
/// limits of tasks are far below.
#[must_use]
pub fn name_bytes(bytes: &[u8]) -> Bytes {
    BoundedVec::try_from(bytes.to_vec()).map_or_else(
        |_| Bytes::Content {
            id: content_id(bytes),
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        },
        Bytes::Inline,
    )
}

/// Programs and inputs that an operation needs held, with their sizes in bytes.
///
/// Results aren't among them: the workers who agreed on one keep it.
#[must_use]
pub fn contents(operation: &Operation) -> Vec<(ContentId, u32)> {
    let Operation::Signed(signed) = operation else {
        return Vec::new();
    };
    let Action::SubmitTask(spec) = &signed.body.action else {
        return Vec::new();
    };
    let mut named = vec![(spec.program, spec.program_len)];
    if let Bytes::Content { id, len } = spec.input {
        named.push((id, len));
    }
    named
}
