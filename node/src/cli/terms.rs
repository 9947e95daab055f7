//! What a worker offers: engines, price, slots; at its registration and later.

use super::Report;
use super::args::{OfferArgs, TermsArgs};
use super::node::describe_terms;
use super::orders::carry_out;
use super::session::Session;
use super::wallet::{confirm_cost, network, own_seat};
use crate::client::NodeClient;
use crate::codes::Code;
use crate::config::{Engine, SLOTS_DEFAULT, Settings};
use crate::failure::{Failure, Result};
use crate::present;
use crate::views::{Entity as EntityJson, TermsView};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::operation::Action;
use std::path::Path;

/// Least price of a worker for which nothing is said, in credits for 10⁶ fuel: 0.0001.
const PRICE_DEFAULT: Credits = Credits::new(100);

/// What a new worker offers: what was said, else what its directory's settings say, else the defaults.
///
/// # Errors
/// Settings that can't be read.
pub(super) fn offered(options: &OfferArgs, dir: Option<&Path>) -> Result<Terms> {
    let terms = Terms {
        engines: Engine::bits(Engine::NATIVE),
        price: PRICE_DEFAULT,
        slots: SLOTS_DEFAULT,
    };
    laid_over(terms, options, dir)
}

/// Changes of `terms`: by the settings of a data directory, and over these by what was said.
fn laid_over(mut terms: Terms, options: &OfferArgs, dir: Option<&Path>) -> Result<Terms> {
    if let Some(dir) = dir {
        let settings = Settings::of_dir(dir)?;
        terms.engines = Engine::bits(&settings.engines);
        terms.slots = settings.slots;
    }
    if let Some(engines) = &options.engines {
        terms.engines = Engine::bits(engines);
    }
    terms.price = options.price.unwrap_or(terms.price);
    terms.slots = options.slots.unwrap_or(terms.slots);
    Ok(terms)
}

/// `frith wallet terms`
pub(super) fn change(session: &Session, options: &TermsArgs) -> Result<Report> {
    let (genesis, node) = network(session)?;
    let seat = own_seat(&node, &session.address()?, options.seat)?;
    let latest = latest(&node, &seat)?;
    let terms = laid_over(
        latest.clone(),
        &options.offer,
        options.worker_dir.as_deref(),
    )?;
    if terms == latest {
        let words = describe_terms(&present::terms(&terms));
        return Err(Failure::usage(format!(
            "nothing to change: the worker at {seat} offers that already ({words})"
        ))
        .advise("say --price, --engines or --slots, or name its settings with --worker-dir"));
    }
    let lag = genesis.parameters.activation_lag;
    let words = describe_terms(&present::terms(&terms));
    let action = Action::SetTerms { seat, terms };
    let question = format!("Let the worker at {seat} offer {words}, from {lag} epochs on from now");
    confirm_cost(session, (&genesis, &node), &action, &question, options.yes)?;
    let wallet = session.wallet(&genesis, &node)?;
    let done = format!("the worker at {seat} offers {words}; it counts {lag} epochs later");
    carry_out(session, &wallet, action, options.wait, &done)
}

/// What the worker at a seat offers when all changes that wait have come.
fn latest(node: &NodeClient, seat: &Address) -> Result<Terms> {
    let Some(EntityJson::Worker(worker)) = node.local(&seat.to_string())?.local else {
        return Err(Failure::refused(
            Code::NoWorker,
            format!("no worker has the seat {seat}"),
        ));
    };
    let changed = worker.changes.iter().rev().find_map(|c| c.terms.as_ref());
    read(changed.unwrap_or(&worker.terms))
}

/// The ledger's terms of those that the API shows.
fn read(shown: &TermsView) -> Result<Terms> {
    let bit = |name: &String| (0..8).find(|bit| present::engine_name(*bit) == *name);
    let engines = shown.engines.iter().filter_map(bit);
    Ok(Terms {
        engines: engines.fold(0, |bits, bit| bits | 1 << bit),
        price: shown.price.parse().map_err(Failure::other)?,
        slots: shown.slots,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(price: Option<Credits>, slots: Option<u8>, engines: Option<Vec<Engine>>) -> OfferArgs {
        OfferArgs {
            price,
            engines,
            slots,
        }
    }

    #[test]
    fn a_worker_offers_what_is_said_over_its_settings_over_the_defaults() -> Result<()> {
        let dir = tempfile::tempdir().map_err(Failure::other)?;
        let silent = offer(None, None, None);
        let plain = offered(&silent, None)?;
        assert_eq!((plain.engines, plain.slots), (3, SLOTS_DEFAULT));
        assert_eq!(
            offered(&silent, Some(dir.path()))?,
            plain,
            "a directory that says nothing changes nothing"
        );

        let file = dir.path().join(crate::node_dir::CONFIG_FILE);
        std::fs::write(&file, "slots = 5\nengines = [\"wasmi\"]\n").map_err(Failure::other)?;
        let by_file = offered(&silent, Some(dir.path()))?;
        assert_eq!((by_file.engines, by_file.slots), (2, 5));

        let said = offer(Some(Credits::new(7)), Some(1), Some(vec![Engine::Wasmtime]));
        let by_option = offered(&said, Some(dir.path()))?;
        let expected = Terms {
            engines: 1,
            price: Credits::new(7),
            slots: 1,
        };
        assert_eq!(by_option, expected);
        Ok(())
    }

    #[test]
    fn terms_that_the_api_shows_are_read_as_they_were() -> Result<()> {
        for engines in [1, 2, 3, 7, 28] {
            let terms = Terms {
                engines,
                price: Credits::new(123),
                slots: 9,
            };
            assert_eq!(read(&present::terms(&terms))?, terms);
        }
        Ok(())
    }
}
