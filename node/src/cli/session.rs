//! What a command knows of its surroundings: directory, node, genesis, key.

use super::args::Common;
use super::config::Setting;
use super::output::tell;
use crate::agent::{Agent, AgentError, socket_path};
use crate::client::{Home, HomeConfig, Journal, NodeClient, Signer, Start, Wallet};
use crate::codes::Code;
use crate::config::Origin;
use crate::failure::{Exit, Failure, Result};
use crate::keystore::{FileError, KeyFile, Kind, Label, Source, UNLOCK, Variables, WORKER_UNLOCK};
use frith_ledger::address::Address;
use frith_ledger::genesis::Genesis;
use frith_ledger::hash::Hash;
use frith_ledger::key::{SecretKey, Seed};
use frith_ledger::operation::OperationId;
use serde_json::json;
use std::cell::RefCell;
use std::path::Path;
use zeroize::Zeroizing;

/// The surroundings of one command.
pub(super) struct Session {
    pub(super) json: bool,
    pub(super) home: Home,
    common: Common,
    config: HomeConfig,
    /// Operations whose fate is about to be printed.
    told: RefCell<Vec<(Hash, Address, OperationId)>>,
}

impl Session {
    pub(super) fn new(common: Common, json: bool) -> Result<Self> {
        let home = Home::locate(common.home.clone())?;
        let config = home.config()?;
        Ok(Self {
            json,
            home,
            common,
            config,
            told: RefCell::default(),
        })
    }

    /// What this command prints is the last word about an operation.
    pub(super) fn will_tell(&self, genesis: Hash, account: Address, operation: OperationId) {
        self.told.borrow_mut().push((genesis, account, operation));
    }

    /// It was printed: nobody has to ask for those operations any more.
    pub(super) fn forget_told(&self) {
        for (genesis, account, operation) in self.told.borrow_mut().drain(..) {
            let forgotten = Journal::open(self.home.dir(), &genesis, &account, || {})
                .and_then(|mut journal| journal.forget(|entry| entry.id() == operation));
            if let Err(failure) = forgotten {
                let word =
                    format!("{failure}; an equal command will find this one's end once more");
                tell(self.json, &word, &json!({"note": word}));
            }
        }
    }

    /// The node that commands ask.
    pub(super) fn node(&self) -> Result<NodeClient> {
        NodeClient::new(self.api())
    }

    fn api(&self) -> &str {
        let api = self.common.api.first().or(self.config.api.as_ref());
        api.map_or(crate::client::API_DEFAULT, String::as_str)
    }

    /// Nodes that stand in for it while an operation is under way: those named behind it, else those of the settings.
    pub(super) fn others(&self) -> Result<Vec<NodeClient>> {
        let named = self.common.api.iter().skip(1);
        let mut bases: Vec<&String> = named.chain(&self.config.nodes).collect();
        let first = self.api().trim_end_matches('/');
        bases.retain(|base| base.trim_end_matches('/') != first);
        bases
            .into_iter()
            .map(|base| NodeClient::new(base))
            .collect()
    }

    /// The trusted genesis.
    pub(super) fn genesis(&self) -> Result<Genesis> {
        match &self.common.genesis {
            Some(path) => crate::client::read_genesis(path),
            None => crate::client::read_genesis(&self.home.genesis_path()),
        }
    }

    /// What answers are checked from.
    pub(super) const fn start(&self) -> Start {
        if self.common.from_genesis {
            Start::Genesis
        } else {
            Start::Kept
        }
    }

    /// The name of the key to use.
    pub(super) fn key_name(&self) -> Result<String> {
        if let Some(name) = self.common.key.as_ref().or(self.config.key.as_ref()) {
            return Ok(name.clone());
        }
        let names = self.home.keys()?;
        match names.as_slice() {
            [name] => Ok(name.clone()),
            [] => Err(
                Failure::usage(format!("there is no key in {}", self.home.dir().display()))
                    .advise("make one with `frith key new`, or name your directory with --home"),
            ),
            names => Err(
                Failure::usage(format!("which key? there are {}", names.join(", ")))
                    .advise("say --key NAME"),
            ),
        }
    }

    fn key_file(&self) -> Result<KeyFile> {
        self.named_file(&self.key_name()?)
    }

    fn named_file(&self, name: &str) -> Result<KeyFile> {
        KeyFile::read(&self.home.key_path(name)?).map_err(key_failure)
    }

    /// The account of the key, without its passphrase.
    pub(super) fn address(&self) -> Result<Address> {
        let file = self.key_file()?;
        label_account(&file)
    }

    /// The account's key. Asks for the passphrase; takes half a second.
    fn unlock(&self) -> Result<(SecretKey, Address)> {
        self.unlock_named(&self.key_name()?)
    }

    /// The key of this name and the account that it signs for. Asks for the passphrase; takes half a second.
    pub(super) fn unlock_named(&self, name: &str) -> Result<(SecretKey, Address)> {
        let file = self.named_file(name)?;
        let (kind, secret) = unlock(&file, UNLOCK)?;
        let key = match kind {
            Kind::Seed => Seed::from_bytes(*secret).account(),
            Kind::Account => SecretKey::from_bytes(&secret),
            Kind::Worker => {
                return Err(Failure::usage(format!(
                    "{} holds a worker's key, which can't spend",
                    file.path().display()
                ))
                .advise("name an account's key with --key"));
            }
        };
        if key.public().address() != label_address(&file)? {
            return Err(Failure::other(format!(
                "{} says another address than its key's; it was tampered with",
                file.path().display()
            )));
        }
        Ok((key, label_account(&file)?))
    }

