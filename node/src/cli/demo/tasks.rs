//! Tasks of the demo: submitted, followed, shown; the liar; the killed node.

use super::cast::Cast;
use super::script::{number, say, text};
use super::{FAULTY, VICTIM};
use crate::amounts::{bytes, grouped, short};
use crate::cli::output::bar;
use crate::cli::task::fate;
use crate::devnet::{Devnet, WALLETS};
use crate::failure::{Exit, Failure, Result};
use crate::views::TaskView;
use frith_ledger::credits::Credits;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest that all tasks together may take.
const TASKS_MAX: Duration = Duration::from_secs(40);

/// How often tasks are submitted until the node that will be killed has a place. Three replicas on five workers
/// leave it out of all three tasks in 0.4³ of all rounds, and so of so many rounds in 0.00002 of all demos.
const DRAWS_MAX: usize = 4;

/// A task of the demo.
pub(super) struct Program {
    name: &'static str,
    module: &'static str,
    args: &'static [&'static str],
    /// Text of standard input; `@text`: a long one, which becomes content.
    input: &'static str,
    fuel: u64,
    /// Beginning of the status that it must end with.
    ends: &'static str,
}

const fn program(
    name: &'static str,
    module: &'static str,
    args: &'static [&'static str],
) -> Program {
    Program {
        name,
        module,
        args,
        input: "",
        fuel: 2_000_000_000,
        ends: "exit 0",
    }
}

/// All tasks of the first part.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        input: "Ada\nGrace\nBarbara\n",
        ..program("hello", "hello", &[])
    },
    program("mandelbrot", "mandelbrot", &[]),
    program(
        "mandelbrot-ice",
        "mandelbrot",
        &["palette=ice", "width=480", "height=360"],
    ),
    program(
        "mandelbrot-deep",
        "mandelbrot",
        &[
            "x=-0.7436",
            "y=0.1318",
            "span=0.01",
            "iterations=400",
            "palette=grey",
        ],
    ),
    program("primes", "primes", &["n=100000"]),
    program("primes-more", "primes", &["n=1000000"]),
    Program {
        input: "@text",
        ..program("wordcount", "wordcount", &["top=5"])
    },
    program("montecarlo", "montecarlo", &["points=200000"]),
    program("nqueens-8", "nqueens", &["n=8"]),
    program("nqueens-9", "nqueens", &["n=9"]),
    Program {
        ends: "trap",
        ..program("trap", "trap", &["kind=unreachable"])
    },
    Program {
        ends: "out of fuel",
        fuel: 50_000_000,
        ..program("spin", "trap", &["kind=spin"])
    },
];

/// The tasks that run while a node is killed.
const WHILE_KILLED: &[Program] = &[
    program("nqueens-killed", "nqueens", &["n=9"]),
    program("primes-killed", "primes", &["n=300000"]),
    program("montecarlo-killed", "montecarlo", &["points=300000"]),
];

/// A submitted task.
pub(super) struct Submitted {
    program: &'static Program,
    wallet: &'static str,
    address: String,
}

/// Submits programs, by turns from both wallets.
pub(super) fn submit(cast: &Cast, programs: &'static [Program]) -> Result<Vec<Submitted>> {
    let long = cast.out.join("text.txt");
    std::fs::write(&long, long_text()).map_err(|error| Failure::file("write", &long, error))?;
    let mut submitted = Vec::new();
    let progress = bar(programs.len() as u64, "submitting", false);
    for (index, program) in programs.iter().enumerate() {
        let wallet = WALLETS[index % WALLETS.len()];
        let module = cast.programs.join(format!("{}.wasm", program.module));
        let module = module
            .to_str()
            .ok_or_else(|| Failure::usage("the programs' directory is no text"))?
            .to_owned();
        let fuel = program.fuel.to_string();
        let mut line = vec![
            "task",
            "submit",
            module.as_str(),
            "--yes",
            "--replicas",
            "3",
            "--fuel",
            fuel.as_str(),
        ];
        let input: PathBuf = cast.out.join(format!("{}.input", program.name));
        let input = match program.input {
            "" => None,
            "@text" => Some(long.clone()),
            given => {
                std::fs::write(&input, given)
                    .map_err(|error| Failure::file("write", &input, error))?;
                Some(input)
            }
        };
        let input = input.map(|path| path.display().to_string());
        if let Some(path) = &input {
            line.extend(["--input", path.as_str()]);
        }
        for arg in program.args {
            line.extend(["--arg", arg]);
        }
        let answer = cast.call(wallet, &line)?;
        submitted.push(Submitted {
            program,
            wallet,
            address: text(&answer, "/task")?.to_owned(),
        });
        progress.inc(1);
    }
    progress.finish_and_clear();
    say(&format!(
        "submitted {} tasks; each submission is committed by the neighbourhood",
        submitted.len()
    ));
    Ok(submitted)
}

