//! Two processes, one key.

use frith_network::{NetworkEvent, Priority};

use crate::support::{config, config_knowing, guarded, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_living_processes_of_one_key_are_seen_by_a_third() {
    let mut node = start(config(1)).await;
    let first = start(config_knowing(2, &node)).await;
    node.connected_to(first.key()).await;
    let twin = start(config_knowing(2, &node)).await;
    let key = twin.key();
    node.wait("the twin", |event| {
        matches!(event, NetworkEvent::Twin(k) if k == key).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_process_is_no_twin() {
    let mut node = start(config(1)).await;
    for n in 0..5u8 {
        let mut peer = start(config_knowing(2, &node)).await;
        peer.connected_to(node.key()).await;
        peer.network
            .send(node.key(), Priority::Control, vec![n].into())
            .expect("connected");
        let frame = node
            .wait("a message", |event| match event {
                NetworkEvent::Twin(_) => panic!("a restart was taken for a twin"),
                NetworkEvent::Message { frame, .. } => Some(frame),
                _ => None,
            })
            .await;
        assert_eq!(frame[..], [n]);
        guarded("a shutdown", peer.network.shutdown()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_meets_its_own_key_elsewhere_says_so() {
    let first = start(config(1)).await;
    let mut second = start(config_knowing(1, &first)).await;
    second
        .wait("the own key", |event| {
            matches!(event, NetworkEvent::OwnKeyElsewhere).then_some(())
        })
        .await;
}
