//! The first state of a network and its agreed parameters.

use crate::address::Address;
use crate::certificate::{Committee, Member, Weight};
use crate::credits::{Credits, CreditsError};
use crate::entity::{Account, Entity, Terms, Worker, WorkerSeat, WorkerStatus};
use crate::hash::{Domain, Hash};
use crate::key::PublicKey;
use crate::parameters::Parameters;
use crate::tree::{Change, TreeError, Version};
use crate::units::UnixMillis;
use crate::vrf::VrfPublic;
use parity_scale_codec::{Decode, Encode};
use std::collections::BTreeMap;

/// What a network begins with. Its hash names the network.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The network's name, for people.
    pub name: String,
    /// ms since the Unix epoch when it was made: no record's time is before it.
    pub time_ms: u64,
    /// beacon(0).
    #[serde(with = "hexadecimal")]
    pub beacon: [u8; 32],
    /// What all nodes agree on.
    pub parameters: Parameters,
    /// Accounts with money.
    pub accounts: Vec<GenesisAccount>,
    /// The first workers: members in epochs 0 and 1.
    pub workers: Vec<GenesisWorker>,
}

/// An account that exists from the start.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Its address.
    pub address: Address,
    /// Its balance.
    pub balance: Credits,
}

/// A worker that exists from the start.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisWorker {
    /// Its key.
    #[serde(with = "hexadecimal")]
    pub key: [u8; 32],
    /// Its VRF key.
    #[serde(with = "hexadecimal")]
    pub vrf: [u8; 32],
    /// The account that it works for; one without money is created for it.
    pub account: Address,
    /// Its stake.
    pub stake: Credits,
    /// Its collateral.
    pub collateral: Credits,
    /// What it offers.
    pub terms: Terms,
}

/// Why a genesis can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Nobody could vote.
    #[error("no worker has stake: nobody could vote")]
    NoWorkers,
    /// An address, key or seat twice.
    #[error("{address} is named twice")]
    Twice {
        /// Which.
        address: Address,
    },
    /// The amounts don't fit.
    #[error("the amounts do not add up: {0}")]
    Credits(#[from] CreditsError),
    /// The state can't be built.
    #[error("the state cannot be built: {0}")]
    Tree(#[from] TreeError),
}

/// The seat of a worker from a beacon.
#[must_use]
pub fn seat(worker: &PublicKey, beacon: &Hash) -> Address {
    Address(
        Domain::Seat
            .hasher()
            .update(&worker.address().0)
            .update(&beacon.0)
            .finish()
            .0,
    )
}

/// The address of a registration of `worker` by `account`.
#[must_use]
pub fn registration_address(account: &Address, worker: &PublicKey) -> Address {
    account.sub_object(&(b"registration", worker).encode())
}

impl Genesis {
    /// When it was made.
    #[must_use]
    pub const fn time(&self) -> UnixMillis {
        UnixMillis::new(self.time_ms)
    }

    /// The hash that names the network; everything signed binds it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(Domain::Genesis, self)
    }

    /// The first state.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn state(&self) -> Result<Version, GenesisError> {
        let mut entities: BTreeMap<Address, Entity> = BTreeMap::new();
        let mut accounts: BTreeMap<Address, Account> = BTreeMap::new();
        for account in &self.accounts {
            let entry = Account {
                balance: account.balance,
                ..Account::default()
            };
            if accounts.insert(account.address, entry).is_some() {
                return Err(GenesisError::Twice {
                    address: account.address,
                });
            }
        }
        for worker in &self.workers {
            let key = PublicKey(worker.key);
            let seat = seat(&key, &Hash(self.beacon));
            let twice = GenesisError::Twice {
                address: key.address(),
            };
            let account = accounts.entry(worker.account).or_default();
            account
                .workers
                .push(WorkerSeat {
                    key,
                    seat: Some(seat),
                })
                .map_err(|_| twice.clone())?;
            let entity = Entity::Worker(Box::new(Worker {
                key,
                vrf: VrfPublic(worker.vrf),
                account: worker.account,
                stake: worker.stake,
                collateral: worker.collateral,
                terms: worker.terms.clone(),
                pending: crate::codec::BoundedVec::new(),
                status: WorkerStatus::Active,
                open: crate::codec::BoundedVec::new(),
                tasks_paid: 0,
                tasks_lost: 0,
                retired: crate::codec::BoundedVec::new(),
            }));
            if entities.insert(seat, entity).is_some() {
                return Err(twice);
            }
        }
        for (address, account) in accounts {
            if entities.insert(address, Entity::Account(account)).is_some() {
                return Err(GenesisError::Twice { address });
            }
        }
        let changes: Result<Vec<Change>, CreditsError> = entities
            .iter()
            .map(|(a, e)| {
                Ok(Change {
                    address: *a,
                    leaf: Some(e.leaf()?),
                })
            })
            .collect();
        let version = Version::empty().apply(changes?)?;
        if version.summary().stake.is_zero() {
            Err(GenesisError::NoWorkers)
        } else {
            Ok(version)
        }
    }

    /// The committee of leaf and root in epochs 0 and 1.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn committee(&self) -> Result<Committee, GenesisError> {
        Ok(committee_of(&self.state()?, &self.parameters))
    }
}

/// All active workers of a state, weighted by their capped stake.
#[must_use]
pub fn committee_of(state: &Version, parameters: &Parameters) -> Committee {
    let member = |(address, leaf): (Address, &crate::tree::Leaf)| {
        if leaf.stake.is_zero() {
            return None;
        }
        let Ok(Entity::Worker(worker)) = Entity::from_bytes(&leaf.bytes) else {
            return None;
        };
        let weight: Weight = worker.stake.min(parameters.weight_max).get();
        Some(Member {
            seat: address,
            key: worker.key,
            vrf: worker.vrf,
            weight,
        })
    };
    Committee::new(state.iter().filter_map(member).collect())
}

/// 32 bytes as hexadecimal text.
mod hexadecimal {
    use crate::hash::Hash;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        bytes: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Hash(*bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Hash::from_hex(&text)
            .map(|hash| hash.0)
            .map_err(D::Error::custom)
    }
}
