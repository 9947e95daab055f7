//! Content over real sockets: several sources, a lying one, an interrupted fetch, an owner who is gone.

use bytes::Bytes;
use frith::service::content::{
    Answer, Download, DownloadError, FetchRequest, FetchResponse, GROUP_BYTES, Partial, Served,
    Sliced,
};
use frith::service::logs::RunLogs;
use frith_ledger::codec::decode;
use frith_ledger::hash::Hash;
use frith_ledger::store::{Entry, ReadStore, StoreError, Table};
use frith_neighbourhood::ContentReader;
use frith_network::{Network, NetworkConfig, NetworkEvent, PeerKey};
use parity_scale_codec::Encode as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Long enough for the slowest machine; a test that hangs fails here.
const GUARD: Duration = Duration::from_secs(120);
/// The largest content.
const WHOLE: u32 = 16 << 20;

fn content(len: u32) -> (Hash, Vec<u8>) {
    let bytes: Vec<u8> = (0..len).map(|i| (i / 3 % 253) as u8).collect();
    (Hash(*blake3::hash(&bytes).as_bytes()), bytes)
}

async fn guarded<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for: {what}"))
}

/// Waits until something was counted.
async fn first(counted: &watch::Receiver<usize>) {
    let mut counted = counted.clone();
    let counted = guarded("a source", counted.wait_for(|count| *count > 0)).await;
    assert!(counted.is_ok(), "it runs");
}

/// How a source misbehaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    /// Changes a byte of everything that it sends.
    Lies,
    /// Refuses after so many slices.
    Stops(usize),
}

type Contents = Vec<(Hash, Vec<u8>)>;

/// The contents of a source, as a store.
struct Held(Arc<Mutex<Contents>>);

impl ReadStore for Held {
    fn read(&self, _table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = contents.iter().find(|(held, _)| held.0 == key);
        Ok(found.map(|(_, bytes)| bytes.clone()))
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

/// A node that holds contents, and what it was asked.
struct Source {
    network: Network,
    held: Arc<Mutex<Contents>>,
    /// Requests that reached it.
    asked: watch::Receiver<usize>,
    /// Those that it answered with a slice.
    answered: watch::Receiver<usize>,
}

/// Opens for all who wait at it.
type Gate = watch::Receiver<bool>;

async fn start(seed: u8, knows: Option<&Network>) -> (Network, mpsc::Receiver<NetworkEvent>) {
    let mut config = NetworkConfig::new([seed; 32], [42; 32]);
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    config.bootstrap = knows.map(Network::listen_addresses).unwrap_or_default();
    // Strangers' budgets are for strangers: what is tested here is not how slow they are.
    config.limits.unknown = config.limits.member;
    config.limits.unknown_total = config.limits.member.bulk;
    let (network, mut events) = Network::start(config).await.expect("loopback");
    if knows.is_some() {
        guarded("a connection", async {
            while !matches!(events.recv().await, Some(NetworkEvent::Connected(_))) {}
        })
        .await;
    }
    (network, events)
}

impl Source {
    async fn start(seed: u8, knows: Option<&Network>, manner: Manner) -> Self {
        let (_open, gate) = watch::channel(true);
        Self::start_behind(seed, knows, manner, gate).await
    }

    /// A source that answers nobody before the gate opens.
    async fn start_behind(
        seed: u8,
        knows: Option<&Network>,
        manner: Manner,
        mut gate: Gate,
    ) -> Self {
        let (network, mut events) = start(seed, knows).await;
        let held: Arc<Mutex<Contents>> = Arc::default();
        let contents = held.clone();
        let (count, answered) = watch::channel(0);
        let (arrived, asked) = watch::channel(0);
        let reader = ContentReader::new(Arc::new(Held(contents)));
        let served = Served::start(reader, RunLogs::default()).expect("a thread");
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let NetworkEvent::Fetch {
                    from,
                    request,
                    reply,
                } = event
                else {
                    continue;
                };
                arrived.send_modify(|asked| *asked += 1);
                // An error means that it stays as it is.
                let _stays = gate.wait_for(|open| *open).await.is_err();
                let stopped = matches!(manner, Manner::Stops(after) if *count.borrow() >= after);
                match served.answer(from, &request).await {
                    Answer::Found(mut answer) if !stopped => {
                        count.send_modify(|answered| *answered += 1);
                        if manner == Manner::Lies {
                            answer = spoilt(&answer);
                        }
                        reply.send(answer);
                    }
                    _ => reply.refuse(),
                }
            }
        });
        Self {
            network,
            held,
            asked,
            answered,
        }
    }

    fn key(&self) -> PeerKey {
        self.network.key()
    }

    fn hold(&self, id: Hash, bytes: Vec<u8>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push((id, bytes));
        drop(held);
        self.network.announce(id.0);
    }

    fn answered(&self) -> usize {
        *self.answered.borrow()
    }

    async fn download(
        &self,
        id: Hash,
        len: Option<u32>,
        from: &[PeerKey],
    ) -> Result<Vec<u8>, DownloadError> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let download = Download {
            network: &self.network,
            directory: directory.path(),
            id,
            len,
        };
        guarded("a download", download.run(from.to_vec())).await
    }
}

