//! What `frith` says when it is run bare on a terminal: what there is to do, and what is next for this user.

use super::Report;
use super::args::Common;
use super::session::Session;
use crate::agent::{Agent, socket_path};

const TEXT: &str = "\
Frith: nodes are paid to run WebAssembly tasks; neighbours verify each other's results and balances.

  Try it on this machine     frith devnet --nodes 4
  Run a program locally      frith task run --local program.wasm
  Make a key                 frith key new, then frith key unlock
  See a balance, verified    frith wallet balance, frith wallet history
  Submit a task              frith task submit program.wasm
  Run a paid worker node     frith node init --dir DIR --genesis FILE, then frith node run --dir DIR
  How a node does            frith node status, frith doctor
  What a machine would earn  frith bench

`frith help` lists everything; `frith help COMMAND` explains a command. Every command takes --json.
";

/// The short help, and what is next.
pub(super) fn report() -> Report {
    let common = super::args::parse(["frith", "config", "show"])
        .map_or_else(|_| Common::default(), |cli| cli.common);
    let next = Session::new(common, false)
        .map(|session| next(&session))
        .unwrap_or_default();
    let mut text = TEXT.to_owned();
    for line in next {
        text.push_str(&format!("\n→ {line}"));
    }
    Report::new(text, &()).unwrap_or_default()
}

/// What this user has, and what to do next. Asks the node; one that isn't there refuses at once.
fn next(session: &Session) -> Vec<String> {
    let home = session.home.dir().display();
    let mut lines = Vec::new();
    let keys = session.home.keys().unwrap_or_default();
    match keys.as_slice() {
        [] => lines.push(format!(
            "You have no key in {home}: `frith key new` makes one."
        )),
        keys => {
            let unlocked = |key: &&String| {
                matches!(
                    Agent::at(&socket_path(session.home.dir(), key)),
                    Ok(Some(_))
                )
            };
            let open: Vec<&str> = keys.iter().filter(unlocked).map(String::as_str).collect();
            lines.push(match open.as_slice() {
                [] => format!(
                    "Your keys: {}. `frith key unlock` spares you the passphrase for an hour.",
                    keys.join(", ")
                ),
                open => format!(
                    "Your keys: {}; unlocked: {}.",
                    keys.join(", "),
                    open.join(", ")
                ),
            });
        }
    }
    let genesis = session.genesis();
    if genesis.is_err() {
        lines.push(format!("No network's genesis file is in {home}: get it from someone you trust, and name it with --genesis or put it there as genesis.json."));
    }
    match session.node().and_then(|node| Ok((node.status()?, node))) {
        Ok((status, node)) => {
            let state = if status.readiness.ready {
                "ready"
            } else {
                "not ready"
            };
            lines.push(format!(
                "The node at {} answers: network {}, epoch {}, {state}.",
                node.base(),
                status.network,
                status.epoch
            ));
            if genesis.is_ok_and(|genesis| genesis.hash().to_hex() != status.genesis) {
                lines.push("It follows another network than your genesis file: name the right one with --api or --genesis.".to_owned());
            }
        }
        Err(error) => lines.push(format!("{error}.")),
    }
    lines
}
