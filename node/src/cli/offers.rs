//! What a quote says beside the price: whether there are workers that would take the task.

use super::session::Session;
use crate::client::NodeClient;
use crate::failure::Result;
use crate::views::OffersView;
use frith_ledger::credits::Credits;

/// What speaks against a task by the word of the node that is asked; without one, that nobody could be asked.
pub(super) fn doubts_by_node(
    session: &Session,
    (price, bond, replicas): (Credits, Credits, u8),
) -> Vec<String> {
    match session.node() {
        Ok(node) => doubts(&node, (price, bond, replicas)),
        Err(failure) => vec![unknown(&failure.message)],
    }
}

/// What speaks against a task by the word of this node.
pub(super) fn doubts(
    node: &NodeClient,
    (price, bond, replicas): (Credits, Credits, u8),
) -> Vec<String> {
    let offers: Result<OffersView> = node.offers(price, bond, replicas);
    match offers {
        Ok(offers) => judge(&offers, (price, bond, replicas)),
        Err(failure) => vec![unknown(&failure.message)],
    }
}

fn unknown(why: &str) -> String {
    format!("whether there are workers that take it is not known: {why}")
}

/// The first thing that is in the way of `replicas` workers, if anything is.
fn judge(offers: &OffersView, (price, bond, replicas): (Credits, Credits, u8)) -> Vec<String> {
    let wanted = u64::from(replicas);
    let OffersView {
        workers,
        at_price,
        free,
        price_of_all,
    } = offers;
    let doubt = if *workers < wanted {
        format!(
            "{replicas} replicas need as many workers, and there are {workers}: it will fail when its deadline is over"
        )
    } else if *at_price < wanted {
        let least = price_of_all.as_deref().unwrap_or("more");
        format!(
            "{at_price} of {workers} workers take a price of {price}, and {replicas} are needed: offer {least} or more, or it will \
             fail when its deadline is over"
        )
    } else if *free < wanted {
        format!(
            "{free} of the {at_price} workers that take its price have a free slot and a collateral for the bond of {bond} now, and \
             {replicas} are needed: it waits until more have, and fails when its deadline is over before"
        )
    } else {
        return Vec::new();
    };
    vec![doubt]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_doubts_a_task_that_too_few_workers_would_take() {
        let check = |workers, at_price, free, expected: &[&str]| {
            let offers = OffersView {
                workers,
                at_price,
                free,
                price_of_all: (workers >= 3).then(|| "0.0002".to_owned()),
            };
            let found = judge(&offers, (Credits::new(100), Credits::whole(1), 3));
            assert_eq!(found.len(), usize::from(!expected.is_empty()), "{found:?}");
            for words in expected {
                assert!(found[0].contains(words), "{words:?}: {found:?}");
            }
        };
        check(5, 5, 3, &[]);
        check(2, 2, 2, &["there are 2"]);
        check(5, 2, 2, &["2 of 5", "a price of 0.0001", "offer 0.0002"]);
        check(5, 4, 1, &["1 of the 4", "bond of 1 "]);
    }
}
