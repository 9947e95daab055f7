//! Real processes killed with SIGKILL at random moments, under load: nothing acknowledged as committed is lost,
//! nobody votes twice, and every node comes back by itself.
//!
//! `FRITH_KILL_ROUNDS` says how many kills (4 unless given; `make kill KILL_ROUNDS=300`), `FRITH_KILL_SEED` from which
//! seed the moments and the nodes are drawn.

mod support;

use frith::client::{NodeClient, Signer, Wallet};
use frith::views::{Entity, Finality};
use frith_ledger::credits::Credits;
use frith_ledger::genesis::Genesis;
use frith_ledger::key::{SecurityLevel, Seed};
use frith_ledger::operation::Action;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Outcome, PATIENCE, World};

const NODES: usize = 4;
/// A kill comes at most so long after the node before was ready again.
const MOMENT_MS_MAX: u64 = 700;
/// How long the load waits for one commit before it asks another node.
const COMMIT: Duration = Duration::from_secs(8);
/// Acknowledged operations that a restarted node is asked for, the newest.
const ASKED: usize = 40;

fn setting(name: &str, default: u64) -> Outcome<u64> {
    match std::env::var(name) {
        Ok(text) => Ok(text.parse().map_err(|e| format!("{name}={text}: {e}"))?),
        Err(_) => Ok(default),
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, max: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % max
    }
}

/// Where the nodes answer now; `None`: killed.
type Bases = Arc<Mutex<Vec<Option<String>>>>;

fn wallet_seed(name: &str) -> Seed {
    Seed::from_passphrase(&format!("frith devnet {name}"), SecurityLevel::TEST)
}

/// Sends one credit after the other and tells the id of every transfer that a node called committed.
fn load(genesis: &Genesis, bases: &Bases, ends: &AtomicBool, told: &Sender<String>) {
    let bob = wallet_seed("bob").account().public().address();
    let mut turn = 0;
    while !ends.load(Ordering::Relaxed) {
        turn += 1;
        let base = bases.lock().map_or(None, |all| all[turn % NODES].clone());
        let Some(node) = base.and_then(|base| NodeClient::new(&base).ok()) else {
            std::thread::yield_now();
            continue;
        };
        let wallet = Wallet::new(
            genesis,
            &node,
            Signer::first_key(wallet_seed("alice").account()),
        );
        let action = Action::Transfer {
            to: bob,
            amount: Credits::whole(1),
        };
        // A node that is killed meanwhile leaves it open what became of the transfer; it isn't counted then.
        let sent = wallet
            .sign(action)
            .and_then(|signed| wallet.submit(signed, Finality::Local, COMMIT));
        if let Ok(view) = sent
            && view.done == Some(true)
            && told.send(view.id).is_err()
        {
            return;
        }
    }
}

fn bob_has(node: &NodeClient) -> Outcome<u64> {
    let bob = wallet_seed("bob").account().public().address();
    let Some(Entity::Account(account)) = node.entity(&bob.to_string())?.local else {
        return Err("bob is gone".into());
    };
    Ok(account.balance.parse()?)
}

/// Kills a node at a random moment, starts it again, and asks it for what was acknowledged.
fn round(
    world: &mut World,
    bases: &Bases,
    random: &mut Random,
    news: &Receiver<String>,
    acknowledged: &mut Vec<String>,
) -> Outcome {
    let victim = usize::try_from(random.below(NODES as u64))?;
    let moment = Instant::now() + Duration::from_millis(random.below(MOMENT_MS_MAX));
    loop {
        let left = moment.saturating_duration_since(Instant::now());
        match news.recv_timeout(left) {
            Ok(id) => acknowledged.push(id),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return Err("the load ended".into()),
        }
    }
    let mut all = bases.lock().map_err(|_| "the load panicked")?;
    all[victim] = None;
    drop(all);
    world.devnet.kill(victim)?;
    world.devnet.restart(victim)?;
    world.devnet.await_ready(PATIENCE)?;
    let node = world.devnet.node(victim)?;
    bases.lock().map_err(|_| "the load panicked")?[victim] = Some(node.base().to_owned());
    acknowledged.extend(news.try_iter());
    for id in acknowledged.iter().rev().take(ASKED) {
        let view = node.operation(id, Finality::Local, PATIENCE)?;
        assert_eq!(view.done, Some(true), "node {victim} lost operation {id}");
    }
    Ok(())
}

#[test]
fn kills_at_random_moments_lose_nothing_and_slash_nobody() -> Outcome {
    let rounds = setting("FRITH_KILL_ROUNDS", 4)?;
    let seed = setting("FRITH_KILL_SEED", 1)?;
    let mut random = Random(seed);
    let mut world = World::start()?;
    let genesis = world.devnet.node(0)?.genesis()?;
    let before = bob_has(world.devnet.node(0)?)?;
    let now = (0..NODES).map(|index| Ok(Some(world.devnet.node(index)?.base().to_owned())));
    let bases: Bases = Arc::new(Mutex::new(now.collect::<Outcome<_>>()?));
    let ends = Arc::new(AtomicBool::new(false));
    let (told, news) = channel();
    let loader = {
        let (genesis, bases, ends) = (genesis.clone(), bases.clone(), ends.clone());
        std::thread::spawn(move || load(&genesis, &bases, &ends, &told))
    };
    let mut acknowledged = Vec::new();
    for number in 0..rounds {
        round(&mut world, &bases, &mut random, &news, &mut acknowledged)
            .map_err(|error| format!("round {number} of seed {seed}: {error}"))?;
    }
    ends.store(true, Ordering::Relaxed);
    loader.join().map_err(|_| "the load panicked")?;
    acknowledged.extend(news.try_iter());
    acknowledged.sort_unstable();
    acknowledged.dedup();
    assert!(!acknowledged.is_empty(), "nothing was acknowledged");
    for index in 0..NODES {
        let node = world.devnet.node(index)?;
        for id in &acknowledged {
            let view = node.operation(id, Finality::Local, PATIENCE)?;
            assert_eq!(view.done, Some(true), "node {index} lost operation {id}");
        }
        let got = bob_has(node)? - before;
        assert!(
            got >= acknowledged.len() as u64,
            "node {index}: bob got {got} of {} acknowledged credits",
            acknowledged.len()
        );
        for member in genesis.committee()?.members() {
            let Some(Entity::Worker(worker)) = node.entity(&member.seat.to_string())?.local else {
                return Err(format!("no worker at seat {}", member.seat).into());
            };
            assert_eq!(worker.status, "active", "a correct worker was slashed");
        }
    }
    eprintln!(
        "{rounds} kills, {} acknowledged transfers, none lost",
        acknowledged.len()
    );
    world.devnet.stop()?;
    Ok(())
}
