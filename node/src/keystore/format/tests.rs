use super::*;

/// The scrypt vector of EIP-2335.
const VECTOR: &str = r#"{
    "crypto": {
        "kdf": {
            "function": "scrypt",
            "params": {
                "dklen": 32,
                "n": 262144,
                "p": 1,
                "r": 8,
                "salt": "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
            },
            "message": ""
        },
        "checksum": {
            "function": "sha256",
            "params": {},
            "message": "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484"
        },
        "cipher": {
            "function": "aes-128-ctr",
            "params": { "iv": "264daa3f303d7259501c93d997d84fe6" },
            "message": "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f"
        }
    },
    "description": "This is a test keystore that uses scrypt to secure the secret.",
    "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
    "path": "m/12381/60/3141592653/589793238",
    "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f",
    "version": 4
}"#;
const VECTOR_PASSPHRASE: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
const VECTOR_SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

const SEED: [u8; 32] = [0xa5; 32];

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).expect("is a passphrase")
}

fn label() -> Label {
    Label {
        kind: Kind::Seed,
        security_level: 17,
        address: "frith1test".to_owned(),
        account: None,
    }
}

fn sealed() -> Keystore {
    Keystore::seal(&SEED, &passphrase("open"), label(), "a test", Cost::CHEAP)
        .expect("has randomness")
}

/// The sealed file with one value replaced.
fn changed(pointer: &str, value: Value) -> Result<Keystore, FormatError> {
    let mut file: Value = serde_json::from_str(&sealed().to_json()).expect("is JSON");
    *file.pointer_mut(pointer).expect("the field is there") = value;
    Keystore::from_json(&file.to_string())
}

#[test]
fn the_vector_of_the_eip_opens() {
    let keystore = Keystore::from_json(VECTOR).expect("is a keystore");
    let secret = keystore
        .open(&passphrase(VECTOR_PASSPHRASE))
        .expect("the passphrase is right");
    assert_eq!(hex::encode(*secret), VECTOR_SECRET);
    assert_eq!(keystore.path(), "m/12381/60/3141592653/589793238");
    assert_eq!(keystore.label(), None);
}

#[test]
fn sealing_with_the_vectors_nonces_gives_the_vector() {
    let expected = Keystore::from_json(VECTOR).expect("is a keystore");
    let nonces = Nonces {
        salt: expected.salt.clone().try_into().expect("has 32 bytes"),
        iv: expected.iv,
        uuid: [0; 16],
    };
    let seed: [u8; 32] = hex::decode(VECTOR_SECRET)
        .expect("is hexadecimal")
        .try_into()
        .expect("has 32 bytes");
    let passphrase = passphrase(VECTOR_PASSPHRASE);
    let keystore = Keystore::seal_with(&seed, &passphrase, None, "", expected.cost, &nonces);
    assert_eq!(
        (keystore.ciphertext, keystore.checksum),
        (expected.ciphertext, expected.checksum)
    );
}

#[test]
fn what_was_sealed_opens_with_the_same_passphrase_only() {
    let keystore = Keystore::from_json(&sealed().to_json()).expect("is a keystore");
    assert_eq!(keystore.label(), Some(&label()));
    assert_eq!(keystore.description(), "a test");
    assert_eq!(
        keystore.open(&passphrase("open")).map(|seed| *seed),
        Ok(SEED)
    );
    assert_eq!(
        keystore.open(&passphrase("opem")).err(),
        Some(OpenError::WrongPassphrase)
    );
}

#[test]
fn the_text_of_a_keystore_reads_as_the_same_keystore() {
    let keystore = sealed();
    assert_eq!(
        Keystore::from_json(&keystore.to_json()).expect("is a keystore"),
        keystore
    );
}

#[test]
fn a_wrong_passphrase_for_a_file_without_a_sum_may_be_damage() {
    let mut file: Value = serde_json::from_str(&sealed().to_json()).expect("is JSON");
    file.as_object_mut().expect("is an object").remove("frith");
    let keystore = Keystore::from_json(&file.to_string()).expect("is a keystore");
    assert_eq!(
        keystore.open(&passphrase("no")).err(),
        Some(OpenError::WrongPassphraseOrDamaged)
    );
    assert!(keystore.open(&passphrase("open")).is_ok());
}

#[test]
fn every_changed_field_is_found_before_any_passphrase_is_tried() {
    let other = |bytes: usize| Value::String("11".repeat(bytes));
    for (pointer, value) in [
        ("/crypto/kdf/params/salt", other(32)),
        ("/crypto/kdf/params/n", json!(8192)),
        ("/crypto/kdf/params/p", json!(2)),
        ("/crypto/checksum/message", other(32)),
        ("/crypto/cipher/params/iv", other(16)),
        ("/crypto/cipher/message", other(32)),
        ("/uuid", json!("1d85ae20-35c5-4611-98e8-aa14a633906f")),
        ("/frith/kind", json!("worker")),
        ("/frith/security_level", json!(18)),
        ("/frith/address", json!("frith1other")),
        ("/frith/sum", other(32)),
    ] {
        assert!(
            matches!(changed(pointer, value), Err(FormatError::Sum)),
            "{pointer}"
        );
    }
}

