//! Entities, roots, blocks and the genesis, with their proofs.

use super::answers::shared_json;
use super::error::ApiError;
use super::operations::parse_hash;
use super::router::Api;
use crate::age::Age;
use crate::present;
use crate::service::wall;
use crate::views::{BlockView, EntityView, ErrorView, RootView};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use frith_ledger::address::Address;
use frith_ledger::block::Payload;
use frith_ledger::entity::Entity;
use frith_ledger::light::CertifiedRoot;
use frith_ledger::units::{Epoch, Height};
use parity_scale_codec::Encode as _;
use serde::Deserialize;
use utoipa::IntoParams;

/// An address, or an operation's id in hexadecimal: a task lives at the id of its submission.
pub(super) fn parse_address(text: &str) -> Result<Address, ApiError> {
    // Both forms have 64 characters.
    if !text.starts_with("frith1") {
        return parse_hash(text).map(|hash| Address(hash.0));
    }
    text.parse()
        .map_err(|error| ApiError::malformed(format!("{text:?}: {error}")))
}

/// What of an entity is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The period whose root committee the asker has verified: the proof begins there (0, the genesis, unless given).
    period: Option<u64>,
    /// `false`: only what the neighbourhood holds now, without a proof.
    proof: Option<bool>,
}

/// What stands at an address, with its proof.
#[utoipa::path(get, path = "/v1/entities/{address}", params(("address" = String, Path, description = "An address (frith1…)"), Wanted), responses(
    (status = 200, description = "The entity or its absence, and the proof", body = EntityView),
    (status = 400, description = "Not an address", body = ErrorView),
))]
pub(super) async fn entity(
    State(api): State<Api>,
    Path(address): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<EntityView>, ApiError> {
    let address = parse_address(&address)?;
    let proves = wanted.proof.unwrap_or(true);
    let period = wanted.period.unwrap_or_default();
    let (proof, local, height, now) = if proves {
        api.read(move |chain| {
            let proof = chain.entity_proof(&address, period)?;
            let local = chain.state().entity(&address);
            Ok((proof, local, chain.head(), chain.epoch()))
        })
        .await?
    } else {
        let chain = api.status.core.chain();
        let local = chain.state().entity(&address);
        (None, local, chain.head(), chain.epoch())
    };
    // What waits only the core knows; who asks for a proof asks for no nonce.
    let is_account = matches!(local, Some(Entity::Account(_)));
    let free = if is_account && !proves {
        let free = api.status.core.query(move |node| node.free_nonce(&address));
        Some(free.await?.get())
    } else {
        None
    };
    let proven = proof
        .as_ref()
        .and_then(|proof| proof.entity.as_ref())
        .and_then(|b| Entity::from_bytes(b).ok());
    let record = proof.as_ref().and_then(|proof| proof.root.record());
    let parameters = api.status.core.rules().parameters();
    let age = record.map(|record| Age::of(record.time, wall(), parameters));
    Ok(Json(EntityView {
        address: address.to_string(),
        entity: proven.map(|entity| present::entity(&address, &entity)),
        epoch: record.map(|record| record.epoch.get()),
        record_time_ms: age.map(|age| age.time().get()),
        record_age_ms: age.map(|age| age.ms()),
        record_warning: age.and_then(|age| age.warning()),
        proof: proof.map(|proof| hex::encode(proof.encode())),
        local: local.map(|entity| present::entity(&address, &entity)),
        height: height.get(),
        now: now.get(),
        free_nonce: free,
    }))
}

/// The root record of an epoch, with its proof. `latest` is the newest.
#[utoipa::path(get, path = "/v1/roots/{epoch}", params(("epoch" = String, Path, description = "An epoch, or `latest`")), responses(
    (status = 200, description = "The record and its commit proof", body = RootView),
    (status = 404, description = "Not committed yet, or pruned", body = ErrorView),
))]
pub(super) async fn root(
    State(api): State<Api>,
    Path(epoch): Path<String>,
) -> Result<Json<RootView>, ApiError> {
    let wanted = match epoch.as_str() {
        "latest" => None,
        text => {
            Some(Epoch::new(text.parse().map_err(|_| {
                ApiError::malformed(format!("{text:?} is no epoch"))
            })?))
        }
    };
    let newest = api.status.core.progress().borrow().roots;
    let not_found = || {
        ApiError::not_found(format!(
            "no root of epoch {epoch}: {newest} are committed, old ones are pruned"
        ))
    };
    let wanted = match wanted {
        Some(epoch) => epoch,
        None => Epoch::new(newest.checked_sub(1).ok_or_else(not_found)?),
    };
    let root = api.read(move |chain| chain.root(wanted)).await?;
    let root = root.ok_or_else(not_found)?;
    root_view(&root)
        .map(Json)
        .ok_or_else(|| ApiError::internal("the stored root is no root record"))
}

