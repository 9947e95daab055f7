//! Commands on a machine without any network: relative folders, folders that can't be written to or that are somebody's,
//! exit codes of local runs, and what `--json` leaves on standard error.

mod support;

use frith::devnet::environment;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{Outcome, answer, check_refused, error, program};

const PASSPHRASE: &str = "opens it";
/// A process writes what it likes anywhere but here, whoever runs it.
const UNWRITABLE: &str = "/proc/nobody/can/write/here";

/// Ends with exit status 3.
const THREE: &str = r#"(module (func (export "run") (result i32) (i32.const 3)))"#;
const TRAPS: &str = r#"(module (func (export "run") (unreachable)))"#;
const SPINS: &str = r#"(module (func (export "run") (loop (br 0))))"#;
const NOTHING: &str = r#"(module (func (export "run")))"#;

/// Calls `frith` in a folder, with this home.
fn call(folder: &Path, home: &str, variables: &[(&str, &str)], args: &[&str]) -> Outcome<Output> {
    Ok(Command::new(program())
        .args(args)
        .current_dir(folder)
        .env_clear()
        .envs(environment())
        .env("FRITH_HOME", home)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()?)
}

/// A file of this program in a folder; its name.
fn module(folder: &Path, name: &str, text: &str) -> Outcome<String> {
    std::fs::write(folder.join(name), wat::parse_str(text)?)?;
    Ok(name.to_owned())
}

#[test]
fn a_key_is_unlocked_in_a_home_that_was_named_from_where_the_user_is() -> Outcome {
    let folder = tempfile::tempdir()?;
    // As some editors write it.
    std::fs::write(
        folder.path().join("secret"),
        format!("\u{feff}{PASSPHRASE}\n"),
    )?;
    let file = [("FRITH_PASSPHRASE_FILE", "secret")];
    let typed = [("FRITH_PASSPHRASE", PASSPHRASE)];
    let json = |variables: &[(&str, &str)], args: &[&str]| -> Outcome<Value> {
        answer(&call(
            folder.path(),
            "h",
            variables,
            &[&["--json"], args].concat(),
        )?)
    };
    let made = json(&file, &["key", "new"])?;
    let whole = folder.path().canonicalize()?.join("h");
    let shown = made["file"].as_str().ok_or("a file")?;
    assert!(Path::new(shown).is_absolute(), "{made}");
    let unlocked = json(&typed, &["key", "unlock"])?;
    let socket = unlocked["socket"].as_str().ok_or("a socket")?;
    assert_eq!(
        Path::new(socket).canonicalize()?,
        whole.join("agent/main.sock")
    );
    let keys = json(&[], &["key", "show"])?;
    assert!(keys[0]["unlocked_seconds"].is_number(), "{keys}");
    assert_eq!(json(&[], &["key", "lock"])?["locked"], json!(["main"]));
    assert!(!Path::new(socket).exists(), "the agent has left");
    Ok(())
}

#[test]
fn a_folder_with_other_things_in_it_becomes_no_devnet_and_no_node() -> Outcome {
    let folder = tempfile::tempdir()?;
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken)?;
    std::fs::write(taken.join("config.toml"), "slots = 1\n")?;
    let line = ["--json", "devnet", "--nodes", "1", "--dir", "taken"];
    let refused = call(folder.path(), "h", &[], &line)?;
    check_refused(&refused, 2, "usage", "config.toml")?;
    let account = frith_ledger::address::Address([7; 32]).to_string();
    let line = [
        "--json",
        "genesis",
        "worker",
        "--dir",
        "taken",
        "--account",
        &account,
    ];
    let amounts = ["--stake", "1", "--collateral", "1"];
    let refused = call(folder.path(), "h", &[], &[&line[..], &amounts].concat())?;
    check_refused(&refused, 2, "usage", "config.toml")?;
    assert_eq!(std::fs::read_dir(&taken)?.count(), 1);
    assert_eq!(
        std::fs::read_to_string(taken.join("config.toml"))?,
        "slots = 1\n"
    );
    Ok(())
}

#[test]
fn a_program_runs_here_although_nothing_can_be_written_and_its_end_is_the_commands() -> Outcome {
    let folder = tempfile::tempdir()?;
    for (name, text, exit, status) in [
        ("nothing.wasm", NOTHING, 0, "exit 0"),
        ("three.wasm", THREE, 7, "exit 3"),
        ("traps.wasm", TRAPS, 7, "trap"),
        ("spins.wasm", SPINS, 7, "fuel"),
    ] {
        let file = module(folder.path(), name, text)?;
        for home in [UNWRITABLE, "h"] {
            let line = ["task", "run", "--local", &file, "--fuel", "1000000"];
            let ran = call(folder.path(), home, &[], &[&["--json"], &line[..]].concat())?;
            let said: Value = serde_json::from_slice(&ran.stdout)?;
            assert_eq!(ran.status.code(), Some(exit), "{name}: {said}");
            let found = said["outcome"]["status"].as_str().ok_or("a status")?;
            assert!(found.contains(status), "{name}: {said}");
            let says_so = said["compiled_not_kept"].is_string();
            assert_eq!(says_so, home == UNWRITABLE, "{name}: {said}");
            if exit == 0 {
                assert_eq!(ran.stderr, b"", "nothing but the answer");
            } else {
                let (_, said) = error(&ran)?;
                assert_eq!(said["error"]["code"], "program_failed");
                assert!(
                    said["error"]["message"]
                        .as_str()
                        .is_some_and(|text| text.contains(status))
                );
            }
            let ran = call(folder.path(), home, &[], &line)?;
            let said = String::from_utf8(ran.stderr)?;
            assert_eq!(said.contains(UNWRITABLE), home == UNWRITABLE, "{said}");
        }
    }
    Ok(())
}

#[test]
fn with_json_nothing_but_json_is_said_also_of_what_is_wrong() -> Outcome {
    let folder = tempfile::tempdir()?;
    let variables = [("FRITH_PASSPHRASE", PASSPHRASE)];
    let call = |args: &[&str]| call(folder.path(), "h", &variables, args);
    for line in [
        &["--json"][..],
        &["--json", "nonsense"],
        &["--json", "key"],
        &["task", "run", "--json"],
        &["--json", "wallet", "balance"],
        &["node", "run", "--json", "--dir", "nowhere"],
        &["--json", "node", "safety", "forget", "--dir", "nowhere"],
    ] {
        let output = call(line)?;
        assert_eq!(output.stdout, b"", "{line:?}");
        let (code, said) = error(&output).map_err(|error| format!("{line:?}: {error}"))?;
        assert!(code.is_some_and(|code| code > 0), "{line:?}: {said}");
        let message = said["error"]["message"].as_str().ok_or("a message")?;
        assert!(
            !message.is_empty() && !message.contains('\n'),
            "{line:?}: {said}"
        );
    }
    let made = call(&["--json", "key", "new"])?;
    assert!(made.status.success());
    let lines = String::from_utf8(made.stderr)?;
    let notes = lines.lines().map(serde_json::from_str::<Value>);
    let notes = notes.collect::<Result<Vec<_>, _>>()?;
    let words = notes.iter().find_map(|note| note["phrase"].as_str());
    assert_eq!(words.map(|words| words.split(' ').count()), Some(24));
    Ok(())
}
