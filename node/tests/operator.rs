//! The operator's commands against real processes: what an unlocked agent saves and what it never gives.
//!
//! Waits are on the API's own waits and on the ends of processes, against deadlines.

mod support;

use frith::devnet::PASSPHRASE;
use std::os::unix::fs::PermissionsExt as _;
use support::{Outcome, World, answer, error};

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
}

#[test]
fn an_operator_unlocks_once_and_every_command_works() -> Outcome {
    let world = World::start()?;
    let bob = world.address("bob")?;
    world.an_agent_signs_until_it_is_locked(&bob)?;
    world.devnet.stop()?;
    Ok(())
}
