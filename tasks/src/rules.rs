//! A genesis and what follows from it: shared by everything that executes or checks operations.

use frith_ledger::credits::{Credits, CreditsError};
use frith_ledger::genesis::{Genesis, GenesisError};
use frith_ledger::hash::Hash;
use frith_ledger::parameters::Parameters;

/// Hops that the longest chain of messages needs: an account's order to a seat and the answer are
/// two, a reveal that settles a task three. Checked against [`Parameters::message_hops_max`], so that
/// every message is delivered in the block that made it.
pub const HOPS_NEEDED: u32 = 4;

/// A genesis, its hash and its money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The genesis.
    pub genesis: Genesis,
    /// Its hash: names the network.
    pub hash: Hash,
    /// All credits at the start.
    pub supply: Credits,
}

/// Why no network can run by a genesis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// It has no usable first state.
    #[error("the genesis is unusable: {0}")]
    Genesis(#[from] GenesisError),
    /// Its amounts don't fit.
    #[error("the amounts of the genesis do not add up: {0}")]
    Credits(#[from] CreditsError),
    /// Messages would wait for a block that nobody makes.
    #[error("message_hops_max is {found}; messages of a task need {HOPS_NEEDED}")]
    Hops {
        /// The parameter.
        found: u32,
    },
    /// Seats need a beacon that was unknown at registration.
    #[error("activation_lag is {found}; it must be at least 2, or seats could be chosen")]
    Lag {
        /// The parameter.
        found: u64,
    },
}

impl Rules {
    /// The rules of a genesis. Builds its state once.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn new(genesis: Genesis) -> Result<Self, RulesError> {
        let parameters = &genesis.parameters;
        if parameters.message_hops_max < HOPS_NEEDED {
            return Err(RulesError::Hops {
                found: parameters.message_hops_max,
            });
        }
        if parameters.activation_lag < 2 {
            return Err(RulesError::Lag {
                found: parameters.activation_lag,
            });
        }
        let supply = genesis.state()?.summary().credits;
        Ok(Self {
            hash: genesis.hash(),
            genesis,
            supply,
        })
    }

    /// What all nodes agree on.
    #[must_use]
    pub const fn parameters(&self) -> &Parameters {
        &self.genesis.parameters
    }
}
