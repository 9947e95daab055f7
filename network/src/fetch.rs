//! Both ends of a fetch: one stream of `/frith/fetch/1` each, one request, one answer.

use std::sync::Arc;

use bytes::Bytes;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::error::FetchError;
use crate::event::{FetchReply, NetworkEvent};
use crate::limits::Limits;
use crate::peer::{Peer, read_payload};
use crate::shared::Shared;
use crate::wire::{FetchStatus, decode_fetch_status, decode_length};

/// Asks over an open stream and returns the response. Not bounded in time: the caller does that.
pub(crate) async fn ask<S>(
    mut stream: S,
    limits: &Limits,
    request: &[u8],
) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let length = u32::try_from(request.len())
        .ok()
        .filter(|length| *length <= limits.fetch_request_bytes_max)
        .ok_or(FetchError::RequestTooLarge {
            bytes: request.len(),
            max: limits.fetch_request_bytes_max as usize,
        })?;
    let gone = |_| FetchError::Disconnected;
    stream
        .write_all(&length.to_le_bytes())
        .await
        .map_err(gone)?;
    stream.write_all(request).await.map_err(gone)?;
    stream.flush().await.map_err(gone)?;

    let mut status = [0; 1];
    stream.read_exact(&mut status).await.map_err(gone)?;
    match decode_fetch_status(status[0])? {
        FetchStatus::Found => {}
        FetchStatus::Refused => return Err(FetchError::Refused),
        FetchStatus::Busy => return Err(FetchError::Busy),
        FetchStatus::TooLarge => return Err(FetchError::ResponseTooLarge),
    }
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(gone)?;
    let length = decode_length(length, limits.fetch_response_bytes_max)?;
    read_payload(&mut stream, length).await.map_err(gone)
}

/// The turns that a served fetch holds while it lasts: the peer's and the node's.
pub(crate) type Turn = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// A turn, unless the peer or the node serves as many fetches as it may.
pub(crate) fn turn(shared: &Shared, peer: &Peer) -> Option<Turn> {
    let own = Arc::clone(&peer.serving).try_acquire_owned().ok()?;
    let all = Arc::clone(&shared.serving).try_acquire_owned().ok()?;
    Some((own, all))
}

/// Serves one fetch within the time limit. What goes wrong is the peer's loss alone.
pub(crate) async fn serve<S>(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    events: mpsc::Sender<NetworkEvent>,
    mut stream: S,
    turn: Option<Turn>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let served = async {
        let Some(_turn) = turn else {
            shared.counters.fetches_busy.add(1);
            return answer(&mut stream, &shared.limits, Err(FetchStatus::Busy))
                .await
                .map(|_| ());
        };
        if peer
            .announced
            .subscribe()
            .wait_for(|announced| *announced)
            .await
            .is_err()
        {
            return Ok(());
        }
        let mut length = [0; 4];
        stream.read_exact(&mut length).await?;
        let Ok(length) = decode_length(length, shared.limits.fetch_request_bytes_max) else {
            return answer(&mut stream, &shared.limits, Err(FetchStatus::TooLarge))
                .await
                .map(|_| ());
        };
        tokio::time::sleep(peer.charge_fetch(&shared, u64::from(length))).await;
        let request = read_payload(&mut stream, length).await?;

        let (reply, response) = FetchReply::new();
        let event = NetworkEvent::Fetch {
            from: peer.key,
            request,
            reply,
        };
        if events.send(event).await.is_err() {
            return Ok(());
        }
        let response = response.await.unwrap_or(Err(FetchStatus::Refused));
        let sent = answer(&mut stream, &shared.limits, response).await?;
        if sent > 0 {
            shared.counters.fetches_served.add(1);
            peer.charge_response(&shared, sent);
        }
        Ok::<_, std::io::Error>(())
    };
    // A timeout and a broken stream are alike: the stream is dropped and the peer finds out.
    if !matches!(
        tokio::time::timeout(shared.limits.fetch_timeout, served).await,
        Ok(Ok(()))
    ) {
        tracing::debug!(peer = %peer.key, "a fetch was not served to its end");
    }
}

/// Writes the answer; how many bytes of the budget it costs (zero if it is no response).
async fn answer<S>(
    stream: &mut S,
    limits: &Limits,
    response: Result<Bytes, FetchStatus>,
) -> std::io::Result<u64>
where
    S: AsyncWrite + Unpin,
{
    let found = response.and_then(|response| match u32::try_from(response.len()) {
        Ok(length) if length <= limits.fetch_response_bytes_max => Ok((length, response)),
        _ => Err(FetchStatus::TooLarge),
    });
    let cost = match found {
        Ok((length, response)) => {
            let mut head = [FetchStatus::Found as u8; 5];
            head[1..].copy_from_slice(&length.to_le_bytes());
            stream.write_all(&head).await?;
            stream.write_all(&response).await?;
            u64::from(length) + 5
        }
        Err(status) => {
            stream.write_all(&[status as u8]).await?;
            0
        }
    };
    stream.close().await?;
    Ok(cost)
}
