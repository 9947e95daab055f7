//! Peers' addresses over a restart: the network's book as a file of the data directory.
//!
//! The first line is `frith peers 1` and BLAKE3 of what follows, each other line an address that ends in its peer's
//! key, as in the setting `bootstrap`. A file that isn't whole is ignored: the node then begins with its bootstrap
//! peers. It is replaced in one step, and durable before the next change is taken.

use crate::checked_file::{self, Kind};
use frith_network::Multiaddr;
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

const KIND: Kind = Kind {
    head: "frith peers 1 ",
    // 512 addresses of 200 bytes and the head.
    bytes_max: 128 * 1024,
};

/// Why a file isn't used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    File(#[from] checked_file::Unusable),
    #[error("{line:?} is no address: {reason}")]
    NoAddress { line: String, reason: String },
}

/// The addresses that an earlier process kept; none when there is no file, or one that isn't whole, which is logged.
#[must_use]
pub(super) fn read(path: &Path) -> Vec<Multiaddr> {
    let text = KIND.read(path).map_err(Unusable::from);
    match text.and_then(|text| decode(&text)) {
        Ok(addresses) => addresses,
        Err(Unusable::File(checked_file::Unusable::Io(error)))
            if error.kind() == io::ErrorKind::NotFound =>
        {
            Vec::new()
        }
        Err(reason) => {
            tracing::warn!(
                path = %path.display(), %reason,
                "peers' addresses of an earlier run are ignored; only bootstrap peers are dialled. The file is replaced \
                 when others are connected"
            );
            Vec::new()
        }
    }
}

/// Writes what the network knows whenever it changes, until the network ends.
pub(super) async fn keep(mut known: watch::Receiver<Vec<Multiaddr>>, path: PathBuf) {
    while known.changed().await.is_ok() {
        let text = encode(&known.borrow_and_update());
        let to = path.clone();
        let written = tokio::task::spawn_blocking(move || checked_file::replace(&to, &text)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(path = %path.display(), %error, "peers' addresses are not kept; is the disk full?");
        }
    }
}

fn encode(addresses: &[Multiaddr]) -> String {
    let lines: String = addresses.iter().map(|a| format!("{a}\n")).collect();
    KIND.text(&lines)
}

fn decode(text: &str) -> Result<Vec<Multiaddr>, Unusable> {
    let address = |line: &str| {
        line.parse::<Multiaddr>()
            .map_err(|error| Unusable::NoAddress {
                line: line.to_owned(),
                reason: error.to_string(),
            })
    };
    KIND.body(text)?.lines().map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    fn addresses(count: u16) -> Vec<Multiaddr> {
        let address = |port| format!("/ip4/10.0.0.1/tcp/{port}/p2p/{KEY}").parse();
        let all: Result<_, _> = (1..=count).map(address).collect();
        all.expect("multiaddresses")
    }

    #[tokio::test]
    async fn what_the_network_knew_last_is_read_at_the_next_start() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("peers.txt");
        assert_eq!(read(&path), []);
        let (sender, known) = watch::channel(Vec::new());
        sender.send_replace(addresses(1));
        sender.send_replace(addresses(2));
        // The last change comes when the network ends.
        drop(sender);
        keep(known, path.clone()).await;
        assert_eq!(read(&path), addresses(2));
    }

    #[test]
    fn a_file_that_is_not_a_whole_book_is_ignored() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("peers.txt");
        let text = encode(&addresses(2));
        let no_address = KIND.text("nowhere\n");
        for text in [&text[..text.len() - 1], &no_address] {
            std::fs::write(&path, text).expect("writes");
            assert_eq!(read(&path), [], "{text}");
        }
    }

    #[test]
    fn the_longest_book_fits_and_a_longer_file_is_ignored() {
        let longest = "/ip6/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/udp/65535/quic-v1/p2p/";
        let longest: Multiaddr = format!("{longest}{KEY}").parse().expect("a multiaddress");
        assert_eq!(
            decode(&encode(&vec![longest.clone(); 512])).map_or(0, |all| all.len()),
            512
        );
        let longer = decode(&encode(&vec![longest; 2048]));
        assert!(
            matches!(
                longer,
                Err(Unusable::File(checked_file::Unusable::TooLong(_)))
            ),
            "{longer:?}"
        );
    }

    #[test]
    fn fuzz_files_of_peers() {
        frith_fuzz::harness!(|input: &[u8]| {
            let honest = encode(&addresses(3));
            let noise = String::from_utf8_lossy(input).into_owned();
            for text in [
                encode(&[]) + &noise,
                frith_fuzz::damage_text(&honest, input),
            ] {
                if let Ok(read) = decode(&text) {
                    assert_eq!(decode(&encode(&read)).ok(), Some(read));
                }
            }
            // With a checksum that holds, the lines themselves are what is hostile.
            let _ = decode(&KIND.text(&noise));
        });
    }
}
