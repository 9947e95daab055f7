//! What a worker does next, and what it needs to remember: nothing.

use super::world::{World, right, spec};
use crate::content::{content_id, contents, name_bytes};
use crate::quote::{pay, quote};
use crate::worker::{RunResult, TaskJob, WorkerIdentity, WorkerStep, open_tasks, plan, salt};
use frith_ledger::address::Address;
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{
    Arbitrator, Bytes, Entity, PLACES_MAX, Place, PlaceState, SPEC_BYTES_MAX, Task, TaskSpec,
    TaskState,
};
use frith_ledger::hash::Hash;
use frith_ledger::key::PublicKey;
use frith_ledger::operation::{Action, Operation, WorkerAction};
use frith_ledger::parameters::{ARBITRATORS_MAX, ENTITY_BYTES_MAX, Parameters};
use frith_ledger::units::{Epoch, Fuel, UnixMillis};
use parity_scale_codec::Encode as _;
use std::collections::{BTreeMap, BTreeSet};

fn entry(bytes: &[u8]) -> BoundedVec<u8, 1024> {
    BoundedVec::try_from(bytes.to_vec()).expect("short")
}

fn ran(engine: u8, task: &Address) -> RunResult {
    RunResult {
        engine,
        outcome: right(task),
    }
}

#[test]
fn a_worker_that_forgot_everything_goes_on_where_the_ledger_says() {
    let mut world = World::new(&[1, 2]);
    let task = world.submit(1, spec(2, Epoch::new(8)));
    let me = WorkerIdentity {
        seat: world.seat(0),
        key: world.workers[0].0.clone(),
    };
    let (none, nothing) = (BTreeMap::new(), BTreeSet::new());
    let next = |world: &World, results| plan(&world.state, &world.rules, &me, results, &nothing);
    assert_eq!(next(&world, &none), [], "not drawn yet");
    world.close();
    world.close();
    assert!(matches!(next(&world, &none)[..], [WorkerStep::Run { .. }]));
    assert_eq!(
        plan(
            &world.state,
            &world.rules,
            &me,
            &none,
            &BTreeSet::from([task])
        ),
        [],
        "it runs already"
    );
    let results = BTreeMap::from([(task, ran(0, &task))]);
    let commit = next(&world, &results);
    assert_eq!(
        commit,
        next(&world, &results),
        "asked again, it is the same operation"
    );
    let [WorkerStep::Submit(operation)] = &commit[..] else {
        panic!("{commit:?}")
    };
    assert_eq!(world.one(Operation::Worker((**operation).clone())), Ok(()));
    assert_eq!(next(&world, &results), [], "waits for the others");
    world.work();
    assert!(
        matches!(world.task(&task).state, TaskState::Settled { .. }),
        "with no result at hand it ran again"
    );

    let other = WorkerIdentity {
        seat: world.seat(1),
        key: world.workers[0].0.clone(),
    };
    assert_eq!(
        plan(&world.state, &world.rules, &other, &none, &nothing),
        [],
        "another's seat"
    );
}

#[test]
fn a_task_is_open_while_its_result_is_taken_and_no_longer() {
    let mut world = World::new(&[1, 2]);
    let task = world.submit(1, spec(2, Epoch::new(8)));
    let me = WorkerIdentity {
        seat: world.seat(0),
        key: world.workers[0].0.clone(),
    };
    let none = BTreeSet::new();
    assert_eq!(open_tasks(&world.state, &me), none, "not drawn yet");
    world.close();
    world.close();
    let until = world.task(&task).places[0].commit_until;
    while world.state.epoch() <= until {
        assert_eq!(open_tasks(&world.state, &me), BTreeSet::from([task]));
        world.close();
    }
    assert_eq!(open_tasks(&world.state, &me), none, "the place has lapsed");
}

#[test]
fn the_salt_depends_on_key_and_task() {
    let (key, other) = (super::world::worker_key(1), super::world::worker_key(2));
    let (task, another) = (Address([1; 32]), Address([2; 32]));
    assert_eq!(salt(&key, &task), salt(&key, &task));
    let salts = BTreeSet::from([salt(&key, &task), salt(&key, &another), salt(&other, &task)]);
    assert_eq!(salts.len(), 3);
}

