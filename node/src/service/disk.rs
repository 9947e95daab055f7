//! Room on the disk, which content has to leave to the chain and the state.

use crate::amounts;
use std::path::{Path, PathBuf};

/// Keeps content from filling the disk: a store that can't write ends the node's part in consensus.
#[derive(Debug, Clone)]
pub struct DiskGuard {
    /// A directory on the store's disk.
    pub path: PathBuf,
    /// Bytes that content leaves free.
    pub free_bytes_min: u64,
    /// Bytes that content may make the directory have; 0 for no quota.
    pub used_bytes_max: u64,
}

/// Bytes free on the disk of a directory.
pub(super) fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes of all files under a directory. What can't be read counts nothing: files come and go meanwhile.
fn bytes_under(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}

impl DiskGuard {
    /// Bytes that the directory has; `None` without a quota. Linear in its files.
    #[must_use]
    pub fn used(&self) -> Option<u64> {
        (self.used_bytes_max > 0).then(|| bytes_under(&self.path))
    }

    /// Whether there is room for content of `len` bytes; why not otherwise. Linear in the directory's files.
    pub(super) fn check(&self, len: u64) -> Result<(), String> {
        let max = self.used_bytes_max;
        if let Some(used) = self.used().filter(|used| used.saturating_add(len) > max) {
            let [used, len, max] = [used, len, max].map(amounts::bytes);
            return Err(format!(
                "the data directory has {used}, and content may make it {max} (disk_mib_max); this one has {len}"
            ));
        }
        let free = free_bytes(&self.path).map_err(|error| error.to_string())?;
        if free >= self.free_bytes_min.saturating_add(len) {
            return Ok(());
        }
        let [free, len, min] = [free, len, self.free_bytes_min].map(amounts::bytes);
        Err(format!(
            "the disk has {free} free, and content has to leave {min} (disk_free_mib_min); this one has {len}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_counts_all_files_and_keeps_content_out_at_its_bound() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = dir.path().join("store");
        std::fs::create_dir(&store).expect("makes");
        let guard = |max| DiskGuard {
            path: dir.path().to_owned(),
            free_bytes_min: 0,
            used_bytes_max: max,
        };
        std::fs::write(store.join("one"), [0; 600]).expect("writes");
        assert_eq!(guard(1000).check(400), Ok(()));
        std::fs::write(dir.path().join("two"), [0; 100]).expect("writes");
        let refused = guard(1000).check(301).expect_err("is too much");
        assert!(refused.contains("disk_mib_max"), "{refused}");
        assert_eq!(guard(1000).check(300), Ok(()));
        assert_eq!(guard(0).check(1 << 20), Ok(()), "no quota");
    }

    #[test]
    fn content_leaves_so_much_free_as_it_must() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let guard = |free_bytes_min| DiskGuard {
            path: dir.path().to_owned(),
            free_bytes_min,
            used_bytes_max: 0,
        };
        assert_eq!(guard(1).check(0), Ok(()));
        let refused = guard(1).check(u64::MAX / 2).expect_err("no disk has it");
        assert!(refused.contains("disk_free_mib_min"), "{refused}");
    }
}
