//! Keys at rest, and the passphrases that unlock them; never what a key signs.
//!
//! A key file holds one 32-byte secret (the seed of all of a user's keys, or one account's or worker's secret) in the JSON
//! form of EIP-2335, version 4: scrypt turns a passphrase into 32 bytes; the first 16 encrypt the secret with AES-128-CTR,
//! the other 16 and the ciphertext make a SHA-256 checksum that tells a right passphrase from a wrong one.
//!
//! # Invariants
//!
//! - A secret is never printed, logged or put on a command line: `Debug` of everything that holds one is redacted, and memory
//!   that held one is overwritten when it is dropped.
//! - A key file appears complete or not at all, readable by its owner alone, and replaces another only when asked to.
//! - A hostile key file costs at most 64 KiB to read, and [`Cost::MEMORY_BYTES_MAX`] and a few seconds to try.
//!
//! # The two passphrases
//!
//! *Phrase* is what a key is derived from: whoever has it has the key, on any machine ([`Phrase`]; 24 generated words unless
//! the user insists on words of their own, which must then be hard to guess). *Passphrase* is what unlocks a file on this
//! machine ([`Passphrase`]). They may be equal but need not be.
//!
//! # Deviations from EIP-2335
//!
//! - A section `frith` says what the secret is for ([`Label`]) and holds a plain SHA-256 of the file's fields, so that damage is
//!   told from a wrong passphrase, without the cost of scrypt. Files without the section can be opened.
//! - `pubkey` is not written: it is a BLS key there, and an address in `frith` here.
//! - PBKDF2 files are refused: Frith writes none, and scrypt is the better choice for all.
//!
//! Sources: EIP-2335 (final), RFC 7914 (scrypt), BIP-39, NIST SP 800-38A (CTR), Unicode Annex 15 (NFKD); Wheeler 2016,
//! "zxcvbn: low-budget password strength estimation".

mod crypto;
mod file;
mod format;
mod passphrase;
mod phrase;
mod source;

pub use crypto::{Cost, CostError};
pub use file::{FileError, KeyFile, Overwrite};
pub use format::{FormatError, Keystore, Kind, Label, OpenError, SealError};
pub use passphrase::{PASSPHRASE_BYTES_MAX, Passphrase, PassphraseError};
pub use phrase::{GUESSES_LOG10_MIN, Phrase, PhraseError, Strength};
pub use source::{KEY_PHRASE, Source, SourceError, UNLOCK, Variables, WORKER_UNLOCK};
