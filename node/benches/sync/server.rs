//! The process that has the state.

use crate::state::Mix;
use crate::{EPOCH, Outcome, cpu_seconds, limits, network};
use frith_ledger::store::{RocksOptions, RocksStore, Store as _, Table};
use frith_ledger::tree::{RangeProof, Version, save_above, save_part};
use frith_ledger::units::Epoch;
use frith_neighbourhood::wire::{PeerMessage, Request, Response};
use frith_network::{NetworkEvent, Priority};
use parity_scale_codec::Encode as _;
use std::io::{BufRead as _, Write as _};

/// Serves ranges until its standard input ends; then says how long it has computed for it.
pub(crate) async fn serve(mix: Mix) -> Outcome {
    let directory = tempfile::tempdir()?;
    let version = stored(mix, directory.path())?;
    let (network, mut events) = network(1, Vec::new()).await?;
    let addresses = network.listen_addresses();
    let address = addresses.first().ok_or("no address")?;
    println!("{address} {}", hex::encode(version.summary().encode()));
    std::io::stdout().flush()?;
    let before = cpu_seconds();
    let (over, mut is_over) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _line = std::io::stdin().lock().read_line(&mut String::new());
        drop(over);
    });
    loop {
        tokio::select! {
            _ = &mut is_over => break,
            event = events.recv() => match event {
                Some(NetworkEvent::Connected(peer)) => network.set_members([peer].into()),
                Some(NetworkEvent::Message { from, frame }) => {
                    if let Some(answer) = answer(&version, &frame) {
                        // A full queue drops it, and the other side asks again.
                        let _full = network.send(from, Priority::Bulk, answer.into());
                    }
                }
                Some(_) => {}
                None => break,
            },
        }
    }
    println!("{:.2}", cpu_seconds() - before);
    Ok(())
}

/// The state, saved in a RocksDB as a node's is.
fn stored(mix: Mix, path: &std::path::Path) -> Outcome<Version> {
    let version = mix.build()?;
    let mut store = RocksStore::open(path, &RocksOptions::default())?;
    let mut saved = save_part(EPOCH, &version, None);
    store.load(Table::Nodes, &mut saved.nodes)?;
    store.write(save_above(None, EPOCH, &version, 0))?;
    store.sync()?;
    Ok(version)
}

fn answer(version: &Version, frame: &[u8]) -> Option<Vec<u8>> {
    let Ok(PeerMessage::Request(Request::Range {
        epoch,
        prefix,
        from,
    })) = PeerMessage::from_bytes(frame)
    else {
        return None;
    };
    if epoch != Epoch::new(EPOCH) {
        return None;
    }
    let bytes_max = limits().range_bytes;
    let response = Response::Range {
        epoch,
        prefix,
        from,
        proof: version.range(prefix, from, RangeProof::ENTRIES_MAX, bytes_max),
    };
    Some(PeerMessage::Response(Box::new(response)).encode())
}
