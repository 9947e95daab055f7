//! What became of an operation that was signed before, and what of that is believed.

use super::{Orders, Placed, Word, nonce_of};
use crate::client::http::NodeClient;
use crate::client::journal::{Entry, Journal};
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::views::{Finality, OperationView};
use std::time::Duration;

/// What is known of an operation that was signed before.
pub(super) enum Before {
    /// Done, or refused for good: that was it.
    Ended(Placed),
    /// It may be executed, or may have been on its way: it is sent again.
    Open,
    /// It wasn't executed and never will be.
    Never(OperationView),
}

impl Orders<'_> {
    /// What becomes of an operation by the word of the nodes: one that has executed it outweighs others.
    pub(super) fn ask(&self, entry: &Entry) -> Result<OperationView> {
        let (id, slot) = (entry.id().to_hex(), entry.slot());
        let ask = |node: &NodeClient| node.fate(&id, &slot, Finality::Pending, Duration::ZERO);
        let first = ask(self.wallet.node)?;
        Ok(self.outweigh(self.wallet.node, first, ask))
    }

    /// What a node says of an operation that wasn't done, or what weighs more of what the other nodes say: who has done it
    /// outweighs who refused it, and both outweigh who never executed it.
    pub(super) fn outweigh(
        &self,
        by: &NodeClient,
        said: OperationView,
        ask: impl Fn(&NodeClient) -> Result<OperationView>,
    ) -> OperationView {
        if said.done != Some(false) {
            return said;
        }
        let weight = |view: &OperationView| {
            let executed = view.done.is_some() && !view.never_executed;
            (view.done == Some(true), executed)
        };
        let others = self
            .nodes()
            .into_iter()
            .filter(|node| node.base() != by.base());
        // Nodes that don't answer say nothing.
        let words = others.filter_map(|node| ask(node).ok());
        words.fold(said, |most, word| {
            if weight(&word) > weight(&most) {
                word
            } else {
                most
            }
        })
    }

    pub(super) fn before(&self, entry: &Entry) -> Result<Before> {
        let fate = self.ask(entry)?;
        if fate.never_executed {
            return self.believe(entry, fate);
        }
        if fate.done.is_none() || !self.is_known(self.wallet.node, entry, &fate)? {
            return Ok(Before::Open);
        }
        (self.tell)(Word::Earlier(entry));
        Ok(Before::Ended(Placed { fate, known: true }))
    }

    /// Whether an executed operation's fate can't change any more: it was done, or its nonce was used.
    pub(super) fn is_known(
        &self,
        node: &NodeClient,
        entry: &Entry,
        fate: &OperationView,
    ) -> Result<bool> {
        if fate.done == Some(true) {
            return Ok(true);
        }
        let view = node.local(&self.wallet.account.to_string())?;
        Ok(nonce_of(&view).is_some_and(|nonce| nonce > entry.slot().nonce))
    }

    /// A node says that an operation was never executed: what else shows it.
    pub(super) fn believe(&self, entry: &Entry, fate: OperationView) -> Result<Before> {
        let slot = entry.slot();
        let code = fate.refusal.as_ref().map(|refusal| refusal.code.as_str());
        if code == Some(Code::Expired.name()) && (self.prove)(slot.expires.get())? <= slot.nonce {
            return Ok(Before::Never(fate));
        }
        if let Some(rival) = entry.rival {
            let of_rival =
                self.wallet
                    .node
                    .operation(&rival.to_hex(), Finality::Pending, Duration::ZERO)?;
            if of_rival.done.is_some() && !of_rival.never_executed {
                return Ok(Before::Never(fate));
            }
        }
        Err(self.unshown(entry))
    }

    /// An operation's nonce was used or its time is over, and nothing shows that it wasn't executed.
    pub(super) fn unshown(&self, entry: &Entry) -> Failure {
        let message = format!(
            "operation {} was signed before for an equal command. The node at {} says that it was never executed and that its \
             nonce, {}, was used or its time is over, and nothing here shows that: it may have been executed",
            entry.id(),
            self.wallet.node.base(),
            entry.slot().nonce
        );
        Failure::new(Exit::Sent, Code::Sent, message).advise(
            "see `frith wallet history`, and ask another node with --api; --again sends another all the same",
        )
    }

    /// Why an operation that was sent before isn't taken: when its nonce was used, it may have been used by itself.
    pub(super) fn if_used(&self, entry: &Entry, failure: Failure) -> Failure {
        if failure.exit == Exit::Refused && failure.code == Code::Nonce.name() {
            return self.unshown(entry);
        }
        failure
    }

    /// Forgets those of some operations that a node says to be over.
    pub(super) fn forget_ended(
        &self,
        journal: &mut Journal,
        which: impl Fn(&Entry) -> bool,
    ) -> Result<()> {
        let mut over = Vec::new();
        for entry in journal.entries().iter().filter(|entry| which(entry)) {
            if self.ask(entry)?.done.is_some() {
                over.push(entry.id());
            }
        }
        journal.forget(|entry| over.contains(&entry.id()))
    }
}
