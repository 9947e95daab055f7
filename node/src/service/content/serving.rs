//! Serves slices of content to peers, on a thread of its own: reading and hashing 16 MiB must not hold up the core.
//!
//! 1. A request waits in its peer's queue. Queues are bounded, each and together; beyond that the answer is *busy*.
//! 2. The thread goes round the peers, one request of each. What others ask of the same content is answered with it.
//! 3. The last few contents stay in memory with their hashes; another one is read from the store beside the core.
//!
//! So strangers cost this machine one processor at the most, the memory of [`SERVED_MAX`] contents and the one
//! that is read, and no time of the core. What each may ask for is bounded before, by its budget (`frith_network::Limits`).

use super::slice::{FetchRequest, Sliced};
use crate::service::logs::RunLogs;
use bytes::Bytes;
use frith_ledger::codec::decode;
use frith_ledger::entity::ContentId;
use frith_neighbourhood::ContentReader;
use frith_network::PeerKey;
use parity_scale_codec::Encode as _;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Bytes of an encoded fetch request.
const REQUEST_BYTES_MAX: usize = 256;
/// Contents kept in memory while peers fetch their slices.
pub const SERVED_MAX: usize = 2;
/// Requests of one peer that wait: as many as the network lets it have under way.
const WAITING_PER_PEER_MAX: usize = 8;
/// Requests that wait in all.
const WAITING_MAX: usize = 64;

/// What a peer is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The slice.
    Found(Bytes),
    /// There is no such content here, or no such slice.
    Refused,
    /// Too many wait: it should ask later or elsewhere.
    Busy,
}

/// A request that waits for its turn.
struct Asked {
    id: ContentId,
    first: u32,
    count: u8,
    reply: oneshot::Sender<Answer>,
}

/// Who waits, and whose turn it is.
#[derive(Default)]
struct Turns {
    queues: BTreeMap<PeerKey, VecDeque<Asked>>,
    waiting: usize,
    last: Option<PeerKey>,
    ended: bool,
}

impl Turns {
    /// Queues a request; gives it back when too many wait.
    fn push(&mut self, peer: PeerKey, asked: Asked) -> Result<(), Asked> {
        let own = self.queues.get(&peer).map_or(0, VecDeque::len);
        if own >= WAITING_PER_PEER_MAX || self.waiting >= WAITING_MAX {
            return Err(asked);
        }
        self.waiting += 1;
        self.queues.entry(peer).or_default().push_back(asked);
        Ok(())
    }

