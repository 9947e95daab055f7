//! Runs of whole networks.

use super::super::Faults;
use super::net::{Net, Weather};
use frith_ledger::certificate::Weight;

const STORM: Weather = Weather {
    delay_max: 150,
    loss: 100,
    repeats: 50,
    crashes: 4,
    wipes: 0,
    partitions: 3,
    slow: false,
};

fn commit_in_calm(weights: &[Weight], silent: &[usize]) -> Net {
    let mut net = Net::new(1, weights, 0, 1);
    for process in silent {
        net.processes[*process].silent = true;
    }
    net.want(10);
    net.run(60_000, |net| net.reached(10));
    assert_eq!(net.checker.broken, None);
    assert!(net.reached(10), "{:?} at {}", net.counts(), net.now);
    net
}

#[test]
fn committees_of_any_size_commit() {
    for n in [1, 2, 3, 4, 7] {
        let net = commit_in_calm(&vec![5; n], &[]);
        assert!(net.now < 2_000, "{n} members took {} ms", net.now);
    }
}

#[test]
fn thirty_two_members_commit() {
    commit_in_calm(&[3; 32], &[]);
}

#[test]
fn a_silent_third_is_passed() {
    commit_in_calm(&[1; 4], &[2]);
    commit_in_calm(&[1; 7], &[0, 5]);
    commit_in_calm(&[40, 10, 35, 10, 10, 5, 20], &[2]);
}

#[test]
fn an_idle_network_is_silent() {
    let mut net = commit_in_calm(&[1; 4], &[]);
    net.run(1_000, |_| false);
    let sent = net.sent;
    net.run(100_000, |_| false);
    assert_eq!(net.sent, sent);
    net.want(11);
    net.run(2_000, |net| net.reached(11));
    assert!(net.reached(11), "it wakes up again");
}

/// One run: trouble, then calm. The rule that was broken, or what was not reached.
fn storm(
    seed: u64,
    weights: &[Weight],
    twins: u16,
    weather: Weather,
    faults: Faults,
) -> Result<(), String> {
    let mut net = Net::new(seed, weights, twins, 1);
    if faults != Faults::default() {
        net.plant(faults);
    }
    trouble(net, weather)
}

/// The same with a leader that builds on less than it knows.
fn storm_with_stale_leader(seed: u64, weather: Weather, faults: Faults) -> Result<(), String> {
    let mut net = Net::new(seed, &[1; 4], 0, 1);
    if faults != Faults::default() {
        net.plant(faults);
    }
    net.corrupt(usize::try_from(seed % 4).unwrap_or(0));
    trouble(net, weather)
}

fn trouble(mut net: Net, weather: Weather) -> Result<(), String> {
    let seed = net.seed;
    net.weather = weather;
    for round in 1..=6 {
        net.want(round * 4);
        let span = 300 + net.random.below(1_500);
        net.run(span, |_| false);
    }
    net.heal();
    // Whoever is down comes back within two seconds.
    net.run(2_100, |_| false);
    net.want(30);
    net.run(120_000, |net| net.reached(30));
    match net.checker.broken.take() {
        Some(broken) => Err(format!("seed {seed}: {broken}")),
        None if net.reached(30) => Ok(()),
        None => Err(format!(
            "seed {seed}: no progress, {:?} at {} ms",
            net.counts(),
            net.now
        )),
    }
}

fn seeds(count: u64, run: impl Fn(u64) -> Result<(), String>) {
    let broken: Vec<String> = (0..count).filter_map(|seed| run(seed).err()).collect();
    assert!(
        broken.is_empty(),
        "{} of {count}: {:?}",
        broken.len(),
        &broken[..broken.len().min(5)]
    );
}

#[test]
fn crashes_loss_and_partitions_break_nothing() {
    seeds(120, |seed| {
        storm(seed, &[1; 4], 0, STORM, Faults::default())
    });
}

#[test]
fn an_equivocating_member_breaks_nothing() {
    seeds(60, |seed| storm(seed, &[1; 4], 1, STORM, Faults::default()));
}

#[test]
fn two_equivocating_members_of_seven_break_nothing() {
    seeds(20, |seed| {
        storm(
            seed,
            &[1; 7],
            2,
            Weather {
                crashes: 0,
                ..STORM
            },
            Faults::default(),
        )
    });
}

#[test]
fn hosts_that_lack_things_break_nothing() {
    seeds(40, |seed| {
        storm(
            seed,
            &[30, 20, 25, 10, 15],
            0,
            Weather {
                slow: true,
                ..STORM
            },
            Faults::default(),
        )
    });
}

#[test]
fn lost_disks_break_nothing() {
    let weather = Weather {
        wipes: 300,
        crashes: 3,
        ..STORM
    };
    seeds(60, |seed| {
        // More disks may be lost at once than a quorum of reports survives: then it stands still.
        match storm(seed, &[1; 4], 0, weather, Faults::default()) {
            Err(broken) if !broken.contains("no progress") => Err(broken),
            _ => Ok(()),
        }
    });
}

