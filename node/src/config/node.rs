//! The settings of a node.

use crate::failure::{Failure, Result};
use frith_vm::EngineKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// Longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Peers that a node can be given to begin with.
const ADDRESSES_MAX: usize = 64;

/// Tasks that a worker runs at one time, and registers for, unless something else is said. Registered slots that the
/// machine doesn't have are no-shows: more places than it can run in time.
pub const SLOTS_DEFAULT: u8 = 2;
/// The least urgent niceness that there is.
const NICE_MAX: u8 = 19;
/// Memory that a node itself needs beside its cache, in MiB, with room for a full network.
const NODE_MIB_MIN: u64 = 160;
/// Least bandwidth: a piece of content must arrive before its fetch is given up.
const BANDWIDTH_KIB_MIN: u64 = 64;

/// An engine that a worker can offer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Engine {
    /// Compiles ahead of time; the fast one.
    Wasmtime,
    /// An interpreter.
    Wasmi,
    /// Of Chromium and its relatives: for workers in a browser.
    V8,
    /// Of Firefox: for workers in a browser.
    SpiderMonkey,
    /// Of Safari: for workers in a browser.
    JavaScriptCore,
}

impl Engine {
    /// Those that this program runs itself.
    pub const NATIVE: &[Self] = &[Self::Wasmtime, Self::Wasmi];

    /// The same as the machine names it.
    #[must_use]
    pub const fn kind(self) -> EngineKind {
        match self {
            Self::Wasmtime => EngineKind::Wasmtime,
            Self::Wasmi => EngineKind::Wasmi,
            Self::V8 => EngineKind::V8,
            Self::SpiderMonkey => EngineKind::SpiderMonkey,
            Self::JavaScriptCore => EngineKind::JavaScriptCore,
        }
    }

    /// Its kind, if this program runs it itself.
    ///
    /// # Errors
    /// It is a browser's.
    pub fn native(self) -> Result<EngineKind> {
        let kind = self.kind();
        if Self::NATIVE.contains(&self) {
            return Ok(kind);
        }
        Err(Failure::usage(format!(
            "this program has no engine {kind}: that one is a browser's"
        ))
        .advise("use wasmtime or wasmi"))
    }

    /// Its bit in a worker's terms.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self.kind().number()
    }

    /// The bits of several.
    #[must_use]
    pub fn bits(engines: &[Self]) -> u8 {
        engines.iter().fold(0, |bits, engine| bits | engine.bit())
    }
}

/// A misbehaviour for demonstrations: never on a network that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Changes the first byte of every result before it commits to it.
    WrongResult,
    /// Runs no task: never commits, so its places are drawn again.
    Silent,
    /// Holds every result back for two epochs before it commits.
    Slow,
    /// Runs no task and commits to a guess: nothing, for no fuel.
    Lazy,
    /// Votes twice in every view that it votes in.
    Equivocate,
}

impl Fault {
    /// Its name, as on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongResult => "wrong-result",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Lazy => "lazy",
            Self::Equivocate => "equivocate",
        }
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which layer decided a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// An option on the command line.
    Option,
    /// A variable `FRITH_…`.
    Environment,
    /// The data directory's `config.toml`.
    File,
    /// Nothing said otherwise.
    Default,
}

impl Origin {
    /// Its name, as it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Option => "option",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $variable:literal, $parse:expr;)*) => {
        /// One layer of settings.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Partial {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$type>,)*
        }

        /// The settings that a node runs with.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub struct Settings {
            $($(#[$doc])* pub $name: $type,)*
            /// Which layer decided each of them.
            pub origins: BTreeMap<&'static str, Origin>,
        }

        impl Partial {
            /// The layer of the environment, read through `lookup`.
            ///
            /// # Errors
            /// A variable whose value is not of its kind.
            pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
                let mut layer = Self::default();
                $(if let Some(text) = lookup($variable) {
                    let parse: fn(&str) -> Result<$type, String> = $parse;
                    layer.$name = Some(parse(&text).map_err(|reason| {
                        Failure::usage(format!("the environment variable {} is {text:?}: {reason}", $variable))
                    })?);
                })*
                Ok(layer)
            }
        }

        impl Settings {
            fn layered(layers: [(Origin, Partial); 3]) -> Self {
                let mut origins = BTreeMap::new();
                $(let mut $name: Option<$type> = None;)*
                for (origin, layer) in layers {
                    $(if $name.is_none() && layer.$name.is_some() {
                        $name = layer.$name;
                        origins.insert(stringify!($name), origin);
                    })*
                }
                $(if $name.is_none() { origins.insert(stringify!($name), Origin::Default); })*
                Self { $($name: $name.unwrap_or_else(|| $default),)* origins }
            }
        }
    };
}

