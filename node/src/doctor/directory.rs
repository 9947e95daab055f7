//! Files: key files and a node's data directory. Nothing is opened that a running node holds, and nothing unlocked.

use super::check::Check;
use crate::client::{Home, read_genesis};
use crate::failure::Failure;
use crate::keystore::KeyFile;
use crate::node_dir::{GENESIS_FILE, NodeDir, STARTED_FILE, STORE_DIR, WORKER_FILE, announced_api};
use frith_ledger::genesis::Genesis;
use frith_tasks::Rules;
use serde_json::json;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The user's key files: readable by their owner alone, and whole.
#[must_use]
pub fn keys(home: &Home) -> Check {
    const NAME: &str = "keys";
    let names = match home.keys() {
        Ok(names) => names,
        Err(error) => return Check::fail(NAME, error, "make the directory readable for you"),
    };
    let mut wrong = Vec::new();
    for name in &names {
        match home.key_path(name).map(|path| key_file(&path)) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => wrong.push(format!("{name}: {reason}")),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    let figures = json!({"keys": names.len()});
    if !wrong.is_empty() {
        return Check::fail(
            NAME,
            wrong.join("; "),
            "chmod 600 what others can read; import a damaged key again from its words",
        )
        .with(figures);
    }
    Check::ok(
        NAME,
        format!(
            "{} in {}, readable by you alone",
            names.len(),
            home.dir().display()
        ),
    )
    .with(figures)
}

/// What is wrong with a key file.
fn key_file(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.mode() & 0o077 != 0 {
        return Err(format!(
            "others may read it (mode {:o})",
            metadata.mode() & 0o777
        ));
    }
    KeyFile::read(path)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A node's data directory: genesis, worker's key, record of votes, and whether a node runs on it.
#[must_use]
pub fn directory(dir: &Path) -> Vec<Check> {
    vec![genesis(dir), worker(dir), record(dir), lock(dir)]
}

fn genesis(dir: &Path) -> Check {
    const NAME: &str = "genesis";
    let checked = read_genesis(&dir.join(GENESIS_FILE)).and_then(|genesis: Genesis| {
        Rules::new(genesis)
            .map_err(|error| Failure::usage(format!("this genesis can't be used: {error}")))
    });
    match checked {
        Ok(rules) => Check::ok(
            NAME,
            format!("network {} ({})", rules.genesis.name, rules.hash),
        )
        .with(json!({"network": rules.genesis.name, "hash": rules.hash.to_hex()})),
        Err(error) => Check::fail(
            NAME,
            error,
            "make the directory with `frith node init`, or put the network's genesis file there",
        ),
    }
}

fn worker(dir: &Path) -> Check {
    const NAME: &str = "worker key";
    let path = dir.join(WORKER_FILE);
    match key_file(&path) {
        Ok(()) => Check::ok(
            NAME,
            format!(
                "{} is whole and readable by its owner alone",
                path.display()
            ),
        ),
        Err(reason) => Check::fail(
            NAME,
            format!("{}: {reason}", path.display()),
            "chmod 600 it; or bring the key back with `frith node init --import` in another directory, and copy its worker.json here",
        ),
    }
}

/// Whether the record of votes is where the last start left it.
fn record(dir: &Path) -> Check {
    const NAME: &str = "safety record";
    let started = dir.join(STARTED_FILE).exists();
    let store = dir.join(STORE_DIR).join("CURRENT").exists();
    match (started, store) {
        (true, true) => Check::ok(
            NAME,
            "there is a store, and the node has started here before",
        ),
        (false, false) => Check::ok(NAME, "the node has never started here"),
        (true, false) => Check::warn(
            NAME,
            "the key may have run before, and its store is gone or elsewhere",
            "start the node: it asks the others what it said, and votes when more than two thirds of them have answered",
        ),
        (false, true) => Check::warn(
            NAME,
            "there is a store without the mark that a node started here: it was copied from elsewhere",
            "never run two nodes with one key; if the store is an old copy, remove it and let the node ask the others",
        ),
    }
}

fn lock(dir: &Path) -> Check {
    const NAME: &str = "directory";
    match NodeDir::lock(dir) {
        Ok(_free) => match announced_api(dir) {
            Some(_) => Check::ok(
                NAME,
                "no node runs on it; the last one was killed, which it will mend",
            ),
            None => Check::ok(NAME, "no node runs on it"),
        }
        .with(json!({"running": false})),
        Err(error) if error.code == "in_use" => {
            let api = announced_api(dir).unwrap_or_default();
            Check::ok(NAME, format!("a node runs on it; its API is at {api}"))
                .with(json!({"running": true, "api": api}))
        }
        Err(error) => {
            let advice = error.advice.clone().unwrap_or_default();
            Check::fail(NAME, error, advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_store_without_its_mark_and_a_mark_without_its_store_are_told_apart() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = |expected, words: &str| {
            let check = record(dir.path());
            assert_eq!(check.state, expected, "{}", check.found);
            assert!(check.found.contains(words), "{}", check.found);
        };
        state(State::Ok, "never started");
        std::fs::write(dir.path().join(STARTED_FILE), "").expect("writes");
        state(State::Warn, "may have run before");
        std::fs::create_dir(dir.path().join(STORE_DIR)).expect("makes");
        std::fs::write(dir.path().join(STORE_DIR).join("CURRENT"), "").expect("writes");
        state(State::Ok, "has started here before");
        std::fs::remove_file(dir.path().join(STARTED_FILE)).expect("removes");
        state(State::Warn, "copied from elsewhere");
    }

    #[test]
    fn a_key_that_others_can_read_is_found() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("worker.json");
        std::fs::write(&path, "{}").expect("writes");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("is mine");
        assert!(key_file(&path).is_err_and(|reason| reason.contains("644")));
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("is mine");
        assert!(key_file(&path).is_err(), "and it is no key file");
    }
}
