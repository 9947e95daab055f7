//! The model: two leaves, their claims, and couriers that show any claim to any leaf at any time.

use super::rules::{Leaf, Planted, Shown};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::message::{Message, MessageBody, MessageId, OutcomeKind};
use frith_ledger::outbox::{outbox_root, prove};
use frith_ledger::units::Epoch;
use parity_scale_codec::Encode;
use stateright::{Model, Property};
use std::hash::{Hash, Hasher};

/// What is explored.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// How many messages are sent at the most.
    pub messages: u32,
    /// Epochs after its own in which a message can be delivered.
    pub lifetime: u64,
    /// Each leaf's last epoch; nothing is sent in it.
    pub epochs: u64,
    /// How many epochs one leaf can be ahead of the other.
    pub ahead: u64,
    /// The broken rule.
    pub planted: Option<Planted>,
}

/// Messages from one leaf to another.
#[derive(Debug, Clone, Copy)]
pub struct Outcomes {
    scope: Scope,
}

/// What became of a message's value, counted by nobody but the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode)]
pub struct Fate {
    delivered: u8,
    refunded: u8,
    /// Whether it was once recorded as delivered, and once as expired.
    recorded: (bool, bool),
}

/// Two leaves and everything that they ever claimed.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct State {
    source: Leaf,
    destination: Leaf,
    /// Claims of the source by epoch, from 0.
    sent: Vec<Shown>,
    /// Claims of the destination.
    written: Vec<Shown>,
    messages: Vec<Message>,
    fates: Vec<Fate>,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.encode().hash(state);
    }
}

/// Which message, and which claim a courier shows with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errand {
    message: usize,
    claim: usize,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A message is sent.
    Send,
    /// The source ends an epoch.
    CloseSource,
    /// The destination ends an epoch.
    CloseDestination,
    /// A courier asks for delivery.
    Deliver(Errand),
    /// A courier asks for delivery of more than was sent.
    Forge(Errand),
    /// A courier asks for the record that it expired.
    Expire(Errand),
    /// A courier brings the outcome to the sender.
    Settle(Errand),
    /// A courier brings back that the sender knows.
    Forget(Errand),
}

const WEALTH: Credits = Credits::new(100);

impl State {
    fn new() -> Self {
        Self {
            source: Leaf::new(WEALTH),
            destination: Leaf::new(Credits::ZERO),
            sent: Vec::new(),
            written: Vec::new(),
            messages: Vec::new(),
            fates: Vec::new(),
        }
    }

    /// The outbox of an epoch.
    fn outbox(&self, epoch: Epoch) -> Vec<MessageId> {
        let sent = self.messages.iter().filter(|sent| sent.epoch == epoch);
        sent.map(Message::id).collect()
    }

    fn close_source(&mut self) {
        let outbox = outbox_root(&self.outbox(self.source.epoch));
        self.sent.push(self.source.close(outbox));
    }

    fn close_destination(&mut self) {
        self.written.push(self.destination.close(outbox_root(&[])));
    }

    fn in_flight(&self) -> Option<Credits> {
        let mut flying = self.messages.iter().zip(&self.fates);
        flying.try_fold(Credits::ZERO, |sum, (message, fate)| {
            match fate.delivered + fate.refunded {
                0 => sum.add(message.value).ok(),
                _ => Some(sum),
            }
        })
    }

    fn conserves(&self) -> Option<bool> {
        let (source, destination) = (&self.source, &self.destination);
        let flows = source.flows.add(&destination.flows).ok()?;
        let credits = source.credits.add(destination.credits).ok()?;
        let arrived = flows.received.add(flows.refunded).ok()?;
        Some(
            source.flows.conserve(source.credits, WEALTH).ok()?
                && destination
                    .flows
                    .conserve(destination.credits, Credits::ZERO)
                    .ok()?
                && flows.conserve(credits, WEALTH).ok()?
                && arrived.add(self.in_flight()?).ok()? == flows.sent
                && credits.add(self.in_flight()?).ok()? == WEALTH,
        )
    }

    fn is_settled(&self) -> bool {
        let ended = |fate: &Fate| fate.delivered + fate.refunded == 1;
        self.source.pending.is_empty() && self.fates.iter().all(ended)
    }
}

impl Outcomes {
    /// A model of this scope.
    #[must_use]
    pub const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    fn message(&self, state: &State) -> Message {
        let number = state.messages.len();
        let epoch = state.source.epoch;
        let before = state.messages.iter().filter(|sent| sent.epoch == epoch);
        Message {
            from: Address([1; 32]),
            to: Address([2; 32]),
            value: Credits::new(10 << number),
            body: MessageBody::Value,
            epoch,
            index: u32::try_from(before.count()).unwrap_or(u32::MAX),
            expires: epoch.plus(self.scope.lifetime),
        }
    }

    /// Asks the destination to write what becomes of `message`, with the proof of its place that the claim gives.
    fn decide(
        &self,
        state: &mut State,
        errand: Errand,
        kind: OutcomeKind,
        forged: bool,
    ) -> Option<()> {
        let mut message = state.messages[errand.message].clone();
        if forged {
            message.value = Credits::new(50);
        }
        let shown = &state.sent[errand.claim];
        // A courier without a fitting proof shows another.
        let outbox = state.outbox(shown.epoch);
        let proof = prove(&outbox, message.index)
            .or_else(|_| prove(&outbox, 0))
            .ok()?;
        let decided = state
            .destination
            .decide(&message, kind, (shown, &proof), self.scope.planted);
        decided.ok()?;
        let fate = &mut state.fates[errand.message];
        match kind {
            OutcomeKind::Delivered => {
                fate.delivered += 1;
                fate.recorded.0 = true;
            }
            OutcomeKind::Expired => fate.recorded.1 = true,
        }
        Some(())
    }

