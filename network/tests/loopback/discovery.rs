//! Who finds whom, and finds them again.

use std::collections::BTreeSet;
use std::io::Write as _;

use frith_network::{Network, NetworkEvent, StartError};

use crate::support::{Node, address, config, config_knowing, guarded, pair, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_find_each_other_from_one() {
    let first = start(config(1)).await;
    let mut nodes = Vec::new();
    for seed in 2..=5 {
        nodes.push(start(config_knowing(seed, &first)).await);
    }
    nodes.push(first);
    let keys: BTreeSet<_> = nodes.iter().map(Node::key).collect();
    for node in &nodes {
        node.network.set_members(keys.clone());
    }
    for node in &mut nodes {
        let mut missing = keys.clone();
        missing.remove(&node.key());
        node.wait("all the others", |event| {
            if let NetworkEvent::Connected(key) = event {
                missing.remove(&key);
            }
            missing.is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_connect_over_each_transport_of_ipv4() {
    connect_over(["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_connect_over_each_transport_of_ipv6() {
    if let Err(error) = std::net::TcpListener::bind("[::1]:0") {
        // Written past the test's own output, which nobody sees when it passes.
        let said = format!("NOT TESTED, this machine has no IPv6 to listen on: {error}\n");
        std::io::stderr()
            .write_all(said.as_bytes())
            .expect("a standard error");
        return;
    }
    connect_over(["/ip6/::1/tcp/0", "/ip6/::1/udp/0/quic-v1"]).await;
}

async fn connect_over(transports: [&str; 2]) {
    for listen in transports {
        let (mut first, mut second) = (config(1), config(2));
        first.listen = vec![address(listen)];
        second.listen = vec![address(listen)];
        let (first, mut second) = pair(first, second, true).await;
        first
            .network
            .send(
                second.key(),
                frith_network::Priority::Control,
                b"hello".as_slice().into(),
            )
            .expect("connected");
        assert_eq!(
            second.message().await,
            (first.key(), b"hello".as_slice().into()),
            "{listen}"
        );
        let status = &second.network.connected()[0];
        assert_eq!(
            (status.key, status.messages_in, status.bytes_in),
            (first.key(), 1, 5)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_returns_on_another_port_is_found_again() {
    let well_known = start(config(1)).await;
    let mut node = start(config_knowing(2, &well_known)).await;
    let other = start(config_knowing(3, &well_known)).await;
    node.network.set_members(BTreeSet::from([other.key()]));
    node.connected_to(other.key()).await;
    let (key, ports) = (other.key(), other.network.listen_addresses());

    guarded("a shutdown", other.network.shutdown()).await;
    node.disconnected_from(key).await;
    let other = start(config_knowing(3, &well_known)).await;
    assert_ne!(other.network.listen_addresses(), ports);
    node.connected_to(key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_returns_on_its_port_is_dialled_until_it_answers() {
    let (mut node, other) = pair(config(1), config(2), true).await;
    let (key, listen) = (other.key(), other.network.listen_addresses());
    // It was the other who dialled, so its port is known only once it named it.
    until("its address", || {
        node.network.connected()[0].addresses == listen
    })
    .await;
    guarded("a shutdown", other.network.shutdown()).await;
    node.disconnected_from(key).await;

    let mut again = config(2);
    again.listen = listen;
    let mut other = guarded("the port to be free", async {
        loop {
            match Network::start(again.clone()).await {
                Ok((network, events)) => return Node { network, events },
                Err(StartError::Listen { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    // It knows nobody and dials nobody.
    node.connected_to(key).await;
    other.connected_to(node.key()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_returns_on_another_port_without_bootstrap_peers_finds_all_by_its_book() {
    let first = start(config(1)).await;
    let third = start(config_knowing(3, &first)).await;
    let node = start(config_knowing(2, &first)).await;
    let members = BTreeSet::from([first.key(), node.key(), third.key()]);
    for node in [&first, &node, &third] {
        node.network.set_members(members.clone());
    }
    let known = node.knows(&[&first, &third]).await;
    guarded("a shutdown", node.network.shutdown()).await;

    let mut again = config(2);
    again.known = known;
    let mut node = start(again).await;
    node.network.set_members(members);
    let mut missing = BTreeSet::from([first.key(), third.key()]);
    node.wait("both others", |event| {
        if let NetworkEvent::Connected(key) = event {
            missing.remove(&key);
        }
        missing.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_member_comes_back_by_its_book_too() {
    let first = start(config(1)).await;
    let node = start(config_knowing(2, &first)).await;
    let known = node.knows(&[&first]).await;
    guarded("a shutdown", node.network.shutdown()).await;
    let mut again = config(2);
    again.known = known;
    start(again).await.connected_to(first.key()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stranger_names_enters_no_book_and_what_a_member_names_does() {
    let node = start(config(1)).await;
    let stranger = start(config_knowing(2, &node)).await;
    until("its address", || {
        node.network
            .connected()
            .first()
            .is_some_and(|peer| !peer.addresses.is_empty())
    })
    .await;
    assert_eq!(*node.network.known().borrow(), []);
    node.network.set_members(BTreeSet::from([stranger.key()]));
    node.knows(&[&stranger]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_in_the_book_just_before_the_end_is_told_at_the_end() {
    let (first, second) = (start(config(1)).await, start(config(2)).await);
    let mut config = config_knowing(3, &first);
    config.bootstrap.extend(second.network.listen_addresses());
    let mut node = start(config).await;
    let mut missing = BTreeSet::from([first.key(), second.key()]);
    node.wait("both others", |event| {
        if let NetworkEvent::Connected(key) = event {
            missing.remove(&key);
        }
        missing.is_empty().then_some(())
    })
    .await;
    let mut known = node.network.known();
    guarded("a shutdown", node.network.shutdown()).await;
    guarded("the end", async { while known.changed().await.is_ok() {} }).await;
    assert_eq!(known.borrow().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_announced_is_found_by_others() {
    let first = start(config(1)).await;
    let mut second = start(config_knowing(2, &first)).await;
    let mut third = start(config_knowing(3, &first)).await;
    second.connected_to(first.key()).await;
    third.connected_to(first.key()).await;
    second.network.announce([7; 32]);
    let found = guarded("a provider", async {
        loop {
            let found = third.network.providers([7; 32]).await;
            if !found.is_empty() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(found, [second.key()]);
    assert!(third.network.providers([8; 32]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_withdrew_it_names_no_more() {
    // Nobody hears of it before: peers that did would remember it for a while.
    let first = start(config(1)).await;
    for key in [7, 8] {
        first.network.announce([key; 32]);
    }
    first.network.withdraw([7; 32]);
    let mut second = start(config_knowing(2, &first)).await;
    second.connected_to(first.key()).await;
    guarded("a provider", async {
        while second.network.providers([8; 32]).await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(second.network.providers([7; 32]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_is_an_error_that_names_it() {
    let taken = start(config(1)).await;
    let mut config = config(2);
    config.listen = taken.network.listen_addresses();
    match Network::start(config).await {
        Err(StartError::Listen { address, .. }) => {
            assert_eq!(taken.network.listen_addresses(), [address])
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("two nodes listen on one address"),
    }
}
