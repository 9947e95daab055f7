//! Strangers, offenders, crowds.

use std::collections::BTreeSet;

use bytes::Bytes;
use frith_network::{NetworkEvent, PeerFault, Priority, Refusal, WireError};

use crate::support::{NETWORK, config, config_knowing, pair, start, until};

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
