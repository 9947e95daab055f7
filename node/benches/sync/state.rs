//! A state with entities of realistic sizes.

use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::tree::{Change, Leaf, Version};

/// What a state is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// By number: half accounts (64 bytes), a tenth workers (256), the rest tasks (700 to 1,700: spec, three
    /// places, an inline input).
    Everything,
    /// Accounts alone: the most nodes for its bytes.
    Accounts,
}

impl Mix {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Accounts => "accounts",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Everything, Self::Accounts]
            .into_iter()
            .find(|mix| mix.name() == name)
    }

    const fn entities(self) -> u64 {
        match self {
            Self::Everything => 850_000,
            Self::Accounts => 1_000_000,
        }
    }

    fn bytes_of(self, random: &Hash) -> usize {
        let [kind, a, b, ..] = random.0;
        match (self, kind % 10) {
            (Self::Accounts, _) | (Self::Everything, 0..5) => 64,
            (Self::Everything, 5) => 256,
            (Self::Everything, _) => 700 + usize::from(u16::from_le_bytes([a, b])) % 1_000,
        }
    }

    fn change(self, number: u64) -> Change {
        let random = Hash::of(Domain::Draw, &number);
        let mut bytes = Vec::with_capacity(2_048);
        while bytes.len() < self.bytes_of(&random) {
            bytes.extend_from_slice(&random.0);
        }
        bytes.truncate(self.bytes_of(&random));
        Change {
            address: Address(Hash::of(Domain::Address, &number).0),
            leaf: Some(Leaf {
                bytes: bytes.into(),
                credits: Credits::new(u128::from(number) + 5),
                stake: Credits::new(1),
            }),
        }
    }

    /// The state: the same in every process.
    pub(crate) fn build(self) -> Result<Version, frith_ledger::tree::TreeError> {
        Version::empty().apply(
            (0..self.entities())
                .map(|number| self.change(number))
                .collect(),
        )
    }
}

/// Bytes of all entities and their addresses.
pub(crate) fn state_bytes(version: &Version) -> u64 {
    let one = |(address, leaf): (Address, &Leaf)| address.0.len() + leaf.bytes.len();
    version.iter().map(one).map(|bytes| bytes as u64).sum()
}
