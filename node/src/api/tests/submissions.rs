//! Operations that bring their contents: nothing of a stranger's is stored that no operation pays for.

use super::pages::{PROGRAM, spec};
use super::*;
use crate::client::NodeClient;
use frith_ledger::entity::Bytes as Input;
use frith_ledger::units::Fuel;
use parity_scale_codec::Decode as _;
use std::future::Future as _;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::TcpListener;

/// The API of a node whose operator lets everybody ask.
fn public() -> World {
    let mut world = world();
    world.api.public = true;
    world.router = router(world.api.clone());
    world
}

/// A form of these parts, by name.
pub(super) fn form(parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!("--line\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--line--\r\n");
    ("multipart/form-data; boundary=line".to_owned(), body)
}

impl World {
    async fn post_form(&self, parts: &[(&str, &[u8])]) -> (u16, String) {
        let (kind, body) = form(parts);
        let (status, body) = self.send("POST", "/v1/operations", &kind, body).await;
        (status.as_u16(), String::from_utf8_lossy(&body).into_owned())
    }

    async fn holds(&self, bytes: &[u8]) -> bool {
        let id = Hash(*blake3::hash(bytes).as_bytes());
        let held = self.core.content(id).await.expect("the core runs");
        held.is_some()
    }
}

#[tokio::test]
async fn a_public_node_takes_content_with_the_operation_that_names_it_and_only_then() {
    let world = public();
    let octets = "application/octet-stream";
    let (status, body) = world.send("PUT", "/v1/content", octets, PROGRAM).await;
    let error: ErrorView = serde_json::from_slice(&body).expect("an error has one form");
    assert_eq!(
        (status.as_u16(), error.error.code.as_str()),
        (403, "needs_operation")
    );
    assert!(!world.holds(PROGRAM).await);

    let task = world.task(0, 0);
    let (status, said) = world
        .post_form(&[("operation", &task), ("content", PROGRAM)])
        .await;
    assert_eq!(status, 202, "{said}");
    assert!(world.holds(PROGRAM).await);
    let submitted: SubmittedView = serde_json::from_str(&said).expect("an id");
    let path = format!(
        "/v1/operations/{}?wait=local&timeout_ms=60000",
        submitted.id
    );
    let (_, fate) = world.get::<OperationView>(&path).await;
    assert_eq!(fate.done, Some(true));
    // Again: it is known, and what it brings is here.
    let (status, said) = world
        .post_form(&[("operation", &task), ("content", PROGRAM)])
        .await;
    assert_eq!(status, 202, "{said}");
    world.core.stop().await;
}

#[tokio::test]
async fn nothing_is_stored_for_an_operation_that_is_refused() {
    let world = public();
    let good = world.task(0, 0);
    let mut forged = good.clone();
    *forged.last_mut().expect("a signature") ^= 1;
    let other_network = world.transfer(|body| {
        body.genesis = Hash([7; 32]);
        body.action = Action::SubmitTask(Box::new(spec(0)));
        body.fee = fee_of(&body.action, world.rules.parameters());
    });
    let too_dear = world.transfer(|body| {
        let fuel_max = Fuel::new(20_000_000_000);
        body.action = Action::SubmitTask(Box::new(frith_ledger::entity::TaskSpec {
            fuel_max,
            price: Credits::whole(1),
            ..spec(0)
        }));
        body.fee = fee_of(&body.action, world.rules.parameters());
    });
    let transfer = world.transfer(|_| {});
    let program = ("content", PROGRAM);
    let long = [PROGRAM, b"!"].concat();
    type Parts<'a> = Vec<(&'a str, &'a [u8])>;
    let cases: [(&str, u16, Parts<'_>); 9] = [
        ("signature", 422, vec![("operation", &forged), program]),
        (
            "wrong_network",
            422,
            vec![("operation", &other_network), program],
        ),
        ("underfunded", 422, vec![("operation", &too_dear), program]),
        ("malformed", 400, vec![program, ("operation", &good)]),
        ("malformed", 400, vec![("operation", b"nothing"), program]),
        ("missing_content", 422, vec![("operation", &good)]),
        (
            "malformed",
            400,
            vec![("operation", &good), ("content", b"another")],
        ),
        (
            "too_large",
            413,
            vec![("operation", &good), ("content", &long)],
        ),
        (
            "malformed",
            400,
            vec![("operation", &good), ("program", PROGRAM)],
        ),
    ];
    for (code, status, parts) in cases {
        let (found, said) = world.post_form(&parts).await;
        let error: ErrorView = serde_json::from_str(&said).expect("an error has one form");
        assert_eq!((found, error.error.code.as_str()), (status, code), "{said}");
        assert!(!world.holds(PROGRAM).await, "{code}");
    }
    // One that names none is taken, and what comes with it isn't kept.
    let (status, _) = world.post_form(&[("operation", &transfer), program]).await;
    assert_eq!(status, 202);
    assert!(!world.holds(PROGRAM).await);
    // Cut off in the middle, and no form at all.
    let (kind, body) = form(&[("operation", &good), program]);
    for cut in [0, 40, body.len() / 2, body.len() - 12] {
        let part = body[..cut].to_vec();
        let (status, _) = world.send("POST", "/v1/operations", &kind, part).await;
        assert!(status.is_client_error(), "{cut}");
    }
    let (status, _) = world
        .send("POST", "/v1/operations", "multipart/form-data", body)
        .await;
    assert!(status.is_client_error());
    assert!(!world.holds(PROGRAM).await);
    world.core.stop().await;
}

/// The parts of a body that come when they are said.
type Rest = tokio::sync::mpsc::Sender<Result<Vec<u8>, std::io::Error>>;

/// A form that ends where its content does, but for what the second half says later.
fn halved(body: &[u8]) -> (Rest, Body, Vec<u8>) {
    let (sender, rest) = tokio::sync::mpsc::channel(2);
    let (head, tail) = body.split_at(body.len() - 20);
    assert!(sender.try_send(Ok(head.to_vec())).is_ok());
    let streamed = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(rest));
    (sender, streamed, tail.to_vec())
}

