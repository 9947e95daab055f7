//! Lists come page by page, whatever is committed in between, and whatever cursors are.

use super::*;
use crate::client::NodeClient;
use crate::views::{HistoryView, ListedTaskView, TaskView, TasksView};
use frith_ledger::codec::{BoundedBytes, BoundedVec};
use frith_ledger::entity::{Bytes, TaskSpec};
use frith_ledger::units::Fuel;

const OCTETS: &str = "application/octet-stream";
/// The program of every task; nobody runs it.
pub(super) const PROGRAM: &[u8] = b"a program";

/// A task with so many bytes of arguments.
pub(super) fn spec(arguments: usize) -> TaskSpec {
    let all = vec![b'x'; arguments];
    let arguments = all
        .chunks(1_000)
        .map(|part| part.to_vec().try_into().expect("short"));
    let arguments: Vec<BoundedBytes<1024>> = arguments.collect();
    TaskSpec {
        program: Hash(*blake3::hash(PROGRAM).as_bytes()),
        program_len: u32::try_from(PROGRAM.len()).expect("short"),
        input: Bytes::Inline(BoundedBytes::default()),
        arguments: arguments.try_into().expect("few arguments"),
        environment: BoundedVec::default(),
        fuel_max: Fuel::new(1000),
        price: Credits::new(1),
        replicas: 1,
        memory_pages: 1,
        result_max: 10,
        deadline: Epoch::new(40),
    }
}

impl World {
    pub(super) fn task(&self, nonce: u64, arguments: usize) -> Vec<u8> {
        self.transfer(|body| {
            body.nonce = Nonce::new(nonce);
            body.action = Action::SubmitTask(Box::new(spec(arguments)));
            body.fee = fee_of(&body.action, self.rules.parameters());
        })
    }

    /// Submits tasks with these nonces and waits until they are committed. Their addresses.
    pub(super) async fn submit_tasks(
        &self,
        nonces: std::ops::Range<u64>,
        arguments: usize,
    ) -> BTreeSet<String> {
        self.send("PUT", "/v1/content", OCTETS, PROGRAM).await;
        let mut ids = Vec::new();
        for nonce in nonces {
            let task = self.task(nonce, arguments);
            let (status, body) = self.send("POST", "/v1/operations", OCTETS, task).await;
            let said = String::from_utf8_lossy(&body);
            assert_eq!(status, StatusCode::ACCEPTED, "{said}");
            let submitted: SubmittedView = serde_json::from_slice(&body).expect("an id");
            ids.push(submitted.id);
        }
        let mut addresses = BTreeSet::new();
        for id in ids {
            let path = format!("/v1/operations/{id}?wait=local&timeout_ms=60000");
            let (_, fate) = self.get::<OperationView>(&path).await;
            assert_eq!(fate.done, Some(true), "{:?}", fate.refusal);
            let (_, task) = self.get::<TaskView>(&format!("/v1/tasks/{id}")).await;
            addresses.insert(task.address);
        }
        addresses
    }

    async fn page(&self, query: &str) -> TasksView {
        let (status, page) = self.get::<TasksView>(&format!("/v1/tasks?{query}")).await;
        assert_eq!(status, StatusCode::OK);
        page
    }
}

/// Walks a list to its end, with something that happens between two pages.
async fn walk(world: &World, query: &str, between: impl AsyncFn(u64)) -> Vec<ListedTaskView> {
    let mut all: Vec<ListedTaskView> = Vec::new();
    let mut cursor = String::new();
    for turn in 0.. {
        let page = world.page(&format!("{query}{cursor}")).await;
        all.extend(page.tasks);
        let Some(next) = page.next else { break };
        cursor = format!("&cursor={next}");
        between(turn).await;
    }
    all
}

#[tokio::test]
async fn tasks_that_are_there_all_the_time_come_once_whatever_is_committed_between_two_pages() {
    let world = world();
    let there = world.submit_tasks(0..7, 0).await;
    // More come before what was shown, and epochs pass in which the old ones change.
    let more = async |turn: u64| {
        world.submit_tasks(7 + turn..8 + turn, 0).await;
        let mut progress = world.core.progress();
        let roots = progress.borrow().roots;
        let risen = progress.wait_for(|now| now.roots > roots).await;
        assert!(risen.is_ok(), "the core runs");
    };
    let account = world.user.account().public().address();
    for owner in [String::new(), format!("&account={account}")] {
        let quiet = walk(&world, &format!("limit=3{owner}"), async |_| {}).await;
        assert!(quiet.is_sorted_by_key(|task| std::cmp::Reverse(task.recorded)));
        let whole = world.page(&format!("limit=1000{owner}")).await;
        let names = |tasks: &[ListedTaskView]| -> Vec<String> {
            tasks.iter().map(|task| task.address.clone()).collect()
        };
        assert_eq!(
            names(&quiet),
            names(&whole.tasks),
            "pages are parts of one list"
        );
        assert_eq!(whole.next, None);
    }
    let moved = walk(&world, "limit=2", more).await;
    let shown: BTreeSet<String> = moved.iter().map(|task| task.address.clone()).collect();
    assert_eq!(shown.len(), moved.len(), "none twice");
    assert!(there.is_subset(&shown), "none left out");
    let none = world.page(&format!("account={}", Address([9; 32]))).await;
    assert_eq!((none.tasks.len(), none.next), (0, None));
    let (_, status) = world.get::<StatusView>("/v1/status").await;
    let tasks: u64 = status.ledger.tasks.values().sum();
    let listed = world.page("limit=1000").await.tasks.len() as u64;
    assert_eq!((tasks, status.ledger.workers_active), (listed, 1));
    world.core.stop().await;
}

