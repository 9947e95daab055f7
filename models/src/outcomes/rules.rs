//! What two leaves do with a message that crosses their border: pure functions of what a leaf holds and of
//! what it is shown.
//!
//! The design's rules, which no leaf follows yet: there is one. Types, ids, list proofs and sums are the ledger's.

use frith_ledger::block::Flows;
use frith_ledger::credits::{Credits, CreditsError};
use frith_ledger::hash::Hash;
use frith_ledger::message::{Message, MessageId, Outcome, OutcomeKind};
use frith_ledger::outbox::{ListProof, ListProofError};
use frith_ledger::units::Epoch;
use parity_scale_codec::Encode;
use std::collections::{BTreeMap, BTreeSet};

/// A rule that is broken on purpose. Each must give a counterexample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Delivers what has an outcome already.
    DeliversTwice,
    /// Delivers after the message's last epoch.
    DeliversLate,
    /// Takes any message for one that the outbox lists.
    SkipsTheProof,
    /// Deletes an outcome before the message expired.
    ForgetsEarly,
    /// Deletes an outcome after expiry, whether or not the sender's record is gone.
    ForgetsUnasked,
    /// Takes the sender's record for gone when a claim from before it was written doesn't hold it.
    TrustsAStaleClaim,
    /// Refunds when some claim holds no outcome and the sender's own leaf is past the message's last epoch.
    RefundsOnAbsence,
    /// Refunds and keeps the pending record.
    KeepsPending,
}

/// Why a courier is sent away. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The outbox doesn't list the message.
    Proof(ListProofError),
    /// There is an outcome already, or no record that it could end.
    Settled,
    /// Too early or too late.
    Epoch,
    /// The claim doesn't show what it should.
    Claim,
    /// An amount doesn't fit.
    Credits(CreditsError),
}

impl From<CreditsError> for Refused {
    fn from(error: CreditsError) -> Self {
        Self::Credits(error)
    }
}

/// A leaf, as far as its borders go. A sender holds pending records, a receiver outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Leaf {
    /// The epoch that its blocks are in.
    pub epoch: Epoch,
    /// All its credits.
    pub credits: Credits,
    /// What went over its borders.
    pub flows: Flows,
    /// Messages whose outcome is not known here.
    pub pending: BTreeSet<MessageId>,
    /// What became of messages that came.
    pub outcomes: BTreeMap<MessageId, Outcome>,
}

/// What a claim shows of a leaf at the end of an epoch: what proofs against its summary can say.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Shown {
    /// The epoch that it closed.
    pub epoch: Epoch,
    /// The list of messages that left in the epoch.
    pub outbox: Hash,
    /// As in [`Leaf`].
    pub pending: BTreeSet<MessageId>,
    /// As in [`Leaf`].
    pub outcomes: BTreeMap<MessageId, Outcome>,
}

impl Leaf {
    /// A leaf with this much.
    #[must_use]
    pub fn new(credits: Credits) -> Self {
        Self {
            epoch: Epoch::ZERO,
            credits,
            flows: Flows::default(),
            pending: BTreeSet::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// Sends `message`: its value leaves, and a record of it stays.
    ///
    /// # Errors
    /// [`Refused::Credits`] when the value isn't there.
    pub fn send(&mut self, message: &Message) -> Result<(), Refused> {
        let credits = self.credits.sub(message.value)?;
        self.flows.sent = self.flows.sent.add(message.value)?;
        self.credits = credits;
        self.pending.insert(message.id());
        Ok(())
    }

    /// Ends the epoch.
    pub fn close(&mut self, outbox: Hash) -> Shown {
        let shown = Shown {
            epoch: self.epoch,
            outbox,
            pending: self.pending.clone(),
            outcomes: self.outcomes.clone(),
        };
        self.epoch = self.epoch.next();
        shown
    }

    /// Writes what becomes of a message that `shown` lists: delivered in time, expired after it.
    ///
    /// # Errors
    /// [`Refused`]: not listed there, not the time for `kind`, or written already.
    pub fn decide(
        &mut self,
        message: &Message,
        kind: OutcomeKind,
        (shown, proof): (&Shown, &ListProof),
        planted: Option<Planted>,
    ) -> Result<(), Refused> {
        let id = message.id();
        if planted != Some(Planted::SkipsTheProof) {
            let listed = proof.verify(&shown.outbox, message.index, &id);
            listed.map_err(Refused::Proof)?;
        }
        let delivers = kind == OutcomeKind::Delivered;
        let twice = delivers && planted == Some(Planted::DeliversTwice);
        if self.outcomes.contains_key(&id) && !twice {
            return Err(Refused::Settled);
        }
        let in_time = self.epoch <= message.expires;
        let late = delivers && planted == Some(Planted::DeliversLate);
        if in_time != delivers && !late {
            return Err(Refused::Epoch);
        }
        if delivers {
            let credits = self.credits.add(message.value)?;
            self.flows.received = self.flows.received.add(message.value)?;
            self.credits = credits;
        }
        let outcome = Outcome {
            message: id,
            kind,
            epoch: self.epoch,
        };
        self.outcomes.insert(id, outcome);
        Ok(())
    }

    /// Ends the pending record of a message whose outcome `shown` holds. Returns whether its value came back.
    ///
    /// # Errors
    /// [`Refused`]: no record is pending, or `shown` holds no outcome.
    pub fn settle(
        &mut self,
        message: &Message,
        shown: &Shown,
        planted: Option<Planted>,
    ) -> Result<bool, Refused> {
        let id = message.id();
        if !self.pending.contains(&id) {
            return Err(Refused::Settled);
        }
        let kind = match shown.outcomes.get(&id) {
            Some(outcome) => outcome.kind,
            None if planted == Some(Planted::RefundsOnAbsence) && self.epoch > message.expires => {
                OutcomeKind::Expired
            }
            None => return Err(Refused::Claim),
        };
        let refunds = kind == OutcomeKind::Expired;
        if refunds {
            let credits = self.credits.add(message.value)?;
            self.flows.refunded = self.flows.refunded.add(message.value)?;
            self.credits = credits;
        }
        if !refunds || planted != Some(Planted::KeepsPending) {
            self.pending.remove(&id);
        }
        Ok(refunds)
    }

    /// Deletes the outcome of an expired message whose pending record `shown` doesn't hold any more. The
    /// message itself is shown, for its epochs: the outcome names only its id.
    ///
    /// # Errors
    /// [`Refused`]: no outcome, not expired yet, or the record may be there.
    pub fn forget(
        &mut self,
        message: &Message,
        shown: &Shown,
        planted: Option<Planted>,
    ) -> Result<(), Refused> {
        let id = message.id();
        if !self.outcomes.contains_key(&id) {
            return Err(Refused::Settled);
        }
        if self.epoch <= message.expires && planted != Some(Planted::ForgetsEarly) {
            return Err(Refused::Epoch);
        }
        // At the end of the epoch in which it was sent the record was there.
        let since = shown.epoch >= message.epoch || planted == Some(Planted::TrustsAStaleClaim);
        let gone = since && !shown.pending.contains(&id);
        if !gone && planted != Some(Planted::ForgetsUnasked) {
            return Err(Refused::Claim);
        }
        self.outcomes.remove(&id);
        Ok(())
    }
}
