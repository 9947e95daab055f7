//! Real processes: a devnet of four, a transfer under a root, a balance by proof, a node killed and back.
//!
//! Waits are on the API's own waits and on readiness, against deadlines.

use frith::devnet::{Devnet, DevnetOptions, PASSPHRASE, PlanOptions, environment, plan};
use frith::views::{Entity, Finality};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// How long anything here may take; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_frith"))
}

fn frith(home: &std::path::Path, api: &str, passphrase: &str, args: &[&str]) -> Outcome<Output> {
    let output = Command::new(program())
        .args(["--json", "--api", api])
        .args(args)
        .env_clear()
        .envs(environment())
        .env("FRITH_HOME", home)
        .env("FRITH_PASSPHRASE", passphrase)
        .output()?;
    Ok(output)
}

fn answer(output: &Output) -> Outcome<Value> {
    if !output.status.success() {
        return Err(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn error(output: &Output) -> Outcome<(Option<i32>, Value)> {
    Ok((
        output.status.code(),
        serde_json::from_slice(&output.stderr)?,
    ))
}

/// A running devnet and how to talk to it.
struct World {
    devnet: Devnet,
    home: PathBuf,
    directory: tempfile::TempDir,
}

impl World {
    fn start() -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let options = PlanOptions {
            nodes: 4,
            dir: directory.path().to_owned(),
            epoch_ms: 1000,
            time_ms: 0,
        };
        let planned = plan(&options)?;
        let home = planned.home.clone();
        let options = DevnetOptions {
            program: program(),
            faults: BTreeMap::new(),
            log: "info".to_owned(),
        };
        let devnet = Devnet::start(planned, options)?;
        devnet.await_ready(PATIENCE)?;
        Ok(Self {
            devnet,
            home,
            directory,
        })
    }

    /// Calls `frith` with alice's key against node 0.
    fn call(&self, passphrase: &str, args: &[&str]) -> Outcome<Output> {
        let api = self.devnet.node(0)?.base().to_owned();
        frith(
            &self.home,
            &api,
            passphrase,
            &[&["--key", "alice"][..], args].concat(),
        )
    }

    /// A call without a node.
    fn alone(&self, args: &[&str]) -> Outcome<Output> {
        frith(&self.home, "http://127.0.0.1:9", "", args)
    }

    fn address(&self, name: &str) -> Outcome<String> {
        let shown = answer(&self.alone(&["key", "show", name])?)?;
        Ok(shown[0]["address"].as_str().ok_or("an address")?.to_owned())
    }

    fn send(&self, to: &str) -> Outcome<Value> {
        let line = [
            "wallet",
            "send",
            to,
            "0.5",
            "--yes",
            "--wait",
            "final",
            "--timeout",
            "100",
        ];
        answer(&self.call(PASSPHRASE, &line)?)
    }

    /// A transfer is final, and its balance is proven, by a file and without a node too.
    fn moves_money(&self, bob: &str) -> Outcome {
        let sent = self.send(bob)?;
        assert_eq!(sent["finality"], "final");
        let epoch = sent["epoch"].as_u64().ok_or("an epoch")?.to_string();
        let file = self.directory.path().join("proof.json");
        let proof = file.to_str().ok_or("a path")?;
        let line = [
            "wallet",
            "balance",
            bob,
            "--since",
            &epoch,
            "--save-proof",
            proof,
        ];
        let balance = answer(&self.call("", &line)?)?;
        let expected = (&Value::from("1000000.5"), &Value::Bool(true));
        assert_eq!((&balance["balance"], &balance["verified"]), expected);
        let verified = answer(&self.alone(&["proof", "verify", proof])?)?;
        assert_eq!(verified["holds"], true);

        let forged = std::fs::read_to_string(&file)?.replace(bob, &self.address("alice")?);
        std::fs::write(&file, forged)?;
        let (code, _) = error(&self.alone(&["proof", "verify", proof])?)?;
        assert_eq!(code, Some(5), "a proof about another address");
        Ok(())
    }

    /// What goes wrong has its exit code and its own code.
    fn says_what_is_wrong(&self, bob: &str) -> Outcome {
        let check = |output: Output, exit: i32, expected: &str| -> Outcome {
            let (code, said) = error(&output)?;
            assert_eq!(
                (code, &said["error"]["code"]),
                (Some(exit), &Value::from(expected)),
                "{said}"
            );
            Ok(())
        };
        let send = |amount| ["wallet", "send", bob, amount, "--yes"];
        check(self.call("wrong", &send("1"))?, 3, "wrong_passphrase")?;
        check(self.call(PASSPHRASE, &send("9000000"))?, 3, "underfunded")?;
        check(self.alone(&["node", "status"])?, 4, "unreachable")?;
        let taken = self.directory.path().join("node3");
        let taken = taken.to_str().ok_or("a path")?;
        let second = ["node", "run", "--dir", taken, "--api-listen", "127.0.0.1:0"];
        check(self.call(PASSPHRASE, &second)?, 1, "in_use")
    }

    /// A node that was killed comes back, and has what happens then.
    fn outlives_a_kill(&mut self, bob: &str) -> Outcome {
        self.devnet.kill(3)?;
        self.devnet.restart(3)?;
        self.devnet.await_ready(PATIENCE)?;
        let sent = self.send(bob)?;
        let id = sent["id"].as_str().ok_or("an id")?;
        let node = self.devnet.node(3)?;
        let there = node.operation(id, Finality::Local, PATIENCE)?;
        assert_eq!(there.done, Some(true));
        let Some(Entity::Account(account)) = node.entity(bob)?.local else {
            return Err("bob is gone".into());
        };
        assert_eq!(account.balance, "1000001");
        Ok(())
    }
}

#[test]
fn a_network_of_four_moves_money_says_what_is_wrong_and_outlives_a_killed_node() -> Outcome {
    let mut world = World::start()?;
    let bob = world.address("bob")?;
    world.moves_money(&bob)?;
    world.says_what_is_wrong(&bob)?;
    world.outlives_a_kill(&bob)?;
    world.devnet.stop()?;
    Ok(())
}
