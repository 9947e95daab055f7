//! `frith wallet history`.

use super::Report;
use super::balance::{Answer, proven};
use super::session::Session;
use super::wallet::network;
use crate::amounts::short;
use crate::failure::Result;
use crate::views::{Finality, HappeningView, HistoryView};
use frith_ledger::address::Address;
use frith_ledger::entity::Entity;
use serde_json::json;

pub(super) fn run(
    session: &Session,
    address: Option<Address>,
    limit: usize,
    before: Option<&str>,
) -> Result<Report> {
    let address = address.map_or_else(|| session.address(), Ok)?;
    let (genesis, node) = network(session)?;
    let history = node.history(&address.to_string(), before, limit)?;
    let answer = proven(session, &genesis, &node, &address, None)?;
    answer.warn(session);
    let Answer { proven, age, .. } = answer;
    let balance = match &proven.entity {
        Some(Entity::Account(account)) => account.balance.to_string(),
        _ => "0".to_owned(),
    };
    let mut text = String::new();
    for entry in &history.entries {
        text.push_str(&line(entry));
        text.push('\n');
    }
    text.push_str(&ending(&history));
    text.push_str(&format!(
        "proven: {balance} credits under the root of epoch {}, {age}. The list above is the word of the node at {}: it can leave \
         things out, but it can't change this balance",
        proven.epoch,
        node.base()
    ));
    Report::new(
        text,
        &json!({
            "account": address, "entries": history.entries, "next": history.next, "since": history.since,
            "verified": {
                "balance": balance, "epoch": proven.epoch, "root": proven.root,
                "record_time_ms": age.time().get(), "record_age_ms": age.ms(),
            },
            "word_of": node.base(),
        }),
    )
}

/// One entry: when, and what.
fn line(entry: &HappeningView) -> String {
    let sure = match entry.finality {
        Some(Finality::Final) => "final",
        _ => "local",
    };
    format!(
        "epoch {:<6} block {:<7} {sure}  {}",
        entry.epoch,
        entry.height,
        order_line(entry)
    )
}

/// What an entry is about: how much, with whom.
pub(super) fn order_line(entry: &HappeningView) -> String {
    let amount = match (&entry.amount, entry.direction.as_deref()) {
        (Some(amount), Some("in")) => format!("+{amount}"),
        (Some(amount), Some("out")) => format!("-{amount}"),
        (Some(amount), Some("self")) => format!("±{amount}"),
        (Some(amount), _) => format!("({amount})"),
        (None, _) => String::new(),
    };
    let whom = [
        ("with", &entry.with),
        ("task", &entry.task),
        ("seat", &entry.seat),
    ];
    let whom: Vec<String> = whom
        .iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", short(value.as_ref()?))))
        .collect();
    let fee = entry
        .fee
        .as_ref()
        .map_or_else(String::new, |fee| format!("  fee {fee}"));
    let refused = entry.refusal.as_ref().map_or_else(String::new, |refusal| {
        format!("  REFUSED: {}", refusal.message)
    });
    format!(
        "{:<10} {amount:>16}  {}{fee}{refused}",
        entry.what,
        whom.join(", "),
    )
}

fn ending(history: &HistoryView) -> String {
    if let Some(next) = &history.next {
        return format!("older: --before {next}\n");
    }
    match history.since {
        // The genesis is block 0; the first block after it is 1.
        Some(since) if since > 1 => format!("this node knows nothing from before block {since}\n"),
        Some(_) => "that is all since the genesis\n".to_owned(),
        None => "this node has committed no block yet\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_sign_of_what_moved() {
        for (direction, expected) in [
            (Some("in"), " +1.5 "),
            (Some("out"), " -1.5 "),
            (Some("self"), " ±1.5 "),
            (None, " (1.5) "),
        ] {
            let entry = HappeningView {
                amount: Some("1.5".to_owned()),
                direction: direction.map(str::to_owned),
                ..HappeningView::default()
            };
            let shown = line(&entry);
            assert!(shown.contains(expected), "{shown}");
        }
    }
}