fn list(text: &str) -> Result<Vec<String>, String> {
    Ok(text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect())
}

fn named<T: clap::ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text.trim(), true)
}

/// Yes or no, however it is written.
fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("say true or false".to_owned()),
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.trim()
        .parse()
        .map_err(|error: T::Err| error.to_string())
}

settings! {
    /// Where to listen for peers, as multiaddresses.
    listen: Vec<String> = vec![
        "/ip4/0.0.0.0/tcp/4200".to_owned(), "/ip4/0.0.0.0/udp/4200/quic-v1".to_owned(),
        "/ip6/::/tcp/4200".to_owned(), "/ip6/::/udp/4200/quic-v1".to_owned(),
    ], "FRITH_LISTEN", list;
    /// Where others reach this node, when that differs.
    external: Vec<String> = Vec::new(), "FRITH_EXTERNAL", list;
    /// Peers to begin with; any one suffices.
    bootstrap: Vec<String> = Vec::new(), "FRITH_BOOTSTRAP", list;
    /// Where the HTTP API listens.
    api: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 4280)), "FRITH_API_LISTEN", parsed;
    /// Whether the API may listen on an address that others reach.
    api_public: bool = false, "FRITH_API_PUBLIC", flag;
    /// Engines that tasks are run on.
    engines: Vec<Engine> = vec![Engine::Wasmtime, Engine::Wasmi], "FRITH_ENGINES",
        |text| list(text)?.iter().map(|name| named(name)).collect();
    /// Tasks run at one time.
    slots: u8 = SLOTS_DEFAULT, "FRITH_SLOTS", parsed;
    /// Longest that one run of a task may take on this machine, in seconds. A longer one is given up, never a result.
    run_seconds_max: u64 = 300, "FRITH_RUN_SECONDS_MAX", parsed;
    /// Most memory of the process that runs tasks, in MiB.
    runner_memory_mib: u64 = 2048, "FRITH_RUNNER_MEMORY_MIB", parsed;
    /// Niceness of the processes that run tasks: 0 as the node itself, 19 only when nobody else works.
    runner_nice: u8 = 10, "FRITH_RUNNER_NICE", parsed;
    /// Most memory of node and runner processes together, in MiB; 0 for no bound beside theirs.
    memory_mib_max: u64 = 0, "FRITH_MEMORY_MIB_MAX", parsed;
    /// Bytes that the data directory may have, in MiB, before content is refused; 0 for no quota.
    disk_mib_max: u64 = 0, "FRITH_DISK_MIB_MAX", parsed;
    /// KiB a second of content that this node gives to others; 0 for no bound.
    bandwidth_kib_per_s: u64 = 0, "FRITH_BANDWIDTH_KIB_PER_S", parsed;
    /// The store's block cache, in MiB.
    cache_mib: u64 = 32, "FRITH_CACHE_MIB", parsed;
    /// Free bytes of the disk, in MiB, below which the node doesn't start.
    disk_free_mib_min: u64 = 256, "FRITH_DISK_FREE_MIB_MIN", parsed;
    /// Account that gets the reward for evidence, as an address; empty: none is claimed for the node's user.
    reporter: String = String::new(), "FRITH_REPORTER", parsed;
    /// What is logged: `info`, `frith=debug,warn`.
    log: String = "info,libp2p_swarm=warn".to_owned(), "FRITH_LOG", parsed;
    /// The log's form.
    log_format: LogFormat = LogFormat::Text, "FRITH_LOG_FORMAT", named;
}

