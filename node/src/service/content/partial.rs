//! Content that isn't whole yet: two files, the bytes and the hashes that lead to them.
//!
//! Nothing says which groups are there but the hashes themselves: when the files are opened, every group is
//! checked against the id, and what doesn't hold (not come yet, or lost with the power) is missing. So nothing
//! has to be synced, and damaged files cost only time.

use super::slice::{GROUPS_MAX, SliceError, groups_of, positioned, ranges, take, tree_of};
use super::{FetchResponse, Job};
use bao_tree::blake3;
use bao_tree::io::outboard::PreOrderOutboard;
use bao_tree::io::sync::encode_ranges_validated;
use frith_ledger::entity::ContentId;
use frith_ledger::hash::Hash;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Unfinished contents on the disk; the oldest give way.
pub const PARTIALS_MAX: usize = 16;

/// Why an unfinished content can't be used: the environment's fault.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub struct PartialError {
    /// The file or directory.
    pub path: PathBuf,
    /// The system's words.
    pub error: io::Error,
}

/// An unfinished content.
#[derive(Debug)]
pub struct Partial {
    id: ContentId,
    len: u32,
    paths: [PathBuf; 2],
    bytes: File,
    outboard: PreOrderOutboard<File>,
    missing: BTreeSet<u32>,
}

impl Partial {
    /// Opens what there is of it in `directory`, or begins. O(bytes that are there).
    ///
    /// # Errors
    /// [`PartialError`].
    pub fn open(directory: &Path, id: ContentId, len: u32) -> Result<Self, PartialError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| PartialError { path, error }
        };
        std::fs::create_dir_all(directory).map_err(at(directory))?;
        make_room(directory, &id).map_err(at(directory))?;
        let name = format!("{}-{len}", id.to_hex());
        let paths = ["bytes", "hashes"].map(|kind| directory.join(format!("{name}.{kind}")));
        let open = |path: &Path, size: u64| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = options.open(path).map_err(at(path))?;
            file.set_len(size).map_err(at(path))?;
            Ok(file)
        };
        let tree = tree_of(len);
        let bytes = open(&paths[0], u64::from(len))?;
        let outboard = PreOrderOutboard {
            root: blake3::Hash::from_bytes(id.0),
            tree,
            data: open(&paths[1], tree.outboard_size())?,
        };
        let mut partial = Self {
            id,
            len,
            paths,
            bytes,
            outboard,
            missing: (0..groups_of(len)).collect(),
        };
        partial.find();
        Ok(partial)
    }

    /// Checks every group against the id. One that can't be read is missing.
    fn find(&mut self) {
        let outboard = PreOrderOutboard {
            root: self.outboard.root,
            tree: self.outboard.tree,
            data: &self.outboard.data,
        };
        let (bytes, len) = (&self.bytes, self.len);
        self.missing.retain(|group| {
            let group = ranges(len, *group, 1);
            encode_ranges_validated(bytes, &outboard, &group, io::sink()).is_err()
        });
    }

    /// Groups that are there.
    #[must_use]
    pub fn held(&self) -> u32 {
        let missing = u32::try_from(self.missing.len()).unwrap_or(u32::MAX);
        groups_of(self.len).saturating_sub(missing)
    }

    /// What is missing, in slices.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        for group in &self.missing {
            match jobs.last_mut() {
                Some(job) if job.first + job.count == *group && job.count < GROUPS_MAX => {
                    job.count += 1;
                }
                _ => jobs.push(Job {
                    first: *group,
                    count: 1,
                }),
            }
        }
        jobs
    }

    /// Takes a slice: checks group after group and writes what holds.
    ///
    /// # Errors
    /// [`SliceError`]; what held before a bad group is kept, in the files, until they are opened again.
    pub fn take(&mut self, job: Job, response: &FetchResponse) -> Result<(), SliceError> {
        if response.len != self.len {
            let (claimed, len) = (response.len, self.len);
            return Err(SliceError::Length { claimed, len });
        }
        let place = (self.len, job.first, job.count);
        take(&response.slice, place, &mut self.bytes, &mut self.outboard)?;
        for group in job.first..job.first.saturating_add(job.count) {
            self.missing.remove(&group);
        }
        Ok(())
    }

    /// The whole; `None` while something is missing, or when the files changed under it.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(self) -> io::Result<Option<Vec<u8>>> {
        if !self.missing.is_empty() {
            return Ok(None);
        }
        let mut bytes = vec![0; self.len as usize];
        positioned::ReadAt::read_exact_at(&self.bytes, 0, &mut bytes)?;
        self.remove();
        let is_whole = Hash(*blake3::hash(&bytes).as_bytes()) == self.id;
        Ok(is_whole.then_some(bytes))
    }

    fn remove(&self) {
        for path in &self.paths {
            // A file that stays is found, checked and removed another time.
            let _gone = std::fs::remove_file(path);
        }
    }
}

