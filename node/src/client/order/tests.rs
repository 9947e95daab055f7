//! Orders against a node that says what it is told to say.

use super::*;
use crate::client::Signer;
use crate::views::{AccountView, ErrorBody, OperationRequest, SubmittedView};
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::credits::Credits;
use frith_ledger::genesis::Genesis;
use frith_ledger::key::SecretKey;
use frith_ledger::operation::Operation;
use frith_ledger::parameters::Parameters;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The node's epoch at first.
const NOW: u64 = 7;

/// What the node says, and what it was sent.
#[derive(Debug, Default)]
struct Script {
    /// Epochs that have passed since.
    later: u64,
    nonce: u64,
    free: u64,
    fates: BTreeMap<String, OperationView>,
    /// Refuses submissions with this status and code.
    refuses: Option<(u16, &'static str)>,
    sent: Vec<Operation>,
}

type Shared = Arc<Mutex<Script>>;

/// The key that the account began with.
const FIRST_KEY: [u8; 32] = [1; 32];

fn key() -> SecretKey {
    SecretKey::from_bytes(&FIRST_KEY)
}

fn genesis() -> Genesis {
    Genesis {
        name: "test".to_owned(),
        time_ms: 0,
        beacon: [1; 32],
        parameters: Parameters::test(),
        accounts: Vec::new(),
        workers: Vec::new(),
    }
}

async fn entity(State(script): State<Shared>, UrlPath(address): UrlPath<String>) -> Json<Value> {
    let script = script.lock().expect("unharmed");
    let account = AccountView {
        balance: "10".to_owned(),
        nonce: script.nonce,
        key: None,
        workers: Vec::new(),
    };
    Json(json!({
        "address": address, "local": Entity::Account(account), "height": 1, "now": NOW + script.later, "free_nonce": script.free,
    }))
}

async fn submit(
    State(script): State<Shared>,
    Json(request): Json<OperationRequest>,
) -> (StatusCode, Json<Value>) {
    let mut script = script.lock().expect("unharmed");
    let bytes = hex::decode(request.operation).expect("hexadecimal");
    let operation: Operation = decode(&bytes, bytes.len()).expect("an operation");
    let id = operation.id().to_hex();
    script.sent.push(operation);
    match script.refuses {
        Some((status, code)) => {
            let error = ErrorBody {
                code: code.to_owned(),
                message: "no".to_owned(),
                advice: None,
            };
            let status = StatusCode::from_u16(status).expect("a status");
            (status, Json(json!({ "error": error })))
        }
        None => (StatusCode::ACCEPTED, Json(json!(SubmittedView { id }))),
    }
}

async fn fate(State(script): State<Shared>, UrlPath(id): UrlPath<String>) -> Json<OperationView> {
    let script = script.lock().expect("unharmed");
    let known = script.fates.get(&id).cloned();
    Json(known.unwrap_or_else(|| view(&id, None, None)))
}

fn view(id: &str, done: Option<bool>, never: Option<&str>) -> OperationView {
    let finality = if done.or(never.map(|_| false)).is_some() {
        Finality::Final
    } else {
        Finality::Pending
    };
    OperationView {
        id: id.to_owned(),
        finality,
        height: done.map(|_| 5),
        epoch: done.map(|_| NOW),
        done: done.or(never.map(|_| false)),
        refusal: never.map(|code| ErrorBody {
            code: code.to_owned(),
            message: "no".to_owned(),
            advice: None,
        }),
        never_executed: never.is_some(),
        waits: false,
    }
}

/// A user, a node that is scripted, and what a proof would show.
struct World {
    script: Shared,
    genesis: Genesis,
    node: NodeClient,
    home: tempfile::TempDir,
    /// Nodes that stand in for it.
    others: Vec<NodeClient>,
    signer: RefCell<[u8; 32]>,
    proven: RefCell<Nonce>,
    words: RefCell<Vec<String>>,
    _runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let script = Shared::default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("starts");
        let router = Router::new()
            .route("/v1/entities/{address}", get(entity))
            .route("/v1/operations", post(submit))
            .route("/v1/operations/{id}", get(fate))
            .with_state(script.clone());
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("binds");
        let base = format!("http://{}", listener.local_addr().expect("is bound"));
        runtime.spawn(async { axum::serve(listener, router).await });
        Self {
            script,
            genesis: genesis(),
            node: NodeClient::new(&base).expect("an address"),
            home: tempfile::tempdir().expect("a temporary directory"),
            others: Vec::new(),
            signer: RefCell::new(FIRST_KEY),
            proven: RefCell::default(),
            words: RefCell::default(),
            _runtime: runtime,
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().expect("unharmed"))
    }

