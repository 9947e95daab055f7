//! What `frith` says when it is run bare on a terminal: what this user has, and the few commands that lead on from there.

use super::Report;
use super::args::Common;
use super::session::Session;
use crate::agent::{Agent, socket_path};
use crate::failure::Result;
use crate::views::StatusView;

const HEAD: &str = "Frith: nodes are paid to run WebAssembly tasks; neighbours verify each other's results and balances.\n";
const FOOT: &str = "`frith help` lists everything; `frith help COMMAND` explains a command. Every command takes --json.\n";

/// The node that commands ask.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// Nobody answers at this address.
    Silent(String),
    /// It answers, and isn't ready for the reason.
    Unready(String, String),
    /// It is ready.
    Ready {
        /// Its address.
        base: String,
        /// Its network's name.
        network: String,
        /// Whether that is another one than the genesis file's; unknown without the file.
        foreign: Option<bool>,
        /// Whether it runs a worker with a seat.
        works: bool,
    },
}

/// What there is around a user who typed nothing but the program's name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    home: String,
    keys: Vec<String>,
    unlocked: Vec<String>,
    /// The trusted network's name, or why there is none.
    genesis: Result<String, String>,
    node: Node,
}

/// What there is, and what leads on from there.
pub(super) fn report() -> Report {
    let common = super::args::parse(["frith", "config", "show"])
        .map_or_else(|_| Common::default(), |cli| cli.common);
    let text = match Session::new(common, false) {
        Ok(session) => guide(&look(&session)),
        Err(failure) => format!("{HEAD}\n{failure}\n\n{FOOT}"),
    };
    Report::new(text, &()).unwrap_or_default()
}

/// Looks around. Asks the node; one that isn't there refuses at once.
fn look(session: &Session) -> Found {
    let keys = session.home.keys().unwrap_or_default();
    let holds = |key: &&String| {
        let agent = Agent::at(&socket_path(session.home.dir(), key));
        matches!(agent, Ok(Some(_)))
    };
    let unlocked = keys.iter().filter(holds).cloned().collect();
    let genesis = session.genesis();
    let hash = genesis.as_ref().ok().map(|genesis| genesis.hash().to_hex());
    let node = match session.node() {
        Err(failure) => Node::Silent(failure.message),
        Ok(node) => match node.status() {
            Err(_) => Node::Silent(node.base().to_owned()),
            Ok(status) => match node.unready(&status) {
                Some(failure) => Node::Unready(node.base().to_owned(), failure.message),
                None => ready(node.base(), &status, hash.as_deref()),
            },
        },
    };
    Found {
        home: session.home.dir().display().to_string(),
        keys,
        unlocked,
        genesis: genesis
            .map(|genesis| genesis.name)
            .map_err(|failure| failure.message),
        node,
    }
}

fn ready(base: &str, status: &StatusView, genesis: Option<&str>) -> Node {
    Node::Ready {
        base: base.to_owned(),
        network: format!("{}, epoch {}", status.network, status.epoch),
        foreign: genesis.map(|genesis| genesis != status.genesis),
        works: status.worker.is_some(),
    }
}

/// What a user has, and the next steps, the likeliest first.
fn guide(found: &Found) -> String {
    let mut text = format!("{HEAD}\n");
    for line in has(found) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str("\nFrom here:\n");
    for (what, how) in next(found) {
        text.push_str(&format!("  {what:<27} {how}\n"));
    }
    format!("{text}\n{FOOT}")
}

/// What there is, in a line each.
fn has(found: &Found) -> [String; 3] {
    let Found {
        home,
        keys,
        unlocked,
        ..
    } = found;
    let key = match (keys.as_slice(), unlocked.as_slice()) {
        ([], _) => format!("key       none in {home}"),
        (keys, []) => format!("key       {}, locked", keys.join(", ")),
        (keys, open) => format!(
            "key       {}; unlocked: {}",
            keys.join(", "),
            open.join(", ")
        ),
    };
    let network = match &found.genesis {
        Ok(name) => format!("network   {name}, by your genesis file"),
        Err(_) => format!("network   none: no usable genesis.json in {home}"),
    };
    let node = match &found.node {
        Node::Silent(base) => format!("node      none answers at {base}"),
        Node::Unready(_, why) => format!("node      {why}"),
        Node::Ready { base, network, .. } => format!("node      {base} is ready ({network})"),
    };
    [key, network, node]
}

