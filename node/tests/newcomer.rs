//! The life of a newcomer through real processes: a key, a data directory, a consent, a stake, a seat, votes that the
//! others need, a paid task, other terms, collateral back, and the way out.
//!
//! Waits are on root records and on the API's own waits.

mod support;

use frith::devnet::PASSPHRASE;
use frith::views::{Entity, WorkerView};
use frith_ledger::parameters::Parameters;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use support::{Outcome, PATIENCE, World, answer, check_refused, frith_with};

/// Unlocks the newcomer's account; the worker's key has the devnet's passphrase.
const OF_ACCOUNT: &str = "opens the account";
const WORDS: usize = 24;
/// The newcomer's index among the nodes.
const NEW: usize = 4;
/// Weighs as much as each founder.
const STAKE: &str = "10000";
/// Tasks submitted until one is drawn for the newcomer: four places on five workers leave it out of a fifth of them.
const DRAWS_MAX: usize = 12;
/// Ends at once; costs a little fuel all the same.
const QUICK: &str = r#"(module (memory 1) (func (export "run")))"#;

/// Shorter lags than a devnet's, as in simulations.
fn short_lags(parameters: &mut Parameters) {
    parameters.activation_lag = Parameters::test().activation_lag;
    parameters.unbonding = Parameters::test().unbonding;
    support::long_windows(parameters);
}

struct Newcomer {
    world: World,
    dir: PathBuf,
    account: String,
}

fn text(path: &Path) -> Outcome<String> {
    Ok(path.to_str().ok_or("a path")?.to_owned())
}

impl Newcomer {
    /// Calls `frith` with the newcomer's key and passphrases, against node 0.
    fn call(&self, args: &[&str]) -> Outcome<Output> {
        let variables = [
            ("FRITH_PASSPHRASE", OF_ACCOUNT),
            ("FRITH_WORKER_PASSPHRASE", PASSPHRASE),
            ("FRITH_KEY", "newcomer"),
        ];
        let api = self.world.devnet.node(0)?.base().to_owned();
        frith_with(&self.world.home, &api, &variables, b"", args)
    }

    /// A new key shows its words once, and they bring it back under another name.
    fn makes_a_key(&mut self) -> Outcome {
        let output = self.call(&["key", "new", "newcomer"])?;
        let made = answer(&output)?;
        self.account = made["address"].as_str().ok_or("an address")?.to_owned();
        let said: Value = serde_json::from_slice(&output.stderr)?;
        let words = said["phrase"].as_str().ok_or("the words")?;
        assert_eq!(words.split_whitespace().count(), WORDS);
        let import = |name: &str, words: &str| -> Outcome<Output> {
            let variables = [
                ("FRITH_PASSPHRASE", OF_ACCOUNT),
                ("FRITH_KEY_PHRASE", words),
            ];
            let line = ["key", "import", name];
            frith_with(
                &self.world.home,
                "http://127.0.0.1:9",
                &variables,
                b"",
                &line,
            )
        };
        let brought_back = answer(&import("again", words)?)?;
        assert_eq!(brought_back["address"], made["address"]);
        check_refused(&import("easy", "password")?, 3, "weak_phrase", "guess")?;
        let second = self.call(&["key", "new", "newcomer"])?;
        check_refused(&second, 2, "usage", "already")
    }

    /// A directory of the network is made, and not a second time; its node follows the chain without a seat.
    fn makes_a_node(&mut self) -> Outcome {
        let bootstrap = self.world.devnet.node(0)?.status()?.listening.join(",");
        let dir = text(&self.dir)?;
        let line = ["node", "init", "--dir", &dir, "--bootstrap", &bootstrap];
        let made = answer(&self.call(&line)?)?;
        assert_eq!(made["dir"], json!(dir));
        check_refused(&self.call(&line)?, 2, "usage", "exists already")?;
        self.world.devnet.join(self.dir.clone())?;
        self.world.devnet.await_ready(PATIENCE)?;
        let status = self.world.devnet.node(NEW)?.status()?;
        assert_eq!(json!(status.key), made["worker"]);
        assert!(status.worker.is_none(), "{:?}", status.worker);
        // With a quorum connected for two epochs it needs to ask nobody before it votes.
        let since = status.epoch;
        self.world
            .await_status(NEW, |status| status.epoch > since + 2)?;
        Ok(())
    }