impl Partial {
    /// The layer of a TOML file; empty when there is no such file.
    ///
    /// # Errors
    /// An unreadable file, or what is wrong in it and where.
    pub fn from_file(path: &Path) -> Result<Self> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
                return Err(Failure::usage(format!(
                    "{} has more than {FILE_BYTES_MAX} bytes",
                    path.display()
                )));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Failure::file("read", path, error)),
        }
        let text = crate::text::read(path).map_err(|error| Failure::file("read", path, error))?;
        toml::from_str(&text)
            .map_err(|error| Failure::usage(format!("in {}: {error}", path.display())))
    }

    /// The file's text.
    ///
    /// # Errors
    /// A value that TOML can't hold.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(Failure::other)
    }
}

impl Settings {
    /// The first layer that has a setting decides it.
    ///
    /// # Errors
    /// Settings that can't work: an API that strangers reach without `api_public`, no engine, no slot.
    pub fn resolve(options: Partial, environment: Partial, file: Partial) -> Result<Self> {
        let settings = Self::layered([
            (Origin::Option, options),
            (Origin::Environment, environment),
            (Origin::File, file),
        ]);
        settings.check()?;
        Ok(settings)
    }

    /// The settings of a data directory, by its file and this process's environment.
    ///
    /// # Errors
    /// What is wrong in either, or settings that can't work.
    pub fn of_dir(dir: &Path) -> Result<Self> {
        let file = Partial::from_file(&dir.join(crate::node_dir::CONFIG_FILE))?;
        let environment = Partial::from_environment(|name| std::env::var(name).ok())?;
        Self::resolve(Partial::default(), environment, file)
    }

    /// Memory that all runner processes may take together, in MiB.
    #[must_use]
    pub fn runners_mib(&self) -> u64 {
        u64::from(self.slots).saturating_mul(self.runner_memory_mib)
    }

