//! Connections that keep silent, over real sockets.

use super::{Limits, World, world_with};
use crate::api::serve;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
/// Long enough that a test which waits for it in vain has failed.
const NEVER: Duration = Duration::from_secs(3600);

async fn start(limits: Limits) -> (World, SocketAddr) {
    let world = world_with(limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("is bound");
    tokio::spawn(serve(listener, world.api.clone()));
    (world, address)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("connects")
}

/// Sends a request and reads the head and the body of its short answer.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).await.expect("writes");
    answer(stream).await
}

async fn answer(stream: &mut TcpStream) -> String {
    answer_or_end(stream).await.expect("is served")
}

/// The answer; `None` when the connection ends before it has come.
async fn answer_or_end(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        if stream.read_buf(&mut text).await.unwrap_or(0) == 0 {
            return None;
        }
        let shown = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = shown.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().expect("a number");
        if body.len() >= length {
            return Some(shown);
        }
    }
}

/// What comes until the other end closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _reset = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_a_request_is_closed() {
    let (world, address) = start(Limits {
        header_time_max: Duration::from_millis(100),
        ..Limits::default()
    })
    .await;
    let mut silent = connect(address).await;
    assert_eq!(rest(&mut silent).await, "");
    let mut half = connect(address).await;
    half.write_all(&LIVE[..30]).await.expect("writes");
    let said = rest(&mut half).await;
    assert!(!said.contains(" 200 "), "{said}");
    // On a busy machine a request may come too late, and the next one in time.
    let mut idle = loop {
        let mut stream = connect(address).await;
        // An error is an end too.
        let _ended = stream.write_all(LIVE).await.is_err();
        match answer_or_end(&mut stream).await {
            Some(served) if served.contains(" 200 ") => break stream,
            _ => {}
        }
    };
    assert_eq!(rest(&mut idle).await, "", "between two requests");
    world.core.stop().await;
}

#[tokio::test]
async fn who_comes_when_there_are_as_many_connections_as_may_be_waits_for_a_place() {
    let (world, address) = start(Limits {
        connections_max: 2,
        header_time_max: NEVER,
        ..Limits::default()
    })
    .await;
    let (mut first, mut second) = (connect(address).await, connect(address).await);
    for stream in [&mut first, &mut second] {
        assert!(ask(stream, LIVE).await.contains(" 200 "));
    }
    let mut third = connect(address).await;
    third.write_all(LIVE).await.expect("the system takes it");
    let mut third = Box::pin(async move { answer(&mut third).await });
    for _ in 0..50 {
        tokio::select! {
            biased;
            early = &mut third => panic!("served beside two others: {early}"),
            served = ask(&mut first, LIVE) => assert!(served.contains(" 200 ")),
        }
    }
    drop(first);
    assert!(third.await.contains(" 200 "));
    world.core.stop().await;
}

#[tokio::test]
async fn a_connection_whose_reader_takes_nothing_gives_its_place_to_another() {
    let (world, address) = start(Limits {
        connections_max: 1,
        header_time_max: NEVER,
        write_time_max: Duration::from_millis(100),
        ..Limits::default()
    })
    .await;
    // More than the system holds for both ends.
    let bytes = vec![7; 16 << 20];
    let path = format!("/v1/content/{}", blake3::hash(&bytes).to_hex());
    let octets = "application/octet-stream";
    let (status, _) = world.send("PUT", "/v1/content", octets, bytes).await;
    assert_eq!(status.as_u16(), 201);
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(1 << 16).expect("is set");
    let mut deaf = socket.connect(address).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    deaf.write_all(request.as_bytes()).await.expect("writes");
    let mut next = connect(address).await;
    assert!(ask(&mut next, LIVE).await.contains(" 200 "));
    world.core.stop().await;
}

#[tokio::test]
async fn at_the_end_requests_under_way_are_finished_and_idle_connections_closed() {
    let (world, address) = start(Limits {
        header_time_max: NEVER,
        ..Limits::default()
    })
    .await;
    let mut idle = connect(address).await;
    assert!(ask(&mut idle, LIVE).await.contains(" 200 "));
    world.ending.send_replace(true);
    assert_eq!(rest(&mut idle).await, "");
    world.core.stop().await;
}
