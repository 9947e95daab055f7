//! What an account did and got.

use super::cursor::{Cursor, entries};
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

/// Longest that an answer is worked on; what is missing then is in the next.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Which part of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// What is older: the `next` of an earlier answer. The newest, unless given.
    cursor: Option<String>,
    /// Only what is in blocks below this height.
    before: Option<u64>,
    /// Most entries, at most 1,000 (100 unless given).
    limit: Option<usize>,
}

/// A place in a history: everything in blocks below `height`, and of that block the entries before `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    height: u64,
    index: u32,
}

impl Place {
    fn of(part: &Part) -> Result<Self, ApiError> {
        let newest = Self {
            height: part.before.unwrap_or(u64::MAX),
            index: 0,
        };
        let Some(cursor) = &part.cursor else {
            return Ok(newest);
        };
        if part.before.is_some() {
            return Err(ApiError::malformed(
                "cursor and before both say where to begin",
            ));
        }
        match Cursor::parse(cursor)? {
            Cursor::History { height, index } => Ok(Self { height, index }),
            Cursor::Tasks { .. } => Err(Cursor::misplaced()),
        }
    }

    fn cursor(self) -> String {
        let Self { height, index } = self;
        Cursor::History { height, index }.to_text()
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
    let limit = entries(part.limit);
    let mut place = Place::of(&part)?;
    let deadline = Instant::now() + TIME_MAX;
    let mut found: Vec<HappeningView> = Vec::new();
    loop {
        let before = place.before();
        let (page, head) = api
            .read(move |chain| Ok((chain.history(&account, before)?, chain.head())))
            .await?;
        let mut next = page.next.map(|height| Place {
            height: height.get(),
            index: 0,
        });
        'blocks: for block in &page.blocks {
            let all = block.happenings.len();
            let end = if block.height.get() == place.height && place.index > 0 {
                usize::try_from(place.index).map_or(all, |index| index.min(all))
            } else {
                all
            };
            for (index, happening) in block.happenings.iter().enumerate().take(end).rev() {
                if found.len() == limit {
                    next = Some(Place {
                        height: block.height.get(),
                        index: u32::try_from(index + 1).unwrap_or(u32::MAX),
                    });
                    break 'blocks;
                }
                found.push(present::happening(&account, block, happening));
            }
        }
        let done = found.len() >= limit || Instant::now() >= deadline;
        match next {
            Some(further) if !done => place = further,
            next => {
                return Ok(Json(HistoryView {
                    account: account.to_string(),
                    entries: found,
                    next: next.map(Place::cursor),
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
        let part = |cursor: Option<String>, before| Part {
            cursor,
            before,
            limit: None,
        };
        for (height, index, before) in [(12, 0, 12), (12, 3, 13)] {
            let place = Place { height, index };
            assert_eq!(place.before(), Height::new(before));
            assert_eq!(Place::of(&part(Some(place.cursor()), None)), Ok(place));
            assert!(Place::of(&part(Some(place.cursor()), Some(9))).is_err());
        }
        let below = Place::of(&part(None, Some(9))).map(Place::before);
        assert_eq!(below, Ok(Height::new(9)));
        assert!(Place::of(&part(Some("12.3".to_owned()), None)).is_err());
    }
}