    /// Whether the caps can be kept together.
    fn check_caps(&self) -> Result<()> {
        if self.runner_nice > NICE_MAX {
            return Err(Failure::usage(format!(
                "runner_nice is {}; it must be 0 to {NICE_MAX}",
                self.runner_nice
            )));
        }
        let least = NODE_MIB_MIN + self.cache_mib + self.runners_mib();
        if self.memory_mib_max > 0 && self.memory_mib_max < least {
            return Err(Failure::usage(format!(
                "memory_mib_max is {}, and {} runners of {} MiB with a node of {} MiB may take {least}",
                self.memory_mib_max,
                self.slots,
                self.runner_memory_mib,
                NODE_MIB_MIN + self.cache_mib,
            ))
            .advise("lower slots or runner_memory_mib, or allow more"));
        }
        if (1..BANDWIDTH_KIB_MIN).contains(&self.bandwidth_kib_per_s) {
            return Err(Failure::usage(format!(
                "bandwidth_kib_per_s is {}; it must be at least {BANDWIDTH_KIB_MIN}, or 0 for no bound",
                self.bandwidth_kib_per_s
            ))
            .advise("with less, others give up before a piece of content has arrived"));
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.check_caps()?;
        if !self.api.ip().is_loopback() && !self.api_public {
            return Err(Failure::usage(format!(
                "the API would listen on {}, which others may reach, and it has neither passwords nor encryption",
                self.api
            ))
            .advise("use 127.0.0.1 and a tunnel or a proxy; or say --api-public if you know who can reach it"));
        }
        if self.slots == 0 || usize::from(self.slots) > frith_ledger::parameters::SLOTS_MAX {
            return Err(Failure::usage(format!(
                "slots is {}; it must be 1 to {}",
                self.slots,
                frith_ledger::parameters::SLOTS_MAX
            )));
        }
        if self.engines.is_empty() {
            return Err(Failure::usage(
                "engines is empty; a worker needs wasmtime or wasmi",
            ));
        }
        for engine in &self.engines {
            engine.native()?;
        }
        if [&self.listen, &self.external, &self.bootstrap]
            .iter()
            .any(|list| list.len() > ADDRESSES_MAX)
        {
            return Err(Failure::usage(format!(
                "more than {ADDRESSES_MAX} addresses in listen, external or bootstrap"
            )));
        }
        if self.run_seconds_max == 0 || self.runner_memory_mib < 64 {
            return Err(Failure::usage(
                "run_seconds_max must be above 0 and runner_memory_mib at least 64",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &str, environment: &[(&str, &str)], file: &str, expected: (u16, Origin)) {
        let layer = |text: &str| toml::from_str::<Partial>(text).expect("the test's TOML is valid");
        let lookup = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let environment =
            Partial::from_environment(lookup).expect("the test's environment is valid");
        let settings =
            Settings::resolve(layer(options), environment, layer(file)).expect("is valid");
        assert_eq!((settings.api.port(), settings.origins["api"]), expected);
    }

    #[test]
    fn options_win_over_environment_over_file_over_defaults() {
        let env = [("FRITH_API_LISTEN", "127.0.0.1:2")];
        check(
            "api = '127.0.0.1:1'",
            &env,
            "api = '127.0.0.1:3'",
            (1, Origin::Option),
        );
        check("", &env, "api = '127.0.0.1:3'", (2, Origin::Environment));
        check("", &[], "api = '127.0.0.1:3'", (3, Origin::File));
        check("", &[], "", (4280, Origin::Default));
    }

    #[test]
    fn an_api_that_others_reach_needs_a_word_of_its_own() {
        let resolve = |text| {
            let layer: Partial = toml::from_str(text).expect("is TOML");
            Settings::resolve(layer, Partial::default(), Partial::default())
        };
        let refused = resolve("api = '0.0.0.0:4280'").expect_err("is refused");
        assert_eq!(refused.exit, crate::failure::Exit::Usage);
        assert!(resolve("api = '0.0.0.0:4280'\napi_public = true").is_ok());
        assert!(resolve("api = '[::1]:4280'").is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error =
            Partial::from_environment(|name| (name == "FRITH_SLOTS").then(|| "many".to_owned()));
        assert!(
            error
                .expect_err("is no number")
                .message
                .contains("FRITH_SLOTS")
        );
        assert!(
            toml::from_str::<Partial>("lisen = []")
                .expect_err("is unknown")
                .to_string()
                .contains("lisen")
        );
        let none: Partial = toml::from_str("engines = []").expect("is TOML");
        assert!(Settings::resolve(none, Partial::default(), Partial::default()).is_err());
    }

    #[test]
    fn a_yes_or_no_of_the_environment_is_taken_however_it_is_written() {
        let public = |text: &str| {
            let lookup = |name: &str| (name == "FRITH_API_PUBLIC").then(|| text.to_owned());
            Partial::from_environment(lookup).map(|layer| layer.api_public)
        };
        for (text, expected) in [("true", true), ("YES", true), ("1", true), ("Off", false)] {
            assert_eq!(public(text), Ok(Some(expected)), "{text}");
        }
        assert!(public("maybe").is_err());
    }

    #[test]
    fn settings_are_read_behind_a_byte_order_mark() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "\u{feff}slots = 3\n").expect("writes");
        let layer = Partial::from_file(file.path()).expect("is read");
        assert_eq!(layer.slots, Some(3));
    }

    #[test]
    fn caps_that_can_t_be_kept_together_are_refused() {
        let resolve = |text: &str| {
            let layer: Partial = toml::from_str(text).expect("is TOML");
            Settings::resolve(layer, Partial::default(), Partial::default())
        };
        // Two slots of 2048 MiB, and 160 + 32 for the node.
        assert!(resolve("memory_mib_max = 4288").is_ok());
        assert!(resolve("memory_mib_max = 4287").is_err());
        assert!(resolve("memory_mib_max = 4287\nslots = 1").is_ok());
        assert!(resolve("runner_nice = 20").is_err());
        assert!(resolve("bandwidth_kib_per_s = 63").is_err());
        assert!(resolve("bandwidth_kib_per_s = 64").is_ok());
    }

    #[test]
    fn every_setting_survives_its_file() {
        let layer = Partial {
            engines: Some(vec![Engine::Wasmi]),
            log_format: Some(LogFormat::Json),
            slots: Some(3),
            ..Partial::default()
        };
        let text = layer.to_toml().expect("is TOML");
        assert_eq!(toml::from_str::<Partial>(&text).expect("reads back"), layer);
    }
}