#[tokio::test]
async fn an_operation_is_checked_before_its_content_is_taken_and_once_more_when_it_is_there() {
    let world = public();
    let waits = || world.api.contents.available_permits() < Limits::default().contents_max;
    let mut forged = world.task(0, 0);
    *forged.last_mut().expect("a signature") ^= 1;
    let (kind, body) = form(&[("operation", &forged), ("content", PROGRAM)]);
    let (rest, streamed, _) = halved(&body);
    let mut refused = Box::pin(world.refused(&kind, streamed));
    let (status, refused) = loop {
        if let std::task::Poll::Ready(refused) = futures::poll!(&mut refused) {
            break refused;
        }
        assert!(!waits(), "its content is waited for");
        tokio::task::yield_now().await;
    };
    assert_eq!((status, refused.code.as_str()), (422, "signature"));
    drop(rest);

    // Another one takes its nonce while its content is on the way.
    let (kind, body) = form(&[("operation", &world.task(0, 0)), ("content", PROGRAM)]);
    let (rest, streamed, tail) = halved(&body);
    let mut late = Box::pin(world.refused(&kind, streamed));
    while !waits() {
        assert!(futures::poll!(&mut late).is_pending());
        tokio::task::yield_now().await;
    }
    let other = world.core.submit(world.transfer(|_| {})).await;
    assert!(matches!(other, Ok(Ok(_))), "{other:?}");
    assert!(rest.try_send(Ok(tail)).is_ok());
    drop(rest);
    assert_eq!(late.await.0, 422);
    assert!(!world.holds(PROGRAM).await, "nobody paid for it");
    world.core.stop().await;
}

