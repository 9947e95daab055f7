//! A replicated log of four processes on loopback, and one process that submits to all of them.
//!
//! Every process has the real network (TCP, Noise, yamux) and, as a member, its own RocksDB. Commands reach
//! members as frames from a peer, and what is final comes back as frames; throughput and latency are
//! those that the submitter sees.

mod load;
mod plan;
mod replica;

pub(crate) use load::load;
pub(crate) use replica::replica;

use crate::rounded;
use anyhow::{Context as _, bail};
use load::{Job, Measured};
use plan::{MEMBERS, Plan, Tuning};
use serde_json::{Map, Value};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long each run takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds of each measurement at saturation.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only this figure: opaque or fifty.
    #[arg(long)]
    only: Option<String>,
}

/// A process that ends with this one: it stops when its standard input closes.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(kind: &str, plan: &Plan) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(kind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting a {kind}"))?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut process = Self { child, output };
        process.say(&serde_json::to_string(plan)?)?;
        Ok(process)
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().context("no input")?;
        writeln!(input, "{line}")?;
        Ok(input.flush()?)
    }

    fn hear(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("a process ended early");
        }
        Ok(line.trim().to_owned())
    }

    fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if !status.success() {
            bail!("a process ended with {status}");
        }
        Ok(())
    }
}

/// Starts members and a submitter, has them do `jobs`, and stops them.
fn run(tuning: &Tuning, jobs: &[Job]) -> anyhow::Result<Vec<Measured>> {
    let folder = tempfile::tempdir()?;
    let plan = |role, bootstrap: &[String]| Plan {
        role,
        folder: folder.path().to_path_buf(),
        bootstrap: bootstrap.to_vec(),
        tuning: tuning.clone(),
    };
    let mut members = vec![Process::start("replica", &plan(0, &[]))?];
    let mut addresses = vec![members[0].hear()?];
    for member in 1..MEMBERS {
        let mut process = Process::start("replica", &plan(member, &addresses))?;
        addresses.push(process.hear()?);
        members.push(process);
    }
    let mut load = Process::start("load", &plan(MEMBERS, &addresses))?;
    let mut measured = Vec::new();
    for job in jobs {
        load.say(&serde_json::to_string(job)?)?;
        measured.push(serde_json::from_str(&load.hear()?).context("what was measured")?);
    }
    load.stop()?;
    for member in members {
        member.stop()?;
    }
    Ok(measured)
}

/// Median time of one 4 KiB write and its sync, in ms.
fn sync_ms() -> anyhow::Result<f64> {
    let file = tempfile::tempfile()?;
    let mut times = Vec::new();
    for turn in 0..64_u64 {
        let began = Instant::now();
        file.write_all_at(&[7; 4096], turn * 4096)?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Processor time of all processes that this one started and waited for, exact to a hundredth of a second.
fn ended_processes_time() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // After the name in brackets come the fields from the third on; the 16th and 17th are meant (proc(5)).
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let mut fields = fields.split_whitespace().skip(13);
    let mut ticks = || -> anyhow::Result<u64> { Ok(fields.next().context("too short")?.parse()?) };
    Ok(Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// Measures all figures.
pub(crate) fn measure(options: &Options) -> anyhow::Result<Map<String, Value>> {
    let mut figures = Map::new();
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    if wanted("opaque") {
        opaque(Duration::from_secs(options.seconds), &mut figures)?;
    }
    if wanted("fifty") {
        fifty(&mut figures)?;
    }
    Ok(figures)
}

const fn mode(durable: bool) -> &'static str {
    if durable { "durable" } else { "memory" }
}

fn opaque(time: Duration, figures: &mut Map<String, Value>) -> anyhow::Result<()> {
    let millis = u64::try_from(time.as_millis())?;
    let mut slowest: Option<(f64, f64)> = None;
    for durable in [true, false] {
        let jobs = [
            Job::Pace { per_s: 500, millis },
            Job::Saturate {
                window: 24_576,
                bundle: 64,
                warm_up: 3_000,
                millis,
            },
        ];
        let measured = run(&Tuning::opaque(durable), &jobs)?;
        let [paced, full] = &measured[..] else {
            bail!("two jobs, {} answers", measured.len());
        };
        println!(
            "opaque, {:8}: {:8.0} commands of 512 bytes per second; {:6.1} ms (median) at 500/s",
            mode(durable),
            full.per_s,
            paced.p50_ms
        );
        figures.insert(
            format!("opaque.{}_ops_per_s", mode(durable)),
            rounded(full.per_s, 0),
        );
        figures.insert(
            format!("opaque.{}_p50_ms_low_load", mode(durable)),
            rounded(paced.p50_ms, 1),
        );
        let figure = (full.per_s, paced.p50_ms);
        slowest = Some(slowest.map_or(figure, |(per_s, p50)| {
            (figure.0.min(per_s), figure.1.max(p50))
        }));
    }
    if let Some((per_s, p50)) = slowest {
        figures.insert("opaque.ops_per_s".to_owned(), rounded(per_s, 0));
        figures.insert("opaque.p50_ms_low_load".to_owned(), rounded(p50, 1));
    }
    Ok(())
}

fn fifty(figures: &mut Map<String, Value>) -> anyhow::Result<()> {
    let sync = sync_ms()?;
    figures.insert("fifty.sync_ms".to_owned(), rounded(sync, 2));
    for durable in [false, true] {
        let job = Job::Saturate {
            window: 64,
            bundle: 1,
            warm_up: 1_000,
            millis: 5_000,
        };
        let before = ended_processes_time()?;
        let measured = run(&Tuning::one_command_per_block(durable), &[job])?;
        let spent = ended_processes_time()?.saturating_sub(before);
        let per_s = measured.first().map_or(f64::NAN, |m| m.per_s);
        let seconds = 50.0 / per_s;
        // Whoever started and warmed up did blocks too: all of the time falls on all blocks.
        let core_ms = spent.as_secs_f64() * 1e3 / (per_s * 6.0);
        let target = if durable { 0.05 * (sync + 2.0) } else { 0.06 };
        println!(
            "fifty,  {:8}: {seconds:.4} s for 50 blocks of one command (at most {target:.4}; one sync takes {sync:.2} ms), \
             {core_ms:.2} ms of a core for a block on all processes",
            mode(durable)
        );
        figures.insert(format!("fifty.{}_s", mode(durable)), rounded(seconds, 4));
        figures.insert(
            format!("fifty.{}_core_ms", mode(durable)),
            rounded(core_ms, 3),
        );
    }
    Ok(())
}