/// A text that is too long for an inline input.
fn long_text() -> String {
    let verse = "The woods are lovely, dark and deep, but neighbours have promises to keep.\n";
    verse.repeat(400)
}

/// Waits until all tasks have ended.
pub(super) fn await_ends(cast: &Cast, submitted: &[Submitted]) -> Result<Vec<TaskView>> {
    let deadline = Instant::now() + TASKS_MAX;
    let progress = bar(submitted.len() as u64, "tasks settled", false);
    let node = crate::client::NodeClient::new(&cast.api)?;
    let mut ended = Vec::new();
    for task in submitted {
        let left = deadline.saturating_duration_since(Instant::now());
        let view = node.task(&task.address, Some(left))?;
        if !view.ended {
            return Err(Failure::other(format!(
                "task {} ({}) has not ended: {}",
                task.program.name, task.address, view.explanation
            )));
        }
        progress.inc(1);
        ended.push(view);
    }
    progress.finish_and_clear();
    Ok(ended)
}

/// Shows results, who ran what on which engine, fuel and payments; checks each against what it should be.
pub(super) fn show(cast: &Cast, submitted: &[Submitted], ended: &[TaskView]) -> Result<()> {
    for (task, view) in submitted.iter().zip(ended) {
        let kept = cast.out.join(format!(
            "{}.{}",
            task.program.name,
            if task.program.module == "mandelbrot" {
                "png"
            } else {
                "txt"
            }
        ));
        let path = kept.display().to_string();
        let line = ["task", "result", &task.address, "--output", &path];
        let answer = if task.program.ends == "exit 0" {
            cast.call(task.wallet, &line)?
        } else {
            cast.call_ending(task.wallet, &line, Exit::ProgramFailed)?
        };
        let status = text(&answer, "/outcome/status")?;
        if !status.starts_with(task.program.ends) {
            return Err(Failure::other(format!(
                "{} ended with {status}, not {}",
                task.program.name, task.program.ends
            )));
        }
        let result = std::fs::read(&kept).map_err(|error| Failure::file("read", &kept, error))?;
        say(&format!(
            "{:<18} {status}, {} fuel, paid {} by {}: {}",
            task.program.name,
            grouped(number(&answer, "/outcome/fuel")?),
            view.paid,
            task.wallet,
            preview(&result, &path),
        ));
        show_places(cast, view);
        if !view.places.iter().any(|place| place.paid != "0") {
            return Err(Failure::other(format!(
                "nobody was paid for {}",
                task.program.name
            )));
        }
    }
    let engines: std::collections::BTreeSet<&str> = ended
        .iter()
        .flat_map(|view| {
            view.places
                .iter()
                .filter(|p| p.paid != "0")
                .map(|p| p.engine.as_str())
        })
        .collect();
    if engines.len() < 2 {
        return Err(Failure::other(
            "all paid work was done on one engine; different engines were asked for",
        ));
    }
    Ok(())
}

fn show_places(cast: &Cast, view: &TaskView) {
    for place in &view.places {
        let line = format!(
            "    {:<7} {:<9} {:<10} {}",
            cast.node_of(&place.seat),
            place.engine,
            place.state,
            fate(place)
        );
        say(line.trim_end());
    }
}

fn preview(result: &[u8], path: &str) -> String {
    if result.starts_with(b"\x89PNG") {
        return format!("a picture of {} in {path}", bytes(result.len() as u64));
    }
    let text = String::from_utf8_lossy(result);
    let line = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(3)
        .collect::<Vec<_>>()
        .join(" / ");
    if line.chars().count() > 70 {
        format!("{}…", line.chars().take(70).collect::<String>())
    } else {
        line
    }
}

