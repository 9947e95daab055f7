//! `frith node run`: the service in this process.

use super::Report;
use super::args::RunArgs;
use super::session::{Session, worker_seed};
use crate::codes::Code;
use crate::config::{LogFormat, Partial, Settings};
use crate::failure::{Context as _, Exit, Failure, Result};
use crate::node_dir::{CONFIG_FILE, GENESIS_FILE, NodeDir};
use crate::service::{Service, ServiceConfig, Stopped};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Threads that serve the API, the network and the worker's waiting; the core has one of its own.
const THREADS: usize = 2;

pub(super) fn run(session: &Session, mut options: RunArgs) -> Result<Report> {
    if session.json {
        // Who asked for JSON gets nothing else, also not from the log.
        options.log_format.get_or_insert(LogFormat::Json);
    }
    let file = Partial::from_file(&options.dir.join(CONFIG_FILE))?;
    let environment = Partial::from_environment(|name| std::env::var(name).ok())?;
    let fault = options.fault;
    let (dir, show) = (options.dir.clone(), options.show_config);
    let until_stdin_closes = options.until_stdin_closes;
    let settings = Settings::resolve(layer(options), environment, file)?;
    if show {
        let settings = super::config::all_of(&settings)?;
        return Report::new(
            super::config::table(&settings, true),
            &super::config::values(&settings),
        );
    }
    start_log(&settings)?;
    let dir = NodeDir::lock(&dir)?;
    let genesis = crate::client::read_genesis(&dir.path().join(GENESIS_FILE))?;
    let free = dir.free_bytes()?;
    if free < settings.disk_free_mib_min << 20 {
        return Err(Failure::other(format!(
            "the disk of {} has {} free, and disk_free_mib_min asks for {} MiB",
            dir.path().display(),
            crate::amounts::bytes(free),
            settings.disk_free_mib_min,
        ))
        .advise("make room, or lower disk_free_mib_min in config.toml"));
    }
    raise_descriptors();
    let seed = worker_seed(dir.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .doing("cannot start the node's threads")?;
    let stopped = runtime.block_on(async {
        survive_file_limits()?;
        let service = Service::start(ServiceConfig {
            dir,
            genesis,
            seed,
            settings,
            fault,
        })
        .await?;
        let ended = service.run_until(asked_to_end(until_stdin_closes)).await;
        Ok::<_, Failure>(ended)
    })?;
    said(stopped)
}

/// How a node's end is told.
fn said(stopped: Stopped) -> Result<Report> {
    match stopped {
        Stopped::Asked => Report::new("", &serde_json::json!({"stopped": "asked"})),
        Stopped::KeyElsewhere => Err(Failure::new(
            Exit::KeyElsewhere,
            Code::KeyElsewhere,
            "another process runs with this node's key, so this one has stopped: two voters with one key lose their stake",
        )),
        Stopped::Halted(reason) => Err(Failure::new(
            Exit::Halted,
            Code::Halted,
            format!("the node has halted: {reason}"),
        )),
        Stopped::ByItself => Err(Failure::new(
            Exit::Other,
            Code::Stopped,
            "the node has stopped by itself",
        )),
    }
}

/// Lets this process open as many files and sockets as it may: many systems begin with 1024, and the store's files, the
/// peers and the API's clients share them.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(limit = ?limit.maximum, "descriptors"),
        Err(error) => {
            tracing::warn!(%error, limit = ?limit.current, "the limit of descriptors stays as it is");
        }
    }
}

/// The options as a layer of settings.
fn layer(options: RunArgs) -> Partial {
    Partial {
        listen: options.listen,
        external: options.external,
        bootstrap: options.bootstrap,
        api: options.api_listen,
        api_public: options.api_public.then_some(true),
        engines: options.engines,
        slots: options.slots,
        log: options.log,
        log_format: options.log_format,
        ..Partial::default()
    }
}

/// Logs go to standard error; standard output is for answers.
fn start_log(settings: &Settings) -> Result<()> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|error| Failure::usage(format!("log is {:?}: {error}", settings.log)))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match settings.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(Failure::other)
}

/// Ends when the node has to: a signal, or the end of who started it.
async fn asked_to_end(until_stdin_closes: bool) {
    tokio::select! {
        () = signal() => {}
        () = stdin_closed(), if until_stdin_closes => tracing::info!("standard input closed: shutting down"),
    }
}

/// Makes a file that grows beyond the process's limit (`RLIMIT_FSIZE`) a failed write, as on a full disk, instead of
/// the end of the process.
fn survive_file_limits() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let kind = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    // A signal that somebody listens to does nothing else, also when nobody listens any more.
    signal(kind)
        .map(drop)
        .doing("cannot listen to the system's signals")
}

/// Ends when standard input does. Read on a thread of its own, which nothing waits for at the end.
async fn stdin_closed() {
    let (sender, closed) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _nobody_waits = sender.send(());
    });
    let _thread_gone = closed.await.is_err();
}

/// Ends when the user or the system asks the node to stop.
pub(super) async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        // Without signals only the core itself can end the node.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => tracing::info!("interrupted: shutting down"),
        _ = terminate.recv() => tracing::info!("asked to end: shutting down"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_met_its_twin_ends_with_a_code_that_the_unit_does_not_restart() {
        let failure = said(Stopped::KeyElsewhere).expect_err("it isn't in order");
        let code = failure.exit as u8;
        assert_eq!((code, failure.code.as_str()), (6, "key_elsewhere"));
        let unit = include_str!("../../../deploy/frith.service");
        let settings: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(settings.contains(&"Restart=on-failure"));
        assert!(settings.contains(&format!("RestartPreventExitStatus={code}").as_str()));
        assert!(super::super::args::EXIT_CODES.contains(&format!("{code} another process")));
        let other = said(Stopped::ByItself).expect_err("neither is this");
        assert_eq!(other.exit as u8, 1, "what a restart may mend is restarted");
    }

    #[test]
    fn a_node_that_halted_ends_with_a_code_of_its_own_and_the_unit_starts_it_after_a_minute() {
        let reason = "the store failed: no space left in /var/lib/frith/store";
        let failure = said(Stopped::Halted(reason.to_owned())).expect_err("it isn't in order");
        let code = failure.exit as u8;
        assert_eq!((code, failure.code.as_str()), (9, "halted"));
        assert!(failure.message.contains(reason), "{failure}");
        let unit = include_str!("../../../deploy/frith.service");
        let settings: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(settings.contains(&"Restart=on-failure"));
        assert!(settings.contains(&"RestartSec=60"));
        let prevented = settings
            .iter()
            .find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
        let prevented = prevented.unwrap_or_default().split(' ');
        assert!(
            prevented
                .into_iter()
                .all(|status| status != code.to_string())
        );
        assert!(super::super::args::EXIT_CODES.contains(&format!("{code} the node halted")));
    }
}
