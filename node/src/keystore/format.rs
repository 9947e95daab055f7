//! The JSON of a key file, and sealing and opening the secret in it.
//!
//! Reading is two steps: the *wire* structures are what stands in the file; a [`Keystore`] is what they mean, with every
//! length and bound checked. Only a `Keystore` can be opened.

use super::crypto::{Cost, CostError, DerivedKey, plain_sum};
use super::passphrase::Passphrase;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use zeroize::Zeroizing;

/// Longest key file; real ones have less than 1 KiB.
pub(super) const FILE_BYTES_MAX: usize = 64 << 10;
/// Longest text of any kind in a key file.
const TEXT_BYTES_MAX: usize = 1024;
/// The version of EIP-2335 files.
const VERSION: u64 = 4;
/// Separates our plain sum from every other use of SHA-256.
const SUM_CONTEXT: &[u8] = b"frith/keystore/v1";

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The seed that all keys of a phrase are derived from.
    Seed,
    /// An account's key: signs transfers.
    Account,
    /// A worker's key: signs votes and results, and can't withdraw.
    Worker,
}

impl Kind {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Account => "account",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What anyone may know about a secret. It stands in the file unencrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What the secret is for.
    pub kind: Kind,
    /// log₂ of scrypt's n in the derivation from the phrase.
    pub security_level: u8,
    /// The address that the secret leads to, as text. Whoever opens the file compares it with the secret's.
    pub address: String,
    /// The account that the key signs for, when that began with another key; else it is `address`.
    pub account: Option<String>,
}

/// A key file's content: a secret, encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct Keystore {
    cost: Cost,
    salt: Vec<u8>,
    iv: [u8; 16],
    ciphertext: [u8; 32],
    checksum: [u8; 32],
    uuid: String,
    path: String,
    description: String,
    label: Option<Label>,
}

/// Why a text is no key file that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Longer than any key file.
    #[error("it is longer than {FILE_BYTES_MAX} bytes, so it is no key file")]
    TooLong,
    /// Not the JSON of a key file.
    #[error("it is damaged or no key file: {0}")]
    Json(#[from] serde_json::Error),
    /// A field with an impossible value.
    #[error("it is damaged: {field} {problem}")]
    Field {
        /// Where in the file.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A version or a function that this program does not have.
    #[error("{field} is {found:?}, and this program knows only {known:?}")]
    Unsupported {
        /// Where in the file.
        field: &'static str,
        /// What stands there.
        found: String,
        /// What can stand there.
        known: &'static str,
    },
    /// Scrypt's parameters are out of bounds.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// The plain sum differs: something in the file was changed after it was written.
    #[error("it is damaged: its sum differs, so something in it was changed after it was written")]
    Sum,
}

/// Why a secret could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The system gives no randomness.
    #[error("no randomness for the key file: {0}")]
    Randomness(getrandom::Error),
    /// An address or a description that is too long.
    #[error("{field} is longer than {TEXT_BYTES_MAX} bytes")]
    TextTooLong {
        /// Which one.
        field: &'static str,
    },
}

/// Why a secret could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The file is intact; the passphrase is another's.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The file carries no sum, so damage can't be told from a wrong passphrase.
    #[error("wrong passphrase, or a damaged file")]
    WrongPassphraseOrDamaged,
}

/// What sealing takes from chance.
struct Nonces {
    salt: [u8; 32],
    iv: [u8; 16],
    uuid: [u8; 16],
}

impl Nonces {
    fn draw() -> Result<Self, SealError> {
        let mut nonces = Self {
            salt: [0; 32],
            iv: [0; 16],
            uuid: [0; 16],
        };
        for bytes in [&mut nonces.salt[..], &mut nonces.iv, &mut nonces.uuid] {
            getrandom::fill(bytes).map_err(SealError::Randomness)?;
        }
        Ok(nonces)
    }
}

impl Keystore {
    /// Encrypts `seed` under `passphrase`. Runs scrypt once at `cost`.
    ///
    /// # Errors
    ///
    /// [`SealError`] if the system has no randomness or a text is too long.
    pub fn seal(
        seed: &[u8; 32],
        passphrase: &Passphrase,
        label: Label,
        description: &str,
        cost: Cost,
    ) -> Result<Self, SealError> {
        for (field, text) in [
            ("address", label.address.as_str()),
            ("account", label.account.as_deref().unwrap_or_default()),
            ("description", description),
        ] {
            if text.len() > TEXT_BYTES_MAX {
                return Err(SealError::TextTooLong { field });
            }
        }
        Ok(Self::seal_with(
            seed,
            passphrase,
            Some(label),
            description,
            cost,
            &Nonces::draw()?,
        ))
    }

