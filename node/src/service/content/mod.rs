//! Content between nodes: who has it, how it comes, how it is checked.
//!
//! 1. Content is named by its BLAKE3. Whoever holds some announces it in the routing table ([`Fetcher::hold`]),
//!    at most so many, the oldest give way.
//! 2. Content is asked for in *slices* of at most 16 groups of 16 KiB, over `/frith/fetch/1`. A slice carries the
//!    hashes that lead from the id to its groups (the BLAKE3 tree, as bao encodes it), so each group is checked
//!    as it is taken, from whichever source, and the first bad one gives its source away.
//! 3. A slice of the last group proves the length, when it isn't known from whoever named the content.
//! 4. Slices are asked of several sources at once ([`Plan`]): holders that are known, providers that the routing
//!    table names, the committee. Whoever is quick is asked for more; whoever sent a bad one is reported and
//!    asked no more; whoever is slow or busy loses its slice to another.
//! 5. Groups are written to a file as they come, the hashes to another ([`Partial`]). What a restart finds in
//!    them is checked against the id and kept. When all is there it enters the store.
//! 6. Peers are served by a thread of its own ([`Served`]), and what this node reads and stores of 1 MiB or more goes past
//!    the core too (`Own`).
//!
//! Limits: [`SOURCES_MAX`] sources of one content, each owing [`WINDOW_MAX`] slices; four contents at one time;
//! [`PARTIALS_MAX`] unfinished ones on the disk. What is on its way is in memory slice by slice; only the whole,
//! at most 16 MiB, is there at once when it enters the store.
//!
//! Sources: O'Connor et al., *BLAKE3* (2020), section 6.4, "verified streaming"; the bao specification.

mod announced;
mod download;
mod fetcher;
mod own;
mod partial;
mod plan;
mod serving;
mod slice;

pub use announced::{Announced, Change};
pub use download::{Download, DownloadError, SOURCES_MAX};
pub use fetcher::{ContentError, Fetcher};
pub(super) use own::{Kept, Own};
pub use partial::{PARTIALS_MAX, Partial, PartialError};
pub use plan::{Failure, Job, Plan, WINDOW_MAX};
pub use serving::{Answer, SERVED_MAX, Served};
pub use slice::{
    FetchRequest, FetchResponse, GROUP_BYTES, GROUPS_MAX, SliceError, Sliced, groups_of, length_of,
};