/// Removes the oldest unfinished contents beyond the limit, but not `id`'s.
fn make_room(directory: &Path, id: &ContentId) -> io::Result<()> {
    let own = id.to_hex();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&own) {
            continue;
        }
        match entry.metadata().and_then(|metadata| metadata.modified()) {
            Ok(modified) => files.push((modified, entry.path())),
            // Another fetch was done with it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    files.sort();
    let surplus = files.len().saturating_sub(2 * (PARTIALS_MAX - 1));
    for (_, path) in files.into_iter().take(surplus) {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{GROUP_BYTES, Sliced};
    use super::*;

    fn content(len: u32) -> (ContentId, Sliced, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|i| (i / 5 % 241) as u8).collect();
        let id = Hash(*blake3::hash(&bytes).as_bytes());
        let sliced = Sliced::new(&id, bytes.clone()).expect("it is the content");
        (id, sliced, bytes)
    }

    #[test]
    fn what_came_before_a_restart_is_kept_and_what_was_damaged_comes_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let len = 90 * GROUP_BYTES + 77;
        let (id, sliced, bytes) = content(len);
        let mut partial = Partial::open(directory.path(), id, len).expect("it begins");
        assert_eq!((partial.held(), partial.jobs().len()), (0, 6));
        for job in partial.jobs().into_iter().skip(1).step_by(2) {
            let response = sliced.slice(job.first, job.count as u8).expect("a slice");
            partial.take(job, &response).expect("it holds");
        }
        let held = partial.held();
        assert_eq!(held, 16 + 16 + 11);
        let path = partial.paths[0].clone();
        drop(partial);
        // A sector that the power loss took.
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .expect("it is there");
        let mut at = &file;
        io::Seek::seek(&mut at, io::SeekFrom::Start(u64::from(20 * GROUP_BYTES))).expect("inside");
        io::Write::write_all(&mut at, &[0xee; 512]).expect("a file");
        let mut partial = Partial::open(directory.path(), id, len).expect("it goes on");
        assert_eq!(partial.held(), held - 1);
        assert!(partial.jobs().contains(&Job {
            first: 0,
            count: 16
        }));
        for job in partial.jobs() {
            let response = sliced.slice(job.first, job.count as u8).expect("a slice");
            partial.take(job, &response).expect("it holds");
        }
        assert_eq!(partial.finish().expect("the files are there"), Some(bytes));
        let left = std::fs::read_dir(directory.path())
            .expect("it is there")
            .count();
        assert_eq!(left, 0);
    }

    #[test]
    fn a_slice_of_another_place_or_length_does_not_hold() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let len = 40 * GROUP_BYTES;
        let (id, sliced, _) = content(len);
        let mut partial = Partial::open(directory.path(), id, len).expect("it begins");
        let response = sliced.slice(16, 16).expect("a slice");
        let elsewhere = Job {
            first: 0,
            count: 16,
        };
        assert!(matches!(
            partial.take(elsewhere, &response),
            Err(SliceError::Bad(_))
        ));
        let longer = FetchResponse {
            len: len + 1,
            ..response
        };
        let there = Job {
            first: 16,
            count: 16,
        };
        assert!(matches!(
            partial.take(there, &longer),
            Err(SliceError::Length { claimed, .. }) if claimed == len + 1
        ));
        assert_eq!(partial.held(), 0);
    }

    #[test]
    fn unfinished_contents_are_bounded() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for n in 0..2 * PARTIALS_MAX as u32 {
            let (id, _, _) = content(n + 1);
            Partial::open(directory.path(), id, n + 1).expect("it begins");
        }
        let files = std::fs::read_dir(directory.path())
            .expect("it is there")
            .count();
        assert!(files <= 2 * PARTIALS_MAX);
    }
}
