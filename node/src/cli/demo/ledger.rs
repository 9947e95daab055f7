//! Transfers, balances by proof, and the sum of all credits.

use super::cast::Cast;
use super::script::{number, say, text};
use crate::amounts::short;
use crate::devnet::WALLETS;
use crate::failure::{Failure, Result};
use frith_ledger::credits::Credits;
use serde_json::Value;

/// Times that all proofs are asked for until they are of one state.
const ROUNDS_MAX: u32 = 20;

fn credits(value: &Value, path: &str) -> Result<Credits> {
    text(value, path)?.parse().map_err(Failure::other)
}

/// Sends credits, waits until it is final, checks both balances by proof.
pub(super) fn transfer(cast: &Cast) -> Result<()> {
    let amount = Credits::new(123_456_789);
    // The root of the present epoch has all that tasks sent back.
    let now = crate::client::NodeClient::new(&cast.api)?
        .status()?
        .epoch
        .to_string();
    let before = cast.call(WALLETS[1], &["wallet", "balance", "--since", &now])?;
    let sent = cast.call(
        WALLETS[0],
        &[
            "wallet",
            "send",
            &cast.wallets[1],
            &amount.to_string(),
            "--yes",
            "--wait",
            "final",
        ],
    )?;
    if text(&sent, "/finality")? != "final" {
        return Err(Failure::other(format!("the transfer is not final: {sent}")));
    }
    let epoch = number(&sent, "/epoch")?;
    let after = cast.call(
        WALLETS[1],
        &["wallet", "balance", "--since", &epoch.to_string()],
    )?;
    let expected = credits(&before, "/balance")?
        .add(amount)
        .map_err(Failure::other)?;
    if credits(&after, "/balance")? != expected {
        return Err(Failure::other(format!(
            "bob should hold {expected}: {after}"
        )));
    }
    say(&format!(
        "alice sent {amount} to bob: block {}, final under the root of epoch {epoch}\nbob held {}, holds {expected}, verified by proof",
        number(&sent, "/height")?,
        text(&before, "/balance")?,
    ));
    Ok(())
}

/// Proves everything that holds credits, and adds it up.
pub(super) fn check_all(cast: &Cast) -> Result<()> {
    let tasks = cast.call(WALLETS[0], &["task", "list", "--all"])?;
    let tasks: Vec<String> = tasks
        .pointer("/tasks")
        .and_then(Value::as_array)
        .map(|tasks| {
            tasks
                .iter()
                .filter_map(|task| text(task, "/address").ok().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default();
    let named = |names: Vec<String>, addresses: &[String]| {
        names
            .into_iter()
            .zip(addresses.to_vec())
            .collect::<Vec<_>>()
    };
    let mut all = named(
        WALLETS.iter().map(|name| (*name).to_owned()).collect(),
        &cast.wallets,
    );
    all.extend(named(
        (0..cast.accounts.len())
            .map(|i| format!("account of node {i}"))
            .collect(),
        &cast.accounts,
    ));
    all.extend(named(
        (0..cast.seats.len())
            .map(|i| format!("seat of node {i}"))
            .collect(),
        &cast.seats,
    ));
    all.extend(named(
        (0..tasks.len()).map(|i| format!("task {i}")).collect(),
        &tasks,
    ));
    for _ in 0..ROUNDS_MAX {
        let proven: Vec<Value> = all
            .iter()
            .map(|(_, address)| cast.call(WALLETS[0], &["wallet", "balance", address]))
            .collect::<Result<_>>()?;
        let states: std::collections::BTreeSet<&str> = proven
            .iter()
            .map(|proof| text(proof, "/state"))
            .collect::<Result<_>>()?;
        // A root in between changes the state that the rest is proven under.
        if states.len() == 1 {
            return add_up(cast, &all, &proven);
        }
    }
    Err(Failure::other(
        "the state did not come to rest, so the balances can't be added up",
    ))
}

fn add_up(cast: &Cast, all: &[(String, String)], proven: &[Value]) -> Result<()> {
    let mut sum = Credits::ZERO;
    for ((name, address), proof) in all.iter().zip(proven) {
        let balance = credits(proof, "/balance")?;
        if proof.pointer("/verified") != Some(&Value::Bool(true)) {
            return Err(Failure::proof(format!(
                "the balance of {name} was not verified"
            )));
        }
        sum = sum.add(balance).map_err(Failure::other)?;
        if !name.starts_with("task") {
            say(&format!(
                "  {name:<18} {}  {balance:>16} credits, verified",
                short(address)
            ));
        }
    }
    let Some(first) = proven.first() else {
        return Err(Failure::other("nothing was proven"));
    };
    let supply = frith_tasks::Rules::new(cast.genesis.clone())
        .map_err(Failure::other)?
        .supply;
    let (state, issued, burned) = (
        credits(first, "/credits_in_state")?,
        credits(first, "/issued")?,
        credits(first, "/burned")?,
    );
    say(&format!(
        "  sum of {} proven balances  {sum}\n  credits in the state       {state}\n  burned                     {burned} (bonds and penalties)\n  genesis                    {supply}",
        proven.len(),
    ));
    if sum != state {
        return Err(Failure::other(format!(
            "the proven balances sum up to {sum}, the state holds {state}"
        )));
    }
    let (left, right) = (
        state.add(burned).map_err(Failure::other)?,
        supply.add(issued).map_err(Failure::other)?,
    );
    if left != right {
        return Err(Failure::other(format!(
            "credits are not conserved: {state} + {burned} burned is not {supply} + {issued} issued"
        )));
    }
    say("  state + burned = genesis: no credit was made or lost");
    Ok(())
}