fn root_view(root: &CertifiedRoot) -> Option<RootView> {
    let record = root.record()?;
    Some(RootView {
        epoch: record.epoch.get(),
        id: record.id().to_hex(),
        time_ms: record.time.get(),
        age_ms: wall().get().saturating_sub(record.time.get()),
        state: present::summary(&record.state),
        issued: record.flows.issued.to_string(),
        burned: record.flows.burned.to_string(),
        beacon: record.beacon.to_hex(),
        proof: hex::encode(root.encode()),
    })
}

/// A committed block. `latest` is the head.
#[utoipa::path(get, path = "/v1/blocks/{height}", params(("height" = String, Path, description = "A height, or `latest`")), responses(
    (status = 200, description = "The block", body = BlockView),
    (status = 404, description = "Not committed yet, or pruned", body = ErrorView),
))]
pub(super) async fn block(
    State(api): State<Api>,
    Path(height): Path<String>,
) -> Result<Json<BlockView>, ApiError> {
    let wanted = match height.as_str() {
        "latest" => None,
        text => Some(Height::new(text.parse().map_err(|_| {
            ApiError::malformed(format!("{text:?} is no height"))
        })?)),
    };
    let (head, found) = api
        .read(move |chain| {
            let head = chain.head();
            Ok((head, chain.block(wanted.unwrap_or(head))?))
        })
        .await?;
    let Some((block, headers, proof)) = found else {
        return Err(ApiError::not_found(format!(
            "no block of height {height}: the head is at {head}, old ones are pruned"
        )));
    };
    let (kind, batches, roots) = match &block.payload {
        Payload::Leaf(payload) => (
            if payload.claim.is_some() {
                "closing"
            } else {
                "operations"
            },
            payload
                .batches
                .iter()
                .map(|digest| digest.to_hex())
                .collect(),
            Some(payload.roots.get()),
        ),
        Payload::Root(_) => ("root", Vec::new(), None),
        Payload::Empty => ("empty", Vec::new(), None),
        Payload::Log(log) => {
            let batches = log.batches.iter().map(|digest| digest.to_hex());
            ("log", batches.collect(), None)
        }
    };
    let header = &block.header;
    Ok(Json(BlockView {
        id: header.id().to_hex(),
        height: header.height.get(),
        epoch: header.instance.epoch.get(),
        view: header.view.get(),
        parent: header.parent.to_hex(),
        proposer: header.proposer,
        kind: kind.to_owned(),
        batches,
        roots,
        state: present::summary(&header.state),
        headers: headers
            .iter()
            .map(|header| hex::encode(header.encode()))
            .collect(),
        proof: proof.map(|proof| hex::encode(proof.encode())),
    }))
}

/// The genesis: what the network begins with and agrees on, as its file has it.
#[utoipa::path(get, path = "/v1/genesis", responses((status = 200, description = "The genesis file")))]
pub(super) async fn genesis(State(api): State<Api>) -> Result<Response, ApiError> {
    if let Some(bytes) = api.genesis.get() {
        return Ok(shared_json(bytes.clone()));
    }
    let text = serde_json::to_vec_pretty(&api.status.core.rules().genesis);
    let bytes = Bytes::from(text.map_err(ApiError::internal)?);
    Ok(shared_json(api.genesis.get_or_init(|| bytes).clone()))
}
