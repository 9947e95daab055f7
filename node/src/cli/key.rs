//! `frith key`: keys of accounts.

use super::Report;
use super::args::KeyCommand;
use super::output::tell;
use super::session::{Session, agent_failure, key_failure, label_account};
use crate::agent::{Agent, Described, Hand, socket_path};
use crate::codes::Code;
use crate::failure::{Context as _, Failure, Result};
use crate::keystore::{
    Cost, KEY_PHRASE, KeyFile, Keystore, Kind, Label, Overwrite, Passphrase, Phrase, Source,
    Strength, UNLOCK, Variables,
};
use frith_ledger::address::Address;
use frith_ledger::key::{PublicKey, SecurityLevel, Seed};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

pub(super) fn run(session: &Session, command: KeyCommand) -> Result<Report> {
    match command {
        KeyCommand::New { name } => {
            let phrase = Phrase::generate().doing("cannot make a key")?;
            let report = keep(session, &name, &phrase, None)?.report(&name)?;
            show_phrase(session.json, &phrase);
            Ok(report)
        }
        KeyCommand::Import {
            name,
            weak_passphrase,
            account,
        } => keep(session, &name, &ask_phrase(weak_passphrase)?, account)?.report(&name),
        KeyCommand::Rotate { name, yes, wait } => super::rotate::account(session, &name, yes, wait),
        KeyCommand::Show { name } => show(session, name),
        KeyCommand::Unlock { name, timeout } => unlock(session, name, timeout),
        KeyCommand::Lock { name } => lock(session, name),
        KeyCommand::Agent => {
            crate::agent::run().doing("the agent could not begin")?;
            Report::new("", &())
        }
    }
}

/// Pays for the passphrase once, and leaves the key with an agent.
fn unlock(session: &Session, name: Option<String>, timeout: u64) -> Result<Report> {
    let name = name.map_or_else(|| session.key_name(), Ok)?;
    let (key, account) = session.unlock_named(&name)?;
    let hand = Hand {
        socket: socket_path(session.home.dir(), &name),
        time: Duration::from_secs(timeout),
        key,
        account,
    };
    let program = std::env::current_exe().doing("cannot find this program")?;
    let agent = crate::agent::start(&program, &hand).map_err(agent_failure)?;
    let Described {
        account,
        process,
        in_memory,
        ..
    } = agent.described;
    let swap = if in_memory {
        ""
    } else {
        "; the system may write its memory to swap"
    };
    Report::new(
        format!(
            "key      {name}\naddress  {account}\nunlocked for {timeout} s by process {process}{swap}\nlock it with `frith key lock {name}`"
        ),
        &json!({"name": name, "address": account, "seconds": timeout, "process": process, "in_memory": in_memory, "socket": hand.socket}),
    )
}

/// Ends agents. Locking what isn't unlocked is no failure.
fn lock(session: &Session, name: Option<String>) -> Result<Report> {
    let home = session.home.dir();
    let asked = match name {
        Some(name) => vec![(name.clone(), socket_path(home, &name))],
        None => crate::agent::all(home),
    };
    let mut locked = Vec::new();
    for (name, socket) in asked {
        if let Some(agent) = Agent::at(&socket).map_err(agent_failure)? {
            agent.lock().map_err(agent_failure)?;
            locked.push(name);
        }
    }
    let text = match locked.as_slice() {
        [] => "no key was unlocked".to_owned(),
        names => format!("locked {}", names.join(", ")),
    };
    Report::new(text, &json!({"locked": locked}))
}

/// A phrase of the user's own.
pub(super) fn ask_phrase(weak: bool) -> Result<Phrase> {
    let strength = if weak {
        Strength::WeakAllowed
    } else {
        Strength::Required
    };
    let text = Source::of_process(KEY_PHRASE)
        .existing("Phrase of the key: ")
        .map_err(Failure::usage)?;
    Phrase::own(text.as_str(), strength).map_err(|error| Failure::refused(Code::WeakPhrase, error))
}

