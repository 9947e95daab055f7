//! A network from nothing: two founders, a genesis of their entries, and real nodes that keep an account of it.

mod support;

use frith::client::Home;
use frith::devnet::{Devnet, DevnetOptions, PASSPHRASE, Plan};
use frith_ledger::genesis::Genesis;
use serde_json::json;
use std::collections::BTreeMap;
use support::{Outcome, PATIENCE, World, answer, check_refused, frith, program};

#[test]
fn founders_make_a_genesis_of_their_entries_and_their_nodes_keep_it() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| -> Outcome<String> {
        let path = directory.path().join(name);
        Ok(path.to_str().ok_or("a path")?.to_owned())
    };
    let home = directory.path().join("home");
    let call = |args: &[&str]| frith(&home, "http://127.0.0.1:9", PASSPHRASE, args);
    let made = answer(&call(&["key", "new", "alice"])?)?;
    let alice = made["address"].as_str().ok_or("an address")?;

    let founders = ["ada", "bob"];
    for name in founders {
        let dir = path(name)?;
        let line = ["genesis", "worker", "--dir", &dir, "--account", alice];
        let amounts = ["--collateral", "50", "--slots", "1"];
        let line = [&line[..], &amounts].concat();
        let entry = answer(&call(&[&line[..], &["--stake", "200"]].concat())?)?;
        std::fs::write(path(&format!("{name}.json"))?, entry.to_string())?;
        if name == "ada" {
            // The same key again, with too little to found anything.
            let less = answer(&call(&[&line[..], &["--stake", "20"]].concat())?)?;
            assert_eq!(less["key"], entry["key"]);
            std::fs::write(path("less.json")?, less.to_string())?;
        }
    }
    let file = path("genesis.json")?;
    let (funded, nonsense) = (format!("{alice}=1000.5"), format!("{alice}:1000"));
    let new = |account: &str, worker: &str| -> Outcome<std::process::Output> {
        let bob = path("bob.json")?;
        let line = ["genesis", "new", "--name", "ours", "--preset", "devnet"];
        let more = ["--account", account, "--worker", worker, "--worker", &bob];
        call(&[&line[..], &more, &["--out", &file]].concat())
    };
    check_refused(&new(&nonsense, &path("ada.json")?)?, 2, "usage", "no '='")?;
    check_refused(
        &new(&funded, &path("less.json")?)?,
        2,
        "usage",
        "at least 100",
    )?;
    check_refused(&new(&funded, &path("bob.json")?)?, 2, "usage", "twice")?;
    let founded = answer(&new(&funded, &path("ada.json")?)?)?;
    assert_eq!(founded["credits"], json!("1500.5"), "{founded}");
    check_refused(&new(&funded, &path("ada.json")?)?, 1, "file", "exists")?;

    for name in founders {
        let dir = path(name)?;
        let line = ["node", "init", "--dir", &dir, "--genesis", &file];
        let joined = answer(&call(&line)?)?;
        assert_eq!(joined["genesis"], founded["genesis"]);
        check_refused(&call(&line)?, 2, "usage", "exists already")?;
    }
    std::fs::copy(&file, home.join("genesis.json"))?;
    let genesis: Genesis = serde_json::from_slice(&std::fs::read(&file)?)?;
    assert!(genesis.workers.iter().all(|worker| worker.terms.slots == 1));
    let plan = Plan {
        genesis,
        nodes: founders.map(|name| directory.path().join(name)).to_vec(),
        home: Home::locate(Some(home.clone()))?.dir().to_owned(),
    };
    let options = DevnetOptions {
        program: program(),
        faults: BTreeMap::new(),
        log: "info".to_owned(),
    };
    let world = World {
        devnet: Devnet::start(plan, options)?,
        home,
        directory,
    };
    world.devnet.await_ready(PATIENCE)?;
    let balance = answer(&world.call("", &["wallet", "balance"])?)?;
    assert_eq!(
        (&balance["balance"], &balance["verified"]),
        (&json!("1000.5"), &json!(true))
    );
    world.devnet.stop()?;
    Ok(())
}
