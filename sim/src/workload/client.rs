//! Somebody with an account, and at most one operation under way.

use super::Submission;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Entity;
use frith_ledger::key::Seed;
use frith_ledger::operation::{Action, Operation, OperationBody, OperationId, SignedOperation};
use frith_ledger::units::Nonce;
use frith_neighbourhood::Node;
use frith_tasks::{Receipt, Rules};
use parity_scale_codec::Encode as _;

/// After so long without a receipt the operation is submitted again, elsewhere, in ms.
const AGAIN_MS: u64 = 2_500;
/// After so long the client looks at its account and starts over, in ms.
const GIVE_UP_MS: u64 = 15_000;

struct Sent {
    id: OperationId,
    bytes: Vec<u8>,
    first_ms: u64,
    last_ms: u64,
}

/// What a client's turn comes to.
pub(super) enum Turn {
    /// It waits for its last operation.
    Waits,
    /// It submits its last operation again.
    Again(Submission),
    /// It may order something.
    Free,
}

pub(super) struct Client {
    pub(super) seed: Seed,
    pub(super) nonce: Nonce,
    number: u64,
    sent: Option<Sent>,
}

impl Client {
    pub(super) const fn new(number: u64, seed: Seed) -> Self {
        Self {
            seed,
            nonce: Nonce::ZERO,
            number,
            sent: None,
        }
    }

    pub(super) fn turn(&mut self, now: u64, node: &Node) -> Turn {
        let Some(sent) = &mut self.sent else {
            return Turn::Free;
        };
        if now.saturating_sub(sent.first_ms) > GIVE_UP_MS {
            self.sent = None;
            self.nonce = self.nonce_at(node);
            return Turn::Waits;
        }
        if now.saturating_sub(sent.last_ms) <= AGAIN_MS {
            return Turn::Waits;
        }
        sent.last_ms = now;
        Turn::Again(Submission {
            bytes: sent.bytes.clone(),
            client: self.number,
        })
    }

    /// Orders `action`.
    pub(super) fn order(
        &mut self,
        now: u64,
        rules: &Rules,
        node: &Node,
        action: Action,
    ) -> Submission {
        let key = self.seed.account();
        let body = OperationBody {
            genesis: rules.hash,
            account: key.public().address(),
            nonce: self.nonce,
            expires: node.epoch().plus(200),
            fee: Credits::new(100_000),
            action,
        };
        let operation = Operation::Signed(SignedOperation::sign(body, &key));
        let bytes = operation.encode();
        self.sent = Some(Sent {
            id: operation.id(),
            bytes: bytes.clone(),
            first_ms: now,
            last_ms: now,
        });
        Submission {
            bytes,
            client: self.number,
        }
    }

    /// Whether the receipt is of what is under way, which it ends.
    pub(super) fn ends(&mut self, receipt: &Receipt, node: &Node) -> bool {
        let mine = self
            .sent
            .as_ref()
            .is_some_and(|sent| sent.id == receipt.operation);
        if mine {
            self.sent = None;
            self.nonce = self.nonce_at(node);
        }
        mine
    }

    fn nonce_at(&self, node: &Node) -> Nonce {
        match node.state().entity(&self.seed.account().public().address()) {
            Some(Entity::Account(account)) => account.nonce.max(self.nonce),
            _ => self.nonce,
        }
    }
}
