//! Peers' addresses over a restart, with real processes: every start listens on another port.

mod support;

use support::{Outcome, PATIENCE, World};

#[test]
fn a_node_without_bootstrap_peers_comes_back_by_its_book_and_one_with_a_damaged_book_by_them()
-> Outcome {
    let mut world = World::start()?;
    let book = |world: &World, node: usize| world.devnet.plan().nodes[node].join("peers.txt");

    // Node 1 has node 0 to begin with.
    world.devnet.kill(1)?;
    std::fs::write(book(&world, 1), "frith peers 1 and no checksum\n")?;
    world.devnet.restart(1)?;
    world.devnet.await_ready(PATIENCE)?;
    let log = std::fs::read_to_string(world.devnet.log(1))?;
    assert!(log.contains("its checksum doesn't hold"), "{log}");

    // Node 0 has nobody, and nobody knows its new port. What it knows of the others is on its disk.
    let mut others = Vec::new();
    for node in 1..4 {
        others.extend(world.devnet.node(node)?.status()?.listening);
    }
    world.await_status(0, |_| {
        let kept = std::fs::read_to_string(book(&world, 0)).unwrap_or_default();
        others.iter().all(|address| kept.contains(address))
    })?;
    let before = world.devnet.node(0)?.status()?.listening;
    world.devnet.kill(0)?;
    world.devnet.restart(0)?;
    assert_ne!(
        world.devnet.node(0)?.status()?.listening,
        before,
        "the same port proves nothing"
    );
    world.devnet.await_ready(PATIENCE)?;
    world.devnet.stop()?;
    Ok(())
}