#[tokio::test]
async fn a_list_has_no_more_bytes_for_long_arguments_than_for_short_ones() {
    let world = world();
    world.submit_tasks(0..1, 3_000).await;
    let (_, body) = world.send("GET", "/v1/tasks", "", "").await;
    assert!(body.len() < 1_500, "{}", String::from_utf8_lossy(&body));
    let page = world.page("").await;
    let address = &page.tasks[0].address;
    let (_, whole) = world.get::<TaskView>(&format!("/v1/tasks/{address}")).await;
    assert_eq!(
        whole.spec.arguments.concat().len(),
        3_000,
        "the task itself has it"
    );
    world.core.stop().await;
}

#[tokio::test]
async fn a_history_comes_page_by_page() {
    let world = world();
    world.submit_tasks(0..5, 0).await;
    let account = world.user.account().public().address();
    let path = format!("/v1/accounts/{account}/history?limit=");
    let (_, whole) = world.get::<HistoryView>(&format!("{path}1000")).await;
    assert_eq!(whole.entries.len(), 10, "an order and an escrow for each");
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let (_, page) = world.get::<HistoryView>(&format!("{path}3{cursor}")).await;
        assert!(page.entries.len() <= 3);
        all.extend(page.entries);
        let Some(next) = page.next else { break };
        cursor = format!("&cursor={next}");
    }
    let what = |entries: &[crate::views::HappeningView]| -> Vec<_> {
        let key = |e: &crate::views::HappeningView| (e.height, e.what.clone(), e.task.clone());
        entries.iter().map(key).collect()
    };
    assert_eq!(what(&all), what(&whole.entries));
    world.core.stop().await;
}

#[tokio::test]
async fn cursors_that_no_node_gave_are_refused_and_strange_places_are_places() {
    let world = world();
    world.submit_tasks(0..3, 0).await;
    let page = world.page("limit=1").await;
    let tasks = page.next.expect("there is more");
    let account = world.user.account().public().address();
    let path = format!("/v1/accounts/{account}/history");
    let (_, page) = world.get::<HistoryView>(&format!("{path}?limit=1")).await;
    let history = page.next.expect("there is more");
    let huge = "00".repeat(3_000);
    for wrong in ["", "x", "00", "7.3", "%00", &tasks[2..], &history, &huge] {
        let path = format!("/v1/tasks?cursor={wrong}");
        let (status, error) = world.get::<ErrorView>(&path).await;
        assert_eq!(
            (status.as_u16(), error.error.code.as_str()),
            (400, "malformed"),
            "{wrong}"
        );
    }
    for wrong in ["", "20.0", &tasks, &history[1..]] {
        let (status, _) = world
            .get::<ErrorView>(&format!("{path}?cursor={wrong}"))
            .await;
        assert_eq!(status.as_u16(), 400, "{wrong}");
    }
    // Places of no task, which a node may have given elsewhere.
    let at = |recorded: u64, fill: u8| {
        let place = (0_u8, Epoch::new(recorded), Address([fill; 32]));
        hex::encode(place.encode())
    };
    for (cursor, expected) in [
        (at(u64::MAX, 0), 3),
        (at(0, 0xff), 0),
        (at(u64::MAX, 0xff), 3),
    ] {
        let page = world.page(&format!("cursor={cursor}")).await;
        assert_eq!((page.tasks.len(), page.next), (expected, None), "{cursor}");
    }
    for limit in ["0", "1"] {
        assert_eq!(world.page(&format!("limit={limit}")).await.tasks.len(), 1);
    }
    world.core.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_follows_a_list_to_its_end_or_to_its_limit() {
    let world = world();
    let there = world.submit_tasks(0..7, 0).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("loopback");
    let base = format!("http://{}", listener.local_addr().expect("is bound"));
    tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    let asked = tokio::task::spawn_blocking(move || {
        let client = NodeClient::new(&base)?;
        let first = client.all_tasks(None, None, 5, 2)?;
        let rest = client.all_tasks(None, first.next.clone(), usize::MAX, 1)?;
        Ok::<_, crate::failure::Failure>((first, rest))
    });
    let (first, rest) = asked.await.expect("ends").expect("the node answers");
    assert_eq!(
        (first.tasks.len(), rest.tasks.len(), rest.next),
        (5, 2, None)
    );
    let all = first.tasks.into_iter().chain(rest.tasks);
    let all: BTreeSet<String> = all.map(|task| task.address).collect();
    assert_eq!(all, there);
    world.core.stop().await;
}
