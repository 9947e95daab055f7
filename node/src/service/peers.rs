//! Peers' addresses over a restart: the network's book as a file of the data directory.
//!
//! The first line is `frith peers 1` and BLAKE3 of what follows, each other line an address that ends in its peer's
//! key, as in the setting `bootstrap`. A file that isn't whole is ignored: the node then begins with its bootstrap
//! peers. It is replaced in one step, and durable before the next change is taken.

use frith_network::Multiaddr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// Longest file, in bytes: 512 addresses of 200 bytes and the head.
const FILE_BYTES_MAX: u64 = 128 * 1024;
const HEAD: &str = "frith peers 1 ";

/// Why a file isn't used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("it has more than {FILE_BYTES_MAX} bytes")]
    TooLong,
    #[error("it doesn't begin with {HEAD:?}")]
    NoHead,
    #[error("its checksum doesn't hold")]
    Damaged,
    #[error("{line:?} is no address: {reason}")]
    NoAddress { line: String, reason: String },
}

/// The addresses that an earlier process kept; none when there is no file, or one that isn't whole, which is logged.
#[must_use]
pub(super) fn read(path: &Path) -> Vec<Multiaddr> {
    match load(path) {
        Ok(addresses) => addresses,
        Err(Unusable::Io(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
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
        let written = tokio::task::spawn_blocking(move || replace(&to, text.as_bytes())).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(path = %path.display(), %error, "peers' addresses are not kept; is the disk full?");
        }
    }
}

fn load(path: &Path) -> Result<Vec<Multiaddr>, Unusable> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    decode(&text)
}

fn encode(addresses: &[Multiaddr]) -> String {
    let lines: String = addresses.iter().map(|a| format!("{a}\n")).collect();
    format!("{HEAD}{}\n{lines}", blake3::hash(lines.as_bytes()).to_hex())
}

fn decode(text: &str) -> Result<Vec<Multiaddr>, Unusable> {
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Unusable::TooLong);
    }
    let (head, lines) = text.split_once('\n').ok_or(Unusable::NoHead)?;
    let checksum = head.strip_prefix(HEAD).ok_or(Unusable::NoHead)?;
    if checksum != blake3::hash(lines.as_bytes()).to_hex().as_str() {
        return Err(Unusable::Damaged);
    }
    let address = |line: &str| {
        line.parse::<Multiaddr>()
            .map_err(|error| Unusable::NoAddress {
                line: line.to_owned(),
                reason: error.to_string(),
            })
    };
    lines.lines().map(address).collect()
}

/// Puts new bytes in a file's place: afterwards it has the old ones or the new ones, also after a power failure.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
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
    fn a_file_with_any_byte_changed_or_missing_is_ignored() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("peers.txt");
        let text = encode(&addresses(2));
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] ^= 1;
            std::fs::write(&path, &changed).expect("writes");
            assert_eq!(read(&path), [], "byte {index} changed");
            std::fs::write(&path, &text.as_bytes()[..index]).expect("writes");
            assert_eq!(read(&path), [], "cut at byte {index}");
        }
        std::fs::write(&path, [0xff; 4]).expect("writes");
        assert_eq!(read(&path), [], "no text");
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
        assert!(matches!(longer, Err(Unusable::TooLong)), "{longer:?}");
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
            let sum = blake3::hash(noise.as_bytes()).to_hex();
            let _ = decode(&format!("{HEAD}{sum}\n{noise}"));
        });
    }
}