#[tokio::test]
async fn an_account_brings_the_contents_of_one_operation_at_a_time_and_places_are_bounded() {
    let world = public();
    let (task, later) = (world.task(0, 0), world.task(1, 0));
    let (kind, body) = form(&[("operation", &task), ("content", PROGRAM)]);
    // The first has said its operation, and its content is on its way.
    let (sender, rest) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let (head, tail) = body.split_at(body.len() - 20);
    let sent = sender.send(Ok(head.to_vec())).await;
    assert!(sent.is_ok());
    let streamed = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(rest));
    let mut first = Box::pin(world.send("POST", "/v1/operations", &kind, streamed));
    let asked = async {
        loop {
            assert!(futures::poll!(&mut first).is_pending());
            if world.api.contents.available_permits() < Limits::default().contents_max {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    asked.await;
    let (status, said) = world
        .post_form(&[("operation", &later), ("content", PROGRAM)])
        .await;
    assert_eq!(status, 503, "{said}");
    assert!(!world.holds(PROGRAM).await);
    let sent = sender.send(Ok(tail.to_vec())).await;
    assert!(sent.is_ok());
    drop(sender);
    assert_eq!(first.await.0.as_u16(), 202);
    let (status, said) = world
        .post_form(&[("operation", &later), ("content", PROGRAM)])
        .await;
    assert_eq!(status, 202, "{said}");
    world.core.stop().await;
}

/// Sends a form and goes away at its so many-th step; whether it had ended before.
async fn goes_away_after(steps: usize) -> bool {
    let world = public();
    let task = world.task(0, 0);
    let id = Operation::decode(&mut &task[..]).expect("is one").id();
    let (kind, body) = form(&[("operation", &task), ("content", PROGRAM)]);
    let mut sent = Box::pin(world.send("POST", "/v1/operations", &kind, body));
    let mut left = steps;
    let ended = std::future::poll_fn(|context| match sent.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    });
    let ended = ended.await;
    drop(sent);
    // What is on its way to the core comes before this.
    assert_eq!(world.core.query(|_| ()).await, Ok(()));
    if world.holds(PROGRAM).await {
        let path = format!("/v1/operations/{id}?wait=local&timeout_ms=60000");
        let (_, fate) = world.get::<OperationView>(&path).await;
        assert_eq!(fate.done, Some(true), "nobody paid for it after {steps}");
    }
    world.core.stop().await;
    ended
}

#[tokio::test]
async fn who_goes_away_when_all_was_sent_has_submitted_what_is_stored() {
    let mut steps = 0;
    while !goes_away_after(steps).await {
        steps += 1;
    }
    assert!(steps > 2, "it was never in the middle");
}

#[tokio::test]
async fn of_a_form_whose_parts_do_not_begin_or_end_little_is_read() {
    let world = public();
    let task = world.task(0, 0);
    let (kind, whole) = form(&[("operation", &task), ("content", PROGRAM)]);
    let (_, operation) = form(&[("operation", &task)]);
    let after_operation = operation.len() - "--line--\r\n".len();
    let head = "--line\r\ncontent-disposition: form-data; name=\"operation\"\r\nx: ";
    let beginnings = [
        Vec::new(),
        head.as_bytes().to_vec(),
        whole[..after_operation].to_vec(),
        [&whole[..after_operation], b"--line\r\nx: "].concat(),
    ];
    for beginning in beginnings {
        let read = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = read.clone();
        let endless = std::iter::repeat_with(move || {
            counted.fetch_add(1 << 12, std::sync::atomic::Ordering::Relaxed);
            vec![b'x'; 1 << 12]
        });
        let pieces = std::iter::once(beginning.clone())
            .chain(endless)
            .map(Ok::<_, std::io::Error>);
        let body = Body::from_stream(futures::stream::iter(pieces));
        let (status, _) = world.send("POST", "/v1/operations", &kind, body).await;
        assert_eq!(status.as_u16(), 413);
        let read = read.load(std::sync::atomic::Ordering::Relaxed);
        assert!(read < 200_000, "{read} bytes after {}", beginning.len());
    }
    assert!(!world.holds(PROGRAM).await);
    world.core.stop().await;
}

#[tokio::test]
async fn a_public_node_takes_contents_only_for_what_comes_to_its_turn_and_is_paid_for() {
    let world = public();
    let refused = async |operation: &[u8]| {
        let (status, said) = world
            .post_form(&[("operation", operation), ("content", PROGRAM)])
            .await;
        let error: ErrorView = serde_json::from_str(&said).expect("an error has one form");
        (status, error.error.code)
    };
    let later = world.task(1, 0);
    assert_eq!(refused(&later).await, (422, "nonce_ahead".to_owned()));
    // Little is left of 10 when this is through, whether or not it is by then.
    let most = world.transfer(|body| {
        body.action = Action::Transfer {
            to: Address([9; 32]),
            amount: Credits::whole(9),
        };
    });
    let octets = "application/octet-stream";
    let (status, _) = world.send("POST", "/v1/operations", octets, most).await;
    assert_eq!(status.as_u16(), 202);
    let dear = world.transfer(|body| {
        body.nonce = Nonce::new(1);
        body.action = Action::SubmitTask(Box::new(frith_ledger::entity::TaskSpec {
            fuel_max: Fuel::new(5_000_000),
            price: Credits::whole(1),
            ..spec(0)
        }));
        body.fee = fee_of(&body.action, world.rules.parameters());
    });
    assert_eq!(refused(&dear).await, (422, "underfunded".to_owned()));
    assert!(!world.holds(PROGRAM).await);
    world.core.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_brings_what_the_node_lacks() {
    let world = Arc::new(public());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let base = format!("http://{}", listener.local_addr().expect("is bound"));
    tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    let input = vec![5_u8; 300_000];
    let task = world.transfer(|body| {
        body.action = Action::SubmitTask(Box::new(frith_ledger::entity::TaskSpec {
            input: Input::Content {
                id: Hash(*blake3::hash(&input).as_bytes()),
                len: 300_000,
            },
            ..spec(0)
        }));
        body.fee = fee_of(&body.action, world.rules.parameters());
    });
    let contents = input.clone();
    let submitted = tokio::task::spawn_blocking(move || {
        let client = NodeClient::new(&base).expect("an address");
        // The node has the program already: the form brings both all the same.
        client.submit_with(&task, &[PROGRAM, &contents])
    });
    let stored = world
        .core
        .put_content(Hash(*blake3::hash(PROGRAM).as_bytes()), PROGRAM.to_vec());
    assert_eq!(stored.await, Ok(Ok(())));
    let submitted = submitted.await.expect("ends");
    assert!(submitted.is_ok(), "{submitted:?}");
    assert!(world.holds(&input).await);
    world.core.stop().await;
}
