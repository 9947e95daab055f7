//! The operator's commands against real processes: an agent, the doctor, histories, backups; caps and alerts
//! under load; faults that cost what they should.
//!
//! Waits are on the API's own waits and on the ends of processes, against deadlines.

mod support;

use frith::config::Fault;
use frith::devnet::PASSPHRASE;
use frith::views::{Entity, WorkerView};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
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
        assert!(!socket.exists(), "its agent has left");
        let (code, _) = error(&self.call("", &send)?)?;
        assert_eq!(code, Some(3), "locked again");
        self.whatever_lies_where_an_agent_listens_stops_nobody(socket)
    }

    /// An agent that was killed, or another file in its place: a command asks for the passphrase as ever, and the next
    /// unlocking puts it right or says what is in the way.
    fn whatever_lies_where_an_agent_listens_stops_nobody(&self, socket: &Path) -> Outcome {
        let send = ["wallet", "send", &self.address("bob")?, "1", "--yes"];
        let unlock = ["key", "unlock", "alice"];
        let unlocked = answer(&self.call(PASSPHRASE, &unlock)?)?;
        let process = unlocked["process"].as_u64().ok_or("a process")?;
        let process = i32::try_from(process)?;
        let process = rustix::process::Pid::from_raw(process).ok_or("a process")?;
        rustix::process::kill_process(process, rustix::process::Signal::KILL)?;
        await_end(process);
        for left in ["a socket that nobody serves", "a file", "a folder"] {
            if left != "a socket that nobody serves" {
                std::fs::remove_file(socket)?;
            }
            match left {
                "a file" => std::fs::write(socket, "no socket")?,
                "a folder" => std::fs::create_dir(socket)?,
                _ => {}
            }
            let (code, said) = error(&self.call("", &send)?)?;
            assert_eq!(
                (code, said["error"]["code"].as_str()),
                (Some(3), Some("no_passphrase")),
                "{left}: {said}"
            );
            assert_eq!(answer(&self.call(PASSPHRASE, &send)?)?["done"], true);
            let again = self.call(PASSPHRASE, &unlock)?;
            if left == "a folder" {
                let (code, said) = error(&again)?;
                let message = said["error"]["message"].as_str().ok_or("a message")?;
                assert!(
                    code == Some(1) && message.contains(&socket.display().to_string()),
                    "{said}"
                );
                std::fs::remove_dir(socket)?;
            } else {
                answer(&again)?;
                let locked = answer(&self.alone(&["key", "lock"])?)?;
                assert_eq!(locked["locked"], json!(["alice"]), "{left}");
                // Locked, it has taken its socket away; for what comes next something is there.
                std::fs::File::create_new(socket)?;
            }
        }
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
        // How fast this machine's disk is, is the machine's.
        let synced = checks.iter().find(|check| check["name"] == "disk sync");
        assert!(
            synced.is_some_and(|check| check["found"].is_string()),
            "{healthy}"
        );
        for name in [
            "worker key",
            "safety record",
            "directory",
            "ports",
            "node",
            "genesis",
        ] {
            assert!(states("ok").contains(&name), "{name}: {healthy}");
        }
        let failed = states("fail");
        assert!(failed.iter().all(|name| *name == "disk sync"), "{healthy}");
        // On loopback nothing shows whether others reach it.
        assert!(states("warn").contains(&"reached"), "{healthy}");

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
        let failed = failed.filter_map(|check| check["name"].as_str());
        let failed: Vec<&str> = failed.filter(|name| *name != "disk sync").collect();
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
        let to_oneself = ["wallet", "send", &alice, ".25", "--yes"];
        answer(&self.call(PASSPHRASE, &to_oneself)?)?;
        let history = |whose: &str, more: &[&str]| -> Outcome<Value> {
            answer(&self.call("", &[&["wallet", "history", whose][..], more].concat())?)
        };
        let own = history(&alice, &["--limit", "1"])?;
        let newest = &own["entries"][0];
        assert_eq!(
            (&newest["what"], &newest["amount"], &newest["direction"]),
            (&json!("sent"), &json!("0.25"), &json!("self")),
            "{own}"
        );
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
        let log = std::fs::read_to_string(self.devnet.log(3))?;
        assert!(
            log.contains("asks the others what it may have signed"),
            "{log}"
        );
        // It goes on without asking from the first epoch on that it has seen whole.
        let send = [
            "wallet",
            "send",
            bob,
            "1",
            "--yes",
            "--wait",
            "final",
            "--timeout",
            "100",
        ];
        for _ in 0..20 {
            let sent = answer(&self.call(PASSPHRASE, &send)?)?;
            assert_eq!(sent["done"], true);
            let signed = answer(&self.alone(&["node", "safety", "export", "--dir", &at])?)?;
            if signed["may_vote"] == true {
                return Ok(());
            }
        }
        Err("it never became a voter again".into())
    }
}

