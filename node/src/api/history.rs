//! What an account did and got.

use super::error::ApiError;
use super::ledger::parse_address;
use super::router::Api;
use crate::present;
use crate::views::{ErrorView, HappeningView, HistoryView};
use axum::Json;
use axum::extract::{Path, Query, State};
use frith_ledger::units::Height;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::IntoParams;

/// Most entries of an answer.
const ENTRIES_MAX: usize = 1_000;
/// Entries of an answer, unless something else is said.
const ENTRIES: usize = 100;
/// Longest that an answer is worked on; what is missing then is in the next.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Which part of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Only what is older: a height, or a place that an earlier answer named as `next`.
    before: Option<String>,
    /// Most entries, at most 1,000 (100 unless given).
    limit: Option<usize>,
}

/// A place in a history: everything in blocks below `height`, and of that block the entries before `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    height: u64,
    index: usize,
}

impl Place {
    const NEWEST: Self = Self {
        height: u64::MAX,
        index: 0,
    };

    fn parse(text: &str) -> Result<Self, ApiError> {
        let (height, index) = text.split_once('.').unwrap_or((text, "0"));
        let place = height.parse().ok().zip(index.parse().ok());
        let (height, index) = place.ok_or_else(|| {
            ApiError::malformed(format!(
                "before is {text:?}: say a height, or what an earlier answer named as next"
            ))
        })?;
        Ok(Self { height, index })
    }

    /// The first height that isn't wholly older.
    fn before(self) -> Height {
        Height::new(self.height.saturating_add(u64::from(self.index > 0)))
    }
}

/// What touched an account, newest first. This node's word, from the blocks that it keeps; nothing here is proven.
#[utoipa::path(get, path = "/v1/accounts/{address}/history", params(("address" = String, Path, description = "An account's address"), Part), responses(
    (status = 200, description = "A part of the history; empty for an account that nothing touched", body = HistoryView),
    (status = 400, description = "Not an address, or not a place", body = ErrorView),
))]
pub(super) async fn page(
    State(api): State<Api>,
    Path(address): Path<String>,
    Query(part): Query<Part>,
) -> Result<Json<HistoryView>, ApiError> {
    let account = parse_address(&address)?;
    let limit = part.limit.unwrap_or(ENTRIES).clamp(1, ENTRIES_MAX);
    let mut place = part
        .before
        .as_deref()
        .map_or(Ok(Place::NEWEST), Place::parse)?;
    let deadline = Instant::now() + TIME_MAX;
    let mut entries: Vec<HappeningView> = Vec::new();
    loop {
        let before = place.before();
        let (page, head) = api
            .status
            .core
            .query(move |node| (node.history(&account, before), node.head()))
            .await?;
        let page = page.ok_or_else(|| ApiError::internal("the store failed"))?;
        let mut next = page.next.map(|height| Place {
            height: height.get(),
            index: 0,
        });
        'blocks: for block in &page.blocks {
            let all = block.happenings.len();
            let end = if block.height.get() == place.height && place.index > 0 {
                place.index.min(all)
            } else {
                all
            };
            for (index, happening) in block.happenings.iter().enumerate().take(end).rev() {
                if entries.len() == limit {
                    next = Some(Place {
                        height: block.height.get(),
                        index: index + 1,
                    });
                    break 'blocks;
                }
                entries.push(present::happening(&account, block, happening));
            }
        }
        let done = entries.len() >= limit || Instant::now() >= deadline;
        match next {
            Some(further) if !done => place = further,
            next => {
                return Ok(Json(HistoryView {
                    account: account.to_string(),
                    entries,
                    next: next.map(|place| format!("{}.{}", place.height, place.index)),
                    since: page.since.map(Height::get),
                    height: head.get(),
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_height_or_an_entry_in_its_block() {
        for (text, expected, before) in [
            ("12", (12, 0), 12),
            ("12.0", (12, 0), 12),
            ("12.3", (12, 3), 13),
        ] {
            let place = Place::parse(text).expect("is a place");
            assert_eq!((place.height, place.index), expected, "{text}");
            assert_eq!(place.before(), Height::new(before), "{text}");
        }
        for text in ["", "x", "1.", "-1", "1.2.3"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }
}
