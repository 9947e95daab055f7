//! The submitter: keeps a window full, or submits at a steady pace, and times what becomes final.

use super::plan::{self, MEMBERS, Plan};
use anyhow::{Context as _, bail};
use frith_ledger::codec::BoundedVec;
use frith_neighbourhood::log::LogMessage;
use frith_network::{Network, NetworkEvent, PeerKey, Priority};
use parity_scale_codec::Encode as _;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, Write as _};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

/// Bytes of a command.
const COMMAND_BYTES: usize = 512;
/// Without any news for so long the run has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Keep so many commands under way at every member, sent in bundles. Times in ms.
    Saturate {
        window: u64,
        bundle: u64,
        warm_up: u64,
        millis: u64,
    },
    /// Submit so many commands a second, one by one.
    Pace { per_s: u64, millis: u64 },
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Final commands per second.
    pub(crate) per_s: f64,
    /// Median from submission to the news that it is final.
    pub(crate) p50_ms: f64,
}

/// Does jobs until standard input closes.
pub(crate) fn load() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (sender, mut lines) = tokio::sync::mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            let read = std::io::stdin().lock().lines();
            // A line that can't be read is the end of the run too.
            read.map_while(Result::ok)
                .all(|line| sender.blocking_send(line).is_ok())
        });
        let plan: Plan = serde_json::from_str(&lines.recv().await.context("no plan")?)?;
        let (network, events) = Network::start(plan::network(&plan)?).await?;
        network.set_members(plan::peers());
        let mut load = Load {
            network,
            events,
            next: 0,
            under_way: BTreeMap::new(),
            waiting: [0; MEMBERS as usize],
            filler: filler(),
        };
        load.connect().await?;
        while let Some(line) = lines.recv().await {
            let measured = match serde_json::from_str(&line)? {
                Job::Saturate {
                    window,
                    bundle,
                    warm_up,
                    millis,
                } => load.saturate(window, bundle, warm_up, millis).await?,
                Job::Pace { per_s, millis } => load.pace(per_s, millis).await?,
            };
            writeln!(std::io::stdout(), "{}", serde_json::to_string(&measured)?)?;
        }
        load.network.shutdown().await;
        Ok(())
    })
}

/// Bytes that don't shrink: a multiplicative congruential sequence's high bytes.
fn filler() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..1 << 16).map(next).collect()
}

/// Commands under way: at which member, how many, since when.
struct Bundle {
    member: u8,
    commands: u64,
    since: Instant,
}

struct Load {
    network: Network,
    events: Receiver<NetworkEvent>,
    next: u64,
    under_way: BTreeMap<u64, Bundle>,
    waiting: [u64; MEMBERS as usize],
    filler: Vec<u8>,
}

impl Load {
    async fn connect(&mut self) -> anyhow::Result<()> {
        let mut missing: BTreeSet<PeerKey> = plan::peers();
        missing.remove(&self.network.key());
        while !missing.is_empty() {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await?;
            match event.context("the network ended")? {
                NetworkEvent::Connected(peer) => missing.remove(&peer),
                _ => false,
            };
        }
        Ok(())
    }

    fn submit(&mut self, member: u8, commands: u64) -> anyhow::Result<()> {
        let token = self.next;
        self.next += 1;
        let command = |number: u64| {
            let number = token * 4096 + number;
            let at =
                usize::try_from(number * 97).unwrap_or(0) % (self.filler.len() - COMMAND_BYTES);
            let mut command = self.filler[at..at + COMMAND_BYTES].to_vec();
            command[..8].copy_from_slice(&number.to_be_bytes());
            BoundedVec::try_from(command)
        };
        let list: Result<Vec<_>, _> = (0..commands).map(command).collect();
        let message = LogMessage::Submit {
            token,
            commands: BoundedVec::try_from(list?)?,
        };
        let to = PeerKey::new(plan::key(member).public().0);
        self.network
            .send(to, Priority::Bulk, message.encode().into())?;
        let since = Instant::now();
        let bundle = Bundle {
            member,
            commands,
            since,
        };
        self.under_way.insert(token, bundle);
        self.waiting[usize::from(member)] += commands;
        Ok(())
    }

    /// Takes in one event: bundles that became final.
    fn news(&mut self, event: NetworkEvent) -> anyhow::Result<Vec<Bundle>> {
        let NetworkEvent::Message { frame, .. } = event else {
            return Ok(Vec::new());
        };
        match LogMessage::from_bytes(&frame)? {
            LogMessage::Finalised(tokens) => {
                let mut through = Vec::new();
                for token in &tokens {
                    if let Some(bundle) = self.under_way.remove(token) {
                        self.waiting[usize::from(bundle.member)] -= bundle.commands;
                        through.push(bundle);
                    }
                }
                Ok(through)
            }
            LogMessage::Refused { error, .. } => bail!("commands were refused: {error}"),
            _ => Ok(Vec::new()),
        }
    }

    async fn saturate(
        &mut self,
        window: u64,
        bundle: u64,
        warm_up: u64,
        millis: u64,
    ) -> anyhow::Result<Measured> {
        let began = Instant::now();
        let warm = Duration::from_millis(warm_up);
        let end = warm + Duration::from_millis(millis);
        let (mut counted, mut first, mut last) = (0_u64, None, began);
        let mut times = Vec::new();
        while began.elapsed() < end {
            for member in 0..MEMBERS {
                while self.waiting[usize::from(member)] + bundle <= window {
                    self.submit(member, bundle)?;
                }
            }
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await?;
            let through = self.news(event.context("the network ended")?)?;
            let now = Instant::now();
            if through.is_empty() || now - began < warm {
                continue;
            }
            if first.is_some() {
                counted += through.iter().map(|bundle| bundle.commands).sum::<u64>();
            }
            first.get_or_insert(now);
            last = now;
            times.extend(through.iter().map(|bundle| now - bundle.since));
        }
        self.drain().await?;
        let span = first.map_or(Duration::ZERO, |first| last - first);
        measured(counted, span, times)
    }

    async fn pace(&mut self, per_s: u64, millis: u64) -> anyhow::Result<Measured> {
        let began = Instant::now();
        let mut clock = tokio::time::interval(Duration::from_secs_f64(1.0 / per_s as f64));
        let (mut sent, mut times) = (0_u64, Vec::new());
        while began.elapsed() < Duration::from_millis(millis) {
            tokio::select! {
                _ = clock.tick() => {
                    self.submit(u8::try_from(sent % u64::from(MEMBERS))?, 1)?;
                    sent += 1;
                }
                event = self.events.recv() => {
                    let through = self.news(event.context("the network ended")?)?;
                    times.extend(through.iter().map(|bundle| bundle.since.elapsed()));
                }
            }
        }
        self.drain().await?;
        measured(times.len() as u64, began.elapsed(), times)
    }

    /// Waits until nothing is under way.
    async fn drain(&mut self) -> anyhow::Result<()> {
        while !self.under_way.is_empty() {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await?;
            self.news(event.context("the network ended")?)?;
        }
        Ok(())
    }
}

fn measured(counted: u64, span: Duration, mut times: Vec<Duration>) -> anyhow::Result<Measured> {
    times.sort_unstable();
    let median = times.get(times.len() / 2).context("nothing became final")?;
    Ok(Measured {
        per_s: counted as f64 / span.as_secs_f64().max(1e-9),
        p50_ms: median.as_secs_f64() * 1e3,
    })
}
