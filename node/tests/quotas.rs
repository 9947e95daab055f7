//! Caps of disk and bandwidth against real processes that are asked for more than they may give.

mod support;

use frith_ledger::hash::Hash;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Outcome, World};

/// What a node's data directory may have.
const QUOTA_MIB: u64 = 48;
/// What the chain, the state and the store's logs of so short a life may have beside content.
const CHAIN_MIB_MAX: u64 = 32;
/// What a node may give away.
const KIB_PER_S: u64 = 1024;
const MIB: usize = 1 << 20;

/// Bytes that no compression shortens, a different row for each number.
fn noise(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn bytes_under(dir: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // The store removes what it has merged meanwhile.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        sum += if metadata.is_dir() {
            bytes_under(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(sum)
}

impl World {
    /// Three times as much content as there is room: what was taken stays, the rest is refused, transfers go on.
    fn a_full_quota_refuses_content_and_nothing_else(&self, bob: &str) -> Outcome {
        let node = self.devnet.node(0)?;
        let offered = 3 * QUOTA_MIB as usize / 4;
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            // Two at a time: each has to find the room that the other left.
            let halves: Vec<_> = (0..2)
                .map(|half| {
                    scope.spawn(move || {
                        let numbers = (0..offered as u64).filter(|number| number % 2 == half);
                        numbers
                            .map(|number| (number, node.put_content(&noise(number, 4 * MIB))))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            for half in halves {
                for (number, answer) in half.join().expect("asks") {
                    match answer {
                        Ok(_) => taken.push(number),
                        Err(error) => refused.push(error.to_string()),
                    }
                }
            }
        });
        assert!(taken.len() > 1, "there was room for some: {refused:?}");
        let most = QUOTA_MIB as usize / 4;
        assert!(taken.len() <= most, "{} of 4 MiB were taken", taken.len());
        for reason in refused {
            assert!(reason.contains("disk_mib_max"), "{reason}");
        }
        let has = bytes_under(&self.directory.path().join("node0"))?;
        assert!(
            has <= (QUOTA_MIB + CHAIN_MIB_MAX) << 20,
            "the directory has {has} bytes"
        );
        assert_eq!(self.send(bob)?["done"], true);
        for number in taken {
            let bytes = noise(number, 4 * MIB);
            let id = Hash(*blake3::hash(&bytes).as_bytes()).to_hex();
            assert!(node.content(&id)? == bytes, "what was taken is there");
        }
        Ok(())
    }

    /// Two nodes fetch from one at one time: together they get no more than it may give.
    fn content_is_given_away_at_the_rate_that_is_allowed(&self, bob: &str) -> Outcome {
        let bytes = noise(u64::MAX, 2 * MIB);
        let id = self.devnet.node(3)?.put_content(&bytes)?.id;
        let took = std::thread::scope(|scope| -> Outcome<Duration> {
            let fetches: Vec<_> = (1..3)
                .map(|node| {
                    let (id, node) = (&id, self.devnet.node(node));
                    scope.spawn(move || {
                        let start = Instant::now();
                        let fetched = node.and_then(|node| node.content(id));
                        fetched.map(|fetched| (fetched, start.elapsed()))
                    })
                })
                .collect();
            // Consensus isn't behind it.
            assert_eq!(self.send(bob)?["done"], true);
            let mut last = Duration::ZERO;
            for fetch in fetches {
                let (fetched, took) = fetch.join().map_err(|_| "a fetch panicked")??;
                assert!(fetched == bytes);
                last = last.max(took);
            }
            Ok(last)
        })?;
        // Who has the whole may give it to the other; the first copy comes from one bucket, which holds a second's worth.
        let first_copy = 2 * MIB as u64 - (KIB_PER_S << 10);
        let least = Duration::from_secs_f64(first_copy as f64 / (KIB_PER_S << 10) as f64);
        assert!(took >= least, "two copies of 2 MiB came in {took:?}");
        Ok(())
    }
}

#[test]
fn quotas_of_disk_and_bandwidth_hold_while_more_is_asked_for() -> Outcome {
    let settings = format!("disk_mib_max = {QUOTA_MIB}\nbandwidth_kib_per_s = {KIB_PER_S}\n");
    let world = World::start_with(4, BTreeMap::new(), &settings)?;
    let bob = world.address("bob")?;
    world.content_is_given_away_at_the_rate_that_is_allowed(&bob)?;
    world.a_full_quota_refuses_content_and_nothing_else(&bob)?;
    Ok(world.devnet.stop()?)
}