/// The phrase of a new key, once, on standard error: it must not end in a file by accident.
pub(super) fn show_phrase(json: bool, phrase: &Phrase) {
    let (what, words) = (
        "Write these words down and keep them secret. Who has them has the key; they are shown this once",
        phrase.as_str(),
    );
    tell(
        json,
        &format!("{what}:\n\n    {words}\n"),
        &json!({"note": what, "phrase": words}),
    );
}

/// The passphrase of a new key file.
pub(super) fn ask_passphrase(variables: Variables) -> Result<Passphrase> {
    Source::of_process(variables)
        .fresh(
            "Passphrase that will unlock the key on this machine: ",
            "The same again: ",
        )
        .map_err(|error| Failure::refused(Code::NoPassphrase, error))
}

/// A key that was put into the user's directory.
pub(super) struct Kept {
    /// The key.
    pub(super) key: PublicKey,
    /// The account that it signs for.
    pub(super) account: Address,
    /// Its file.
    pub(super) file: PathBuf,
}

impl Kept {
    fn report(&self, name: &str) -> Result<Report> {
        let (address, path) = (self.account, &self.file);
        Report::new(
            format!(
                "key      {name}\naddress  {address}\nfile     {}",
                path.display()
            ),
            &json!({"name": name, "address": address, "file": path}),
        )
    }
}

/// Puts a phrase's key into the user's directory; it signs for `account`, or for the account that begins with it.
pub(super) fn keep(
    session: &Session,
    name: &str,
    phrase: &Phrase,
    account: Option<Address>,
) -> Result<Kept> {
    let path = free_path(session, name)?;
    session.home.create()?;
    let passphrase = ask_passphrase(UNLOCK)?;
    let level = SecurityLevel::DEFAULT;
    let seed = Seed::from_passphrase(phrase.as_str(), level);
    let key = seed.account().public();
    let address = key.address();
    let account = account.filter(|account| *account != address);
    let label = Label {
        kind: Kind::Seed,
        security_level: level.get(),
        address: address.to_string(),
        account: account.map(|account| account.to_string()),
    };
    let keystore = Keystore::seal(seed.as_bytes(), &passphrase, label, name, Cost::DEFAULT)
        .map_err(Failure::other)?;
    KeyFile::write(&path, keystore, Overwrite::No).map_err(key_failure)?;
    Ok(Kept {
        key,
        account: account.unwrap_or(address),
        file: path,
    })
}

/// Where the key of a new name will stand.
pub(super) fn free_path(session: &Session, name: &str) -> Result<PathBuf> {
    let path = session.home.key_path(name)?;
    if path.exists() {
        return Err(Failure::usage(format!(
            "there is a key named {name} already ({})",
            path.display()
        ))
        .advise("choose another name"));
    }
    Ok(path)
}

fn show(session: &Session, name: Option<String>) -> Result<Report> {
    let names = match name {
        Some(name) => vec![name],
        None => session.home.keys()?,
    };
    let mut text = String::new();
    let mut keys = Vec::new();
    for name in names {
        let file = KeyFile::read(&session.home.key_path(&name)?).map_err(key_failure)?;
        let address = label_account(&file)?;
        let agent = Agent::at(&socket_path(session.home.dir(), &name)).map_err(agent_failure)?;
        let unlocked = agent.map(|agent| agent.described.seconds_left);
        let state =
            unlocked.map_or_else(String::new, |seconds| format!("  unlocked for {seconds} s"));
        text.push_str(&format!("{name:<12} {address}{state}\n"));
        keys.push(json!({"name": name, "address": address, "file": file.path(), "unlocked_seconds": unlocked}));
    }
    if keys.is_empty() {
        text = format!(
            "no keys in {}; make one with `frith key new`",
            session.home.dir().display()
        );
    }
    Report::new(text, &keys)
}
