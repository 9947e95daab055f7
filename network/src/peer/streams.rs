//! The two tasks of a greeted stream.
//!
//! The reader takes one frame at a time: header, budget, memory, payload, event. Whatever it waits
//! for (the peer's budget, free memory, room among the events), it does not read meanwhile, so that
//! the stream's window fills and the sender feels it. The payload's buffer grows as bytes arrive:
//! an announced length alone costs nothing.

use std::sync::Arc;

use bytes::Bytes;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use libp2p::swarm::ConnectionId;
use tokio::sync::mpsc;

use super::Peer;
use crate::event::{NetworkEvent, PeerFault};
use crate::shared::Shared;
use crate::wire::{
    FRAME_HEADER_BYTES, FrameHeader, FrameKind, Priority, WireError, decode_frame_header,
    encode_frame_header,
};

/// Small frames are gathered up to this many bytes before they are written.
const WRITE_BUFFER_BYTES: usize = 4096;

/// What is allocated for a payload before its first byte came, at most.
const PAYLOAD_BYTES_MIN: u32 = 16 << 10;

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum StreamEnd {
    /// The stream or its connection closed, or the node is gone.
    Closed,
    /// The peer's fault.
    Fault(PeerFault),
}

impl From<PeerFault> for StreamEnd {
    fn from(fault: PeerFault) -> Self {
        Self::Fault(fault)
    }
}

/// Hands frames to the node until the stream ends.
pub(crate) async fn read_frames(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    events: mpsc::Sender<NetworkEvent>,
    class: Priority,
    mut stream: impl AsyncRead + Unpin,
) -> StreamEnd {
    if peer
        .announced
        .subscribe()
        .wait_for(|announced| *announced)
        .await
        .is_err()
    {
        return StreamEnd::Closed;
    }
    loop {
        if let Err(end) = read_frame(&shared, &peer, &events, class, &mut stream).await {
            return end;
        }
    }
}

async fn read_frame(
    shared: &Shared,
    peer: &Peer,
    events: &mpsc::Sender<NetworkEvent>,
    class: Priority,
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<(), StreamEnd> {
    let mut header = [0; FRAME_HEADER_BYTES];
    stream
        .read_exact(&mut header)
        .await
        .map_err(|_| StreamEnd::Closed)?;
    let FrameHeader { length, kind } =
        decode_frame_header(header, shared.limits.frame_bytes_max).map_err(PeerFault::Wire)?;
    if kind != FrameKind::Message(class) {
        return Err(PeerFault::Wire(WireError::Misplaced { kind: header[4] }).into());
    }
    let wait = peer.charge_frame(shared, class, u64::from(length));
    if !wait.is_zero() {
        shared.counters.throttled.add(1);
        tokio::time::sleep(wait).await;
    }
    let permit = shared.inbound(peer.is_member()).take(length).await;
    let payload = tokio::time::timeout(shared.limits.frame_timeout, read_payload(stream, length))
        .await
        .map_err(|_| PeerFault::Stalled { length })?
        .map_err(|_| StreamEnd::Closed)?;
    for (bytes, messages) in [
        (&peer.bytes_in, &peer.messages_in),
        (&shared.counters.bytes_in, &shared.counters.messages_in),
    ] {
        bytes.add(u64::from(length));
        messages.add(1);
    }
    let event = NetworkEvent::Message {
        from: peer.key,
        frame: payload,
    };
    events.send(event).await.map_err(|_| StreamEnd::Closed)?;
    drop(permit);
    Ok(())
}

/// Reads `length` bytes into a buffer that grows as they come.
pub(crate) async fn read_payload(
    stream: &mut (impl AsyncRead + Unpin),
    length: u32,
) -> std::io::Result<Bytes> {
    // What reads to an end makes room for more before it sees that there is none.
    let mut payload = Vec::with_capacity(length.min(PAYLOAD_BYTES_MIN) as usize + 32);
    stream
        .take(u64::from(length))
        .read_to_end(&mut payload)
        .await?;
    if payload.len() == length as usize {
        Ok(payload.into())
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// Writes what is queued for the peer until the stream ends.
pub(crate) async fn write_frames(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    connection: ConnectionId,
    class: Priority,
    stream: impl AsyncWrite + Unpin,
) -> StreamEnd {
    let mut stream = BufWriter::with_capacity(WRITE_BUFFER_BYTES, stream);
    loop {
        let frame = match peer.pop(connection, class) {
            Some(frame) => frame,
            None => {
                if stream.flush().await.is_err() {
                    return StreamEnd::Closed;
                }
                peer.next(connection, class).await
            }
        };
        let Ok(length) = u32::try_from(frame.len()) else {
            continue;
        };
        let header = encode_frame_header(FrameHeader {
            length,
            kind: FrameKind::Message(class),
        });
        if stream.write_all(&header).await.is_err() || stream.write_all(&frame).await.is_err() {
            return StreamEnd::Closed;
        }
        peer.touch(shared.now());
        for (bytes, messages) in [
            (&peer.bytes_out, &peer.messages_out),
            (&shared.counters.bytes_out, &shared.counters.messages_out),
        ] {
            bytes.add(u64::from(length));
            messages.add(1);
        }
    }
}
