//! Frames: order, urgency, back-pressure, budgets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use frith_network::{NetworkEvent, Priority, Rate, SendError};

use crate::support::{Node, config, config_knowing, guarded, pair, start, until};

fn numbered(priority: Priority, number: u32, length: usize) -> Bytes {
    let mut frame = vec![priority as u8; length.max(5)];
    frame[1..5].copy_from_slice(&number.to_le_bytes());
    frame.into()
}

fn number(frame: &Bytes) -> (u8, u32) {
    let bytes = frame[1..5].try_into().expect("four bytes");
    (frame[0], u32::from_le_bytes(bytes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_a_priority_arrive_whole_and_in_order() {
    const COUNT: u32 = 500;
    let (sender, mut receiver) = pair(config(1), config(2), true).await;
    for n in 0..COUNT {
        for priority in Priority::ALL {
            let length = (n as usize * 37) % 10_000;
            sender
                .network
                .send(receiver.key(), priority, numbered(priority, n, length))
                .expect("room in the queue");
        }
    }
    let mut next = BTreeMap::from([(0, 0), (1, 0), (2, 0)]);
    while next.values().any(|next| *next < COUNT) {
        let (from, frame) = receiver.message().await;
        assert_eq!(from, sender.key());
        let (class, n) = number(&frame);
        let next = next.get_mut(&class).expect("a known class");
        assert_eq!(n, *next);
        assert_eq!(frame.len(), ((n as usize * 37) % 10_000).max(5));
        *next += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consensus_frame_overtakes_queued_bulk() {
    const FRAME: usize = 40 << 10;
    const QUEUED: u32 = 25;
    let (mut first, mut second) = (config(1), config(2));
    first.limits.queue_bytes_max = QUEUED as usize * FRAME;
    second.limits.events_max = 4;
    let (sender, mut receiver) = pair(first, second, true).await;
    let to = receiver.key();
    let send = |priority, n, length| {
        let frame = numbered(priority, n, length);
        sender.network.send(to, priority, frame)
    };
    // The receiver reads no event meanwhile: in the end the queue is full.
    let mut sent = 0;
    guarded("a full queue", async {
        while send(Priority::Bulk, sent, FRAME).is_ok() {
            sent += 1;
            tokio::task::yield_now().await;
        }
    })
    .await;
    send(Priority::Consensus, 0, 5).expect("has a queue of its own");
    let mut before = 0;
    while number(&receiver.message().await.1).0 != Priority::Consensus as u8 {
        before += 1;
    }
    // One may have left the queue since it was full.
    assert!(before <= sent - QUEUED + 1, "{before} of {sent} came first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_read_slows_its_peers_and_loses_nothing() {
    let (mut first, mut second) = (config(1), config(2));
    first.limits.queue_bytes_max = 1 << 20;
    second.limits.events_max = 4;
    let (sender, mut receiver) = pair(first, second, true).await;
    let mut sent = 0;
    // The receiver reads no event meanwhile: its sockets fill, then the queue.
    guarded("a full queue", async {
        let mut full = 0;
        let mut turn = tokio::time::interval(Duration::from_millis(10));
        // Full a hundred turns long: nothing moves any more.
        while full < 100 {
            match sender.network.send(
                receiver.key(),
                Priority::Bulk,
                numbered(Priority::Bulk, sent, 64 << 10),
            ) {
                Ok(()) => (sent, full) = (sent + 1, 0),
                Err(SendError::QueueFull) => {
                    full += 1;
                    turn.tick().await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    assert!(sender.network.metrics().queue_full > 0);
    for n in 0..sent {
        assert_eq!(
            number(&receiver.message().await.1),
            (Priority::Bulk as u8, n)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flooder_is_throttled_and_others_are_not() {
    const RATE: u64 = 32 << 10;
    const FLOOD: u32 = 40;
    const FRAME: usize = 32 << 10;
    const OTHERS: usize = 10;
    let mut config_of_receiver = config(1);
    config_of_receiver.limits.unknown.bulk = Rate::new(RATE, 10_000);
    let mut receiver = start(config_of_receiver).await;
    let mut flooder = start(config_knowing(2, &receiver)).await;
    let mut other = start(config_knowing(3, &receiver)).await;
    flooder.connected_to(receiver.key()).await;
    other.connected_to(receiver.key()).await;

    let send = |from: &Node, frame| {
        let sent = from
            .network
            .send(receiver.network.key(), Priority::Bulk, frame);
        sent.expect("room");
    };
    let began = Instant::now();
    for n in 0..FLOOD {
        send(&flooder, numbered(Priority::Bulk, n, FRAME));
    }
    for n in 0..OTHERS as u32 {
        send(&other, numbered(Priority::Bulk, n, 100));
    }
    let (mut flooded, mut others) = (0, 0);
    // The flood alone takes more than half a minute.
    while others < OTHERS {
        let (from, _) = receiver.message().await;
        if from == flooder.key() {
            flooded += 1;
        } else {
            others += 1;
        }
    }
    until("a throttled peer", || {
        receiver.network.metrics().throttled > 0
    })
    .await;
    assert!(flooded < FLOOD, "who sends little waits for no flooder");
    // Two seconds of the rate are free, and the last frame is taken before it is paid for.
    let free = 2 * RATE + FRAME as u64;
    let paid = (u64::from(flooded) * FRAME as u64).saturating_sub(free);
    assert!(
        began.elapsed() >= Duration::from_millis(paid * 1000 / RATE),
        "{flooded} frames in {:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_refused_with_the_reason() {
    let (sender, receiver) = pair(config(1), config(2), false).await;
    let long = Bytes::from(vec![0; (4 << 20) + 1]);
    let refused = sender.network.send(receiver.key(), Priority::Bulk, long);
    assert_eq!(
        refused,
        Err(SendError::TooLarge {
            bytes: (4 << 20) + 1,
            max: 4 << 20
        })
    );
    let stranger = start(config(3)).await.key();
    assert_eq!(
        sender.network.send(stranger, Priority::Bulk, Bytes::new()),
        Err(SendError::NotConnected)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_dial_each_other_at_once_are_one_peer_each() {
    // Ports are known only after the start, so the first round tells them.
    let (first, second) = (start(config(1)).await, start(config(2)).await);
    let (mut one, mut two) = (config(1), config(2));
    (one.listen, two.listen) = (
        first.network.listen_addresses(),
        second.network.listen_addresses(),
    );
    (one.bootstrap, two.bootstrap) = (two.listen.clone(), one.listen.clone());
    first.network.shutdown().await;
    second.network.shutdown().await;
    let (mut first, mut second) = tokio::join!(start(one), start(two));
    first.connected_to(second.key()).await;
    second.connected_to(first.key()).await;
    for n in 0..100 {
        for priority in Priority::ALL {
            first
                .network
                .send(second.key(), priority, numbered(priority, n, 9))
                .expect("connected");
            second
                .network
                .send(first.key(), priority, numbered(priority, n, 9))
                .expect("connected");
        }
    }
    for node in [&mut first, &mut second] {
        let mut next = [0; 3];
        node.wait(
            "every message, and no second connection",
            |event| match event {
                NetworkEvent::Message { frame, .. } => {
                    let (class, n) = number(&frame);
                    assert_eq!(n, next[class as usize]);
                    next[class as usize] += 1;
                    (next == [100; 3]).then_some(())
                }
                event => panic!("{event:?}"),
            },
        )
        .await;
    }
    until("one connection", || {
        first.network.connected()[0].links.len() == 1
    })
    .await;
}
