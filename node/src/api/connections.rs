//! Connections of the API: how many there may be, and for how long one may keep silent.
//!
//! One that says nothing, or half of a request, is closed after [`Limits::header_time_max`], also between two requests;
//! one whose reader takes nothing after [`Limits::write_time_max`]. How long a request's body may take is bounded with
//! the request. Whoever connects while there are as many as there may be waits in the system's queue.

use super::router::{Api, Limits, router};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

/// Bytes that one connection buffers of what it reads: a head of a request has to fit.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Serves the API until `ending` becomes true; requests under way are finished.
pub async fn serve(mut listener: TcpListener, api: Api) {
    let (limits, ending) = (api.limits, api.ending.clone());
    let router = router(api);
    let mut ended = pin!(end(ending.clone()));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut ended => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            // Failures to accept are waited out by the library.
            (stream, _) = axum::serve::Listener::accept(&mut listener), if connections.len() < limits.connections_max => {
                connections.spawn(connection(stream, router.clone(), limits, ending.clone()));
            }
        }
    }
    // Nobody else is let in.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The end, or that nobody can bring it about any more.
async fn end(mut ending: watch::Receiver<bool>) {
    let _sender_gone = ending.wait_for(|ending| *ending).await.is_err();
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    ending: watch::Receiver<bool>,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_time_max));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(router),
        );
    let mut serving = pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = end(ending) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the API has ended");
    }
}
