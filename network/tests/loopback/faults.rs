//! Strangers, offenders, crowds.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use frith_network::{NetworkEvent, PeerFault, Priority, Refusal, WireError};

use crate::support::{NETWORK, Node, config, config_knowing, pair, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_network_is_refused_and_both_know_why() {
    const OTHER: [u8; 32] = [43; 32];
    let mut first = start(config(1)).await;
    let mut stranger = config_knowing(2, &first);
    stranger.network_id = OTHER;
    let mut second = start(stranger).await;
    let (key_of_first, key_of_second) = (first.key(), second.key());
    for (node, peer, told) in [
        (&mut second, key_of_first, true),
        (&mut first, key_of_second, false),
    ] {
        let refused = node
            .wait("a refusal", |event| match event {
                NetworkEvent::Refused {
                    peer,
                    reason,
                    by_peer,
                    ..
                } => Some((peer, reason, by_peer)),
                NetworkEvent::Connected(peer) => panic!("connected to {peer}"),
                _ => None,
            })
            .await;
        assert_eq!(
            refused,
            (
                peer,
                Refusal::WrongNetwork {
                    network_id: NETWORK
                },
                told
            )
        );
    }
    assert!(first.network.connected().is_empty() && second.network.connected().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_over_the_limit_costs_its_sender_the_connection_and_nobody_else() {
    let mut strict = config(1);
    strict.limits.frame_bytes_max = 1000;
    let mut node = start(strict).await;
    let mut offender = start(config_knowing(2, &node)).await;
    let mut other = start(config_knowing(3, &node)).await;
    offender.connected_to(node.key()).await;
    other.connected_to(node.key()).await;

    offender
        .network
        .send(node.key(), Priority::Bulk, vec![0; 1001].into())
        .expect("connected");
    let (peer, fault) = node
        .wait("the offence", |event| match event {
            NetworkEvent::Misbehaved { peer, fault } => Some((peer, fault)),
            NetworkEvent::Message { .. } => panic!("a frame over the limit was handed over"),
            _ => None,
        })
        .await;
    assert_eq!(
        (peer, fault),
        (
            offender.key(),
            PeerFault::Wire(WireError::TooLong {
                length: 1001,
                max: 1000
            })
        )
    );
    offender.disconnected_from(node.key()).await;

    other
        .network
        .send(node.key(), Priority::Bulk, vec![7; 1000].into())
        .expect("connected");
    assert_eq!(
        node.message().await,
        (other.key(), Bytes::from(vec![7; 1000]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_penalised_repeatedly_is_banned() {
    let (mut node, mut offender) = pair(config(1), config(2), true).await;
    node.network.penalise(offender.key(), 60);
    node.network.penalise(offender.key(), 60);
    let key = offender.key();
    node.wait("the ban", |event| {
        matches!(event, NetworkEvent::Banned(k) if k == key).then_some(())
    })
    .await;
    offender.disconnected_from(node.key()).await;
    node.disconnected_from(key).await;
    // The offender, whose member the node is, dials on; the node denies it.
    until("a denied connection", || {
        node.network.metrics().connections_denied > 0
    })
    .await;
    assert!(node.network.connected().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_connections_holds_for_strangers_and_not_for_members() {
    let mut crowded = config(1);
    crowded.limits.connections_in_max = 2;
    let mut node = start(crowded).await;
    let mut guests = Vec::new();
    for seed in 2..=3 {
        let guest = start(config_knowing(seed, &node)).await;
        node.connected_to(guest.key()).await;
        guests.push(guest);
    }
    let late = start(config_knowing(4, &node)).await;
    until("a denied connection", || {
        node.network.metrics().connections_denied > 0
    })
    .await;
    assert_eq!(node.network.connected().len(), 2);

    node.network.set_members(BTreeSet::from([late.key()]));
    node.connected_to(late.key()).await;
    assert_eq!(node.network.connected().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_of_half_open_connections_keeps_nobody_else_out() {
    let mut patient = config(1);
    // What is half-open stays so for the whole test.
    patient.limits.hello_timeout = Duration::from_secs(3600);
    patient.limits.connections_pending_max = 32;
    let mut node = start(patient).await;
    let target = socket_address(&node);
    let mut silent = Vec::new();
    for _ in 0..100 {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .bind(([127, 0, 0, 2], 0).into())
            .expect("an address of this machine");
        silent.push(socket.connect(target).await.expect("a connection"));
    }
    until("denied connections", || {
        node.network.metrics().connections_denied >= 100 - 16
    })
    .await;
    let guest = start(config_knowing(2, &node)).await;
    node.connected_to(guest.key()).await;
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_the_limit_of_memory_strangers_are_let_go_and_members_come_in() {
    let mut full = config(1);
    full.limits.memory_bytes_max = 1;
    let mut node = start(full).await;
    let member = start(config_knowing(2, &node)).await;
    let _stranger = start(config_knowing(3, &node)).await;
    node.network.set_members(BTreeSet::from([member.key()]));
    node.connected_to(member.key()).await;
    until("a denied stranger", || {
        node.network.metrics().connections_denied > 0
    })
    .await;
    assert_eq!(node.network.connected().len(), 1);

    node.network.set_members(BTreeSet::new());
    node.disconnected_from(member.key()).await;
    assert!(node.network.metrics().let_go > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slowest_of_the_strangers_gives_way_when_too_much_waits_for_them() {
    const FRAME: usize = 64 << 10;
    let mut small = config(1);
    small.limits.unknown_queue_bytes_max = 4 * FRAME;
    let mut node = start(small).await;
    // Its events are not read, so that neither are its frames.
    let mut deaf = config_knowing(2, &node);
    deaf.limits.events_max = 1;
    let deaf = start(deaf).await;
    node.connected_to(deaf.key()).await;
    let mut reader = start(config_knowing(3, &node)).await;
    node.connected_to(reader.key()).await;
    let frame = Bytes::from(vec![1; FRAME]);
    until("a full queue", || {
        node.network
            .send(deaf.key(), Priority::Bulk, frame.clone())
            .is_err()
    })
    .await;
    node.disconnected_from(deaf.key()).await;
    let whole = Bytes::from_static(b"whole");
    node.network
        .send(reader.key(), Priority::Bulk, whole.clone())
        .expect("there is room again");
    assert_eq!(reader.message().await, (node.key(), whole));
}

/// Where a node listens on TCP.
fn socket_address(node: &Node) -> std::net::SocketAddr {
    let address = node.network.listen_addresses()[0].to_string();
    let port = address
        .rsplit('/')
        .next()
        .and_then(|port| port.parse().ok());
    ([127, 0, 0, 1], port.expect("a TCP port")).into()
}