/// Shows what the lying worker lost.
pub(super) fn show_liar(cast: &Cast, ended: &[TaskView]) -> Result<()> {
    let seat = cast
        .seats
        .get(FAULTY)
        .ok_or_else(|| Failure::other("there is no faulty node"))?;
    let mut lost = Credits::ZERO;
    let mut times = 0;
    for place in ended
        .iter()
        .flat_map(|view| &view.places)
        .filter(|place| place.seat == *seat)
    {
        let amount: Credits = place.lost.parse().map_err(Failure::other)?;
        if !amount.is_zero() {
            times += 1;
            lost = lost.add(amount).map_err(Failure::other)?;
        }
        if place.paid != "0" {
            return Err(Failure::other(format!("the liar was paid {}", place.paid)));
        }
    }
    if times == 0 {
        return Err(Failure::other("the lying worker lost nothing"));
    }
    for place in ended
        .iter()
        .flat_map(|view| &view.places)
        .filter(|place| place.seat != *seat)
    {
        // An overloaded machine may be late, which costs a small fee and no bond.
        if place.lost != "0" && place.state != "no_show" {
            return Err(Failure::other(format!(
                "the honest {} lost {}",
                cast.node_of(&place.seat),
                place.lost
            )));
        }
    }
    let node = crate::client::NodeClient::new(&cast.api)?;
    let view = node.entity(seat)?;
    let Some(crate::views::Entity::Worker(worker)) = view.local else {
        return Err(Failure::other("the liar's seat is empty"));
    };
    if worker.tasks_lost == 0 {
        return Err(Failure::other("the liar's record shows no lost task"));
    }
    say(&format!(
        "node {FAULTY} ({}) gave wrong results: others decided against it in {times} tasks, it lost {lost} credits of bonds\n\
         its record in the ledger: {} tasks lost, {} paid; collateral {} of 10000",
        short(seat),
        worker.tasks_lost,
        worker.tasks_paid,
        worker.collateral,
    ));
    Ok(())
}

/// Kills a node that has work, starts it again, and shows that it rejoins and its tasks are settled.
pub(super) fn kill_and_rejoin(cast: &Cast, devnet: &mut Devnet) -> Result<()> {
    let seat = cast
        .seats
        .get(VICTIM)
        .ok_or_else(|| Failure::other("there is no node to kill"))?
        .clone();
    let submitted = submit_until_drawn(cast, &seat)?;
    let process = devnet.process(VICTIM).unwrap_or_default();
    let height = devnet.node(VICTIM)?.status()?.height;
    devnet.kill(VICTIM)?;
    say(&format!(
        "killed node {VICTIM} (process {process}) at height {height}"
    ));
    let killed = Instant::now();
    devnet.restart(VICTIM)?;
    devnet.await_ready(Duration::from_secs(20))?;
    let status = devnet.node(VICTIM)?.status()?;
    say(&format!(
        "started again: ready after {} ms, height {}, sees {} of {} members",
        killed.elapsed().as_millis(),
        status.height,
        status.members_seen,
        status.members,
    ));
    let ended = await_ends(cast, &submitted)?;
    let mut its = 0;
    for (task, view) in submitted.iter().zip(&ended) {
        if view.state != "settled" {
            return Err(Failure::other(format!(
                "{} was not settled: {}",
                task.program.name, view.explanation
            )));
        }
        its += view
            .places
            .iter()
            .filter(|place| place.seat == seat)
            .count();
        say(&format!(
            "{:<18} settled, paid {}",
            task.program.name, view.paid
        ));
        show_places(cast, view);
    }
    if its == 0 {
        return Err(Failure::other(format!(
            "node {VICTIM} had no place in the tasks during which it was killed"
        )));
    }
    say(&format!("node {VICTIM} had {its} places in these tasks"));
    let head = crate::client::NodeClient::new(&cast.api)?.status()?.height;
    await_height(devnet, head)?;
    say(&format!(
        "node {VICTIM} follows the chain: it has block {head} too"
    ));
    Ok(())
}

/// Waits until the killed node has the block of this height.
fn await_height(devnet: &Devnet, height: u64) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while devnet.node(VICTIM)?.status()?.height < height {
        if Instant::now() >= deadline {
            return Err(Failure::other(format!(
                "node {VICTIM} doesn't reach height {height}"
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Submits tasks until the worker at `seat` has a place in one that is open.
fn submit_until_drawn(cast: &Cast, seat: &str) -> Result<Vec<Submitted>> {
    let node = crate::client::NodeClient::new(&cast.api)?;
    let mut submitted = Vec::new();
    for _ in 0..DRAWS_MAX {
        submitted.extend(submit(cast, WHILE_KILLED)?);
        await_drawn(cast, &submitted)?;
        for task in &submitted {
            let view = node.task(&task.address, None)?;
            if !view.ended && view.places.iter().any(|place| place.seat == seat) {
                return Ok(submitted);
            }
        }
        say(&format!(
            "node {VICTIM} was not drawn for any of them; once more"
        ));
    }
    Err(Failure::other(format!(
        "node {VICTIM} was not drawn for any of {} tasks",
        submitted.len()
    )))
}

/// Waits until every task has its workers.
fn await_drawn(cast: &Cast, submitted: &[Submitted]) -> Result<()> {
    let node = crate::client::NodeClient::new(&cast.api)?;
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let mut waiting = 0;
        for task in submitted {
            let view = node.task(&task.address, None)?;
            waiting += usize::from(view.places.is_empty() && !view.ended);
        }
        if waiting == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Failure::other(format!(
                "{waiting} tasks were not drawn in 15 s"
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
