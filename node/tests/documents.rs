//! What the documents name exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const CRATES: [&str; 9] = [
    "bench",
    "fuzz",
    "ledger",
    "neighbourhood",
    "network",
    "node",
    "sim",
    "tasks",
    "vm",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of all functions under a folder, and of harnesses that a macro makes.
fn functions(folder: &Path, found: &mut BTreeSet<String>) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            functions(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            for line in text.lines() {
                let line = line.trim_start();
                let line = line.strip_prefix("async ").unwrap_or(line);
                let name = line.strip_prefix("fn ").unwrap_or(line);
                let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                found.extend(name.get(..end.unwrap_or(name.len())).map(str::to_owned));
            }
        }
    }
    Ok(())
}

#[test]
fn every_test_that_the_threats_name_is_there() -> Outcome {
    let root = repository();
    let mut found = BTreeSet::new();
    for folder in CRATES {
        functions(&root.join(folder), &mut found)?;
    }
    let text = std::fs::read_to_string(root.join("docs/threats.md"))?;
    let named = text.split('`').skip(1).step_by(2);
    let tests: BTreeSet<&str> = named
        .filter(|name| name.matches('_').count() > 2 && !name.contains(['.', '/', ' ']))
        .collect();
    assert!(tests.len() > 50, "only {} tests are named", tests.len());
    let missing: Vec<_> = tests
        .iter()
        .filter(|name| !found.contains(**name))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/threats.md names tests that are not there: {missing:?}"
    );
    Ok(())
}
