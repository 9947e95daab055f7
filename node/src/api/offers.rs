//! Who would take a task.

use super::error::ApiError;
use super::router::Api;
use crate::views::{ErrorView, OffersView};
use axum::Json;
use axum::extract::{Query, State};
use frith_ledger::credits::Credits;
use frith_neighbourhood::Snapshot;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which task.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Credits that it offers for 10⁶ fuel.
    #[param(value_type = String)]
    price: Credits,
    /// Bond of each of its workers, in credits.
    #[param(value_type = String)]
    bond: Credits,
    /// How many workers it wants.
    replicas: u8,
}

/// How many workers would take a task of this price and bond if it were drawn now. No promise: who is drawn follows from
/// a later state.
#[utoipa::path(get, path = "/v1/offers", params(Asked), responses(
    (status = 200, description = "Counts of workers", body = OffersView),
    (status = 400, description = "Not an amount, or not a number", body = ErrorView),
))]
pub(super) async fn count(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Json<OffersView>, ApiError> {
    let count = move |chain: &Snapshot| {
        let Asked {
            price,
            bond,
            replicas,
        } = asked;
        Ok(chain.state().offers(price, bond, usize::from(replicas)))
    };
    let offers = api.read(count).await?;
    Ok(Json(OffersView {
        workers: offers.workers as u64,
        at_price: offers.at_price as u64,
        free: offers.free as u64,
        price_of_all: offers.price_of_all.map(|price| price.to_string()),
    }))
}
