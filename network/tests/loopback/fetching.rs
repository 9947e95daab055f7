//! One question, one answer.

use std::time::Duration;

use bytes::Bytes;
use frith_network::{FetchError, FetchReply, NetworkEvent};

use crate::support::{Node, config, config_knowing, guarded, pair, start};

/// Answers every fetch of a node.
fn serve(mut node: Node, mut answer: impl FnMut(Bytes, FetchReply) + Send + 'static) {
    tokio::spawn(async move {
        // The handle must live as long as the node is to answer.
        let Node { network, events } = &mut node;
        while let Some(event) = events.recv().await {
            assert!(!network.listen_addresses().is_empty());
            if let NetworkEvent::Fetch { request, reply, .. } = event {
                answer(request, reply);
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_brings_the_answer_to_its_own_question() {
    let (client, server) = pair(config(1), config(2), true).await;
    let key = server.key();
    serve(server, |request, reply| {
        let mut answer = request.to_vec();
        answer.extend(vec![9; 100_000 * usize::from(request[0])]);
        reply.send(answer.into());
    });
    let fetches = (0..20u8).map(|n| {
        let network = client.network.clone();
        async move { (n, network.fetch(key, vec![n].into()).await) }
    });
    for (n, answer) in guarded("answers", futures::future::join_all(fetches)).await {
        match answer {
            Ok(answer) => assert_eq!((answer[0], answer.len()), (n, 1 + 100_000 * usize::from(n))),
            // More at one time than a peer serves.
            Err(error) => assert_eq!(error, FetchError::Busy),
        }
    }
    assert!(client.network.metrics().fetches == 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_that_is_refused_or_too_large_or_unanswered_says_so() {
    let mut second = config(2);
    second.limits.fetch_response_bytes_max = 1000;
    let (client, server) = pair(config(1), second, true).await;
    let key = server.key();
    // Only this one gives up before a busy machine has answered.
    let mut hasty = config_knowing(3, &server);
    hasty.limits.fetch_timeout = Duration::from_millis(500);
    let mut hasty = start(hasty).await;
    hasty.connected_to(key).await;
    let mut kept = Vec::new();
    serve(server, move |request, reply| match request[0] {
        0 => reply.refuse(),
        1 => drop(reply),
        2 => reply.send(vec![0; 1001].into()),
        3 => reply.busy(),
        4 => reply.send(Bytes::new()),
        _ => kept.push(reply),
    });
    let fetch = |n: u8| guarded("an answer", client.network.fetch(key, vec![n].into()));
    assert_eq!(fetch(0).await, Err(FetchError::Refused));
    assert_eq!(fetch(1).await, Err(FetchError::Refused));
    assert_eq!(fetch(2).await, Err(FetchError::ResponseTooLarge));
    assert_eq!(fetch(3).await, Err(FetchError::Busy));
    assert_eq!(fetch(4).await, Ok(Bytes::new()));
    let unanswered = guarded("an answer", hasty.network.fetch(key, vec![5].into()));
    assert_eq!(unanswered.await, Err(FetchError::Timeout));
    let long = client
        .network
        .fetch(key, vec![0; (64 << 10) + 1].into())
        .await;
    assert_eq!(
        long,
        Err(FetchError::RequestTooLarge {
            bytes: (64 << 10) + 1,
            max: 64 << 10
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_above_the_own_limit_is_not_read() {
    let mut first = config(1);
    first.limits.fetch_response_bytes_max = 1000;
    let (client, server) = pair(first, config(2), true).await;
    let key = server.key();
    serve(server, |_, reply| reply.send(vec![0; 1001].into()));
    let answer = guarded("an answer", client.network.fetch(key, Bytes::new())).await;
    assert!(matches!(answer, Err(FetchError::Protocol(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_nobody_knows_is_unreachable_and_one_that_others_know_is_found() {
    let well_known = start(config(1)).await;
    let mut client = start(config_knowing(2, &well_known)).await;
    let mut server = start(config_knowing(3, &well_known)).await;
    client.connected_to(well_known.key()).await;
    server.connected_to(well_known.key()).await;
    let (key, unknown) = (server.key(), frith_network::PeerKey::new([99; 32]));
    serve(server, |request, reply| reply.send(request));
    let answer = guarded("no answer", client.network.fetch(unknown, Bytes::new())).await;
    assert_eq!(answer, Err(FetchError::Unreachable));
    assert_eq!(
        client.network.fetch(client.key(), Bytes::new()).await,
        Err(FetchError::Unreachable)
    );
    let answer = guarded("an answer", async {
        loop {
            // The routing table of the well-known node may not have it yet.
            match client.network.fetch(key, b"x".as_slice().into()).await {
                Err(FetchError::Unreachable) => tokio::task::yield_now().await,
                other => return other,
            }
        }
    })
    .await;
    assert_eq!(answer, Ok(b"x".as_slice().into()));
}
