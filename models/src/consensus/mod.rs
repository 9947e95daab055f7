//! The voting rules of one consensus instance: four members of equal weight, and every order of events.
//!
//! # What is explored
//!
//! - *The network*: what was signed can arrive at once, late, in any order, often, or never. So a state holds
//!   what each correct member has signed, and a certificate exists as soon as enough has been.
//! - *Corrupt members* have signed everything: votes for every block, timeouts that name any view. Two processes
//!   with one key, or three, can do no more. In a view that a corrupt member leads, everything is proposed for
//!   which the certificates exist; a correct leader could do no more either, so its views are explored for the
//!   rule about proposals only.
//! - *Correct members* vote when [`rules`] let them, give up whenever `rules` let them, and save their record
//!   with it. With [`Scope::apart`] they also see certificates without signing anything, crash, and start
//!   again with what was synced.
//! - *Blocks* of one view differ by what they build on, and by [`Scope::variants`] payloads. All payloads are valid.
//!
//! Without `apart` a member sees certificates only when it signs on them. That leaves nothing out: what a
//! member may sign depends on what it has seen only through its view and its highest certificate, both only rise,
//! and what exists once exists for good, so whatever it saw in between it could have seen just before it
//! signed. A crash then loses nothing at all. A test compares both for two views.
//!
//! Correct members are alike unless they lead: a state and the same one with members exchanged are one. So are
//! payloads that nobody has voted for yet.
//!
//! # What is the product's
//!
//! The rules are the functions that `Consensus` calls: [`rules::follows`], `may_vote`, `may_propose`,
//! `may_give_up`, `commits`. Which votes make a certificate, and what a timeout certificate names, is asked of
//! [`QuorumCertificate::from_votes`], [`TimeoutCertificate::from_timeouts`] and [`TimeoutCertificate::high`] under a
//! [`Committee`] of four.
//!
//! Written again here, because it is bound up with keys, blocks and a host: how a member takes in certificates
//! (`adopt_quorum`, `adopt_timeout`), what of it is saved (`SafetyRecord`, of which four fields are here), and where
//! it starts again. Left out: availability and validity of blocks, recovery after a lost record and its floor, the
//! notice of an own signature that the record doesn't know (it would hide a vote before its sync), timers, and the
//! bounds of what is kept. The simulator and the twins run all of that (`docs/simulation.md`), not in every order.
//!
//! [`rules`]: frith_neighbourhood::consensus::rules
//! [`rules::follows`]: frith_neighbourhood::consensus::rules::follows
//! [`QuorumCertificate::from_votes`]: frith_ledger::certificate::QuorumCertificate::from_votes
//! [`TimeoutCertificate::from_timeouts`]: frith_ledger::certificate::TimeoutCertificate::from_timeouts
//! [`TimeoutCertificate::high`]: frith_ledger::certificate::TimeoutCertificate::high
//! [`Committee`]: frith_ledger::certificate::Committee

mod blocks;
mod certificates;
mod member;
mod model;
mod planted;
mod properties;

pub use self::blocks::{Block, Blocks};
pub use self::certificates::Views;
pub use self::member::VIEWS_MAX;
pub use self::model::{Action, Consensus, Scope, State};
pub use self::planted::Planted;
pub use self::properties::{
    BUILT_ON, COMMITS, COMMITS_AFTER_TIMEOUT, ONE_CERTIFICATE, ONE_CHAIN, ONE_SIGNATURE,
};
