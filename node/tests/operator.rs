//! The operator's commands against real processes: what an unlocked agent saves and never gives, what the doctor finds.
//!
//! Waits are on the API's own waits and on the ends of processes, against deadlines.

mod support;

use frith::devnet::PASSPHRASE;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use support::{Outcome, PATIENCE, World, answer, error};

impl World {
    /// Unlocked, a transfer needs no passphrase; locked again, it does.
    fn an_agent_signs_until_it_is_locked(&self, bob: &str) -> Outcome {
        let send = ["wallet", "send", bob, "1", "--yes"];
        let (code, said) = error(&self.call("", &send)?)?;
        assert_eq!(
            (code, said["error"]["code"].as_str()),
            (Some(3), Some("no_passphrase"))
        );

        let (code, said) = error(&self.call("wrong", &["key", "unlock", "alice"])?)?;
        assert_eq!(
            (code, said["error"]["code"].as_str()),
            (Some(3), Some("wrong_passphrase"))
        );
        let unlocked =
            answer(&self.call(PASSPHRASE, &["key", "unlock", "alice", "--timeout", "300"])?)?;
        let socket = unlocked["socket"].as_str().ok_or("a socket")?;
        let mode = |path: &std::path::Path| -> Outcome<u32> {
            Ok(std::fs::symlink_metadata(path)?.permissions().mode() & 0o777)
        };
        let socket = std::path::Path::new(socket);
        assert_eq!(mode(socket)?, 0o600);
        assert_eq!(mode(socket.parent().ok_or("a folder")?)?, 0o700);

        let process = unlocked["process"].as_u64().ok_or("a process")?;
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        assert!(
            !environment
                .windows(PASSPHRASE.len())
                .any(|window| window == PASSPHRASE.as_bytes()),
            "the agent's environment holds no passphrase"
        );

        let sent = answer(&self.call("", &send)?)?;
        assert_eq!(sent["done"], true);
        let shown = answer(&self.alone(&["key", "show", "alice"])?)?;
        assert!(
            shown[0]["unlocked_seconds"]
                .as_u64()
                .is_some_and(|left| left <= 300)
        );

        // Again: the time begins anew, and one agent remains.
        let again = answer(&self.call(PASSPHRASE, &["key", "unlock", "alice"])?)?;
        assert_ne!(again["process"], unlocked["process"]);
        let locked = answer(&self.alone(&["key", "lock"])?)?;
        assert_eq!(locked["locked"], serde_json::json!(["alice"]));
        let (code, _) = error(&self.call("", &send)?)?;
        assert_eq!(code, Some(3), "locked again");
        Ok(())
    }