#[test]
fn a_job_shows_the_program_what_the_task_says_and_the_clock_of_its_draw() {
    let mut world = World::new(&[2]);
    let mut asked = spec(1, Epoch::new(8));
    asked.arguments = BoundedVec::try_from(vec![entry(b"-n"), entry(b"8")]).expect("few");
    asked.environment = BoundedVec::try_from(vec![entry(b"A=b=c")]).expect("few");
    let task = world.submit(1, asked);
    world.close();
    world.close();
    let job = TaskJob::new(&world.task(&task), world.task(&task).places[0].engine);
    assert_eq!(job.arguments, ["task", "-n", "8"]);
    assert_eq!(job.environment, [("A".to_owned(), "b=c".to_owned())]);
    assert_eq!(world.task(&task).drawn, Some(Epoch::new(2)));
    let record = &world.roots[1];
    assert_eq!(job.clock_ms, record.time.get(), "the record that drew it");
    assert_eq!(
        (job.engine, job.output_max, job.memory_pages),
        (1, 1024, 16)
    );
    assert_ne!(job.seed, Hash::ZERO);
}

#[test]
fn an_arbitrator_runs_the_task_and_says_what_it_found() {
    let mut world = World::new(&[1, 2, 1, 2]);
    let task = world.submit(1, spec(2, Epoch::new(8)));
    world.close();
    world.close();
    let liar = world.task(&task).places[0].seat;
    let liar = (0..4)
        .find(|worker| world.seat(*worker) == liar)
        .expect("one of four");
    world.workers[liar].1 = super::world::Manner::Wrong;
    world.work();
    world.close();
    world.close();
    let outsider = (0..4).find(|worker| {
        world
            .task(&task)
            .places
            .iter()
            .all(|place| place.seat != world.seat(*worker))
    });
    let outsider = outsider.expect("two of four");
    let me = WorkerIdentity {
        seat: world.seat(outsider),
        key: world.workers[outsider].0.clone(),
    };
    let steps = plan(
        &world.state,
        &world.rules,
        &me,
        &BTreeMap::new(),
        &BTreeSet::new(),
    );
    let [WorkerStep::Run { task: asked, job }] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!(*asked, task);
    let results = BTreeMap::from([(task, ran(job.engine, &task))]);
    let steps = plan(&world.state, &world.rules, &me, &results, &BTreeSet::new());
    let [WorkerStep::Submit(operation)] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!(
        operation.body.action,
        WorkerAction::Verdict {
            outcome: right(&task)
        }
    );
}

#[test]
fn an_arbitrator_runs_the_engine_that_it_was_drawn_for_whatever_it_ran_before() {
    let mut world = World::new(&[3, 3, 3]).manner(0, super::world::Manner::Wrong);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    world.close();
    world.work();
    world.close();
    world.close();
    let TaskState::Arbitrating { arbitrators, .. } = &world.task(&task).state else {
        panic!("no arbitration")
    };
    let mut engines = BTreeSet::new();
    for arbitrator in arbitrators {
        engines.insert(arbitrator.engine);
        let worker = (0..3).find(|worker| world.seat(*worker) == arbitrator.seat);
        let me = WorkerIdentity {
            seat: arbitrator.seat,
            key: world.workers[worker.expect("one of three")].0.clone(),
        };
        let next = |engine| {
            let results = BTreeMap::from([(task, ran(engine, &task))]);
            plan(&world.state, &world.rules, &me, &results, &BTreeSet::new())
        };
        let again = next(1 - arbitrator.engine);
        assert!(
            matches!(&again[..], [WorkerStep::Run { job, .. }] if job.engine == arbitrator.engine),
            "{again:?}"
        );
        let verdict = next(arbitrator.engine);
        assert!(
            matches!(&verdict[..], [WorkerStep::Submit(_)]),
            "{verdict:?}"
        );
    }
    assert_eq!(engines.len(), 2, "both engines are asked");
}

