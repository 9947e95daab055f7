//! Whether the peers to begin with answer: each is dialled as a node would, with a key made for this and thrown away.

use super::check::{Check, State};
use crate::config::Settings;
use frith_ledger::genesis::Genesis;
use frith_network::{Multiaddr, Network, NetworkConfig, NetworkEvent};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// Longest that a peer may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(6);
/// Peers that are tried.
const TRIED_MAX: usize = 8;

/// Dials every peer of `bootstrap` and says hello in this network. One that answers is enough.
#[must_use]
pub fn peers(settings: &Settings, genesis: &Genesis) -> Check {
    const NAME: &str = "peers";
    if settings.bootstrap.is_empty() {
        return Check::warn(
            NAME,
            "no peers to begin with (bootstrap is empty)",
            "name one, unless this is the network's first node and others name it",
        );
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return Check::fail(
                NAME,
                format!("cannot try: {error}"),
                "is the system out of threads or descriptors?",
            );
        }
    };
    let network_id = genesis.hash().0;
    let answers: Vec<(&String, Result<(), String>)> = runtime.block_on(async {
        let tries = settings
            .bootstrap
            .iter()
            .take(TRIED_MAX)
            .map(|text| async move { (text, dial(text, network_id).await) });
        futures::future::join_all(tries).await
    });
    let reached = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    let failed: Vec<String> = answers
        .iter()
        .filter_map(|(text, answer)| Some(format!("{text}: {}", answer.as_ref().err()?)))
        .collect();
    let found = match failed.as_slice() {
        [] => format!("{reached} of {} answer", answers.len()),
        failed => format!(
            "{reached} of {} answer; {}",
            answers.len(),
            failed.join("; ")
        ),
    };
    let advice = "look at the addresses in bootstrap, at firewalls for TCP and UDP, and whether those nodes run";
    let state = match (reached, failed.is_empty()) {
        (0, _) => State::Fail,
        (_, true) => State::Ok,
        (_, false) => State::Warn,
    };
    let check = match state {
        State::Ok => Check::ok(NAME, found),
        State::Warn => Check::warn(NAME, found, advice),
        State::Fail => Check::fail(NAME, found, advice),
    };
    check.with(json!({"tried": answers.len(), "reached": reached}))
}

/// Connects to one peer and waits until it accepts the hello, or says why not.
async fn dial(text: &str, network_id: [u8; 32]) -> Result<(), String> {
    let address: Multiaddr = text
        .parse()
        .map_err(|error| format!("no multiaddress: {error}"))?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| error.to_string())?;
    let mut config = NetworkConfig::new(secret, network_id);
    config.bootstrap = vec![address];
    let (network, mut events) = Network::start(config)
        .await
        .map_err(|error| error.to_string())?;
    let answer = timeout(ANSWER_MAX, async {
        while let Some(event) = events.recv().await {
            match event {
                NetworkEvent::Connected(_) => return Ok(()),
                NetworkEvent::Refused { reason, .. } => return Err(reason.to_string()),
                _ => {}
            }
        }
        Err("the connection ended".to_owned())
    });
    let answer = answer
        .await
        .unwrap_or_else(|_| Err(format!("no answer in {} s", ANSWER_MAX.as_secs())));
    network.shutdown().await;
    answer
}