    /// The oldest request of the peer whose turn it is.
    fn next(&mut self) -> Option<Asked> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut following = self.queues.range((after, Bound::Unbounded));
        let (peer, _) = following.next().or_else(|| self.queues.iter().next())?;
        let peer = *peer;
        self.last = Some(peer);
        let queue = self.queues.get_mut(&peer)?;
        let asked = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&peer);
        }
        self.waiting -= 1;
        Some(asked)
    }

    /// Takes out all that ask for `id`.
    fn same(&mut self, id: &ContentId) -> Vec<Asked> {
        let mut taken = Vec::new();
        for queue in self.queues.values_mut() {
            let (same, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(queue)
                .into_iter()
                .partition(|asked| asked.id == *id);
            *queue = others;
            taken.extend(same);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        self.waiting -= taken.len();
        taken
    }
}

#[derive(Default)]
struct Shared {
    turns: Mutex<Turns>,
    changed: Condvar,
}

impl Shared {
    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next request, and takes all that ask for the same content; `None` at the end.
    fn wait(&self) -> Option<Vec<Asked>> {
        let mut turns = self.turns();
        loop {
            if turns.ended {
                return None;
            }
            if let Some(first) = turns.next() {
                let same = turns.same(&first.id);
                return Some(std::iter::once(first).chain(same).collect());
            }
            turns = self
                .changed
                .wait(turns)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The last handle ends the thread.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.turns().ended = true;
        self.0.changed.notify_all();
    }
}

/// Serves contents, and the logs of this node's runs, to peers. Cheap to clone; the last clone ends it.
#[derive(Clone)]
pub struct Served {
    contents: Arc<Handle>,
    logs: RunLogs,
}

impl Served {
    /// Starts the thread that serves what `contents` reads; what is asked of `logs` is answered at once.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(contents: ContentReader, logs: RunLogs) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        let run = move || {
            let mut newest = Newest::default();
            while let Some(batch) = own.wait() {
                answer_all(&mut newest, &contents, batch);
            }
        };
        std::thread::Builder::new()
            .name("content".to_owned())
            .spawn(run)?;
        Ok(Self {
            contents: Arc::new(Handle(shared)),
            logs,
        })
    }

    /// What `peer` is answered to `request`. Waits for its turn.
    pub async fn answer(&self, peer: PeerKey, request: &[u8]) -> Answer {
        let Ok(request) = decode(request, REQUEST_BYTES_MAX) else {
            return Answer::Refused;
        };
        let (id, first, count) = match request {
            FetchRequest::Content { id, first, count } => (id, first, count),
            FetchRequest::Logs { task } => {
                let kept = self.logs.get(&task, Instant::now());
                return kept.map_or(Answer::Refused, |kept| Answer::Found(kept.encode().into()));
            }
        };
        let (reply, answer) = oneshot::channel();
        let asked = Asked {
            id,
            first,
            count,
            reply,
        };
        let shared = &self.contents.0;
        if shared.turns().push(peer, asked).is_err() {
            return Answer::Busy;
        }
        shared.changed.notify_one();
        answer.await.unwrap_or(Answer::Refused)
    }
}

/// Contents with their hashes, the newest last.
#[derive(Default)]
struct Newest(VecDeque<(ContentId, Sliced)>);

impl Newest {
    fn get(&mut self, id: &ContentId, contents: &ContentReader) -> Option<&Sliced> {
        if let Some(at) = self.0.iter().position(|(held, _)| held == id) {
            return self.0.get(at).map(|(_, sliced)| sliced);
        }
        let bytes = contents.get(id).unwrap_or_else(|error| {
            tracing::warn!(content = %id, %error, "content could not be read for a peer");
            None
        })?;
        let sliced = Sliced::new(id, bytes)?;
        // Only now: who asks for what isn't here must not push out what is.
        if self.0.len() >= SERVED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((*id, sliced));
        self.0.back().map(|(_, sliced)| sliced)
    }
}