    fn seal_with(
        seed: &[u8; 32],
        passphrase: &Passphrase,
        label: Option<Label>,
        description: &str,
        cost: Cost,
        nonces: &Nonces,
    ) -> Self {
        let key = DerivedKey::derive(passphrase, &nonces.salt, cost);
        let ciphertext = *key.crypt(&nonces.iv, seed);
        Self {
            cost,
            salt: nonces.salt.to_vec(),
            iv: nonces.iv,
            checksum: key.checksum(&ciphertext),
            ciphertext,
            uuid: uuid_text(nonces.uuid),
            path: String::new(),
            description: description.to_owned(),
            label,
        }
    }

    /// Decrypts the secret. Runs scrypt once.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the passphrase is wrong.
    pub fn open(&self, passphrase: &Passphrase) -> Result<Zeroizing<[u8; 32]>, OpenError> {
        let key = DerivedKey::derive(passphrase, &self.salt, self.cost);
        if key.checksum(&self.ciphertext) != self.checksum {
            return Err(match self.label {
                Some(_) => OpenError::WrongPassphrase,
                None => OpenError::WrongPassphraseOrDamaged,
            });
        }
        Ok(key.crypt(&self.iv, &self.ciphertext))
    }

    /// What the secret is for; `None` in a file that another program wrote.
    pub fn label(&self) -> Option<&Label> {
        self.label.as_ref()
    }

