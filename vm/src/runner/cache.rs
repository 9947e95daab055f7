//! Compiled modules on disk: private, keyed, bounded.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parity_scale_codec::{DecodeAll, Encode};

use super::protocol::{Artifact, FRAME_BYTES_MAX};
use crate::engine::EngineKind;
use crate::job::HostError;
use crate::limits::Limits;
use crate::meter::METER_VERSION;

const ID_CONTEXT: &str = "frith v1 vm compiled module id";
const KEY_FILE: &str = "key";
const SUFFIX: &str = "cwasm";
const HASH_BYTES: usize = blake3::OUT_LEN;

/// What a compiled module is kept under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id([u8; HASH_BYTES]);

impl Id {
    /// The id of a module compiled by an engine: module, limits, metering and engine version decide.
    pub(super) fn new(engine: EngineKind, limits: &Limits, wasm: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
        hasher.update(blake3::hash(wasm).as_bytes());
        hasher.update(&(engine, engine.version(), limits, METER_VERSION).encode());
        Self(*hasher.finalize().as_bytes())
    }
}

/// The directory of compiled modules.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    key: [u8; HASH_BYTES],
    bytes_max: u64,
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> HostError {
    move |source| HostError::Io { doing, source }
}

impl Cache {
    /// Opens the directory, which is made, with a new key, if it is missing.
    pub(super) fn open(directory: &Path, bytes_max: u64) -> Result<Self, HostError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed("making the directory of compiled modules"))?;
        let key = key(directory).map_err(failed("reading the key of compiled modules"))?;
        Ok(Self {
            directory: directory.to_owned(),
            key,
            bytes_max,
        })
    }

    fn path(&self, id: Id) -> PathBuf {
        self.directory.join(format!(
            "{}.{SUFFIX}",
            blake3::Hash::from_bytes(id.0).to_hex()
        ))
    }

    fn hash(&self, id: Id, content: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key)
            .update(&id.0)
            .update(content)
            .finalize()
    }

    /// The compiled module; `None` when there is none that verifies. One that doesn't is deleted.
    pub(super) fn get(&self, id: Id) -> Option<Artifact> {
        let path = self.path(id);
        let file = fs::File::open(&path).ok()?;
        let mut bytes = Vec::new();
        file.take(u64::from(FRAME_BYTES_MAX))
            .read_to_end(&mut bytes)
            .ok()?;
        let artifact = self.verified(id, &bytes);
        if artifact.is_none() {
            self.remove(id);
        }
        artifact
    }

    fn verified(&self, id: Id, bytes: &[u8]) -> Option<Artifact> {
        let (hash, content) = bytes.split_first_chunk::<HASH_BYTES>()?;
        if self.hash(id, content) != *hash {
            return None;
        }
        Artifact::decode_all(&mut &*content).ok()
    }

    /// Keeps a compiled module; the file appears whole or not at all.
    pub(super) fn put(&self, id: Id, artifact: &Artifact) -> Result<(), HostError> {
        let content = artifact.encode();
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
            file.write_all(self.hash(id, &content).as_bytes())?;
            file.write_all(&content)?;
            file.persist(self.path(id)).map_err(io::Error::from)?;
            Ok(())
        };
        write().map_err(failed("keeping a compiled module"))?;
        self.prune(id).map_err(failed("pruning compiled modules"))
    }

    pub(super) fn remove(&self, id: Id) {
        // Gone already is as good; a file that stays is verified again the next time.
        let _ = fs::remove_file(self.path(id));
    }

    /// Deletes the oldest files, but for `keep`, until the rest fits.
    fn prune(&self, keep: Id) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            // A file that another runner has just deleted is skipped.
            let Ok(entry) = entry else { continue };
            let (path, Ok(about)) = (entry.path(), entry.metadata()) else {
                continue;
            };
            if path
                .extension()
                .is_some_and(|extension| extension == SUFFIX)
            {
                files.push((about.modified()?, path, about.len()));
            }
        }
        let mut total: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
        files.sort();
        let keep = self.path(keep);
        for (_, path, bytes) in files {
            if total <= self.bytes_max {
                break;
            }
            if path != keep {
                let _ = fs::remove_file(path);
                total -= bytes;
            }
        }
        Ok(())
    }
}

