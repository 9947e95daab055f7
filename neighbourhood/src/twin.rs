//! Finds a second process that runs with this node's key.
//!
//! Two processes with one key would sign twice where one may sign once, and lose their stake. Each
//! process draws a random id and a nonce and says both in a signed hello to every peer.
//!
//! 1. A peer that hears a hello of a key from another process than before sends it on to whom it knows
//!    under that key.
//! 2. A process that gets a hello with its own key and another process's id answers with its own id and
//!    the hello's nonce; the peer sends that on in the same way.
//! 3. A process that gets an answer to its own nonce from another process knows that it has a twin now:
//!    nobody could have signed it before the nonce was drawn. It stops.
//!
//! A restarted process gets no answer to its new nonce, because nobody alive has the key but itself.

use crate::wire::{Answer, Hello};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::key::{PublicKey, SecretKey};

/// This process among those with its key.
#[derive(Debug, Clone)]
pub struct Twin {
    genesis: Hash,
    key: PublicKey,
    hello: Hello,
}

/// What a message about a twin leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwinFinding {
    /// Nothing.
    None,
    /// Another process may run with this node's key: answer it.
    Suspicion(Answer),
    /// Another process runs with this node's key now.
    Found,
    /// The message is forged.
    Forged,
}

impl Twin {
    /// A process with fresh entropy.
    #[must_use]
    pub fn new(entropy: &[u8; 32], genesis: Hash, key: &SecretKey) -> Self {
        let process = Domain::Draw
            .hasher()
            .update(b"process")
            .update(entropy)
            .finish();
        let nonce = Domain::Draw
            .hasher()
            .update(b"nonce")
            .update(entropy)
            .finish();
        Self {
            genesis,
            key: key.public(),
            hello: Hello::sign(process, nonce, &genesis, key),
        }
    }

    /// What this process says on every new connection.
    #[must_use]
    pub const fn hello(&self) -> Hello {
        self.hello
    }

    /// A hello with this node's own key came by a peer. One signature check.
    #[must_use]
    pub fn relayed(&self, hello: &Hello, key: &SecretKey) -> TwinFinding {
        if hello.key != self.key || hello.process == self.hello.process {
            return TwinFinding::None;
        }
        if !hello.is_valid(&self.genesis) {
            return TwinFinding::Forged;
        }
        TwinFinding::Suspicion(Answer::sign(
            self.hello.process,
            hello.nonce,
            &self.genesis,
            key,
        ))
    }

    /// An answer with this node's own key came by a peer. One signature check.
    #[must_use]
    pub fn answered(&self, answer: &Answer) -> TwinFinding {
        if answer.key != self.key
            || answer.nonce != self.hello.nonce
            || answer.process == self.hello.process
        {
            return TwinFinding::None;
        }
        if answer.is_valid(&self.genesis) {
            TwinFinding::Found
        } else {
            TwinFinding::Forged
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twin_is_found_by_a_fresh_challenge_and_a_restart_is_no_twin() {
        let (key, genesis) = (SecretKey::from_bytes(&[1; 32]), Hash([2; 32]));
        let (one, two) = (
            Twin::new(&[3; 32], genesis, &key),
            Twin::new(&[4; 32], genesis, &key),
        );
        let TwinFinding::Suspicion(answer) = two.relayed(&one.hello(), &key) else {
            panic!("the other process must answer");
        };
        assert_eq!(one.answered(&answer), TwinFinding::Found);
        let restarted = Twin::new(&[5; 32], genesis, &key);
        assert_eq!(
            restarted.answered(&answer),
            TwinFinding::None,
            "an old answer has an old nonce"
        );
        assert_eq!(one.relayed(&one.hello(), &key), TwinFinding::None);
        let stranger = SecretKey::from_bytes(&[9; 32]);
        let forged = Answer {
            signature: Answer::sign(answer.process, answer.nonce, &genesis, &stranger).signature,
            ..answer
        };
        assert_eq!(one.answered(&forged), TwinFinding::Forged);
    }
}