    /// The worker's word for this account and nonce registers it, with the slots of its directory's settings.
    fn stakes(&self) -> Outcome {
        let alice = ["wallet", "send", &self.account, "30000", "--yes"];
        answer(&self.world.call(PASSPHRASE, &alice)?)?;
        let dir = text(&self.dir)?;
        let consent = ["node", "consent", "--dir", &dir, "--account", &self.account];
        let file = text(&self.world.directory.path().join("consent.json"))?;
        let signed = |nonce: &str| -> Outcome {
            let line = [&consent[..], &["--nonce", nonce]].concat();
            let signed = answer(&self.call(&line)?)?;
            Ok(std::fs::write(&file, signed.to_string())?)
        };
        let amounts = ["--stake", STAKE, "--collateral", "100", "--yes"];
        let stake = [&["wallet", "stake", "--consent", &file][..], &amounts].concat();
        signed("7")?;
        check_refused(&self.call(&stake)?, 3, "nonce", "with nonce 7")?;
        signed("0")?;
        let other = [&["--key", "alice"][..], &stake].concat();
        check_refused(&self.call(&other)?, 2, "usage", "the consent is for")?;
        answer(&self.call(&stake)?)?;
        // Both passphrases open their keys; the same worker isn't registered twice.
        let again = [&["wallet", "stake", "--worker-dir", &dir][..], &amounts].concat();
        check_refused(&self.call(&again)?, 3, "key_in_use", "is taken")?;
        let early = self.call(&["wallet", "unstake", "1", "--yes"])?;
        check_refused(&early, 3, "no_worker", "no worker with a seat")
    }

    fn worker(&self) -> Outcome<WorkerView> {
        let work = self.world.devnet.node(NEW)?.status()?.worker;
        Ok(work.ok_or("a seat")?.worker)
    }

    /// Other terms are ordered, seen as a change that waits, and count after the lag.
    fn changes_its_terms(&self) -> Outcome {
        let before = self.worker()?.terms;
        assert_eq!(before.slots, frith::config::SLOTS_DEFAULT);
        let same = self.call(&["wallet", "terms", "--yes"])?;
        check_refused(&same, 2, "usage", "offers that already")?;
        let none = self.call(&["wallet", "terms", "--slots", "0", "--yes"])?;
        check_refused(&none, 3, "terms", "0 slots")?;
        let line = ["wallet", "terms", "--slots", "3", "--price", "0.0002"];
        answer(&self.call(&[&line[..], &["--yes"]].concat())?)?;
        let waits = self.worker()?;
        let change = waits.changes.first().and_then(|c| c.terms.as_ref());
        if waits.terms == before {
            assert_eq!(change.map(|terms| terms.slots), Some(3));
        }
        let counts = |worker: &WorkerView| worker.terms.slots == 3 && worker.changes.is_empty();
        self.world.await_status(NEW, |status| {
            status
                .worker
                .as_ref()
                .is_some_and(|work| counts(&work.worker))
        })?;
        let now = self.worker()?.terms;
        assert_eq!(
            (now.price.as_str(), &now.engines),
            ("0.0002", &before.engines),
            "what wasn't named stays"
        );
        Ok(())
    }

    /// With one founder gone nothing is committed without the newcomer's vote.
    fn votes(&mut self) -> Outcome {
        let key = self.world.devnet.node(NEW)?.status()?.key;
        let sits = |status: &frith::views::StatusView| {
            status.committee.len() == NEW + 1
                && status.committee.iter().any(|member| member.key == key)
        };
        self.world.await_status(0, sits)?;
        self.world
            .await_status(NEW, |status| sits(status) && status.readiness.ready)?;
        self.world.devnet.kill(3)?;
        let bob = self.world.address("bob")?;
        let sent = self.world.send(&bob)?;
        assert_eq!(sent["finality"], "final");
        self.world.devnet.restart(3)?;
        Ok(self.world.devnet.await_ready(PATIENCE)?)
    }