    fn act(&self, state: &mut State, action: Action) -> Option<()> {
        let planted = self.scope.planted;
        match action {
            Action::Send => {
                let message = self.message(state);
                state.source.send(&message).ok()?;
                state.messages.push(message);
                state.fates.push(Fate::default());
            }
            Action::CloseSource => state.close_source(),
            Action::CloseDestination => state.close_destination(),
            Action::Deliver(errand) => {
                self.decide(state, errand, OutcomeKind::Delivered, false)?;
            }
            Action::Forge(errand) => {
                self.decide(state, errand, OutcomeKind::Delivered, true)?;
            }
            Action::Expire(errand) => {
                self.decide(state, errand, OutcomeKind::Expired, false)?;
            }
            Action::Settle(errand) => {
                let (message, shown) = (
                    &state.messages[errand.message],
                    &state.written[errand.claim],
                );
                let refunded = state.source.settle(message, shown, planted).ok()?;
                state.fates[errand.message].refunded += u8::from(refunded);
            }
            Action::Forget(errand) => {
                let (message, shown) = (&state.messages[errand.message], &state.sent[errand.claim]);
                state.destination.forget(message, shown, planted).ok()?;
            }
        }
        Some(())
    }

    /// Everything that couriers can ask for.
    fn errands(state: &State, actions: &mut Vec<Action>) {
        for message in 0..state.messages.len() {
            for claim in 0..state.sent.len() {
                let errand = Errand { message, claim };
                actions.extend([
                    Action::Deliver(errand),
                    Action::Forge(errand),
                    Action::Expire(errand),
                    Action::Forget(errand),
                ]);
            }
            for claim in 0..state.written.len() {
                actions.push(Action::Settle(Errand { message, claim }));
            }
        }
    }

    /// Whether one courier that does what it can brings every message to its end from here, and every record.
    fn can_end(&self, state: &State) -> bool {
        let mut state = state.clone();
        for _ in 0..self.scope.lifetime + self.scope.ahead + 3 {
            let mut actions = Vec::new();
            Self::errands(&state, &mut actions);
            for action in actions {
                // What is refused changes nothing.
                let _refused = self.act(&mut state, action);
            }
            state.close_source();
            state.close_destination();
        }
        state.is_settled() && state.destination.outcomes.is_empty()
    }
}

impl Model for Outcomes {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let Scope {
            messages,
            epochs,
            ahead,
            ..
        } = self.scope;
        let (source, destination) = (state.source.epoch.get(), state.destination.epoch.get());
        if state.messages.len() < messages as usize && source < epochs {
            actions.push(Action::Send);
        }
        if source < epochs && source < destination + ahead {
            actions.push(Action::CloseSource);
        }
        if destination < epochs && destination < source + ahead {
            actions.push(Action::CloseDestination);
        }
        Self::errands(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.act(&mut state, action)?;
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, state: &State| {
                state.fates.iter().all(|fate| fate.delivered <= 1)
            }),
            Property::always(NOT_BOTH, |_, state: &State| {
                let mut fates = state.fates.iter();
                fates.all(|fate| fate.delivered + fate.refunded <= 1)
            }),
            Property::always(CONSERVED, |_, state: &State| {
                state.conserves() == Some(true)
            }),
            Property::always(KNOWN, |_, state: &State| {
                let mut sent = state.messages.iter().zip(&state.fates);
                sent.all(|(message, fate)| {
                    state.source.pending.contains(&message.id())
                        || fate.delivered + fate.refunded == 1
                })
            }),
            Property::always(ENDS, Self::can_end),
            Property::sometimes(DELIVERED, |_, state: &State| {
                state.fates.iter().any(|fate| fate.delivered == 1)
            }),
            Property::sometimes(REFUNDED, |_, state: &State| {
                state.fates.iter().any(|fate| fate.refunded == 1)
            }),
            Property::sometimes(FORGOTTEN, |model: &Self, state: &State| {
                state.fates.len() == model.scope.messages as usize
                    && state.is_settled()
                    && state.destination.outcomes.is_empty()
            }),
            Property::sometimes(RECORDED_AGAIN, |_, state: &State| {
                state.fates.iter().any(|fate| fate.recorded == (true, true))
            }),
        ]
    }
}

/// A message is delivered at most once.
pub const ONCE: &str = "a message is delivered at most once";
/// What is delivered is not refunded, and the other way round; nothing is refunded twice.
pub const NOT_BOTH: &str = "a message is delivered or refunded, not both";
/// What both leaves hold and what is under way is what there was.
pub const CONSERVED: &str = "value is conserved";
/// A sender's record ends only with a delivery or a refund.
pub const KNOWN: &str = "what is neither delivered nor refunded is pending";
/// From everywhere one courier can bring all to an end.
pub const ENDS: &str = "every message can still be delivered or refunded";
/// Messages are delivered.
pub const DELIVERED: &str = "a message is delivered";
/// Messages are refunded.
pub const REFUNDED: &str = "a message is refunded";
/// All records can go.
pub const FORGOTTEN: &str = "every message is settled and no record of it is left";
/// The design's gap: after its outcome was deleted, a delivered message can be recorded as expired.
pub const RECORDED_AGAIN: &str = "a delivered message is recorded as expired";
