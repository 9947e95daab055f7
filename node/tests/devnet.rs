//! Real processes: a devnet of four, a transfer under a root, a balance by proof, a node killed and back.
//!
//! Waits are on the API's own waits and on readiness, against deadlines.

mod support;

use frith::devnet::PASSPHRASE;
use frith::views::{Entity, Finality};
use serde_json::Value;
use std::process::Output;
use support::{Outcome, PATIENCE, World, answer, error};

impl World {
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