    /// A task is drawn for it, run, and paid into the account that registered it.
    fn works(&self) -> Outcome {
        let paid_before = self.worker()?.tasks_paid;
        for _ in 0..DRAWS_MAX {
            let more = ["--replicas", "4", "--fuel", "1000000"];
            let task = self.world.submit(QUICK, &more)?;
            let view = self.world.devnet.node(0)?.task(&task, Some(PATIENCE))?;
            assert_eq!(view.state, "settled", "{}", view.explanation);
            let mut mine = view.places.iter().filter(|p| p.account == self.account);
            if mine.any(|place| place.paid != "0") {
                break;
            }
        }
        // Every node executes the payment for itself.
        self.world.await_status(NEW, |status| {
            let work = status.worker.as_ref();
            work.is_some_and(|work| work.worker.tasks_paid > paid_before)
        })?;
        let api = self.world.devnet.node(NEW)?.base();
        let line = ["node", "status"];
        let shown = answer(&frith_with(&self.world.home, api, &[], b"", &line)?)?;
        let work = &shown["worker"];
        assert!(work["tasks_seen"].as_u64() > Some(0), "{shown}");
        assert!(work["runs"].as_u64() > Some(0), "{shown}");
        assert_ne!(work["earned"], "0", "{shown}");
        Ok(())
    }

    /// Collateral comes back at once; the stake after the unbonding time, when the worker is gone.
    fn leaves(&self) -> Outcome {
        let held = |expected: &str| -> Outcome<Value> {
            let shown = answer(&self.call(&["wallet", "balance"])?)?;
            assert!(shown["verified"] == true, "{expected}: {shown}");
            Ok(shown["local_balance"].clone())
        };
        let before: f64 = held("before")?.as_str().ok_or("a balance")?.parse()?;
        let much = self.call(&["wallet", "unstake", "100000", "--yes"])?;
        check_refused(&much, 3, "collateral_bound", "free")?;
        answer(&self.call(&["wallet", "unstake", "40", "--yes"])?)?;
        let back: f64 = held("unstaked")?.as_str().ok_or("a balance")?.parse()?;
        assert!((39.9..40.1).contains(&(back - before)), "{before} → {back}");

        let seat = self.world.devnet.node(NEW)?.status()?.worker;
        let seat = seat.ok_or("a seat")?.seat;
        let left = answer(&self.call(&["node", "leave", "--yes"])?)?;
        assert_eq!(left["done"], true);
        assert_eq!(self.worker()?.status, "leaving");
        let twice = self.call(&["node", "leave", "--yes"])?;
        check_refused(&twice, 3, "not_active", "no longer active")?;
        self.world.await_status(NEW, |s| s.worker.is_none())?;
        let there = self.world.devnet.node(0)?.entity(&seat)?.local;
        assert!(!matches!(there, Some(Entity::Worker(_))), "{there:?}");
        let after: f64 = held("left")?.as_str().ok_or("a balance")?.parse()?;
        assert!(after - back > 10_000.0, "stake and collateral: {after}");
        let committee = self.world.devnet.node(0)?.status()?.committee;
        assert_eq!(committee.len(), NEW, "the founders go on alone");
        Ok(())
    }
}

#[test]
fn a_newcomer_stakes_votes_works_changes_its_terms_and_leaves_with_its_stake() -> Outcome {
    let world = World::start_by(4, BTreeMap::new(), "", short_lags)?;
    let dir = world.directory.path().join("newcomer");
    let mut newcomer = Newcomer {
        world,
        dir,
        account: String::new(),
    };
    newcomer.makes_a_key()?;
    newcomer.makes_a_node()?;
    newcomer.stakes()?;
    newcomer
        .world
        .await_status(NEW, |status| status.worker.is_some())?;
    newcomer.votes()?;
    newcomer.changes_its_terms()?;
    newcomer.works()?;
    newcomer.leaves()?;
    let sent = newcomer.world.send(&newcomer.account)?;
    assert_eq!(sent["finality"], "final", "the network is none the worse");
    newcomer.world.devnet.stop()?;
    Ok(())
}
