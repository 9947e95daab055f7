//! Keys are replaced while real processes run: an account's, and a worker's by a second node.
//!
//! Waits are on operations that become final, against a number of them.

mod support;

use frith::devnet::PASSPHRASE;
use frith::keystore::{Cost, KeyFile, Keystore, Kind, Label, Overwrite, Passphrase};
use frith::views::{KeyState, OwnKeyView, WorkStatusView};
use frith_ledger::key::{SecurityLevel, Seed};
use serde_json::json;
use std::collections::BTreeMap;
use support::{Outcome, PATIENCE, World, answer, error};

/// Final operations that are waited for at the most: each takes an epoch or two.
const OPERATIONS_MAX: usize = 60;
/// Epochs until the new key counts: a busy machine looks at what is until then in fewer.
const LAG: u64 = 16;
/// Ends at once.
const SMALL: &str = r#"(module (memory 1) (func (export "run")))"#;

impl World {
    /// The key of the account of a devnet's worker, in the user's directory.
    fn import_account_of(&self, node: usize) -> Outcome<String> {
        let name = format!("owner{node}");
        let level = SecurityLevel::TEST;
        let seed = Seed::from_passphrase(&format!("frith devnet account {node}"), level);
        let address = seed.account().public().address().to_string();
        let label = Label {
            kind: Kind::Seed,
            security_level: level.get(),
            address: address.clone(),
            account: None,
        };
        let passphrase = Passphrase::new(PASSPHRASE.to_owned().into())?;
        let keystore = Keystore::seal(seed.as_bytes(), &passphrase, label, &name, Cost::CHEAP)?;
        let path = self.home.join("keys").join(format!("{name}.json"));
        KeyFile::write(&path, keystore, Overwrite::No)?;
        let line = ["wallet", "send", &address, "5", "--yes"];
        answer(&self.call_as("bob", PASSPHRASE, &line)?)?;
        Ok(name)
    }

    fn work_of(&self, node: usize) -> Outcome<WorkStatusView> {
        let status = self.devnet.node(node)?.status()?;
        Ok(status.worker.ok_or("the key has a seat")?)
    }

    /// Makes operations final until something is so.
    fn until(&self, what: &str, is: impl Fn(&Self) -> Outcome<bool>) -> Outcome {
        let to = self.address("bob")?;
        for _ in 0..OPERATIONS_MAX {
            if is(self)? {
                return Ok(());
            }
            let more = ["--yes", "--wait", "final", "--timeout", "100"];
            let line = [&["wallet", "send", &to, "0.1"][..], &more].concat();
            answer(&self.call_as("second", PASSPHRASE, &line)?)?;
        }
        Err(format!("{OPERATIONS_MAX} operations later: not yet {what}").into())
    }

    /// From then on only the new key signs for the account, whose address stays.
    fn an_account_gets_another_key(&self) -> Outcome {
        let (account, bob) = (self.address("alice")?, self.address("bob")?);
        let rotate = ["key", "rotate", "second", "--yes", "--wait", "final"];
        let rotated = answer(&self.call(PASSPHRASE, &rotate)?)?;
        assert_eq!(
            (&rotated["address"], &rotated["finality"]),
            (&json!(account), &json!("final"))
        );
        assert_eq!(self.address("second")?, account);
        let send = ["wallet", "send", &bob, "1", "--yes"];
        let (code, said) = error(&self.call(PASSPHRASE, &send)?)?;
        assert_eq!(
            (code, said["error"]["code"].as_str()),
            (Some(3), Some("wrong_key"))
        );
        // What was refused is sent again, with the signature of the key in force.
        answer(&self.call_as("second", PASSPHRASE, &send)?)?;
        // An agent with the new key signs for the account too.
        answer(&self.call_as("second", PASSPHRASE, &["key", "unlock"])?)?;
        let sent = answer(&self.call_as("second", "", &send)?)?;
        assert_eq!(sent["done"], true);
        answer(&self.alone(&["key", "lock"])?)?;
        let config = std::fs::read_to_string(self.home.join("config.toml"))?;
        assert!(config.contains("second"), "it is the default now: {config}");
        Ok(())
    }
}