    /// The node says this of an operation.
    fn says(&self, id: &OperationId, done: Option<bool>, never: Option<&str>) {
        let id = id.to_hex();
        self.with(|script| script.fates.insert(id.clone(), view(&id, done, never)));
    }

    fn pay(&self, credits: u64, again: bool) -> Result<Placed> {
        let make = |_| {
            Ok(Action::Transfer {
                to: Address([9; 32]),
                amount: Credits::whole(credits),
            })
        };
        let order = Order {
            make: &make,
            nonce: None,
            base: Epoch::ZERO,
            contents: &[],
        };
        self.orders(|orders| orders.place(&order, (Finality::Pending, Duration::ZERO), again))
    }

    fn orders<T>(&self, work: impl FnOnce(&Orders<'_>) -> T) -> T {
        let account = key().public().address();
        let key = SecretKey::from_bytes(&self.signer.borrow());
        let wallet = Wallet::new(&self.genesis, &self.node, Signer::Key { key, account });
        let prove = |since: u64| {
            self.words
                .borrow_mut()
                .push(format!("proven since {since}"));
            Ok(*self.proven.borrow())
        };
        let tell = |word: Word<'_>| {
            let text = format!("{word:?}");
            let name = text.split(['(', ' ']).next().unwrap_or_default();
            self.words.borrow_mut().push(name.to_owned());
        };
        work(&Orders {
            wallet: &wallet,
            others: &self.others,
            home: self.home.path(),
            prove: &prove,
            tell: &tell,
        })
    }

    fn journal(&self) -> Journal {
        let account = key().public().address();
        Journal::open(self.home.path(), &self.genesis.hash(), &account, || {}).expect("opens")
    }

    /// Ids and nonces of all that was sent.
    fn sent(&self) -> Vec<(OperationId, u64)> {
        let nonce = |operation: &Operation| match operation {
            Operation::Signed(signed) => signed.body.nonce.get(),
            _ => u64::MAX,
        };
        self.with(|script| {
            script
                .sent
                .iter()
                .map(|sent| (sent.id(), nonce(sent)))
                .collect()
        })
    }

    fn words(&self) -> Vec<String> {
        std::mem::take(&mut self.words.borrow_mut())
    }

    /// An operation that was signed and sent, and of which nothing was heard.
    fn lost(&self, credits: u64) -> OperationId {
        self.with(|script| script.refuses = Some((500, "internal")));
        let failure = self.pay(credits, false).expect_err("nothing was heard");
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::Sent, "sent"));
        self.with(|script| script.refuses = None);
        self.sent().last().expect("it was sent").0
    }
}

