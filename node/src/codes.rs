//! Every code that an error of the API or of the command line can have, and what to do about it.
//!
//! Codes are stable and for programs; advice is for people and may improve. The advice of a code is general; who
//! knows more at the place of the error says that instead.

use frith_tasks::Refusal;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal: $advice:literal;)*) => {
        /// What went wrong, in one stable word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, as in answers and in `docs/api.md`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

codes! {
    // Requests that can't be served.
    /// The bytes or the text can't be read.
    Malformed "malformed": "GET /v1/openapi.json describes every request; an operation is the SCALE encoding of a signed one";
    /// More bytes than allowed.
    TooLarge "too_large": "send less: an operation may have 64 KiB, content 16 MiB; put a large input into content, and name it in the task";
    /// The body's kind isn't the one that is taken.
    MediaType "media_type": "send application/json, or the raw bytes as application/octet-stream";
    /// Nothing stands there.
    NotFound "not_found": "check the name; what was submitted just now may not be committed yet";
    /// The path takes another method.
    Method "method": "GET /v1/openapi.json lists the methods of every path";
    /// The `Host` header names another machine.
    Host "host": "use http://127.0.0.1 with the API's port; others reach it through a tunnel or a proxy";
    /// Too many at one time.
    Busy "busy": "end some of them, or try again in a moment";
    /// It took too long.
    Timeout "timeout": "ask again, with a shorter wait (timeout_ms); if it stays so, see the node's load in `frith node status`";
    /// The node is shutting down.
    Stopping "stopping": "start the node again, or ask another one";
    /// Nobody connected has the content.
    ContentUnavailable "content_unavailable": "ask again when the workers that hold it are connected";
    /// Content by itself, where anybody may ask.
    NeedsOperation "needs_operation": "send it in one request with the signed operation that names it: POST /v1/operations as multipart/form-data, first the part operation, then each content; `frith task submit` does so";
    /// Nobody who was asked keeps the log.
    NoLog "no_log": "a worker keeps standard error for an hour after the run; `frith task run --local --as TASK` runs the task here and shows it";
    /// The node's disk refuses content.
    Store "store": "make room on the node's disk or raise disk_mib_max; `frith doctor --dir DIR` shows both";
    /// The node's store can't be read.
    StoreFailed "store_failed": "ask another node with --api; this one's disk has to be mended: its log says what failed, and `frith doctor --dir DIR` checks the disk";
    /// The node's own failure.
    Internal "internal": "the node's log says more; ask another node meanwhile";
    /// Any other status of the framework.
    Http "http": "GET /v1/openapi.json describes every request; is it a Frith node of this version?";

    // Operations that the pool doesn't take.
    /// The signature doesn't hold.
    Signature "signature": "sign the operation's body with the key that it names, for this network's genesis";
    /// Content that a task names isn't at the node.
    MissingContent "missing_content": "store the program (and an input above 4 KiB) at this node first: PUT /v1/content; `frith task submit` does so";
    /// Content that a task names has another length than the task says.
    ContentLength "content_length": "name the content's own length, or upload the content that is meant";
    /// Another operation waits with the nonce.
    NonceTaken "nonce_taken": "run the command again: it takes a later nonce. See what becomes of the operation that waits with GET /v1/operations/{id}";
    /// Too many operations wait.
    Overloaded "overloaded": "wait for as long as the message says, and send more slowly";
    /// The node takes no further part.
    Halted "halted": "mend what it says, and start the node again; meanwhile ask another one with --api";
    /// The node can't commit now.
    NotReady "not_ready": "wait until `frith node status` says ready, or ask another node with --api; nothing was signed or sent";

    // Refusals of the ledger.
    /// Signed for another network.
    WrongNetwork "wrong_network": "name the right node with --api, or the right genesis file with --genesis, and sign again";
    /// No such account.
    NoAccount "no_account": "send credits to it first; or is it the wrong --key, or a node of another network?";
    /// Not the key in force.
    WrongKey "wrong_key": "sign with the account's present key; GET /v1/entities/{account} names it when it was rotated";
    /// Another nonce than the next.
    Nonce "nonce": "run the command again: each takes the account's next nonce (GET /v1/entities/{account}); a consent is good for one nonce";
    /// A nonce too far ahead.
    NonceAhead "nonce_ahead": "send the operations between first, or sign with the account's next nonce";
    /// Past its expiry.
    Expired "expired": "sign it again with a later expiry; the command line does so each time";
    /// Expiry too late.
    ExpiryFar "expiry_far": "sign it again with an expiry within expiry_max epochs of the genesis' parameters";
    /// Fee below the least.
    Fee "fee": "raise the fee to what the message says; it grows with the operation's bytes";
    /// More than the balance.
    Underfunded "underfunded": "lower the amount, or send credits to the account first; `frith wallet balance` shows what it holds";
    /// Amounts that don't add up.
    Amounts "amounts": "use smaller amounts: no account can hold more credits than there are";
    /// Nothing to move.
    Nothing "nothing": "name an amount above zero";
    /// Not an account's address.
    NotAnAccount "not_an_account": "send to an account's address; `frith key show` prints yours";
    /// Something stands there.
    Occupied "occupied": "look what stands there with GET /v1/entities/{address}; the same order isn't needed twice";
    /// The worker's key is registered.
    KeyInUse "key_in_use": "register another key (`frith node init` makes one), or end that worker with `frith node leave` first";
    /// The place is another key's.
    OtherKey "other_key": "nothing is to be done here: keep the node with the worker's older key running until its places have ended";
    /// Another rotation waits.
    RotationPending "rotation_pending": "wait for the epoch that the message names, and rotate again";
    /// Too many replaced keys.
    RetiredKeys "retired_keys": "wait until the epoch that the message names is over, and rotate again";
    /// A list is full.
    Full "full": "wait until some of its entries are done, and try again";
    /// Too little stake.
    StakeTooSmall "stake_too_small": "raise --stake to what the message says";
    /// Terms out of range.
    Terms "terms": "offer at least one engine, and slots within the bounds of the message";
    /// A VRF key that proves nothing.
    VrfKey "vrf_key": "let the worker sign its consent again with `frith node consent`";
    /// No worker at this seat.
    NoWorker "no_worker": "a registration gets its seat some epochs later; see the account's workers in GET /v1/entities/{account}. Is it the right --key?";
    /// Somebody else's.
    NotYours "not_yours": "use the key of the account that it belongs to, with --key";
    /// Left or slashed.
    NotActive "not_active": "register a worker with a new key; the stake of this one returns by itself unless it was slashed";
    /// The collateral is promised.
    CollateralBound "collateral_bound": "ask for less, or wait until the worker's open tasks are settled";
    /// The task's description.
    Spec "spec": "change the field of the task that the message names";
    /// No such task.
    NoTask "no_task": "check the address with `frith task list`; what was submitted just now may not be executed yet";
    /// Too late or too early for it.
    TaskPhase "task_phase": "see where the task is with `frith task status`; a task can be cancelled only before it is drawn";
    /// The worker has no place.
    NotDrawn "not_drawn": "nothing is to be done: only drawn workers commit to a task";
    /// Another bond than asked for.
    Bond "bond": "commit with exactly the bond that the message says; the node does so by itself";
    /// A commitment stands.
    AlreadyCommitted "already_committed": "nothing is to be done: the first commitment stands";
    /// Nothing to open.
    NotCommitted "not_committed": "commit first; if the time for it is over, the place is drawn again";
    /// Reveals aren't open.
    RevealsClosed "reveals_closed": "reveal again when all have committed; the node does so by itself";
    /// The window is over.
    TooLate "too_late": "nothing is to be done any more; see docs/operators.md for what makes a worker late";
    /// Not what was committed to.
    Commitment "commitment": "reveal the very result and salt of the commitment; does another process work with this key?";
    /// No run ends so.
    Impossible "impossible": "run the task again with a current version of the program";
    /// The verdict stands.
    AlreadyDecided "already_decided": "nothing is to be done: the first verdict stands";
    /// Evidence of nothing.
    Evidence "evidence": "show two statements of one worker and view for different blocks, with their signatures";
    /// Evidence too old or new.
    EvidenceAge "evidence_age": "nothing is to be done: offences count within the unbonding time only";
    /// The stake is gone.
    AlreadySlashed "already_slashed": "nothing is to be done: somebody else was first";

    // The command line.
    /// Wrong options, environment or files.
    Usage "usage": "see the command's --help, and `frith config show --origin` for where settings come from";
    /// No node answers, or not in time.
    Unreachable "unreachable": "is the node running, and does `frith node status` say ready? name another with --api";
    /// An operation was sent, and nobody said what became of it.
    Sent "sent": "ask with `frith wallet operation ID`; the same command typed again asks first, and sends the same operation as long as nobody knows";
    /// A proof doesn't hold.
    Proof "proof": "the node that was asked is wrong or lies; ask another one with --api, and don't act on its answer";
    /// A proof contradicts what was verified before.
    Contradiction "contradiction": "ask another node with --api; compare `frith checkpoint show --kept` with somebody you trust; --from-genesis goes by the genesis alone for one command, and `frith checkpoint take ID` by a checkpoint that they name";
    /// What was verified is too old to go on from.
    CheckpointOld "checkpoint_old": "get a fresh one: somebody you trust runs `frith checkpoint show`, you run `frith checkpoint take ID`; or say --from-genesis to go by the genesis alone; is this machine's clock right?";
    /// The node knows less than was verified before.
    NodeBehind "node_behind": "wait until the node has caught up, or ask another one with --api; --from-genesis shows what this one knows";
    /// A file or directory.
    File "file": "check that the path is right, that you may use it, and that its disk has room";
    /// Anything else.
    Failed "failed": "try again; if it stays so, `frith doctor` looks for causes on this machine";
    /// No passphrase to be had.
    NoPassphrase "no_passphrase": "set FRITH_PASSPHRASE_FILE or FRITH_PASSPHRASE, unlock the key with `frith key unlock`, or run it on a terminal";
    /// The passphrase opens nothing.
    WrongPassphrase "wrong_passphrase": "try again; without the passphrase, `frith key import` brings the key back from its words";
    /// A phrase that is easy to guess.
    WeakPhrase "weak_phrase": "use the words that `frith key new` makes; or say --weak-passphrase if the key guards nothing";
    /// The user said no.
    Declined "declined": "nothing was done; run it again to think anew, or with --yes not to be asked";
    /// The agent.
    Agent "agent": "unlock the key again with `frith key unlock`, or lock it and say the passphrase";
    /// Another node runs there.
    InUse "in_use": "stop it first, or give this node a data directory and a key of its own: two nodes with one key lose their stake";
    /// Workers refuse the module.
    ModuleRefused "module_refused": "docs/tasks.md lists what a module may have";
    /// The program of a task or of a local run ended otherwise than with exit status 0.
    ProgramFailed "program_failed": "docs/tasks.md says what each end means; `frith task run --local` runs the program here, where it can be looked at";
    /// A task that ended without one.
    NoResult "no_result": "unused escrow is back in the account; see `frith task status` for why it ended, and submit it again";
    /// Another process has the node's key.
    KeyElsewhere "key_elsewhere": "find the other process and end it before this one starts again, or give this node a key of its own; no service manager may restart it";
    /// A node ended by itself.
    Stopped "stopped": "its log says why; `frith doctor --dir DIR` checks the machine";
    /// Sockets.
    Network "network": "choose other addresses with --listen, or stop what uses them";
    /// A check of the doctor failed.
    Unhealthy "unhealthy": "each check says what to do; run it again afterwards";
}

impl Code {
    /// The code of this name; `None` for one that this version doesn't know.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl From<&Refusal> for Code {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::WrongNetwork { .. } => Self::WrongNetwork,
            Refusal::NoAccount { .. } => Self::NoAccount,
            Refusal::WrongKey { .. } => Self::WrongKey,
            Refusal::Nonce { .. } => Self::Nonce,
            Refusal::NonceAhead { .. } => Self::NonceAhead,
            Refusal::Expired { .. } => Self::Expired,
            Refusal::ExpiryFar { .. } => Self::ExpiryFar,
            Refusal::Fee { .. } => Self::Fee,
            Refusal::Underfunded { .. } => Self::Underfunded,
            Refusal::Amounts => Self::Amounts,
            Refusal::Nothing => Self::Nothing,
            Refusal::NotAnAccount { .. } => Self::NotAnAccount,
            Refusal::Occupied { .. } => Self::Occupied,
            Refusal::KeyInUse { .. } => Self::KeyInUse,
            Refusal::Full { .. } => Self::Full,
            Refusal::StakeTooSmall { .. } => Self::StakeTooSmall,
            Refusal::Terms { .. } => Self::Terms,
            Refusal::VrfKey => Self::VrfKey,
            Refusal::NoWorker { .. } => Self::NoWorker,
            Refusal::NotYours { .. } => Self::NotYours,
            Refusal::NotActive { .. } => Self::NotActive,
            Refusal::CollateralBound { .. } => Self::CollateralBound,
            Refusal::Spec(_) => Self::Spec,
            Refusal::NoTask { .. } => Self::NoTask,
            Refusal::TaskPhase { .. } => Self::TaskPhase,
            Refusal::NotDrawn { .. } => Self::NotDrawn,
            Refusal::Bond { .. } => Self::Bond,
            Refusal::AlreadyCommitted { .. } => Self::AlreadyCommitted,
            Refusal::NotCommitted { .. } => Self::NotCommitted,
            Refusal::RevealsClosed { .. } => Self::RevealsClosed,
            Refusal::TooLate { .. } => Self::TooLate,
            Refusal::Commitment { .. } => Self::Commitment,
            Refusal::Impossible { .. } => Self::Impossible,
            Refusal::AlreadyDecided { .. } => Self::AlreadyDecided,
            Refusal::Evidence => Self::Evidence,
            Refusal::EvidenceAge { .. } => Self::EvidenceAge,
            Refusal::AlreadySlashed { .. } => Self::AlreadySlashed,
            Refusal::OtherKey { .. } => Self::OtherKey,
            Refusal::RotationPending { .. } => Self::RotationPending,
            Refusal::RetiredKeys { .. } => Self::RetiredKeys,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_a_name_of_its_own_and_an_advice_that_says_something() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(code.name().chars().all(plain), "{code}");
            assert!(
                code.advice().split_whitespace().count() >= 4,
                "{code}: {}",
                code.advice()
            );
            assert_eq!(Code::named(code.name()), Some(*code));
        }
        assert_eq!(Code::named("nobody_knows"), None);
    }

    #[test]
    fn every_code_is_in_the_documentation_of_the_api() {
        let document = include_str!("../../docs/api.md");
        let missing: Vec<&str> = Code::ALL
            .iter()
            .map(|code| code.name())
            .filter(|name| !document.contains(&format!("`{name}`")))
            .collect();
        assert!(missing.is_empty(), "docs/api.md lacks {missing:?}");
    }

    #[test]
    fn a_refusal_has_the_code_of_its_variant() {
        let refusal = Refusal::Nothing;
        assert_eq!(Code::from(&refusal).name(), "nothing");
        let refusal = Refusal::Spec(frith_tasks::SpecFault::Argument { index: 1 });
        assert_eq!(Code::from(&refusal).name(), "spec");
    }
}
