//! What this node knows of its peers, bounded per peer.

use crate::consensus::ConsensusMessage;
use crate::limits::Limits;
use crate::sync::Bucket;
use crate::wire::{Hello, Status};
use frith_ledger::block::ChainKind;
use frith_ledger::key::PublicKey;
use frith_ledger::units::{Epoch, Height, Millis};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Least pause between two answers "you are behind" to one peer, in ms.
const NUDGE_MS: u64 = 200;

/// A message of an instance that is still to begin here.
#[derive(Debug)]
pub struct Early {
    kind: ChainKind,
    epoch: Epoch,
    message: ConsensusMessage,
    bytes: usize,
}

/// A connected peer.
#[derive(Debug)]
pub struct Peer {
    /// How far it said it is, and when it said so first of this height.
    pub status: Option<(Status, Millis)>,
    /// Its last hello.
    pub hello: Option<Hello>,
    /// What it may be served as a member, and as somebody else.
    served: (Bucket, Bucket),
    nudged: Option<Millis>,
    early: VecDeque<Early>,
    early_bytes: usize,
}

/// The connected peers.
#[derive(Debug)]
pub struct Peers {
    peers: BTreeMap<PublicKey, Peer>,
    /// Their keys.
    connected: BTreeSet<PublicKey>,
    /// What all that aren't members may be served together.
    strangers: Bucket,
}

impl Peers {
    /// Nobody is connected.
    #[must_use]
    pub fn new(now: Millis, limits: &Limits) -> Self {
        let together = limits.served_stranger_bytes_per_s.saturating_mul(2);
        Self {
            peers: BTreeMap::new(),
            connected: BTreeSet::new(),
            strangers: Bucket::new(together, now),
        }
    }

    /// Whether a connected peer may be served something now.
    pub fn may_serve(&mut self, now: Millis, peer: &PublicKey, member: bool) -> bool {
        let Some(record) = self.peers.get_mut(peer) else {
            return false;
        };
        if member {
            record.served.0.has_room(now)
        } else {
            record.served.1.has_room(now) && self.strangers.has_room(now)
        }
    }

    /// A peer was served so much.
    pub fn served(&mut self, peer: &PublicKey, member: bool, bytes: usize) {
        let Some(record) = self.peers.get_mut(peer) else {
            return;
        };
        if member {
            record.served.0.take(bytes);
        } else {
            record.served.1.take(bytes);
            self.strangers.take(bytes);
        }
    }

    /// A connection stands. Whether it is new and within the bound.
    pub fn connect(&mut self, now: Millis, peer: PublicKey, limits: &Limits) -> bool {
        if self.peers.len() >= limits.peers_max || self.peers.contains_key(&peer) {
            return false;
        }
        let record = Peer {
            status: None,
            hello: None,
            served: (
                Bucket::new(limits.served_bytes_per_s, now),
                Bucket::new(limits.served_stranger_bytes_per_s, now),
            ),
            nudged: None,
            early: VecDeque::new(),
            early_bytes: 0,
        };
        self.connected.insert(peer);
        self.peers.insert(peer, record).is_none()
    }

    /// A connection is gone.
    pub fn disconnect(&mut self, peer: &PublicKey) {
        self.connected.remove(peer);
        self.peers.remove(peer);
    }

    /// The keys of connected peers.
    #[must_use]
    pub const fn connected(&self) -> &BTreeSet<PublicKey> {
        &self.connected
    }

    /// A connected peer.
    pub fn get_mut(&mut self, peer: &PublicKey) -> Option<&mut Peer> {
        self.peers.get_mut(peer)
    }

    /// The last hello of a peer, from whichever process.
    #[must_use]
    pub fn hello_of(&self, peer: &PublicKey) -> Option<Hello> {
        self.peers.get(peer).and_then(|record| record.hello)
    }

    /// Connected peers that said how far they are, and when.
    pub fn statuses(&self) -> impl Iterator<Item = (&PublicKey, &Status, Millis)> {
        self.peers
            .iter()
            .filter_map(|(key, peer)| peer.status.as_ref().map(|(status, at)| (key, status, *at)))
    }

    /// Notes how far a peer is.
    pub fn note_status(&mut self, now: Millis, peer: &PublicKey, status: Status) {
        if let Some(record) = self.peers.get_mut(peer) {
            let since = match &record.status {
                Some((old, at)) if old.height == status.height && old.roots == status.roots => *at,
                _ => now,
            };
            record.status = Some((status, since));
        }
    }

    /// A peer speaks of an epoch: it is in it, whatever it said before. What it said may have been lost.
    pub fn note_epoch(&mut self, now: Millis, peer: &PublicKey, epoch: Epoch) {
        let Some(record) = self.peers.get_mut(peer) else {
            return;
        };
        let unknown = Status {
            epoch: Epoch::ZERO,
            height: Height::ZERO,
            first: Height::ZERO,
            roots: Epoch::ZERO,
        };
        let (status, since) = record.status.get_or_insert((unknown, now));
        if status.epoch < epoch {
            (status.epoch, *since) = (epoch, now);
        }
    }

    /// Whether a peer may be told again that it is behind.
    pub fn may_nudge(&mut self, now: Millis, peer: &PublicKey) -> bool {
        let Some(record) = self.peers.get_mut(peer) else {
            return false;
        };
        let may = record.nudged.is_none_or(|at| now >= at.plus(NUDGE_MS));
        if may {
            record.nudged = Some(now);
        }
        may
    }

    /// Keeps a message of an instance that is still to begin; the oldest of its sender give way.
    pub fn keep_early(
        &mut self,
        from: &PublicKey,
        (kind, epoch): (ChainKind, Epoch),
        message: ConsensusMessage,
        bytes: usize,
        limits: &Limits,
    ) {
        let Some(record) = self.peers.get_mut(from) else {
            return;
        };
        record.early_bytes += bytes;
        record.early.push_back(Early {
            kind,
            epoch,
            message,
            bytes,
        });
        while record.early.len() > limits.early_messages_max
            || record.early_bytes > limits.early_bytes_max
        {
            let Some(oldest) = record.early.pop_front() else {
                break;
            };
            record.early_bytes = record.early_bytes.saturating_sub(oldest.bytes);
        }
    }

    /// Takes the messages that were kept for an instance; those of earlier ones of its kind are dropped.
    pub fn take_early(
        &mut self,
        kind: ChainKind,
        epoch: Epoch,
    ) -> Vec<(PublicKey, ConsensusMessage)> {
        let mut taken = Vec::new();
        for (key, record) in &mut self.peers {
            for early in std::mem::take(&mut record.early) {
                if early.kind != kind || early.epoch > epoch {
                    record.early.push_back(early);
                    continue;
                }
                record.early_bytes = record.early_bytes.saturating_sub(early.bytes);
                if early.epoch == epoch {
                    taken.push((*key, early.message));
                }
            }
        }
        taken
    }
}