/// Waits for the end of a process that is nobody's child here, or whose parent hasn't looked at it yet.
fn await_end(process: rustix::process::Pid) {
    let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
    let ended = || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        // After the name in brackets: its state; proc(5).
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
        matches!(state, None | Some(b'Z' | b'X'))
    };
    while !ended() {
        std::thread::yield_now();
    }
}

/// What the system says of a process: parent, niceness, resident bytes, and whether it runs tasks.
struct Seen {
    parent: u32,
    nice: i64,
    resident: u64,
    /// Ticks of processor time.
    ticks: u64,
}

/// All processes that run tasks.
fn runners() -> Vec<Seen> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let seen = |entry: std::fs::DirEntry| {
        let path = entry.path();
        let line = std::fs::read(path.join("cmdline")).ok()?;
        line.split(|byte| *byte == 0)
            .any(|word| word == frith::VM_RUNNER.as_bytes())
            .then_some(())?;
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        // After the name in brackets: state, parent, …; proc(5).
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        Some(Seen {
            parent: fields.get(1)?.parse().ok()?,
            ticks: fields.get(11)?.parse().ok()?,
            nice: fields.get(16)?.parse().ok()?,
            resident: fields.get(21)?.parse::<u64>().ok()?.saturating_mul(4096),
        })
    };
    entries.flatten().filter_map(seen).collect()
}

/// Processor time by which a process has begun to work, in hundredths of a second.
const STARTED_TICKS: u64 = 10;
/// Works for about as long as its fuel, which is given with the task.
const BUSY: &str = r#"(module (memory 1) (func (export "run") (local $i i64)
    (loop $next (local.set $i (i64.add (local.get $i) (i64.const 1))) (br $next))))"#;
/// Writes to 200 MiB of memory.
const GREEDY: &str = r#"(module (memory 3200) (func (export "run") (local $at i32)
    (loop $next
      (i32.store8 (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 209715200))))))"#;

#[test]
fn caps_hold_under_load_and_alerts_come_when_they_must() -> Outcome {
    let settings = "slots = 1\nrunner_nice = 7\nrunner_memory_mib = 96\n";
    let mut world = World::start_with(4, BTreeMap::new(), settings)?;
    let tasks: Vec<String> = (0..3)
        .map(|i| {
            let fuel = (2_000_000_000_u64 + i).to_string();
            world.submit(
                BUSY,
                &["--fuel", &fuel, "--replicas", "3", "--price", "0.001"],
            )
        })
        .collect::<Outcome<_>>()?;
    let nodes: Vec<u32> = (0..4)
        .filter_map(|node| world.devnet.process(node))
        .collect();
    let (mut seen, mut ended) = (0, false);
    while !ended {
        // The API waits for a moment each time; between two answers the machine is looked at.
        let newest = tasks.last().ok_or("tasks")?;
        ended = world
            .devnet
            .node(0)?
            .task(newest, Some(Duration::from_millis(50)))?
            .ended;
        let running: Vec<Seen> = runners()
            .into_iter()
            .filter(|runner| nodes.contains(&runner.parent))
            .collect();
        for node in &nodes {
            let mine = running
                .iter()
                .filter(|runner| runner.parent == *node)
                .count();
            // One that runs, and for a moment one that compiles.
            assert!(mine <= 2, "{mine} runner processes with one slot");
        }
        // In its first moment a process has the niceness of its parent; so may the tests themselves.
        let working = running
            .iter()
            .filter(|runner| runner.ticks >= STARTED_TICKS);
        for runner in working {
            assert!(
                runner.nice >= 7,
                "a runner of niceness {} works",
                runner.nice
            );
        }
        seen += running.len();
    }
    assert!(seen > 0, "runs were seen at all");

    // More memory than a runner may have: the machine fails, which is never a result, and says so.
    let greedy = world.submit(
        GREEDY,
        &[
            "--replicas",
            "3",
            "--memory-pages",
            "4096",
            "--price",
            "0.001",
            "--deadline",
            "500",
        ],
    )?;
    let mut most = None;
    loop {
        let node = world.devnet.node(0)?;
        let task = node.task(&greedy, Some(Duration::from_millis(20)))?;
        assert!(!task.ended, "it fails before anybody is told: {task:?}");
        let running = runners().into_iter();
        let mine = running.filter(|runner| nodes.contains(&runner.parent));
        most = most.max(mine.map(|runner| runner.resident).max());
        let alerts = node.status()?.alerts;
        let told = alerts.iter().any(|alert| alert.code == "runs_failing");
        // Also a machine that is slow to look sees one at work in the end.
        if told && most > Some(1 << 20) {
            break;
        }
    }
    let most = most.unwrap_or_default();
    assert!(most < 200 << 20, "a runner had {most} bytes");

    // Two of four gone: nothing can be committed, and the node says so before anybody asks.
    world.devnet.kill(2)?;
    world.devnet.kill(3)?;
    let alert = world.await_event(0, |event| {
        event["event"] == "alert" && event["code"] == "no_quorum"
    })?;
    assert_eq!(
        (&alert["raised"], &alert["severity"]),
        (&json!(true), &json!("critical"))
    );
    world.a_node_that_is_not_ready_is_asked_for_nothing()
}

