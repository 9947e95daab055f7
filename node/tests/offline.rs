//! Real processes: a task's input of 16 MiB reaches its workers although the node that it was given to is gone.

mod support;

use frith::devnet::PASSPHRASE;
use std::collections::BTreeMap;
use support::{Outcome, PATIENCE, World, answer};

/// The largest content.
const INPUT_BYTES: usize = 16 << 20;

fn guest(name: &str) -> Outcome<String> {
    let programs = std::env::var("FRITH_GUESTS").map_err(|_| "FRITH_GUESTS is not set")?;
    Ok(format!("{programs}/{name}.wasm"))
}

#[test]
fn an_input_of_16_mib_reaches_three_workers_without_the_node_that_it_was_given_to() -> Outcome {
    // Enough workers for places that are drawn again: the node that goes may have been drawn too.
    let mut world = World::start_by(6, BTreeMap::new(), "", |parameters| {
        // Longer than a busy machine needs; the place of the node that goes is drawn again when it is over.
        (parameters.commit_epochs, parameters.reveal_epochs) = (12, 30);
    })?;
    // The program doesn't look at its input: what counts is that the input has to be there.
    let line = "the peace that neighbours keep by standing surety for one another\n";
    let text = line.repeat(INPUT_BYTES / line.len());
    let input = world.directory.path().join("input.txt");
    std::fs::write(&input, &text)?;
    let (program, input) = (guest("primes")?, input.to_str().ok_or("a path")?.to_owned());
    let submit = [
        "task",
        "submit",
        &program,
        "--input",
        &input,
        "--yes",
        "--replicas",
        "3",
        "--fuel",
        "20000000000",
        "--deadline",
        "300",
    ];
    let submitted = answer(&world.call(PASSPHRASE, &submit)?)?;
    let task = submitted["task"].as_str().ok_or("a task")?.to_owned();
    world.devnet.kill(0)?;
    let view = world.devnet.node(1)?.task(&task, Some(PATIENCE))?;
    assert_eq!(view.state, "settled", "{}", view.explanation);
    let paid = view.places.iter().filter(|place| place.unpaid.is_none());
    assert_eq!(paid.count(), 3, "{:?}", view.places);
    Ok(())
}
