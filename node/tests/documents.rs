//! What the documents name exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const CRATES: [&str; 10] = [
    "bench",
    "fuzz",
    "ledger",
    "models",
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

/// Names of all tests under a folder: functions below `#[test]` or `#[tokio::test]`, those that a property's macro
/// takes, and harnesses that a macro makes of a line that begins with their names.
fn tests(folder: &Path, found: &mut BTreeSet<String>) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            tests(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut is_test = false;
            for line in std::fs::read_to_string(&path)?.lines() {
                let line = line.trim_start();
                let line = line.strip_prefix("async ").unwrap_or(line);
                let function = line.strip_prefix("fn ");
                let name = function.unwrap_or(line);
                let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
                if (is_test && function.is_some()) || name.starts_with("fuzz_") {
                    found.insert(name.to_owned());
                }
                let goes_on = line.starts_with('#') || line.starts_with("//");
                is_test =
                    line.ends_with("test]") || line.contains("::test(") || (is_test && goes_on);
            }
        }
    }
    Ok(())
}

/// What a document sets as code and looks like a test's name: words with underscores, and not a figure's key.
fn named(text: &str) -> BTreeSet<&str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|name| {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        name.matches('_').count() > 1 && name.chars().all(is_word)
    })
    .collect()
}

#[test]
fn every_test_that_the_threats_name_is_there() -> Outcome {
    let root = repository();
    let mut found = BTreeSet::new();
    for folder in CRATES {
        tests(&root.join(folder), &mut found)?;
    }
    let text = std::fs::read_to_string(root.join("docs/threats.md"))?;
    let named = named(&text);
    assert!(named.len() > 50, "only {} tests are named", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !found.contains(**name))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/threats.md names tests that are not there: {missing:?}"
    );
    Ok(())
}
