//! Fuzz harnesses of the validator and the metering: any bytes get an answer, what is accepted meters to a valid
//! module, and the engines agree about it.

#![cfg(feature = "native")]

use std::sync::LazyLock;

use arbitrary::Unstructured;
use frith_fuzz::{codec, harness, mutate};
use frith_vm::{
    EngineKind, FEATURES, Job, Limits, Outcome, Refusal, Status, accepts, prepare, prepare_any,
    run_local,
};
use parity_scale_codec::DecodeAll as _;

/// Valid programs that between them use what a module can hold.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    [
        include_str!("seeds/everything.wat"),
        include_str!("seeds/tables.wat"),
        include_str!("seeds/floats.wat"),
    ]
    .iter()
    .map(|text| wat::parse_str(text).expect("a seed is a module"))
    .collect()
});

const HEADER: &[u8] = b"\0asm\x01\0\0\0";

/// Random bytes, random sections, and a seed with damage.
fn candidates(input: &[u8]) -> [Vec<u8>; 3] {
    let which = usize::from(input.first().copied().unwrap_or(0)) % SEEDS.len();
    let mut damaged = SEEDS[which].clone();
    mutate(&mut damaged, input.get(1..).unwrap_or(&[]));
    [input.to_vec(), [HEADER, input].concat(), damaged]
}

fn check_metering(bytes: &[u8]) -> bool {
    let limits = Limits::default();
    let verdict = prepare(bytes, &limits);
    assert_eq!(verdict.is_ok(), accepts(bytes, &limits), "one verdict");
    let metered = match (verdict, prepare_any(bytes, &limits)) {
        (Ok(metered), any) => {
            assert!(any.is_ok(), "a task is a module");
            metered
        }
        (Err(_), Ok(metered)) => metered,
        (Err(refusal), Err(_)) => {
            assert!(refusal.offset as usize <= bytes.len(), "{refusal}");
            return false;
        }
    };
    wasmparser::Validator::new_with_features(FEATURES)
        .validate_all(&metered.wasm)
        .expect("metering gives a valid module");
    true
}

#[test]
fn fuzz_validator() {
    for seed in SEEDS.iter() {
        assert!(check_metering(seed), "a seed is accepted");
    }
    harness!(|input: &[u8]| {
        for bytes in candidates(input) {
            check_metering(&bytes);
        }
    });
}

#[test]
fn fuzz_validator_on_random_modules() {
    harness!(|input: &[u8]| {
        let (recipe, rest) = input.split_at(input.len().min(16));
        let config = wasm_smith::Config {
            max_instructions: 100,
            max_funcs: 6,
            ..wasm_smith::Config::default()
        };
        if let Ok(module) = wasm_smith::Module::new(config, &mut Unstructured::new(rest)) {
            let mut bytes = module.to_bytes();
            check_metering(&bytes);
            mutate(&mut bytes, recipe);
            check_metering(&bytes);
        }
    });
}

#[test]
fn fuzz_accepted_modules_run_alike_on_every_engine() {
    harness!(|input: &[u8]| {
        for bytes in candidates(input) {
            if !accepts(&bytes, &Limits::default()) {
                continue;
            }
            let job = Job {
                input: input.to_vec(),
                fuel_limit: 10_000_000,
                ..Job::default()
            };
            let outcomes: Vec<Outcome> = EngineKind::AVAILABLE
                .iter()
                .map(|kind| run_local(*kind, &bytes, &job).expect("the host does not fail"))
                .collect();
            let agreed = |outcome: &Outcome| (outcome.result_bytes(), outcome.fuel);
            assert!(
                outcomes
                    .windows(2)
                    .all(|pair| agreed(&pair[0]) == agreed(&pair[1])),
                "{outcomes:?}"
            );
            assert!(!matches!(outcomes[0].status, Status::Refused(..)));
        }
    });
}

macro_rules! decoders {
    ($($name:ident: $type:ty;)*) => {$(
        #[test]
        fn $name() {
            harness!(|input: &[u8]| {
                codec::<$type, _>(input, usize::MAX, |mut bytes| <$type>::decode_all(&mut bytes));
            });
        }
    )*};
}

decoders! {
    fuzz_job: Job;
    fuzz_outcome: Outcome;
    fuzz_refusal: Refusal;
    fuzz_limits: Limits;
}