#[test]
fn an_equal_command_sends_the_same_operation_while_nobody_knows_what_became_of_it() {
    let world = World::new();
    let id = world.lost(1);
    assert_eq!(world.words(), ["Signed", "Silent"]);
    let sent = world.sent().len();
    world.pay(1, false).expect("it is taken");
    assert_eq!(world.words(), ["Repeated"]);
    assert!(world.sent()[sent..].iter().all(|(again, _)| *again == id));
    assert_eq!(
        world.journal().get(&id).map(|entry| entry.sent),
        Some(Sent::Taken)
    );
    // Taken, it has its nonce, although this node doesn't say so.
    world.pay(2, false).expect("it is taken");
    assert_eq!(world.sent().last().map(|sent| sent.1), Some(1));
    // Its fate is told once; forgotten, the same command is a new one.
    world.says(&id, Some(true), None);
    world.with(|script| (script.nonce, script.free) = (1, 2));
    let placed = world.pay(1, false).expect("it was done");
    assert!(placed.known && placed.fate.id == id.to_hex());
    world
        .journal()
        .forget(|entry| entry.id() == id)
        .expect("writes");
    world.words();
    world.pay(1, false).expect("it is taken");
    assert_eq!(world.words(), ["Signed"]);
    assert_eq!(world.sent().last().map(|sent| sent.1), Some(2));
}

#[test]
fn what_another_node_has_taken_is_sent_to_this_one_before_what_is_signed_next() {
    let world = World::new();
    world.pay(1, false).expect("it is taken");
    let first = world.sent()[0].0;
    // This node doesn't have it: the nonce is free there, and the next operation would wait for it.
    let sent = world.sent().len();
    world.pay(2, false).expect("it is taken");
    let later = world.sent().split_off(sent);
    assert_eq!((later.len(), later[0]), (2, (first, 0)));
    assert_eq!(later[1].1, 1, "the next has the next nonce");
    // One that it refuses for good doesn't keep its nonce from the next.
    world.with(|script| script.refuses = Some((422, "underfunded")));
    world.pay(3, false).expect_err("is refused");
    assert_eq!(
        world.journal().get(&first).map(|entry| entry.sent),
        Some(Sent::Refused)
    );
    assert_eq!(world.sent().last().map(|sent| sent.1), Some(0));
}

#[test]
fn a_node_that_refuses_what_another_has_taken_ends_nothing() {
    let world = World::new();
    world.pay(1, false).expect("it is taken");
    let id = world.sent()[0].0;
    world.with(|script| script.refuses = Some((422, "underfunded")));
    let failure = world.pay(1, false).expect_err("nobody knows");
    assert_eq!((failure.exit, failure.code.as_str()), (Exit::Sent, "sent"));
    assert_eq!(
        world.journal().get(&id).map(|entry| entry.sent),
        Some(Sent::Taken)
    );
    assert!(world.sent().iter().all(|(sent, _)| *sent == id));
}

#[test]
fn another_is_sent_beside_an_equal_one_only_when_that_is_said() {
    let world = World::new();
    world.pay(1, false).expect("it is taken");
    world.with(|script| script.free = 1);
    let id = world.sent()[0].0;
    world.pay(1, false).expect("it is taken");
    assert!(world.sent().iter().all(|(sent, _)| *sent == id));
    world.pay(1, true).expect("it is taken");
    let last = world.sent().last().copied().expect("it was sent");
    assert!(last.0 != id && last.1 == 1, "{last:?}");
}

#[test]
fn an_operation_that_is_sent_again_has_the_signature_of_the_present_key() {
    let world = World::new();
    let id = world.lost(1);
    *world.signer.borrow_mut() = [2; 32];
    world.pay(1, false).expect("it is taken");
    let last = world.with(|script| script.sent.last().cloned());
    let Some(Operation::Signed(sent)) = last else {
        panic!("nothing was sent");
    };
    let present = SecretKey::from_bytes(&[2; 32]).public();
    assert_eq!(
        (Operation::Signed(sent.clone()).id(), sent.key),
        (id, present)
    );
    assert_eq!(
        world.journal().get(&id).map(|entry| entry.operation.key),
        Some(present)
    );
}