/// A purpose, and the command that serves it.
type Step = (&'static str, String);

fn step(what: &'static str, how: &str) -> Step {
    (what, how.to_owned())
}

/// What leads on, the likeliest first.
fn next(found: &Found) -> Vec<Step> {
    let has_network = found.genesis.is_ok();
    match &found.node {
        Node::Ready {
            foreign: Some(true),
            ..
        } => vec![step(
            "ask a node of your network",
            "--api URL; the one above follows another network than your genesis file",
        )],
        Node::Ready { works, .. } if has_network => with_all(found, *works),
        Node::Unready(..) if has_network => {
            vec![step(
                "why, and what to do",
                "frith node status, frith doctor",
            )]
        }
        Node::Silent(_) if has_network => without_node(found),
        _ => without_network(found),
    }
}

/// A network and a node that is ready: what people come for, once there is a key.
fn with_all(found: &Found, works: bool) -> Vec<Step> {
    if found.keys.is_empty() {
        return vec![
            step("make a key", "frith key new"),
            step("or bring one back", "frith key import main"),
        ];
    }
    let mut steps = Vec::new();
    if found.unlocked.is_empty() {
        steps.push(step("spare you the passphrase", "frith key unlock"));
    }
    steps.extend([
        step("see a balance, proven", "frith wallet balance"),
        step("what it did and got", "frith wallet history"),
        step("send credits", "frith wallet send ADDRESS AMOUNT"),
        step("what a task would cost", "frith task quote program.wasm"),
        step(
            "have it run by others",
            "frith task submit program.wasm --wait final",
        ),
        step("your tasks", "frith task list"),
        step("how the node does", "frith node status"),
    ]);
    if !works {
        steps.push(step("what this machine would earn", "frith bench"));
    }
    steps
}

/// A network, and nobody to ask.
fn without_node(found: &Found) -> Vec<Step> {
    let mut steps = vec![
        step("ask another node", "--api URL, or FRITH_API"),
        step(
            "run a node, be paid",
            "frith node init --dir DIR, frith node run --dir DIR",
        ),
    ];
    if found.keys.is_empty() {
        steps.insert(0, step("make a key", "frith key new"));
    }
    steps
}

/// No network that is trusted.
fn without_network(found: &Found) -> Vec<Step> {
    let mut steps = vec![
        step("try it on this machine", "frith devnet --nodes 4"),
        step(
            "run a program, for nothing",
            "frith task run --local program.wasm",
        ),
        step(
            "join a network",
            "put its genesis.json, from someone you trust, into your directory",
        ),
    ];
    if found.keys.is_empty() {
        steps.push(step("make a key", "frith key new"));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(keys: &[&str], genesis: bool, node: Node) -> Found {
        Found {
            home: "/home/ada/.frith".to_owned(),
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            unlocked: Vec::new(),
            genesis: genesis
                .then(|| "ours".to_owned())
                .ok_or_else(|| "none".to_owned()),
            node,
        }
    }

    fn silent() -> Node {
        Node::Silent("http://127.0.0.1:4280".to_owned())
    }

    fn ready(foreign: Option<bool>) -> Node {
        Node::Ready {
            base: "http://127.0.0.1:4280".to_owned(),
            network: "ours, epoch 3".to_owned(),
            foreign,
            works: false,
        }
    }

    /// What is said there has these, and has none of those; every command in it is one.
    fn check(found: &Found, these: &[&str], none: &[&str]) {
        let said = guide(found);
        for words in these {
            assert!(said.contains(words), "{words:?}: {said}");
        }
        for words in none {
            assert!(!said.contains(words), "not {words:?}: {said}");
        }
        for (_, how) in next(found) {
            for line in how.split(", ").filter(|line| line.starts_with("frith ")) {
                let address = frith_ledger::address::Address([7; 32]).to_string();
                let line = line.replace("ADDRESS", &address).replace("AMOUNT", "1");
                let parsed = super::super::args::parse(line.split(' '));
                assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
            }
        }
        assert!(
            said.lines().count() < 20 && said.lines().all(|line| line.len() < 120),
            "{said}"
        );
    }

    #[test]
    fn who_has_nothing_is_led_to_trying_it() {
        let nothing = found(&[], false, silent());
        check(
            &nothing,
            &[
                "frith devnet",
                "task run --local",
                "genesis.json",
                "frith key new",
            ],
            &["wallet", "task submit"],
        );
        let keys = found(&["main"], false, silent());
        check(&keys, &["frith devnet", "main, locked"], &["frith key new"]);
    }

    #[test]
    fn who_has_a_network_and_no_node_is_led_to_one() {
        let no_node = found(&["main"], true, silent());
        check(
            &no_node,
            &["none answers", "--api", "frith node run"],
            &["wallet", "devnet"],
        );
        let reason = "it sees less than two thirds".to_owned();
        let unready = found(
            &["main"],
            true,
            Node::Unready("http://a".to_owned(), reason),
        );
        check(
            &unready,
            &["two thirds", "frith doctor"],
            &["wallet", "devnet"],
        );
    }

    #[test]
    fn who_has_no_key_is_led_to_one_first() {
        let no_key = found(&[], true, ready(Some(false)));
        check(
            &no_key,
            &["frith key new", "frith key import"],
            &["wallet", "devnet"],
        );
    }

    #[test]
    fn who_has_it_all_is_led_to_what_people_come_for() {
        let mut all = found(&["main", "spare"], true, ready(Some(false)));
        let these = [
            "wallet balance",
            "task submit",
            "task quote",
            "node status",
            "frith bench",
        ];
        check(&all, &these, &["devnet", "key new"]);
        check(&all, &["frith key unlock"], &[]);
        all.unlocked = vec!["main".to_owned()];
        check(&all, &["unlocked: main"], &["frith key unlock"]);
    }

    #[test]
    fn a_node_of_another_network_is_named_as_one() {
        let foreign = found(&["main"], true, ready(Some(true)));
        check(
            &foreign,
            &["another network", "--api"],
            &["task submit", "wallet"],
        );
        let unknown = found(&["main"], false, ready(None));
        check(&unknown, &["genesis.json"], &["task submit", "wallet"]);
    }
}