#[test]
fn keys_of_an_account_and_of_a_worker_are_replaced_while_the_network_runs() -> Outcome {
    let mut world = World::start_by(4, BTreeMap::new(), "", |parameters| {
        // A root committee that sits for a minute would be waited for.
        parameters.period = 8;
        parameters.activation_lag = LAG;
        support::long_windows(parameters);
    })?;
    world.an_account_gets_another_key()?;

    let owner = world.import_account_of(3)?;
    let dir = world.directory.path().join("new");
    let path = dir.to_str().ok_or("a path")?;
    let init = ["node", "init", "--dir", path];
    let made = answer(&world.call(PASSPHRASE, &init)?)?;
    let key = made["worker"].as_str().ok_or("a key")?.to_owned();
    let (old, new) = (3, world.devnet.join(dir.clone())?);
    world.devnet.await_ready(PATIENCE)?;
    let before = world.work_of(old)?;
    assert_eq!(before.own_key.state, KeyState::InForce);

    let rotate = ["wallet", "rotate-worker", "--worker-dir", path, "--yes"];
    let rotated = answer(&world.call_as(&owner, PASSPHRASE, &rotate)?)?;
    let epoch = rotated["epoch"].as_u64().ok_or("an epoch")?;
    assert_eq!(rotated["since"].as_u64(), Some(epoch + LAG));
    assert_eq!(rotated["seat"], json!(before.seat));
    let since = Some(epoch + LAG);
    let expected = |state, other: &str, votes| OwnKeyView {
        state,
        other: Some(other.to_owned()),
        since,
        last: None,
        votes,
        open: 0,
        may_stop: false,
    };
    world.until("known to the new node", |world| {
        Ok(world.devnet.node(new)?.status()?.worker.is_some())
    })?;
    let next = expected(KeyState::Next, &before.worker.key, false);
    assert_eq!(world.work_of(new)?.own_key, next);
    let replaced = expected(KeyState::InForce, &key, true);
    assert_eq!(world.work_of(old)?.own_key, replaced);
    let again = world.call_as(&owner, PASSPHRASE, &rotate)?;
    assert_eq!(again.status.code(), Some(3));
    // What people are told stands before the error.
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(said.contains("rotation_pending"), "{said}");

    world.until("a member with the new key", |world| {
        let own = world.work_of(new)?.own_key;
        Ok(own.state == KeyState::InForce && own.votes)
    })?;
    let own = world.work_of(old)?.own_key;
    assert_eq!(
        (own.state, own.other),
        (KeyState::Retired, Some(key.clone()))
    );
    world.until("free to stop", |world| {
        Ok(world.work_of(old)?.own_key.may_stop)
    })?;

    // The new node alone has the seat now: a task that needs all four workers is paid to it.
    world.devnet.kill(old)?;
    let line = ["task", "submit"];
    let program = world.directory.path().join("program.wasm");
    std::fs::write(&program, wat::parse_str(SMALL)?)?;
    let program = program.to_str().ok_or("a path")?;
    let more = [
        "--yes",
        "--fuel",
        "1000000",
        "--replicas",
        "4",
        "--price",
        "0.001",
    ];
    let line = [&line[..], &[program], &more].concat();
    let task = answer(&world.call_as("second", PASSPHRASE, &line)?)?;
    let task = task["task"].as_str().ok_or("a task")?;
    let task = world.devnet.node(0)?.task(task, Some(PATIENCE))?;
    assert_eq!(task.state, "settled", "{}", task.explanation);
    let mut places = task.places.iter();
    let place = places.find(|place| place.seat == before.seat);
    assert_eq!(place.ok_or("a place at the seat")?.key, key);
    let after = world.work_of(new)?;
    assert_eq!(after.worker.stake, before.worker.stake);
    assert!(after.worker.tasks_paid > before.worker.tasks_paid);
    assert_eq!(after.worker.retired_keys[0].key, before.worker.key);
    world.devnet.stop()?;
    Ok(())
}