#[test]
fn a_node_that_says_never_without_a_proof_gets_no_second_payment() {
    let world = World::new();
    let id = world.lost(1);
    world.with(|script| (script.nonce, script.free) = (1, 1));
    let sent = world.sent().len();
    for code in ["nonce", "expired", "something"] {
        // The proof shows that the nonce was used, by whatever it was.
        *world.proven.borrow_mut() = Nonce::new(1);
        world.says(&id, None, Some(code));
        let failure = world.pay(1, false).expect_err("nobody knows");
        assert_eq!(
            (failure.exit, failure.code.as_str()),
            (Exit::Sent, "sent"),
            "{failure}"
        );
        assert!(failure.message.contains(&id.to_hex()), "{failure}");
        assert!(
            failure
                .advice
                .is_some_and(|advice| advice.contains("--again"))
        );
        assert_eq!(world.sent().len(), sent, "nothing was sent");
    }
    // Only the user can say otherwise, and that is the end of it.
    world.pay(1, true).expect("it is taken");
    assert_eq!(world.sent().last().map(|sent| sent.1), Some(1));
    assert!(world.journal().get(&id).is_none());
}

#[test]
fn what_expired_before_its_nonce_was_used_is_over_when_a_proof_shows_it() {
    let world = World::new();
    let id = world.lost(1);
    let expires = world
        .journal()
        .get(&id)
        .expect("is remembered")
        .slot()
        .expires;
    world.says(&id, None, Some("expired"));
    world.with(|script| script.later = expires.get() + 1 - NOW);
    world.words();
    world.pay(1, false).expect("it is taken");
    assert_eq!(
        world.words(),
        [format!("proven since {expires}"), "Signed".to_owned()]
    );
    let new = world.sent().last().copied().expect("it was sent");
    assert!(new.0 != id && new.1 == 0, "the nonce is free");
    assert!(world.journal().get(&id).is_none());
}

#[test]
fn a_lost_operation_gives_its_nonce_to_the_next_and_is_over_when_that_one_is_done() {
    let world = World::new();
    let lost = world.lost(1);
    world.words();
    world.pay(2, false).expect("it is taken");
    assert_eq!(world.words(), ["Replaces", "Signed"]);
    let (rival, nonce) = world.sent().last().copied().expect("it was sent");
    assert_eq!(nonce, 0, "of both one can be executed");
    world.with(|script| (script.nonce, script.free) = (1, 1));
    world.says(&lost, None, Some("nonce"));
    world
        .pay(1, false)
        .expect_err("it isn't known who used the nonce");
    world.says(&rival, Some(true), None);
    world.pay(1, false).expect("it is taken");
    assert_eq!(world.sent().last().map(|sent| sent.1), Some(1));
}

#[test]
fn of_two_with_one_nonce_the_later_is_over_too_when_the_earlier_is_done() {
    let world = World::new();
    let first = world.lost(1);
    world.pay(2, false).expect("it is taken");
    let later = world.sent().last().expect("it was sent").0;
    world.with(|script| (script.nonce, script.free) = (1, 1));
    world.says(&first, Some(true), None);
    world.says(&later, None, Some("nonce"));
    world.pay(2, false).expect("it is taken");
    assert_eq!(world.sent().last().map(|sent| sent.1), Some(1));
}

#[test]
fn a_node_that_has_done_an_operation_outweighs_one_that_says_it_was_refused() {
    let mut world = World::new();
    let other = World::new();
    world.others.push(other.node.clone());
    let id = world.lost(1);
    other.says(&id, Some(true), None);
    world.with(|script| (script.nonce, script.free) = (1, 1));
    // Its nonce is used, so it would be over, and the next command would pay again.
    world.says(&id, Some(false), None);
    let placed = world.pay(1, false).expect("it was done");
    assert_eq!((placed.fate.done, placed.known), (Some(true), true));
}

#[test]
fn a_nonce_that_was_used_when_an_operation_is_sent_again_may_have_been_used_by_it() {
    let world = World::new();
    let id = world.lost(1);
    world.with(|script| {
        (script.nonce, script.free) = (1, 1);
        script.refuses = Some((422, "nonce"));
    });
    let failure = world.pay(1, false).expect_err("nobody knows");
    assert_eq!(
        (failure.exit, failure.code.as_str()),
        (Exit::Sent, "sent"),
        "{failure}"
    );
    assert!(failure.message.contains(&id.to_hex()), "{failure}");
    assert!(world.journal().get(&id).is_some());
}

