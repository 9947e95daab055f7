//! A worker's consent: that an account may register it, or put it in the place of another worker of the account.

use super::Report;
use super::output::{is_terminal, note};
use super::session::{Session, worker_seed};
use crate::failure::{Failure, Result};
use frith_ledger::address::Address;
use frith_ledger::genesis::Genesis;
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, Seed, Signature};
use frith_ledger::operation::consent_hash;
use frith_ledger::units::Nonce;
use frith_ledger::vrf::{VrfPublic, VrfSecret};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;

/// A worker's word that an account may register it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consent {
    /// The worker's key.
    pub(super) key: String,
    /// Its VRF key.
    pub(super) vrf: String,
    /// The account that may register it.
    pub(super) account: Address,
    /// With its operation of this nonce.
    pub(super) nonce: u64,
    /// The worker's signature.
    pub(super) signature: String,
}

/// Signs the consent of the worker of a data directory.
pub(super) fn consent(
    genesis: &Genesis,
    dir: &Path,
    account: Address,
    nonce: Nonce,
) -> Result<Consent> {
    Ok(signed(&worker_seed(dir)?, &genesis.hash(), account, nonce))
}

fn signed(seed: &Seed, genesis: &Hash, account: Address, nonce: Nonce) -> Consent {
    let key = seed.worker();
    Consent {
        key: key.public().to_string(),
        vrf: hex::encode(VrfSecret::from_seed(&seed.vrf()).public().0),
        account,
        nonce: nonce.get(),
        signature: key
            .sign(&consent_hash(genesis, &account, nonce))
            .to_string(),
    }
}

/// A worker's keys and its consent, as operations carry them.
pub(super) struct Consented {
    /// The worker's key.
    pub(super) key: PublicKey,
    /// Its VRF key.
    pub(super) vrf: VrfPublic,
    /// Its signature.
    pub(super) consent: Signature,
}

/// Where a consent comes from.
pub(super) struct Consenting {
    genesis: Hash,
    account: Address,
    by: By,
}

enum By {
    /// A worker on this machine signs for whatever nonce the operation gets.
    Worker(Seed),
    /// It was signed before, for one nonce.
    Signed(Consent),
}

impl Consenting {
    /// The worker of `dir`, whose passphrase is asked for, or what `file` holds.
    pub(super) fn open(
        session: &Session,
        genesis: &Genesis,
        account: Address,
        dir: Option<&Path>,
        file: Option<&Path>,
    ) -> Result<Self> {
        let by = match (dir, file) {
            (Some(dir), _) => {
                if is_terminal() && !session.json {
                    note("The worker's passphrase is needed to sign its consent.");
                }
                By::Worker(worker_seed(dir)?)
            }
            (None, Some(file)) => By::Signed(read_consent(file, &account)?),
            (None, None) => return Err(Failure::usage("no worker is named")),
        };
        Ok(Self {
            genesis: genesis.hash(),
            account,
            by,
        })
    }

    /// The only nonce that the consent is good for.
    pub(super) fn nonce(&self) -> Option<Nonce> {
        match &self.by {
            By::Worker(_) => None,
            By::Signed(consent) => Some(Nonce::new(consent.nonce)),
        }
    }

    /// The consent for an operation with this nonce, or the one that there is.
    pub(super) fn at(&self, nonce: Nonce) -> Result<Consented> {
        let made;
        let given = match &self.by {
            By::Worker(seed) => {
                made = signed(seed, &self.genesis, self.account, nonce);
                &made
            }
            By::Signed(consent) => consent,
        };
        Ok(Consented {
            key: PublicKey(fixed(&given.key)?),
            vrf: VrfPublic(fixed(&given.vrf)?),
            consent: Signature(fixed(&given.signature)?),
        })
    }
}

fn read_consent(path: &Path, account: &Address) -> Result<Consent> {
    let text = crate::text::read(path).map_err(|error| Failure::file("read", path, error))?;
    let consent: Consent = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{} is no consent: {error}", path.display())))?;
    if consent.account != *account {
        return Err(Failure::usage(format!(
            "the consent is for the account {}, yours is {account}",
            consent.account
        )));
    }
    Ok(consent)
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|error| Failure::usage(format!("in the consent: {error}")))?;
    Ok(bytes)
}

/// The consent as `node consent` prints it.
pub(super) fn consent_report(consent: &Consent) -> Result<Report> {
    let text = serde_json::to_string_pretty(consent).map_err(Failure::other)?;
    Report::new(text, &json!(consent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_consents() {
        let example = format!(
            "{{\"key\":\"{0}\",\"vrf\":\"{0}\",\"account\":\"{1}\",\"nonce\":1,\"signature\":\"{0}{0}\"}}",
            hex::encode([5; 32]),
            Address([7; 32])
        );
        frith_fuzz::harness!(|input: &[u8]| {
            let read = |text: &str| serde_json::from_str::<Consent>(text);
            for consent in frith_fuzz::json(input, std::slice::from_ref(&example), read) {
                let _ = (fixed::<32>(&consent.key), fixed::<64>(&consent.signature));
            }
        });
    }
}