#[test]
fn a_member_without_its_disk_recovers_by_reports_and_is_then_needed() {
    for seed in 0..20 {
        let mut net = Net::new(seed, &[1; 4], 0, 0);
        net.want(5);
        net.run(10_000, |net| net.reached(5));
        net.crash(1, true);
        net.start(1);
        net.want(12);
        net.run(60_000, |net| net.reached(12));
        assert_eq!(net.processes[1].rejoined, 1, "seed {seed}");
        net.processes[3].silent = true;
        net.want(20);
        net.run(60_000, |net| net.reached(20));
        assert_eq!(net.checker.broken, None, "seed {seed}");
        assert!(net.reached(20), "seed {seed}: {:?}", net.counts());
    }
}

#[test]
fn a_restored_backup_is_noticed_and_recovers() {
    let mut net = Net::new(5, &[1; 4], 0, 0);
    net.want(3);
    net.run(10_000, |net| net.reached(3));
    let backup = net.processes[2].host.disk.clone();
    net.want(9);
    net.run(10_000, |net| net.reached(9));
    net.crash(2, false);
    net.processes[2].host.disk = backup;
    net.start(2);
    net.want(16);
    net.run(60_000, |net| net.reached(16));
    assert_eq!(net.checker.broken, None);
    assert!(
        net.reached(16) && net.processes[2].rejoined == 1,
        "{:?}",
        net.counts()
    );
}

#[test]
fn a_single_member_without_its_record_stays_silent() {
    let mut net = Net::new(5, &[1], 0, 0);
    net.want(3);
    net.run(1_000, |net| net.reached(3));
    net.crash(0, true);
    net.start(0);
    net.want(5);
    net.run(10_000, |net| net.reached(5));
    assert!(
        !net.reached(1)
            && net.processes[0]
                .consensus
                .as_ref()
                .is_some_and(|c| c.abstains())
    );
}

#[test]
fn equivocation_is_shown_as_evidence() {
    let shown = (0..10).any(|seed| {
        let mut net = Net::new(seed, &[1; 4], 1, 0);
        net.weather.loss = 200;
        net.want(20);
        net.run(20_000, |net| net.reached(20));
        assert_eq!(net.checker.broken, None);
        net.processes
            .iter()
            .any(|process| !process.twin && process.offences > 0)
    });
    assert!(shown);
}

/// The first seed that breaks a rule with a planted bug.
fn found(faults: Faults, weights: &[Weight], twins: u16, weather: Weather) -> Option<String> {
    (0..300).find_map(|seed| {
        storm(seed, weights, twins, weather, faults)
            .err()
            .filter(|e| !e.contains("no progress"))
    })
}

#[test]
fn a_vote_before_its_sync_is_found() {
    let faults = Faults {
        vote_before_sync: true,
        ..Faults::default()
    };
    let broken = found(faults, &[1; 4], 0, STORM);
    assert!(
        broken
            .as_ref()
            .is_some_and(|broken| broken.contains("left before it was durable")),
        "{broken:?}"
    );
}

#[test]
fn a_missing_lock_is_found() {
    let faults = Faults {
        skip_lock: true,
        ..Faults::default()
    };
    let broken = found(
        faults,
        &[1; 4],
        0,
        Weather {
            loss: 250,
            crashes: 10,
            ..STORM
        },
    );
    assert!(
        broken
            .as_ref()
            .is_some_and(|broken| broken.contains("two blocks are committed")),
        "{broken:?}"
    );
}

#[test]
fn a_stale_leader_breaks_nothing() {
    seeds(40, |seed| {
        storm_with_stale_leader(seed, STORM, Faults::default())
    });
}

#[test]
fn votes_below_a_timeout_certificate_are_found() {
    let faults = Faults {
        ignore_timeout_high: true,
        ..Faults::default()
    };
    // Members are cut off at every moment, and the one that knows of a commit stays so for a while.
    let weather = Weather {
        delay_max: 60,
        loss: 50,
        repeats: 0,
        crashes: 0,
        partitions: 25,
        ..STORM
    };
    let broken = (0..300).find_map(|seed| {
        storm_with_stale_leader(seed, weather, faults)
            .err()
            .filter(|e| !e.contains("no progress"))
    });
    assert!(
        broken
            .as_ref()
            .is_some_and(|broken| broken.contains("two blocks are committed")),
        "{broken:?}"
    );
}

#[test]
fn a_late_observer_follows_from_a_commit_proof() {
    let mut net = Net::new(2, &[1; 4], 0, 1);
    net.processes[4].silent = true;
    net.want(100);
    net.run(60_000, |net| net.reached(100));
    let log = net.processes[0].host.disk.log.clone();
    let proof = net.processes[0].host.disk.last_commit();
    net.processes[4].silent = false;
    net.processes[4].host.disk.log = log;
    net.processes[4]
        .host
        .disk
        .log
        .retain(|entry| matches!(entry, super::host::Entry::Commit { .. }));
    assert!(proof.is_some());
    net.start(4);
    net.want(105);
    net.run(10_000, |net| net.reached(105));
    assert_eq!(net.checker.broken, None);
    assert!(net.reached(105), "{:?}", net.counts());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut net = Net::new(11, &[1; 4], 1, 1);
        net.weather = STORM;
        net.want(10);
        net.run(5_000, |_| false);
        (
            net.sent,
            net.counts(),
            net.random.next(),
            net.checker.committed.clone(),
        )
    };
    assert_eq!(run(), run());
}