    /// The doctor finds nothing wrong with a node that runs, and names what is.
    fn the_doctor_names_what_is_wrong(&self) -> Outcome {
        let dir = self.directory.path().join("node1");
        let line = ["doctor", "--dir", dir.to_str().ok_or("a path")?];
        let healthy = answer(&self.alone(&line)?)?;
        let checks = healthy["checks"].as_array().ok_or("checks")?;
        let states = |state: &str| -> Vec<&str> {
            let these = checks.iter().filter(|check| check["state"] == state);
            these.filter_map(|check| check["name"].as_str()).collect()
        };
        for name in [
            "disk sync",
            "worker key",
            "safety record",
            "directory",
            "ports",
            "node",
            "genesis",
        ] {
            assert!(states("ok").contains(&name), "{name}: {healthy}");
        }
        assert!(states("fail").is_empty());

        let key = dir.join("worker.json");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644))?;
        let output = self.alone(&line)?;
        assert_eq!(output.status.code(), Some(1));
        let sick: Value = serde_json::from_slice(&output.stdout)?;
        let failed = sick["checks"]
            .as_array()
            .ok_or("checks")?
            .iter()
            .filter(|check| check["state"] == "fail");
        let failed: Vec<_> = failed.map(|check| check["name"].clone()).collect();
        assert_eq!(failed, ["worker key"]);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// What a wallet did and got is listed newest first, page by page, by every node alike.
    fn a_wallet_has_a_history(&self, bob: &str) -> Outcome {
        let alice = self.address("alice")?;
        let send = [
            "wallet",
            "send",
            bob,
            "2.5",
            "--yes",
            "--wait",
            "final",
            "--timeout",
            "100",
        ];
        let sent = answer(&self.call(PASSPHRASE, &send)?)?;
        let back = ["wallet", "send", &alice, "1", "--yes"];
        answer(&self.call_as("bob", PASSPHRASE, &back)?)?;
        let history = |whose: &str, more: &[&str]| -> Outcome<Value> {
            answer(&self.call("", &[&["wallet", "history", whose][..], more].concat())?)
        };
        let all = history(bob, &[])?;
        let entries = all["entries"].as_array().ok_or("entries")?.clone();
        assert_eq!(
            (
                &entries[0]["what"],
                &entries[0]["amount"],
                &entries[0]["direction"]
            ),
            (&json!("sent"), &json!("1"), &json!("out"))
        );
        assert_eq!(
            (
                &entries[1]["what"],
                &entries[1]["amount"],
                &entries[1]["with"]
            ),
            (&json!("received"), &json!("2.5"), &json!(alice))
        );
        assert_eq!(
            (&entries[1]["operation"], &entries[1]["finality"]),
            (&sent["id"], &json!("final"))
        );
        assert!(all["verified"]["balance"].is_string());
        let heights: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry["height"].as_u64())
            .collect();
        assert!(heights.is_sorted_by(|a, b| a >= b), "{heights:?}");

        let mut paged = Vec::new();
        let mut before = None::<String>;
        loop {
            let place = before.clone().unwrap_or_default();
            let more: &[&str] = if place.is_empty() {
                &["--limit", "1"]
            } else {
                &["--limit", "1", "--before", &place]
            };
            let page = history(bob, more)?;
            paged.extend(page["entries"].as_array().ok_or("entries")?.clone());
            match page["next"].as_str() {
                Some(next) => before = Some(next.to_owned()),
                None => break,
            }
        }
        let same = |list: &[Value]| {
            list.iter()
                .map(|entry| entry["operation"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            same(&paged),
            same(&entries),
            "page by page it is the same list"
        );
        Ok(())
    }

    /// A node is backed up while it runs, lost, and brought back; it asks before it votes.
    fn a_node_comes_back_from_its_backup(&mut self, bob: &str) -> Outcome {
        let dir = self.directory.path().join("node3");
        let text = |path: &std::path::Path| path.to_str().map(str::to_owned).ok_or("a path");
        let (at, file) = (
            text(&dir)?,
            text(&self.directory.path().join("node3.backup"))?,
        );
        let taken = answer(&self.alone(&["node", "backup", "--dir", &at, "--out", &file])?)?;
        assert_eq!(taken["signed"]["may_vote"], true, "{taken}");
        let (code, said) =
            error(&self.alone(&["node", "safety", "forget", "--dir", &at, "--yes"])?)?;
        assert_eq!(
            (code, said["error"]["code"].as_str()),
            (Some(1), Some("in_use")),
            "not under a running node"
        );

        self.devnet.kill(3)?;
        std::fs::rename(&dir, self.directory.path().join("lost"))?;
        answer(&self.alone(&["node", "restore", &file, "--dir", &at])?)?;
        self.devnet.restart(3)?;
        self.devnet.await_ready(PATIENCE)?;
        let signed = answer(&self.alone(&["node", "safety", "export", "--dir", &at])?)?;
        assert_eq!(
            signed["may_vote"], true,
            "it has asked and may vote again: {signed}"
        );
        let log = std::fs::read_to_string(self.devnet.log(3))?;
        assert!(
            log.contains("asks the others what it may have signed"),
            "{log}"
        );
        let sent = answer(&self.call(
            PASSPHRASE,
            &[
                "wallet",
                "send",
                bob,
                "1",
                "--yes",
                "--wait",
                "final",
                "--timeout",
                "100",
            ],
        )?)?;
        assert_eq!(sent["done"], true);
        Ok(())
    }
}

#[test]
fn an_operator_unlocks_once_and_every_command_works() -> Outcome {
    let mut world = World::start()?;
    let bob = world.address("bob")?;
    world.an_agent_signs_until_it_is_locked(&bob)?;
    world.the_doctor_names_what_is_wrong()?;
    world.a_wallet_has_a_history(&bob)?;
    world.a_node_comes_back_from_its_backup(&bob)?;
    world.devnet.stop()?;
    Ok(())
}