fn spoilt(answer: &Bytes) -> Bytes {
    let mut response: FetchResponse = decode(answer, FetchResponse::BYTES_MAX).expect("an answer");
    let at = response.slice.len() / 2;
    response.slice.as_mut_slice()[at] ^= 1;
    response.encode().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_comes_from_several_sources_and_a_liar_is_dropped_at_its_first_slice() {
    let (id, bytes) = content(WHOLE);
    let client = Source::start(1, None, Manner::Honest).await;
    let (open, gate) = watch::channel(false);
    let mut sources = Vec::new();
    for (seed, manner) in [(2, Manner::Honest), (3, Manner::Lies), (4, Manner::Honest)] {
        // The honest ones bring nothing before all three were asked and the lie was told.
        let gate = match manner {
            Manner::Lies => watch::channel(true).1,
            _ => gate.clone(),
        };
        let source = Source::start_behind(seed, Some(&client.network), manner, gate).await;
        source.hold(id, bytes.clone());
        sources.push(source);
    }
    let keys: Vec<PeerKey> = sources.iter().map(Source::key).collect();
    let (whole, ()) = tokio::join!(client.download(id, Some(WHOLE), &keys), async {
        for source in &sources {
            first(&source.asked).await;
        }
        first(&sources[1].answered).await;
        open.send_replace(true);
    });
    assert!(whole.expect("two are honest") == bytes);
    let answered: Vec<usize> = sources.iter().map(Source::answered).collect();
    let slices = WHOLE.div_ceil(16 * GROUP_BYTES) as usize;
    assert!(
        answered[0] + answered[2] >= slices,
        "the honest ones brought it: {answered:?}"
    );
    assert_eq!(answered[1], 1, "the liar was asked once");
    // Caught again and again, faster than its score falls, it is banned.
    for _ in 0..10 {
        let alone = client.download(id, None, &keys[1..2]).await;
        assert!(matches!(alone, Err(DownloadError::Sources { .. })));
    }
    assert_eq!(client.network.metrics().bans, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_fetch_goes_on_where_it_stopped_with_another_source() {
    let len = 100 * GROUP_BYTES + 5;
    let (id, bytes) = content(len);
    let client = Source::start(1, None, Manner::Honest).await;
    let stops = Source::start(2, Some(&client.network), Manner::Stops(4)).await;
    let goes_on = Source::start(3, Some(&client.network), Manner::Honest).await;
    for source in [&stops, &goes_on] {
        source.hold(id, bytes.clone());
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let download = Download {
        network: &client.network,
        directory: directory.path(),
        id,
        len: Some(len),
    };
    let cut = guarded("the end", download.run(vec![stops.key()])).await;
    assert!(matches!(cut, Err(DownloadError::Sources { .. })));
    let held = Partial::open(directory.path(), id, len)
        .expect("the files")
        .held();
    assert_eq!(held, 64, "four slices of sixteen groups");
    let whole = guarded("the rest", download.run(vec![goes_on.key()])).await;
    assert!(whole.expect("it is honest") == bytes);
    assert_eq!(goes_on.answered(), 3, "only the rest was asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_content_reaches_three_workers_when_its_owner_is_gone() {
    let (id, bytes) = content(WHOLE);
    let meeting = Source::start(1, None, Manner::Honest).await;
    let owner = Source::start(2, Some(&meeting.network), Manner::Honest).await;
    owner.hold(id, bytes.clone());
    // One member holds it when the task is accepted, and the owner goes.
    let first = Source::start(3, Some(&meeting.network), Manner::Honest).await;
    let copy = first.download(id, Some(WHOLE), &[owner.key()]).await;
    first.hold(id, copy.expect("the owner is there"));
    owner.network.shutdown().await;
    let mut workers = Vec::new();
    for seed in 4..7 {
        workers.push(Source::start(seed, Some(&meeting.network), Manner::Honest).await);
    }
    for worker in &workers {
        // Nobody told them who has it, nor how long it is.
        let providers = guarded("a provider", async {
            loop {
                let found = worker.network.providers(id.0).await;
                if found.contains(&first.key()) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        let whole = worker
            .download(id, None, &providers)
            .await
            .expect("it was found");
        assert!(whole == bytes);
        worker.hold(id, whole);
    }
    assert!(first.answered() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_length_is_nobodys_fault_and_comes_to_nothing() {
    let (id, bytes) = content(3 * GROUP_BYTES);
    let client = Source::start(1, None, Manner::Honest).await;
    let source = Source::start(2, Some(&client.network), Manner::Honest).await;
    source.hold(id, bytes.clone());
    for _ in 0..5 {
        let fetched = client
            .download(id, Some(3 * GROUP_BYTES + 1), &[source.key()])
            .await;
        assert!(matches!(fetched, Err(DownloadError::Sources { .. })));
    }
    let fetched = client.download(id, None, &[source.key()]).await;
    assert!(fetched.expect("an honest source is asked again") == bytes);
    assert_eq!(client.network.metrics().bans, 0);
}

#[test]
fn a_request_for_too_much_is_refused() {
    let (id, bytes) = content(10 * GROUP_BYTES);
    let sliced = Sliced::new(&id, bytes).expect("it is the content");
    assert!(sliced.slice(0, 0).is_none() && sliced.slice(0, 17).is_none());
    let request = FetchRequest::Content {
        id,
        first: 0,
        count: 16,
    };
    assert!(request.encode().len() < 64);
}