#[test]
fn what_can_not_be_used_says_where_and_why() {
    for (pointer, value, expected) in [
        (
            "/version",
            json!(3),
            r#"version is "3", and this program knows only "4""#,
        ),
        (
            "/crypto/kdf/function",
            json!("pbkdf2"),
            r#"crypto.kdf.function is "pbkdf2""#,
        ),
        (
            "/crypto/cipher/function",
            json!("xor"),
            r#"crypto.cipher.function is "xor""#,
        ),
        (
            "/crypto/checksum/function",
            json!("crc"),
            r#"crypto.checksum.function is "crc""#,
        ),
        (
            "/crypto/kdf/params/dklen",
            json!(64),
            r#"crypto.kdf.params.dklen is "64""#,
        ),
        (
            "/crypto/kdf/params/n",
            json!(1u64 << 40),
            "scrypt with n = 1099511627776",
        ),
        (
            "/crypto/kdf/params/r",
            json!(1 << 20),
            "scrypt with n = 4096, r = 1048576",
        ),
        (
            "/crypto/kdf/params/salt",
            json!("00"),
            "crypto.kdf.params.salt has 1 bytes, not 16 to 64",
        ),
        (
            "/crypto/cipher/params/iv",
            json!("xx"),
            "crypto.cipher.params.iv is not hexadecimal",
        ),
        (
            "/crypto/cipher/message",
            json!("00"),
            "crypto.cipher.message has 1 bytes, not 32",
        ),
        ("/crypto/cipher/params", json!({}), "missing field `iv`"),
        ("/frith/kind", json!("king"), "unknown variant `king`"),
        (
            "/description",
            json!("x".repeat(1025)),
            "description is longer than 1024 bytes",
        ),
    ] {
        let error = changed(pointer, value)
            .expect_err("must be refused")
            .to_string();
        assert!(error.contains(expected), "{pointer}: {error}");
    }
}

#[test]
fn what_is_no_key_file_is_refused() {
    for text in ["", "null", "[]", "{}", "{\"crypto\":", &"[".repeat(10_000)] {
        assert!(
            matches!(Keystore::from_json(text), Err(FormatError::Json(_))),
            "{text:.20}"
        );
    }
    assert!(matches!(
        Keystore::from_json(&" ".repeat(FILE_BYTES_MAX + 1)),
        Err(FormatError::TooLong)
    ));
}

#[test]
fn two_files_of_one_secret_have_nothing_in_common() {
    let (a, b) = (sealed(), sealed());
    assert_ne!(a.salt, b.salt);
    assert_ne!(a.iv, b.iv);
    assert_ne!(a.ciphertext, b.ciphertext);
    assert_ne!(a.uuid, b.uuid);
}

#[test]
fn a_uuid_has_version_4_and_the_standards_variant() {
    assert_eq!(
        uuid_text([0xff; 16]),
        "ffffffff-ffff-4fff-bfff-ffffffffffff"
    );
    assert_eq!(uuid_text([0; 16]), "00000000-0000-4000-8000-000000000000");
}

#[test]
fn neither_ciphertext_nor_secret_is_printed() {
    let keystore = sealed();
    let shown = format!("{keystore:?}");
    assert!(!shown.contains(&hex::encode(keystore.ciphertext)));
    assert!(!shown.contains("165"), "{shown}");
}

#[test]
fn texts_that_would_not_read_back_are_not_written() {
    let long = Label {
        address: "x".repeat(TEXT_BYTES_MAX + 1),
        ..label()
    };
    let refused = Keystore::seal(&SEED, &passphrase("open"), long, "", Cost::CHEAP);
    assert!(matches!(
        refused,
        Err(SealError::TextTooLong { field: "address" })
    ));
}

#[test]
fn the_account_of_a_key_that_took_another_s_place_is_kept_and_summed() {
    let signs_for = |account: Option<&str>| {
        let account = account.map(str::to_owned);
        let label = Label { account, ..label() };
        Keystore::seal(&SEED, &passphrase("open"), label, "", Cost::CHEAP).expect("has randomness")
    };
    let keystore = signs_for(Some("frith1first"));
    let text = keystore.to_json();
    assert_eq!(Keystore::from_json(&text).expect("reads"), keystore);
    for other in [
        text.replace("frith1first", "frith1other"),
        text.replace("\"account\": \"frith1first\",", ""),
        signs_for(None)
            .to_json()
            .replace("\"address\"", "\"account\": \"frith1first\", \"address\""),
    ] {
        assert_ne!(other, text);
        assert!(matches!(Keystore::from_json(&other), Err(FormatError::Sum)));
    }
}

#[test]
fn a_changed_byte_is_found_or_leaves_the_secret_as_it_was() {
    let original = sealed();
    let text = original.to_json().into_bytes();
    for index in 0..text.len() {
        for byte in *b"07\"} " {
            let mut text = text.clone();
            text[index] = byte;
            let Ok(read) = Keystore::from_json(&String::from_utf8_lossy(&text)) else {
                continue;
            };
            // Without its section the file counts as another program's, which has no sum.
            if read.label.is_some() {
                let same = Keystore {
                    description: original.description.clone(),
                    path: original.path.clone(),
                    ..read
                };
                assert_eq!(same, original, "byte {index}");
            }
        }
        // The line break at the end means nothing.
        let cut = &text[..index.min(text.len() - 2)];
        assert!(Keystore::from_json(&String::from_utf8_lossy(cut)).is_err());
    }
}

#[test]
fn fuzz_key_files() {
    let whole = sealed().to_json();
    frith_fuzz::harness!(|input: &[u8]| {
        let damaged = frith_fuzz::damage_text(&whole, input);
        for text in [String::from_utf8_lossy(input).into_owned(), damaged] {
            if let Ok(keystore) = Keystore::from_json(&text) {
                let written = keystore.to_json();
                let again = Keystore::from_json(&written).expect("what was written can be read");
                assert_eq!(again.to_json(), written);
            }
        }
    });
}