/// The directory's key; made from the system's randomness the first time.
fn key(directory: &Path) -> io::Result<[u8; HASH_BYTES]> {
    let path = directory.join(KEY_FILE);
    let read = |path: &Path| -> io::Result<[u8; HASH_BYTES]> {
        let mut key = [0; HASH_BYTES];
        fs::File::open(path)?.read_exact(&mut key)?;
        Ok(key)
    };
    match read(&path) {
        Ok(key) => return Ok(key),
        // A key that was cut short is replaced: what it vouched for is compiled anew.
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
            ) =>
        {
            return Err(error);
        }
        Err(_) => {}
    }
    let key = read(Path::new("/dev/urandom"))?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::{Entry, Metadata};

    fn artifact(code: &[u8]) -> Artifact {
        let metadata = Metadata {
            entry: Entry::Start,
            has_start: false,
            memory: None,
            start_fuel: 1,
            compile_fuel: 1,
            stack_units: 2,
            meter_version: METER_VERSION,
        };
        Artifact {
            metadata,
            code: code.to_vec(),
        }
    }

    fn id(wasm: &[u8]) -> Id {
        Id::new(EngineKind::Wasmtime, &Limits::default(), wasm)
    }

    #[test]
    fn what_was_kept_is_found_by_the_next_cache_and_only_under_its_id()
    -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        Cache::open(directory.path(), 1 << 20)?.put(id(b"a"), &artifact(b"code"))?;
        let cache = Cache::open(directory.path(), 1 << 20)?;
        assert_eq!(cache.get(id(b"a")), Some(artifact(b"code")));
        assert_eq!(cache.get(id(b"b")), None);
        fs::rename(cache.path(id(b"a")), cache.path(id(b"b")))?;
        assert_eq!(cache.get(id(b"b")), None);
        Ok(())
    }

    #[test]
    fn a_cut_or_changed_file_is_deleted_and_never_loaded() -> Result<(), Box<dyn std::error::Error>>
    {
        let directory = tempfile::tempdir()?;
        let cache = Cache::open(directory.path(), 1 << 20)?;
        cache.put(id(b"a"), &artifact(b"code"))?;
        let whole = fs::read(cache.path(id(b"a")))?;
        for cut in 0..whole.len() {
            fs::write(cache.path(id(b"a")), &whole[..cut])?;
            assert_eq!(cache.get(id(b"a")), None, "cut at {cut}");
            assert!(!cache.path(id(b"a")).exists());
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(cache.path(id(b"a")), &changed)?;
            assert_eq!(cache.get(id(b"a")), None, "changed at {at}");
        }
        Ok(())
    }

    #[test]
    fn the_directory_stays_within_its_bound() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let cache = Cache::open(directory.path(), 3_000)?;
        let modules = [&b"a"[..], b"b", b"c", b"d"];
        for module in modules {
            cache.put(id(module), &artifact(&[0; 1_000]))?;
        }
        let kept = modules
            .iter()
            .filter(|module| cache.get(id(module)).is_some())
            .count();
        assert_eq!(kept, 2);
        assert!(cache.get(id(b"d")).is_some());
        Ok(())
    }

    #[test]
    fn fuzz_only_whole_files_are_loaded() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let cache = Cache::open(directory.path(), 1 << 20).expect("it can be opened");
        let kept = artifact(b"code");
        cache.put(id(b"a"), &kept).expect("it can be written");
        let whole = fs::read(cache.path(id(b"a"))).expect("it was written");
        frith_fuzz::harness!(|input: &[u8]| {
            frith_fuzz::codec::<Artifact, _>(input, 1 << 20, |mut b| Artifact::decode_all(&mut b));
            assert_eq!(cache.verified(id(b"a"), input), None);
            let mut damaged = whole.clone();
            frith_fuzz::mutate(&mut damaged, input);
            let loaded = cache.verified(id(b"a"), &damaged);
            assert!(loaded.is_none() || loaded.as_ref() == Some(&kept));
        });
    }
}
