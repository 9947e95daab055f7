//! Real processes killed with SIGKILL at random moments, under load: nothing acknowledged as committed and no content
//! acknowledged as stored is lost, nobody votes twice, and every node comes back by itself.
//!
//! `FRITH_KILL_ROUNDS` says how many kills (4 unless given; `make kill KILL_ROUNDS=300`), `FRITH_KILL_SEED` from which
//! seed the moments and the nodes are drawn.

mod support;

use frith::client::{NodeClient, Signer, Wallet};
use frith::failure::Failure;
use frith::views::{Entity, Finality, OperationView};
use frith_ledger::credits::Credits;
use frith_ledger::genesis::Genesis;
use frith_ledger::key::{SecurityLevel, Seed};
use frith_ledger::operation::{Action, Operation};
use frith_ledger::units::{Epoch, Nonce};
use parity_scale_codec::Encode as _;
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
/// Of so many transfers one is followed by an upload: to each node in turn, so no multiple of their number.
const TRANSFERS_PER_CONTENT: usize = 5;
/// Large enough to be stored beside the core.
const CONTENT_BYTES: usize = (1 << 20) + 1;
/// Acknowledged contents that a restarted node is asked for, the newest.
const CONTENTS_ASKED: usize = 4;

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

/// What a node acknowledged.
enum Told {
    /// An operation is committed.
    Operation(String),
    /// A node has stored content.
    Content(usize, String),
}

/// What was acknowledged so far.
#[derive(Default)]
struct Acknowledged {
    operations: Vec<String>,
    /// At each node.
    contents: [Vec<String>; NODES],
}

impl Acknowledged {
    fn take(&mut self, told: Told) {
        match told {
            Told::Operation(id) => self.operations.push(id),
            Told::Content(node, id) => self.contents[node].push(id),
        }
    }

    /// Asks a node for the newest contents that it said it had stored. Nobody else has them.
    fn check_contents(&self, index: usize, node: &NodeClient, asked: usize) -> Outcome {
        for id in self.contents[index].iter().rev().take(asked) {
            let content = node.content(id);
            assert!(content.is_ok(), "node {index} lost content: {content:?}");
        }
        Ok(())
    }
}

/// Bytes that no content had before.
fn content(number: usize) -> Vec<u8> {
    let mut bytes = vec![0; CONTENT_BYTES];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// Signs an operation with the next nonce that the node names, submits it, and waits until it is committed.
fn send(wallet: &Wallet<'_>, action: Action) -> Result<OperationView, Failure> {
    let view = wallet.local()?;
    let nonce = Nonce::new(view.free_nonce.unwrap_or_default());
    let signed = wallet.sign(action, nonce, Epoch::new(view.now))?;
    let taken = wallet.node.submit(&Operation::Signed(signed).encode())?;
    wallet.node.operation(&taken.id, Finality::Local, COMMIT)
}

/// Sends one credit after the other, with uploads between, and tells what the nodes acknowledged.
fn load(genesis: &Genesis, bases: &Bases, ends: &AtomicBool, told: &Sender<Told>) {
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
        let sent = send(&wallet, action);
        if let Ok(view) = sent
            && view.done == Some(true)
            && told.send(Told::Operation(view.id)).is_err()
        {
            return;
        }
        if turn.is_multiple_of(TRANSFERS_PER_CONTENT)
            && let Ok(stored) = node.put_content(&content(turn))
            && told.send(Told::Content(turn % NODES, stored.id)).is_err()
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
    news: &Receiver<Told>,
    acknowledged: &mut Acknowledged,
) -> Outcome {
    let victim = usize::try_from(random.below(NODES as u64))?;
    let moment = Instant::now() + Duration::from_millis(random.below(MOMENT_MS_MAX));
    loop {
        let left = moment.saturating_duration_since(Instant::now());
        match news.recv_timeout(left) {
            Ok(told) => acknowledged.take(told),
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
    news.try_iter().for_each(|told| acknowledged.take(told));
    acknowledged.check_contents(victim, node, CONTENTS_ASKED)?;
    for id in acknowledged.operations.iter().rev().take(ASKED) {
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
    let mut acknowledged = Acknowledged::default();
    for number in 0..rounds {
        round(&mut world, &bases, &mut random, &news, &mut acknowledged)
            .map_err(|error| format!("round {number} of seed {seed}: {error}"))?;
    }
    ends.store(true, Ordering::Relaxed);
    loader.join().map_err(|_| "the load panicked")?;
    news.try_iter().for_each(|told| acknowledged.take(told));
    let contents: usize = acknowledged.contents.iter().map(Vec::len).sum();
    let mut operations = acknowledged.operations.clone();
    operations.sort_unstable();
    operations.dedup();
    assert!(!operations.is_empty(), "nothing was acknowledged");
    for index in 0..NODES {
        let node = world.devnet.node(index)?;
        acknowledged.check_contents(index, node, usize::MAX)?;
        for id in &operations {
            let view = node.operation(id, Finality::Local, PATIENCE)?;
            assert_eq!(view.done, Some(true), "node {index} lost operation {id}");
        }
        let got = bob_has(node)? - before;
        assert!(
            got >= operations.len() as u64,
            "node {index}: bob got {got} of {} acknowledged credits",
            operations.len()
        );
        for member in genesis.committee()?.members() {
            let Some(Entity::Worker(worker)) = node.entity(&member.seat.to_string())?.local else {
                return Err(format!("no worker at seat {}", member.seat).into());
            };
            assert_eq!(worker.status, "active", "a correct worker was slashed");
        }
    }
    eprintln!(
        "{rounds} kills, {} acknowledged transfers and {contents} contents, none lost",
        operations.len()
    );
    world.devnet.stop()?;
    Ok(())
}