#[test]
fn a_quote_rounds_up_and_a_wage_rounds_down() {
    let parameters = Parameters::test();
    let mut asked = spec(3, Epoch::new(8));
    (asked.fuel_max, asked.price) = (Fuel::new(1_000_001), Credits::new(7));
    let found = quote(&parameters, &asked).expect("small");
    assert_eq!(found.place, Credits::new(10_008));
    assert_eq!(found.escrow, Credits::new(30_024));
    assert_eq!(found.bond, parameters.bond_min, "twice the pay is less");
    assert_eq!(
        pay(&parameters, &asked, asked.fuel_max),
        Ok(Credits::new(10_007))
    );
    asked.price = Credits::whole(1);
    let place = quote(&parameters, &asked).expect("small").place;
    assert_eq!(
        quote(&parameters, &asked).expect("small").bond,
        Credits::new(2 * place.get())
    );
    asked.price = Credits::new(u128::MAX);
    assert!(quote(&parameters, &asked).is_err());
}

#[test]
fn an_operation_names_the_contents_that_members_must_hold() {
    let world = World::new(&[1]);
    let mut asked = spec(1, Epoch::new(8));
    let submit = |asked: TaskSpec| contents(&world.sign(1, Action::SubmitTask(Box::new(asked))));
    assert_eq!(submit(asked.clone()), [(Hash([9; 32]), 100)]);
    asked.input = name_bytes(&[7; 5_000]);
    assert_eq!(
        submit(asked),
        [(Hash([9; 32]), 100), (content_id(&[7; 5_000]), 5_000)]
    );
    assert_eq!(
        contents(&world.sign(
            1,
            Action::Leave {
                seat: Address([1; 32])
            }
        )),
        []
    );
    assert!(matches!(name_bytes(&[7; 4_096]), Bytes::Inline(_)));
}

#[test]
fn the_largest_task_fits_its_entity() {
    let outcome = {
        let mut outcome = right(&Address([1; 32]));
        outcome.output = name_bytes(&[0; 4_096]);
        outcome
    };
    let place = Place {
        seat: Address([1; 32]),
        key: PublicKey([1; 32]),
        account: Address([1; 32]),
        engine: 1,
        commit_until: Epoch::new(1),
        state: PlaceState::Revealed(outcome.id()),
        bond: Credits::new(1),
        paid: Credits::new(1),
        lost: Credits::new(1),
    };
    let (seat, key, account) = (place.seat, place.key, place.account);
    let arbitrator = Arbitrator {
        seat,
        key,
        account,
        engine: 1,
        verdict: Some(outcome.id()),
    };
    let arbitrators =
        BoundedVec::try_from(vec![arbitrator; ARBITRATORS_MAX]).expect("as many as fit");
    let states = [
        TaskState::Arbitrating {
            until: Epoch::new(1),
            arbitrators,
        },
        TaskState::Settled {
            outcome: outcome.clone(),
            epoch: Epoch::new(1),
        },
        TaskState::Revealing {
            reveal_until: Epoch::new(1),
            first: Some(outcome),
        },
    ];
    let mut asked = spec(16, Epoch::new(8));
    asked.arguments = BoundedVec::try_from(vec![entry(&[b'a'; 1_000]); 32]).expect("few");
    assert!(
        asked.encoded_size() <= SPEC_BYTES_MAX && asked.encoded_size() > SPEC_BYTES_MAX - 1_024
    );
    for state in states {
        let task = Task {
            account,
            spec: asked.clone(),
            escrow: Credits::new(1),
            recorded: Epoch::new(1),
            drawn: Some(Epoch::new(1)),
            clock: UnixMillis::new(1),
            seed: Hash([1; 32]),
            draws: 1,
            draw_from: Epoch::new(1),
            places: BoundedVec::try_from(vec![place.clone(); PLACES_MAX]).expect("as many as fit"),
            state,
        };
        let bytes = Entity::Task(Box::new(task)).to_bytes();
        assert!(
            bytes.len() + SPEC_BYTES_MAX - asked.encoded_size() <= ENTITY_BYTES_MAX,
            "{}",
            bytes.len()
        );
        assert!(Entity::from_bytes(&bytes).is_ok());
    }
}
