//! `frith block` and `frith proof`.

use super::Report;
use super::output::tell;
use super::session::Session;
use crate::age::Age;
use crate::client::{Following, SavedProof, Start};
use crate::failure::{Failure, Result};
use crate::present;
use crate::service::wall;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use serde_json::json;
use std::path::Path;

/// Bytes of a proof file that are read.
const PROOF_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) fn show(session: &Session, height: &str) -> Result<Report> {
    let height = match height {
        "latest" => None,
        text => Some(text.parse().map_err(|_| {
            Failure::usage(format!("{text:?} is no height: use a number or `latest`"))
        })?),
    };
    let block = session.node()?.block(height)?;
    let mut text = format!(
        "block     {}\nheight    {}   epoch {}   view {}   proposer {}\nparent    {}\nkind      {}\nstate     {} ({} credits, {} entities)",
        block.id,
        block.height,
        block.epoch,
        block.view,
        block.proposer,
        block.parent,
        block.kind,
        block.state.hash,
        block.state.credits,
        block.state.entities,
    );
    if let Some(roots) = block.roots {
        text.push_str(&format!("\nroots     {roots} accepted"));
    }
    for batch in &block.batches {
        text.push_str(&format!("\nbatch     {batch}"));
    }
    Report::new(text, &block)
}

pub(super) fn verify(session: &Session, file: &Path) -> Result<Report> {
    let metadata = std::fs::metadata(file).map_err(|error| Failure::file("read", file, error))?;
    if metadata.len() > PROOF_FILE_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{} has more than {PROOF_FILE_BYTES_MAX} bytes",
            file.display()
        )));
    }
    let text = crate::text::read(file).map_err(|error| Failure::file("read", file, error))?;
    let saved: SavedProof = serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{} is no saved proof: {error}", file.display()))
            .advise("`frith wallet balance --save-proof FILE` writes one")
    })?;
    let genesis = session.genesis()?;
    let start = match session.start() {
        Start::Kept => Start::File,
        other => other,
    };
    let mut following = Following::open(&session.home.verified_path(), &genesis, start, wall())?;
    let proven = following.check(&saved)?;
    if let Some(notice) = following.notice {
        tell(session.json, &notice, &json!({"note": notice}));
    }
    let address: Address = saved.address.parse().map_err(Failure::usage)?;
    let age = Age::of(proven.time, wall(), &genesis.parameters);
    let entity = proven
        .entity
        .as_ref()
        .map(|entity| present::entity(&address, entity));
    let credits = match &proven.entity {
        Some(entity) => entity.credits().map_err(Failure::other)?,
        None => Credits::ZERO,
    };
    let text = format!(
        "the proof holds\naddress   {address}\nholds     {credits} credits{}\nroot      epoch {} ({}), {age}\nnetwork   {} ({})",
        if entity.is_none() {
            " (nothing stands there, and the proof shows it)"
        } else {
            ""
        },
        proven.epoch,
        proven.root,
        genesis.name,
        genesis.hash(),
    );
    Report::new(
        text,
        &json!({
            "holds": true, "address": address, "credits": credits, "entity": entity, "epoch": proven.epoch,
            "root": proven.root, "record_time_ms": age.time().get(), "record_age_ms": age.ms(), "state": present::summary(&proven.state), "genesis": genesis.hash().to_hex(),
        }),
    )
}
