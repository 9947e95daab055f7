//! Streams over one TCP connection: yamux, with a bound on what a peer may send that is not read yet.
//!
//! yamux widens a stream's window when its reader takes half of it within two round trips, up to a limit for the
//! connection. The peer takes part in measuring the round trip, so by answering late it widens its windows as far as
//! that limit allows. The libp2p crate leaves the limit at 1 GiB and offers no way to set it; hence this module, which
//! does nothing else than that crate's: it makes yamux a stream muxer of libp2p.
//!
//! Sources: yamux specification (hashicorp/yamux, spec.md), libp2p specification "yamux" (protocol `/yamux/1.0.0`).

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use yamux::{Connection, ConnectionError, DEFAULT_CREDIT, Mode, Stream};

/// What the windows of one connection may have, all together, beyond the 256 KiB that each stream begins with.
const WIDENED_BYTES_MAX: usize = 4 << 20;
/// Streams that a peer opened and that the swarm has not taken yet; one more is reset.
const WAITING_MAX: usize = 64;

/// Negotiates yamux for a connection.
#[derive(Clone, Debug)]
pub(crate) struct Yamux(yamux::Config);

impl Yamux {
    /// Connections of at most so many streams, opened by either end.
    pub(crate) fn new(streams_max: usize) -> Self {
        let least = streams_max * DEFAULT_CREDIT as usize;
        let mut config = yamux::Config::default();
        // In this order: yamux asserts after each that the streams fit the limit.
        config.set_max_num_streams(streams_max);
        config.set_max_connection_receive_window(Some(least + WIDENED_BYTES_MAX));
        Self(config)
    }

    fn muxer<C: AsyncRead + AsyncWrite + Unpin>(self, socket: C, mode: Mode) -> Muxer<C> {
        Muxer {
            connection: Connection::new(socket, self.0, mode),
            waiting: VecDeque::new(),
            taker: None,
        }
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(self.muxer(socket, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(self.muxer(socket, Mode::Client)))
    }
}

/// A connection that carries streams.
#[derive(Debug)]
pub(crate) struct Muxer<C> {
    connection: Connection<C>,
    /// yamux goes on only while it is asked for the next stream of the peer, also when the swarm asks for none.
    waiting: VecDeque<Stream>,
    taker: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.connection
            .poll_next_inbound(cx)
            .map(|next| next.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.poll_next(cx);
        if next.is_pending() {
            self.taker = Some(cx.waker().clone());
        }
        next
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        match self.poll_next(cx) {
            Poll::Ready(Ok(stream)) => {
                // Beyond its places a stream is dropped, which resets it.
                if self.waiting.len() < WAITING_MAX {
                    self.waiting.push_back(stream);
                    if let Some(taker) = self.taker.take() {
                        taker.wake();
                    }
                }
                // There may be more.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::mpsc;
    use tokio::time::{Instant, Sleep, sleep_until};

    use super::*;

    /// How long a byte is on the way.
    const LATENCY: Duration = Duration::from_millis(5);

    /// Bytes on the way, and when they arrive.
    type Chunk = (Instant, Vec<u8>);

    /// An end of a line that takes any number of bytes and brings each after [`LATENCY`].
    struct Line {
        to: mpsc::UnboundedSender<Chunk>,
        from: mpsc::UnboundedReceiver<Chunk>,
        arriving: Option<(Pin<Box<Sleep>>, Vec<u8>)>,
    }

    fn line() -> (Line, Line) {
        let ((to_second, second), (to_first, first)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let end = |to, from| Line {
            to,
            from,
            arriving: None,
        };
        (end(to_second, first), end(to_first, second))
    }

    impl AsyncRead for Line {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            loop {
                if let Some((sleep, bytes)) = &mut self.arriving {
                    std::task::ready!(sleep.as_mut().poll(cx));
                    let length = bytes.len().min(buffer.len());
                    buffer[..length].copy_from_slice(&bytes[..length]);
                    bytes.drain(..length);
                    if bytes.is_empty() {
                        self.arriving = None;
                    }
                    return Poll::Ready(Ok(length));
                }
                match std::task::ready!(self.from.poll_recv(cx)) {
                    Some((at, bytes)) => {
                        self.arriving = Some((Box::pin(sleep_until(at)), bytes));
                    }
                    None => return Poll::Ready(Ok(0)),
                }
            }
        }
    }

    impl AsyncWrite for Line {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let sent = self.to.send((Instant::now() + LATENCY, bytes.to_vec()));
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            Poll::Ready(sent.map(|()| bytes.len()).map_err(gone))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Takes a connection's streams in turn and keeps it going.
    fn accept(mut muxer: Muxer<Line>) -> mpsc::UnboundedReceiver<Stream> {
        let (streams, taken) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(stream) = poll_fn(|cx| {
                let mut muxer = Pin::new(&mut muxer);
                if let Poll::Ready(Err(error)) = muxer.as_mut().poll(cx) {
                    return Poll::Ready(Err(error));
                }
                muxer.poll_inbound(cx)
            })
            .await
            {
                let _ = streams.send(stream);
            }
        });
        taken
    }

    /// The peer: yamux with the widest windows of its own. Opens two streams.
    async fn attack(line: Line) -> [Stream; 2] {
        let mut connection = Connection::new(line, yamux::Config::default(), Mode::Client);
        let mut open = async || poll_fn(|cx| connection.poll_new_outbound(cx)).await;
        let streams = [open().await, open().await].map(|stream| stream.expect("a stream"));
        tokio::spawn(async move {
            while poll_fn(|cx| connection.poll_next_inbound(cx))
                .await
                .is_some()
            {}
        });
        streams
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_peer_sends_unread_is_bounded_however_long_its_line_is() {
        const READ: usize = 32 << 20;
        let (here, there) = line();
        let mut accepted = accept(Yamux::new(4).muxer(here, Mode::Server));
        let [mut flood, mut echo] = attack(there).await;
        let written = Arc::new(AtomicUsize::new(0));
        let count = written.clone();
        tokio::spawn(async move {
            let chunk = vec![0; 64 << 10];
            while let Ok(length) = flood.write(&chunk).await {
                count.fetch_add(length, Ordering::Relaxed);
            }
        });
        let mut flooded = accepted.recv().await.expect("the first stream");
        let mut buffer = vec![0; 64 << 10];
        let mut read = 0;
        while read < READ {
            read += flooded.read(&mut buffer).await.expect("more");
        }
        // From here on nothing is read. Echoes are the clock: twenty round trips are enough to fill any window.
        let mut byte = [0];
        let mut answering = None;
        for _ in 0..20 {
            echo.write_all(&[1]).await.expect("sent");
            echo.flush().await.expect("sent");
            if answering.is_none() {
                answering = accepted.recv().await;
            }
            let stream = answering.as_mut().expect("the second stream");
            stream.read_exact(&mut byte).await.expect("asked");
            stream.write_all(&byte).await.expect("answered");
            stream.flush().await.expect("answered");
            echo.read_exact(&mut byte).await.expect("answered");
        }
        let unread = written.load(Ordering::Relaxed) - read;
        let most = DEFAULT_CREDIT as usize + WIDENED_BYTES_MAX;
        assert!(
            unread <= most,
            "{unread} bytes are unread, and {most} may be"
        );
        assert!(unread > DEFAULT_CREDIT as usize, "the window did not widen");
    }
}