impl World {
    /// The status says why, and what would only wait for it is refused before it is signed.
    fn a_node_that_is_not_ready_is_asked_for_nothing(&self) -> Outcome {
        let output = self.call("", &["node", "status"])?;
        assert_eq!(output.status.code(), Some(4));
        let status = self.devnet.node(0)?.status()?;
        assert!(status.alerts.iter().any(|alert| alert.code == "no_quorum"));
        let bob = self.address("bob")?;
        let leave: &[&str] = &["node", "leave", "--yes"];
        let send: &[&str] = &["wallet", "send", &bob, "1", "--yes"];
        for line in [send, leave] {
            // No passphrase: nothing is signed.
            let (code, said) = error(&self.call("", line)?)?;
            assert_eq!(
                (code, &said["error"]["code"]),
                (Some(4), &json!("not_ready")),
                "{said}"
            );
            let message = said["error"]["message"].as_str().ok_or("a message")?;
            assert!(message.contains("two thirds"), "{message}");
            assert!(said["error"]["advice"].is_string(), "{said}");
        }
        Ok(())
    }
}

/// Fuel for a minute or more.
const ENDLESS: &str = "60000000000";

#[test]
fn a_run_that_takes_longer_than_the_settings_allow_is_ended_and_is_never_a_result() -> Outcome {
    let world = World::start_with(1, BTreeMap::new(), "run_seconds_max = 1\n")?;
    let task = world.submit(BUSY, &["--fuel", ENDLESS, "--replicas", "1"])?;
    let failing = world.await_event(0, |event| {
        event["event"] == "alert" && event["code"] == "runs_failing"
    })?;
    assert_eq!(failing["raised"], true);
    let log = std::fs::read_to_string(world.devnet.log(0))?;
    assert!(
        log.contains("more than the 1 s of run_seconds_max"),
        "the log says which setting ended it: {log}"
    );
    let seen = world.devnet.node(0)?.task(&task, None)?;
    assert!(
        seen.places.iter().all(|place| place.found.is_none()),
        "nobody claims a result: {seen:?}"
    );
    assert!(seen.outcome.is_none(), "{:?}", seen.outcome);
    world.devnet.stop()?;
    Ok(())
}

#[test]
fn who_votes_twice_loses_the_stake_and_who_guesses_loses_the_bond() -> Outcome {
    let faults = BTreeMap::from([(4, Fault::Lazy), (5, Fault::Equivocate)]);
    let world = World::start_by(6, faults, "", support::long_windows)?;
    let worker = |node: usize| -> Outcome<WorkerView> {
        let seen = world.devnet.node(node)?.status()?.worker.ok_or("a seat")?;
        let Some(Entity::Worker(worker)) = world.devnet.node(0)?.entity(&seen.seat)?.local else {
            return Err("no worker at the seat".into());
        };
        Ok(worker)
    };
    // Something to vote about, until the evidence is executed.
    let bob = world.address("bob")?;
    for _ in 0..20 {
        answer(&world.call(
            PASSPHRASE,
            &[
                "wallet",
                "send",
                &bob,
                "1",
                "--yes",
                "--wait",
                "final",
                "--timeout",
                "100",
            ],
        )?)?;
        if worker(5)?.status == "slashed" {
            break;
        }
    }
    assert_eq!(worker(5)?.status, "slashed");
    assert_eq!(worker(0)?.status, "active", "and nobody else's");
    for _ in 0..6 {
        let task = world.submit(
            GUESSED,
            &["--fuel", "1000000", "--replicas", "4", "--price", "0.001"],
        )?;
        assert!(world.devnet.node(0)?.task(&task, Some(PATIENCE))?.ended);
        if worker(4)?.tasks_lost > 0 {
            break;
        }
    }
    assert!(worker(4)?.tasks_lost > 0, "the guess was found wrong");
    for honest in 0..4 {
        assert_eq!(worker(honest)?.tasks_lost, 0, "node {honest}");
    }
    Ok(())
}

/// Ends at once; costs a little fuel all the same.
const GUESSED: &str = r#"(module (memory 1) (func (export "run")))"#;

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