/// Answers requests for one content.
fn answer_all(newest: &mut Newest, contents: &ContentReader, batch: Vec<Asked>) {
    // Who went away needs no answer, and no reading of 16 MiB.
    let mut batch = batch
        .into_iter()
        .filter(|asked| !asked.reply.is_closed())
        .peekable();
    let Some(id) = batch.peek().map(|asked| asked.id) else {
        return;
    };
    let sliced = newest.get(&id, contents);
    for asked in batch {
        let slice = sliced.and_then(|sliced| sliced.slice(asked.first, asked.count));
        let answer = slice.map_or(Answer::Refused, |slice| {
            Answer::Found(slice.encode().into())
        });
        let _went_away = asked.reply.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::hash::Hash;
    use frith_ledger::store::{Entry, ReadStore, StoreError, Table};
    use std::sync::mpsc;

    fn asked(content: u8) -> Asked {
        let (reply, _) = oneshot::channel();
        Asked {
            id: Hash([content; 32]),
            first: 0,
            count: 1,
            reply,
        }
    }

    fn peer(number: u8) -> PeerKey {
        PeerKey::new([number; 32])
    }

    /// Queues what each peer asks for, and says in which order contents are served.
    fn order(asks: &[(u8, u8)]) -> Vec<u8> {
        let mut turns = Turns::default();
        for (by, content) in asks {
            assert!(turns.push(peer(*by), asked(*content)).is_ok());
        }
        let order = std::iter::from_fn(|| turns.next().map(|asked| asked.id.0[0])).collect();
        assert_eq!(turns.waiting, 0);
        order
    }

    #[test]
    fn peers_take_turns_whoever_asks_most() {
        let asks = [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (3, 31)];
        assert_eq!(order(&asks), [10, 20, 30, 11, 31, 12]);
    }

    #[test]
    fn what_waits_is_bounded_for_each_peer_and_in_all() {
        let mut turns = Turns::default();
        let taken = |turns: &mut Turns, by| turns.push(peer(by), asked(0)).is_ok();
        for _ in 0..WAITING_PER_PEER_MAX {
            assert!(taken(&mut turns, 1));
        }
        assert!(!taken(&mut turns, 1), "one peer");
        for place in WAITING_PER_PEER_MAX..WAITING_MAX {
            assert!(taken(&mut turns, u8::try_from(place).expect("few")));
        }
        assert!(!taken(&mut turns, 200), "all");
        assert!(turns.next().is_some());
        assert!(taken(&mut turns, 200), "there is room again");
    }

    #[test]
    fn all_that_ask_for_one_content_are_served_at_once() {
        let mut turns = Turns::default();
        for (by, content) in [(1, 5), (1, 6), (2, 5), (3, 5)] {
            assert!(turns.push(peer(by), asked(content)).is_ok());
        }
        let first = turns.next().expect("somebody waits");
        assert_eq!(turns.same(&first.id).len(), 2);
        assert_eq!(turns.waiting, 1);
        assert_eq!(turns.next().map(|asked| asked.id.0[0]), Some(6));
    }

    /// Says each read, which then waits until the test lets it go on.
    struct Gate {
        reading: mpsc::SyncSender<()>,
        go_on: Mutex<mpsc::Receiver<()>>,
        bytes: Vec<u8>,
    }

    impl ReadStore for Gate {
        fn read(&self, _table: Table, _key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            let _test_ended = self.reading.send(());
            let go_on = self.go_on.lock().unwrap_or_else(PoisonError::into_inner);
            let _test_ended = go_on.recv();
            Ok(Some(self.bytes.clone()))
        }

        fn read_range(
            &self,
            _table: Table,
            _from: &[u8],
            _limit: usize,
        ) -> Result<Vec<Entry>, StoreError> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn while_one_is_read_for_the_queues_fill_and_the_rest_is_told_to_come_again() {
        let bytes = b"content".to_vec();
        let id = Hash(*blake3::hash(&bytes).as_bytes());
        let (reading, reads) = mpsc::sync_channel(1);
        let (open, go_on) = mpsc::channel();
        let gate = Gate {
            reading,
            go_on: Mutex::new(go_on),
            bytes,
        };
        let contents = ContentReader::new(Arc::new(gate));
        let served = Served::start(contents, RunLogs::default()).expect("a thread");
        let request = |id| FetchRequest::Content {
            id,
            first: 0,
            count: 1,
        };
        let ask = |by, id| {
            let (served, request) = (served.clone(), request(id).encode());
            async move { served.answer(peer(by), &request).await }
        };
        let first = tokio::spawn(ask(1, id));
        tokio::task::spawn_blocking(move || reads.recv().map(|()| reads))
            .await
            .expect("ends")
            .expect("it reads");
        // Nobody is served now, so what is asked for waits; a future that was polled once has been queued.
        let mut waiting = Vec::new();
        for _ in 0..WAITING_PER_PEER_MAX {
            let mut one = Box::pin(ask(1, id));
            assert!(futures::poll!(&mut one).is_pending());
            waiting.push(one);
        }
        assert_eq!(ask(1, id).await, Answer::Busy);
        drop(open);
        assert!(matches!(first.await.expect("ends"), Answer::Found(_)));
        for one in waiting {
            assert!(matches!(one.await, Answer::Found(_)), "it was held");
        }
    }
}