#[test]
fn an_operation_whose_contents_another_node_lacks_keeps_its_nonce() {
    let world = World::new();
    world.pay(1, false).expect("it is taken");
    let id = world.sent()[0].0;
    // This node doesn't have it, and can't take it again.
    world.with(|script| script.refuses = Some((422, "missing_content")));
    world.pay(2, false).expect_err("is refused as well");
    assert_eq!(world.sent().last().map(|sent| sent.1), Some(1));
    assert_eq!(
        world.journal().get(&id).map(|entry| entry.sent),
        Some(Sent::Taken)
    );
}

#[test]
fn a_refusal_ends_nothing_while_the_operation_may_still_be_executed() {
    let world = World::new();
    world.with(|script| script.refuses = Some((422, "underfunded")));
    let failure = world.pay(1, false).expect_err("is refused");
    assert_eq!(
        (failure.exit, failure.code.as_str()),
        (Exit::Refused, "underfunded")
    );
    let id = world.sent()[0].0;
    assert_eq!(
        world.journal().get(&id).map(|entry| entry.sent),
        Some(Sent::Refused)
    );
    world.with(|script| script.refuses = None);
    world.pay(1, false).expect("it is taken now");
    assert!(world.sent().iter().all(|(sent, _)| *sent == id), "the same");
    // Refused by a block for its order, it can still come; with its nonce used it can't.
    world.says(&id, Some(false), None);
    world.pay(1, false).expect("it may still come");
    assert!(world.sent().iter().all(|(sent, _)| *sent == id));
    world.with(|script| (script.nonce, script.free) = (1, 1));
    assert!(world.pay(1, false).expect("it was refused").known);
}

#[test]
fn a_consent_for_another_nonce_is_no_operation() {
    let world = World::new();
    world.with(|script| (script.nonce, script.free) = (3, 4));
    let make = |_| {
        Ok(Action::CancelTask {
            task: Address([5; 32]),
        })
    };
    let order = |nonce| Order {
        make: &make,
        nonce: Some(Nonce::new(nonce)),
        base: Epoch::ZERO,
        contents: &[],
    };
    let place = |nonce| {
        let wait = (Finality::Pending, Duration::ZERO);
        world.orders(|orders| orders.place(&order(nonce), wait, false))
    };
    let failure = place(3).expect_err("another waits with that nonce");
    assert!(
        failure.message.contains("nonce 3") && failure.message.contains("is 4"),
        "{failure}"
    );
    assert!(world.sent().is_empty() && world.journal().entries().is_empty());
    place(4).expect("it is taken");
}

#[test]
fn commands_are_equal_whenever_they_are_typed_and_whoever_consented_again() {
    let action = |deadline| {
        let task = frith_ledger::entity::TaskSpec {
            program: Hash([1; 32]),
            program_len: 1,
            input: frith_ledger::entity::Bytes::Inline(Default::default()),
            arguments: Default::default(),
            environment: Default::default(),
            fuel_max: frith_ledger::units::Fuel::new(1),
            price: Credits::new(1),
            replicas: 1,
            memory_pages: 1,
            result_max: 1,
            deadline: Epoch::new(deadline),
        };
        Action::SubmitTask(Box::new(task))
    };
    let at = |deadline, base| intent(&action(deadline), Epoch::new(base));
    assert_eq!(at(25, 5), at(29, 9));
    assert_ne!(at(25, 5), at(26, 5), "another deadline is another command");
    let rotation = |consent| Action::RotateWorker {
        seat: Address([1; 32]),
        key: key().public(),
        consent: Signature([consent; 64]),
        vrf: frith_ledger::vrf::VrfPublic([3; 32]),
    };
    let at = |consent| intent(&rotation(consent), Epoch::ZERO);
    assert_eq!(at(1), at(2));
}