    /// The account with its key.
    pub(super) fn wallet<'a>(
        &self,
        genesis: &'a Genesis,
        node: &'a NodeClient,
    ) -> Result<Wallet<'a>> {
        let signer = match self.agent()? {
            Some(agent) => Signer::Agent(agent),
            None => {
                let (key, account) = self.unlock()?;
                Signer::Key { key, account }
            }
        };
        Ok(Wallet::new(genesis, node, signer))
    }

    /// The agent that holds the key, if one does.
    fn agent(&self) -> Result<Option<Agent>> {
        let name = self.key_name()?;
        let agent = Agent::at(&socket_path(self.home.dir(), &name)).map_err(agent_failure)?;
        let account = self.address()?;
        // A key file that was replaced since: its own passphrase is asked for.
        Ok(agent.filter(|agent| agent.described.account == account))
    }

    /// Makes a key the one that is used when none is named, if `before` was.
    pub(super) fn follow_default(&self, before: &str, key: &str) -> Result<()> {
        if self.config.key.as_deref() != Some(before) {
            return Ok(());
        }
        let mut config = self.config.clone();
        config.key = Some(key.to_owned());
        self.home.write_config(&config)
    }

    /// What this command goes by, and which layer decided it.
    pub(super) fn settings(&self) -> Result<Vec<Setting>> {
        let from = |name: &str| self.common.origins.get(name).copied();
        let layer = |name: &str, in_file: bool| match from(name) {
            Some(origin) => origin,
            None if in_file => Origin::File,
            None => Origin::Default,
        };
        let others: Vec<String> = self
            .others()?
            .iter()
            .map(|node| node.base().to_owned())
            .collect();
        let genesis = self
            .common
            .genesis
            .clone()
            .unwrap_or_else(|| self.home.genesis_path());
        // Several keys and none named is no mistake as long as none is used.
        let key = self.key_name().unwrap_or_default();
        Ok(vec![
            (
                "home".to_owned(),
                json!(self.home.dir()),
                layer("home", false),
            ),
            (
                "api".to_owned(),
                json!(self.api()),
                layer("api", self.config.api.is_some()),
            ),
            (
                "nodes".to_owned(),
                json!(others),
                match self.common.api.len() {
                    0 | 1 if self.config.nodes.is_empty() => Origin::Default,
                    0 | 1 => Origin::File,
                    _ => layer("api", false),
                },
            ),
            (
                "genesis".to_owned(),
                json!(genesis),
                layer("genesis", false),
            ),
            (
                "key".to_owned(),
                json!(key),
                layer("key", self.config.key.is_some()),
            ),
        ])
    }
}

/// An agent's failure in the program's terms.
pub(super) fn agent_failure(error: AgentError) -> Failure {
    let advice = match error {
        AgentError::Exposed { .. } => "make it private with chmod 700, or remove it",
        AgentError::TooLong { .. } => "name a shorter directory with --home",
        AgentError::Io { .. } | AgentError::Answer { .. } => {
            "remove that file if nothing of yours listens there"
        }
    };
    Failure::new(Exit::Other, Code::Agent, error).advise(advice)
}

/// The address of the key that a key file's label names.
pub(super) fn label_address(file: &KeyFile) -> Result<Address> {
    parse_address(file, &label(file)?.address)
}

/// The account that the key of a key file signs for: its own, or one whose key it replaced.
pub(super) fn label_account(file: &KeyFile) -> Result<Address> {
    let label = label(file)?;
    parse_address(file, label.account.as_ref().unwrap_or(&label.address))
}

fn label(file: &KeyFile) -> Result<&Label> {
    file.keystore().label().ok_or_else(|| {
        Failure::usage(format!(
            "{} was not written by frith: it doesn't say whose key it is",
            file.path().display()
        ))
    })
}

fn parse_address(file: &KeyFile, text: &str) -> Result<Address> {
    text.parse()
        .map_err(|error| Failure::usage(format!("in {}: {error}", file.path().display())))
}

/// A key file's secret and what it is for; the passphrase from the environment or the terminal.
fn unlock(file: &KeyFile, variables: Variables) -> Result<(Kind, Zeroizing<[u8; 32]>)> {
    let prompt = format!("Passphrase of {}: ", file.path().display());
    let passphrase = Source::of_process(variables)
        .existing(&prompt)
        .map_err(|error| Failure::refused(Code::NoPassphrase, error))?;
    let secret = file.unlock(&passphrase).map_err(key_failure)?;
    Ok((
        file.keystore()
            .label()
            .map_or(Kind::Seed, |label| label.kind),
        secret,
    ))
}

/// A key file's failure in the program's terms.
pub(crate) fn key_failure(error: FileError) -> Failure {
    let message = error.to_string();
    match error {
        FileError::WrongPassphrase { .. } | FileError::WrongPassphraseOrDamaged { .. } => {
            Failure::refused(Code::WrongPassphrase, message)
        }
        FileError::Exists { .. } => {
            Failure::usage(message).advise("choose another name, or move that file away")
        }
        FileError::NotFound { .. } => {
            Failure::usage(message).advise("see `frith key show` for the keys that there are")
        }
        _ => Failure::other(message),
    }
}

/// Reads the secret of a data directory's worker.
pub(crate) fn worker_seed(dir: &Path) -> Result<Seed> {
    let file = KeyFile::read(&dir.join(crate::node_dir::WORKER_FILE)).map_err(|error| {
        key_failure(error).advise(
            "bring the key back from its words with `frith node init --import` in another directory, and copy the \
             worker.json from there to here; keep everything else that stands here",
        )
    })?;
    let (_, secret) = unlock(&file, WORKER_UNLOCK)?;
    let seed = Seed::from_bytes(*secret);
    if seed.worker().public().address() != label_address(&file)? {
        return Err(Failure::other(format!(
            "{} says another address than its key's",
            file.path().display()
        )));
    }
    Ok(seed)
}
