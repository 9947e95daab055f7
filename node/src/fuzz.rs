//! Fuzz harnesses of files that people write, and of what is shown of the ledger.

use crate::client::{HomeConfig, SavedProof};
use crate::config::{Partial, Settings};
use crate::keystore::{Phrase, Strength};
use crate::present;
use frith_fuzz::{codec, damage_text, harness, json, value};
use frith_ledger::address::Address;
use frith_ledger::entity::Entity;
use frith_ledger::genesis::Genesis;
use frith_ledger::parameters::Parameters;
use frith_tasks::TaskEvent;

const SETTINGS: &str = r#"
listen = ["/ip4/0.0.0.0/tcp/4200"]
bootstrap = ["/ip4/10.0.0.1/tcp/4200/p2p/12D3KooW"]
api = "127.0.0.1:4280"
api_public = false
engines = ["wasmtime", "wasmi"]
slots = 2
run_seconds_max = 300
log = "info"
log_format = "json"
"#;

#[test]
fn fuzz_settings_of_a_node() {
    harness!(|input: &[u8]| {
        let noise = String::from_utf8_lossy(input).into_owned();
        for text in [noise.clone(), damage_text(SETTINGS, input)] {
            let Ok(layer) = toml::from_str::<Partial>(&text) else {
                continue;
            };
            let written = layer.to_toml().expect("what was read can be written");
            assert_eq!(
                toml::from_str::<Partial>(&written).ok().as_ref(),
                Some(&layer)
            );
            let environment = Partial::from_environment(|name| {
                (name.len() % 4 == input.len() % 4).then(|| noise.clone())
            });
            let _ = Settings::resolve(Partial::default(), environment.unwrap_or_default(), layer);
        }
    });
}

#[test]
fn fuzz_settings_of_a_user() {
    harness!(|input: &[u8]| {
        let example = "api = \"http://127.0.0.1:4280\"\nkey = \"mine\"\n";
        for text in [
            String::from_utf8_lossy(input).into_owned(),
            damage_text(example, input),
        ] {
            if let Ok(config) = toml::from_str::<HomeConfig>(&text) {
                let written = toml::to_string(&config).expect("what was read can be written");
                assert_eq!(toml::from_str(&written), Ok(config));
            }
        }
    });
}

#[test]
fn fuzz_phrases_of_a_user() {
    let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    harness!(|input: &[u8]| {
        // Estimating the strength of a long one takes tens of milliseconds.
        let short = &input[..input.len().min(24)];
        let noise = String::from_utf8_lossy(short).into_owned();
        let damaged = damage_text(words, input);
        let given = [
            (noise, Strength::Required),
            (damaged, Strength::WeakAllowed),
        ];
        for (text, strength) in given {
            if let Ok(phrase) = Phrase::own(&text, strength) {
                assert!(!phrase.as_str().is_empty());
            }
        }
    });
}

#[test]
fn fuzz_saved_proofs() {
    let genesis = Genesis {
        name: "fuzz".to_owned(),
        time_ms: 0,
        beacon: [0; 32],
        parameters: Parameters::test(),
        accounts: Vec::new(),
        workers: Vec::new(),
    };
    let address = Address([7; 32]).to_string();
    harness!(|input: &[u8]| {
        let proof = hex::encode(input);
        let example = format!("{{\"address\":\"{address}\",\"proof\":\"{proof}\"}}");
        let read = |text: &str| serde_json::from_str::<SavedProof>(text);
        for saved in json(input, &[example], read) {
            assert!(saved.verify(&genesis).is_err(), "nobody voted");
        }
    });
}

#[test]
fn fuzz_entities_and_events_are_shown() {
    harness!(|input: &[u8]| {
        let address = Address([3; 32]);
        if let Some(entity) = value::<Entity>(input) {
            let shown = present::entity(&address, &entity);
            let text = serde_json::to_string(&shown).expect("a view can be written");
            let read = |text: &str| serde_json::from_str::<crate::views::Entity>(text);
            assert_eq!(read(&text).ok(), Some(shown));
        }
        if let Some(event) = value::<TaskEvent>(input) {
            let text = serde_json::to_string(&present::event(&event, 7));
            assert!(text.is_ok());
        }
    });
}

#[test]
fn fuzz_fetches_of_content() {
    use crate::service::content::{FetchRequest, FetchResponse, Sliced, length_of};
    let bytes = vec![7; 70_000];
    let id = frith_ledger::hash::Hash(*blake3::hash(&bytes).as_bytes());
    let honest = Sliced::new(&id, bytes).and_then(|sliced| sliced.slice(u32::MAX, 1));
    let honest = honest.expect("it is the content");
    harness!(|input: &[u8]| {
        let decode = |bytes: &[u8]| frith_ledger::codec::decode(bytes, 1 << 20);
        codec::<FetchRequest, _>(input, 1 << 20, decode);
        let decode = |bytes: &[u8]| frith_ledger::codec::decode(bytes, 1 << 20);
        codec::<FetchResponse, _>(input, 1 << 20, decode);
        let mut bytes = parity_scale_codec::Encode::encode(&honest);
        frith_fuzz::mutate(&mut bytes, input);
        if let Ok(response) = frith_ledger::codec::decode::<FetchResponse>(&bytes, 1 << 20) {
            // Whatever is altered, no other length is believed.
            assert!(length_of(&id, &response).is_err() || response.len == honest.len);
        }
    });
}