    /// The file's own identity.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// Where in a tree of keys the secret stands; empty in files of this program.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What its writer said about it.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What trying a passphrase costs.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let mut file = json!({
            "crypto": {
                "kdf": {
                    "function": "scrypt",
                    "params": {
                        "dklen": 32, "n": self.cost.n(), "p": self.cost.p(), "r": self.cost.r(),
                        "salt": hex::encode(&self.salt),
                    },
                    "message": "",
                },
                "checksum": { "function": "sha256", "params": {}, "message": hex::encode(self.checksum) },
                "cipher": {
                    "function": "aes-128-ctr",
                    "params": { "iv": hex::encode(self.iv) },
                    "message": hex::encode(self.ciphertext),
                },
            },
            "description": self.description,
            "path": self.path,
            "uuid": self.uuid,
            "version": VERSION,
        });
        if let Some(label) = &self.label {
            file["frith"] = json!({
                "kind": label.kind.as_str(),
                "security_level": label.security_level,
                "address": label.address,
                "sum": hex::encode(self.sum(label)),
            });
            if let Some(account) = &label.account {
                file["frith"]["account"] = json!(account);
            }
        }
        format!("{file:#}\n")
    }

    /// Reads a file's text. Costs no key derivation.
    ///
    /// # Errors
    ///
    /// [`FormatError`] says what is wrong with it, and where.
    pub fn from_json(text: &str) -> Result<Self, FormatError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(FormatError::TooLong);
        }
        let wire: wire::File = serde_json::from_str(crate::text::unmarked(text))?;
        known("version", &wire.version.to_string(), "4")?;
        let crypto = wire.crypto;
        known("crypto.kdf.function", &crypto.kdf.function, "scrypt")?;
        known(
            "crypto.checksum.function",
            &crypto.checksum.function,
            "sha256",
        )?;
        known(
            "crypto.cipher.function",
            &crypto.cipher.function,
            "aes-128-ctr",
        )?;
        let kdf: wire::ScryptParams = serde_json::from_value(crypto.kdf.params)?;
        let cipher: wire::CipherParams = serde_json::from_value(crypto.cipher.params)?;
        known("crypto.kdf.params.dklen", &kdf.dklen.to_string(), "32")?;
        for (field, text) in [
            ("description", &wire.description),
            ("path", &wire.path),
            ("uuid", &wire.uuid),
        ] {
            bounded(field, text)?;
        }
        let mut keystore = Self {
            cost: Cost::new(kdf.n, kdf.r, kdf.p)?,
            salt: salt(&kdf.salt)?,
            iv: bytes("crypto.cipher.params.iv", &cipher.iv)?,
            ciphertext: bytes("crypto.cipher.message", &crypto.cipher.message)?,
            checksum: bytes("crypto.checksum.message", &crypto.checksum.message)?,
            uuid: wire.uuid,
            path: wire.path,
            description: wire.description,
            label: None,
        };
        if let Some(section) = wire.frith {
            bounded("frith.address", &section.address)?;
            bounded(
                "frith.account",
                section.account.as_deref().unwrap_or_default(),
            )?;
            let label = Label {
                kind: section.kind,
                security_level: section.security_level,
                address: section.address,
                account: section.account,
            };
            if bytes("frith.sum", &section.sum)? != keystore.sum(&label) {
                return Err(FormatError::Sum);
            }
            keystore.label = Some(label);
        }
        Ok(keystore)
    }

    /// SHA-256 of everything that opening and labelling depend on. No secret enters that the file does not show.
    fn sum(&self, label: &Label) -> [u8; 32] {
        let costs = [
            self.cost.n().to_le_bytes().to_vec(),
            self.cost.r().to_le_bytes().to_vec(),
            self.cost.p().to_le_bytes().to_vec(),
        ];
        let [n, r, p] = &costs;
        let level = [label.security_level];
        let mut parts: Vec<&[u8]> = vec![
            SUM_CONTEXT,
            n,
            r,
            p,
            &self.salt,
            &self.iv,
            &self.ciphertext,
            &self.checksum,
            self.uuid.as_bytes(),
            label.kind.as_str().as_bytes(),
            &level,
            label.address.as_bytes(),
        ];
        // Every part carries its length, so files with and without it can't have one sum.
        parts.extend(label.account.as_deref().map(str::as_bytes));
        plain_sum(&parts)
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ciphertext is no secret while the passphrase is none that can be guessed; it has no place in a log either.
        f.debug_struct("Keystore")
            .field("uuid", &self.uuid)
            .field("label", &self.label)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

/// What stands in a file.
mod wire {
    use super::{Deserialize, Kind, Value};

    #[derive(Deserialize)]
    pub(super) struct File {
        pub(super) crypto: Crypto,
        #[serde(default)]
        pub(super) description: String,
        pub(super) path: String,
        pub(super) uuid: String,
        pub(super) version: u64,
        pub(super) frith: Option<Section>,
    }

    #[derive(Deserialize)]
    pub(super) struct Crypto {
        pub(super) kdf: Function,
        pub(super) checksum: Function,
        pub(super) cipher: Function,
    }

    /// A function's name, its parameters, which depend on the name, and what it is applied to or gave.
    #[derive(Deserialize)]
    pub(super) struct Function {
        pub(super) function: String,
        pub(super) params: Value,
        pub(super) message: String,
    }

    #[derive(Deserialize)]
    pub(super) struct ScryptParams {
        pub(super) dklen: u64,
        pub(super) n: u64,
        pub(super) p: u32,
        pub(super) r: u32,
        pub(super) salt: String,
    }

    #[derive(Deserialize)]
    pub(super) struct CipherParams {
        pub(super) iv: String,
    }

    #[derive(Deserialize)]
    pub(super) struct Section {
        pub(super) kind: Kind,
        pub(super) security_level: u8,
        pub(super) address: String,
        pub(super) account: Option<String>,
        pub(super) sum: String,
    }
}

fn known(field: &'static str, found: &str, known: &'static str) -> Result<(), FormatError> {
    if found == known {
        return Ok(());
    }
    Err(FormatError::Unsupported {
        field,
        found: found.chars().take(64).collect(),
        known,
    })
}

fn bounded(field: &'static str, text: &str) -> Result<(), FormatError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(FormatError::Field {
            field,
            problem: format!("is longer than {TEXT_BYTES_MAX} bytes"),
        });
    }
    Ok(())
}

fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, FormatError> {
    hex::decode(text).map_err(|error| FormatError::Field {
        field,
        problem: format!("is not hexadecimal: {error}"),
    })
}

fn bytes<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], FormatError> {
    let decoded = decode(field, text)?;
    let found = decoded.len();
    decoded.try_into().map_err(|_| FormatError::Field {
        field,
        problem: format!("has {found} bytes, not {N}"),
    })
}

fn salt(text: &str) -> Result<Vec<u8>, FormatError> {
    let field = "crypto.kdf.params.salt";
    let salt = decode(field, text)?;
    if !(16..=64).contains(&salt.len()) {
        return Err(FormatError::Field {
            field,
            problem: format!("has {} bytes, not 16 to 64", salt.len()),
        });
    }
    Ok(salt)
}

/// The text of a random UUID (RFC 9562, version 4).
fn uuid_text(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ]
    .join("-")
}

#[cfg(test)]
mod tests;
