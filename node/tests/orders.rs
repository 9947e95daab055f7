//! Answers that are lost, commands that are interrupted, nodes that go away, and many commands of one key: what was
//! ordered once is paid once, and is told.
//!
//! `FRITH_SHELL_TASKS` says how many tasks each of four shells submits (3 unless given).

mod support;

use frith::devnet::PASSPHRASE;
use frith::views::{Entity, Finality};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};
use support::line::{Line, Mode};
use support::{Outcome, PATIENCE, World, answer, check_refused, error, frith, program, said};

/// A program that does nothing, and others like it.
fn text(number: usize) -> String {
    format!(
        "(module (memory (export \"memory\") 1) (func (export \"_start\") (drop (i32.const {number}))))"
    )
}

impl World {
    fn by(&self, line: &Line, args: &[&str]) -> Outcome<Output> {
        let with_key = [&["--key", "alice"][..], args].concat();
        frith(&self.home, line.base(), PASSPHRASE, &with_key)
    }

    /// Alice's nonce, and what bob holds, as node 0 has it.
    fn books(&self) -> Outcome<(u64, f64)> {
        self.books_of(0)
    }

    fn books_of(&self, node: usize) -> Outcome<(u64, f64)> {
        let node = self.devnet.node(node)?;
        let mut found = Vec::new();
        for name in ["alice", "bob"] {
            let Some(Entity::Account(account)) = node.local(&self.address(name)?)?.local else {
                return Err(format!("no account of {name}").into());
            };
            found.push((account.nonce, account.balance.parse::<f64>()?));
        }
        Ok((found[0].0, found[1].1))
    }

    fn program(&self, number: usize) -> Outcome<String> {
        let path = self.directory.path().join(format!("program{number}.wasm"));
        std::fs::write(&path, wat::parse_str(text(number))?)?;
        Ok(path.to_str().ok_or("a path")?.to_owned())
    }

    fn unlock(&self) -> Outcome {
        answer(&self.call(PASSPHRASE, &["key", "unlock", "alice", "--timeout", "3600"])?).map(drop)
    }

    fn remembered(&self) -> Outcome<Vec<Value>> {
        let listed = answer(&self.call("", &["wallet", "operation"])?)?;
        Ok(listed["operations"].as_array().ok_or("a list")?.clone())
    }

    fn spawn(&self, apis: &str, args: &[&str]) -> Outcome<Running> {
        let child = Command::new(program())
            .args(["--json", "--api", apis, "--key", "alice"])
            .args(args)
            .env_clear()
            .envs(frith::devnet::environment())
            .env("FRITH_HOME", &self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Running(child))
    }

    /// What was ordered by `args` is executed once, whatever the line loses of the first sending.
    fn paid_once(&self, loses: Mode, args: &[&str]) -> Outcome<String> {
        let (nonce, _) = self.books()?;
        let line = Line::to(self.devnet.node(0)?.base())?;
        line.set(loses);
        let short = [args, &["--timeout", "1"]].concat();
        let lost = self.by(&line, &short)?;
        let signed = said(&lost)?.first().cloned().ok_or("nothing was said")?;
        let id = signed["signed"]["operation"]
            .as_str()
            .ok_or("an id")?
            .to_owned();
        check_refused(&lost, 8, "sent", &id)?;
        let (_, word) = error(&lost)?;
        let message = word["error"]["message"].as_str().ok_or("a message")?;
        assert!(message.contains("may have been taken"), "{word}");
        let advice = word["error"]["advice"].as_str().ok_or("an advice")?;
        assert!(
            advice.contains(&format!("frith wallet operation {id}")),
            "{word}"
        );
        let remembered = self.remembered()?;
        assert_eq!(remembered.len(), 1, "{remembered:?}");
        assert_eq!(remembered[0]["id"], Value::from(id.as_str()));

        let again = self.call("", args)?;
        let done = answer(&again)?;
        let operation = done.get("operation").unwrap_or(&done);
        assert_eq!(
            (&operation["id"], &operation["done"]),
            (&Value::from(id.as_str()), &Value::from(true))
        );
        let first = said(&again)?.first().cloned().ok_or("nothing was said")?;
        let how = if loses == Mode::LosesSubmission {
            "repeated"
        } else {
            "earlier"
        };
        assert!(
            first.get(how).is_some() || first.get("repeated").is_some(),
            "{first}"
        );
        assert_eq!(self.books()?.0, nonce + 1, "it was paid once");
        assert!(self.remembered()?.is_empty(), "it was told");
        Ok(id)
    }

    fn a_lost_answer_is_no_second_payment(&self) -> Outcome {
        let bob = self.address("bob")?;
        let (nonce, held) = self.books()?;
        let send = ["wallet", "send", &bob, "1", "--yes"];
        let first = self.paid_once(Mode::LosesAnswer, &send)?;
        assert_eq!(self.books()?, (nonce + 1, held + 1.0));
        let second = self.paid_once(Mode::LosesSubmission, &send)?;
        assert_ne!(first, second, "told of the first, the next is another");
        assert_eq!(self.books()?, (nonce + 2, held + 2.0));
        // Another amount is another command, also while the first one's fate is open.
        let line = Line::to(self.devnet.node(0)?.base())?;
        line.set(Mode::LosesSubmission);
        check_refused(
            &self.by(&line, &[&send[..], &["--timeout", "1"]].concat())?,
            8,
            "sent",
            "",
        )?;
        let other = ["wallet", "send", &bob, "4", "--yes"];
        answer(&self.call("", &other)?)?;
        assert_eq!(self.books()?, (nonce + 3, held + 6.0));
        // It has the lost one's nonce, so that one is over, and the same command is a new one.
        let again = self.call("", &send)?;
        answer(&again)?;
        assert!(
            said(&again)?
                .iter()
                .any(|word| word.get("signed").is_some())
        );
        assert_eq!(self.books()?, (nonce + 4, held + 7.0));
        assert!(self.remembered()?.is_empty());

        let program = self.program(1)?;
        let submit = ["task", "submit", &program, "--fuel", "1000000", "--yes"];
        for loses in [Mode::LosesAnswer, Mode::LosesSubmission] {
            self.paid_once(loses, &submit)?;
        }
        Ok(())
    }

    /// `--again` sends another while the first waits for its answer.
    fn again_sends_another(&self) -> Outcome {
        let (nonce, held) = self.books()?;
        let bob = self.address("bob")?;
        let send = ["wallet", "send", &bob, "0.25", "--yes", "--wait", "pending"];
        // Over a line that loses the answer, so that its fate isn't told however soon it is executed.
        let line = Line::to(self.devnet.node(0)?.base())?;
        line.set(Mode::LosesAnswer);
        let lost = self.by(&line, &[&send[..], &["--timeout", "1"]].concat())?;
        check_refused(&lost, 8, "sent", "")?;
        let signed = said(&lost)?.first().cloned().ok_or("nothing was said")?;
        let first = &signed["signed"]["operation"];
        let same = answer(&self.call("", &[&send[..5], &["--wait", "local"]].concat())?)?;
        assert_eq!(*first, same["id"], "one while its fate is unknown");
        let third = answer(&self.call("", &send)?)?;
        let fourth = answer(&self.call("", &[&send[..], &["--again"]].concat())?)?;
        assert!(third["id"] != *first && fourth["id"] != third["id"]);
        for id in [&third["id"], &fourth["id"]] {
            let id = id.as_str().ok_or("an id")?;
            let fate = self
                .devnet
                .node(0)?
                .operation(id, Finality::Local, PATIENCE)?;
            assert_eq!(fate.done, Some(true), "{fate:?}");
            let told = answer(&self.call("", &["wallet", "operation", id])?)?;
            assert_eq!(told["done"], true);
        }
        assert_eq!(self.books()?, (nonce + 3, held + 0.75));
        assert!(self.remembered()?.is_empty());
        Ok(())
    }

    /// Interrupted after it was signed, a command leaves its word; typed again it goes on with the same operation.
    fn an_interrupt_leaves_the_word(&self) -> Outcome {
        let program = self.program(2)?;
        for (round, signal) in [Signal::INT, Signal::TERM, Signal::HUP]
            .into_iter()
            .enumerate()
        {
            let (nonce, _) = self.books()?;
            let line = Line::to(self.devnet.node(0)?.base())?;
            // In the last round it has arrived, and the command waits for the task's end.
            line.set(if round == 2 { Mode::Whole } else { Mode::Hangs });
            let argument = round.to_string();
            let submit = [
                "task", "submit", &program, "--fuel", "1000000", "--yes", "--arg", &argument,
            ];
            let submit = [&submit[..], &["--wait", "final"]].concat();
            let mut running = self.spawn(line.base(), &submit)?;
            line.await_submissions(1);
            running.signal(signal)?;
            let interrupted = running.end()?;
            let signed = said(&interrupted)?
                .first()
                .cloned()
                .ok_or("nothing was said")?;
            let task = signed["signed"]["task"]
                .as_str()
                .ok_or("the task's address")?;
            let id = signed["signed"]["operation"].as_str().ok_or("an id")?;
            check_refused(&interrupted, 8, "sent", id)?;
            line.set(Mode::Cut);
            let done = answer(&self.call("", &submit)?)?;
            assert_eq!(done["task"], Value::from(task), "the same task");
            assert_eq!(done["outcome"]["state"], "settled", "{done}");
            assert_eq!(self.books()?.0, nonce + 1, "paid once");
        }
        assert!(self.remembered()?.is_empty());
        Ok(())
    }

    /// A wait goes on when the line breaks and when it leads elsewhere, and asks the other nodes that are named.
    fn a_wait_outlives_its_node(&mut self) -> Outcome {
        let bob = self.address("bob")?;
        let (nonce, held) = self.books()?;
        let send = [
            "wallet",
            "send",
            &bob,
            "2",
            "--yes",
            "--wait",
            "final",
            "--timeout",
            "100",
        ];
        // One node alone: lost while it is away, it is sent when the node is there again.
        let line = Line::to(self.devnet.node(0)?.base())?;
        line.set(Mode::LosesSubmission);
        let mut running = self.spawn(line.base(), &send)?;
        let silent = running.await_word("silent")?;
        assert!(silent["silent"]["node"].is_string(), "{silent}");
        line.set(Mode::Whole);
        let done = answer(&running.end()?)?;
        assert_eq!(done["finality"], "final");
        assert_eq!(self.books()?, (nonce + 1, held + 2.0));
        // Two nodes, of which the first is killed when it has been asked.
        let line = Line::to(self.devnet.node(0)?.base())?;
        line.set(Mode::Hangs);
        let apis = format!("{},{}", line.base(), self.devnet.node(2)?.base());
        let running = self.spawn(&apis, &send)?;
        line.await_submissions(1);
        self.devnet.kill(0)?;
        line.set(Mode::Whole);
        let done = answer(&running.end()?)?;
        assert_eq!(done["finality"], "final");
        assert_eq!(self.books_of(2)?, (nonce + 2, held + 4.0));
        self.devnet.restart(0)?;
        self.devnet.await_ready(PATIENCE)?;
        line.lead_to(self.devnet.node(0)?.base())?;
        assert!(self.remembered()?.is_empty());
        Ok(())
    }

    /// Four shells with one key at once: every command gets a nonce of its own, and every task its end.
    fn shells_of_one_key_share_its_nonces(&self) -> Outcome {
        let each: usize = match std::env::var("FRITH_SHELL_TASKS") {
            Ok(text) => text.parse()?,
            Err(_) => 3,
        };
        let (nonce, _) = self.books()?;
        let program = self.program(3)?;
        let shell = |shell: usize| -> Outcome<Vec<String>> {
            let mut tasks = Vec::new();
            for number in 0..each {
                let argument = format!("{shell}.{number}");
                let line = [
                    "task",
                    "submit",
                    &program,
                    "--fuel",
                    "1000000",
                    "--replicas",
                    "1",
                ];
                let more = [
                    "--arg",
                    &argument,
                    "--yes",
                    "--wait",
                    "pending",
                    "--deadline",
                    "500",
                ];
                let submitted = answer(&self.call("", &[&line[..], &more].concat())?)?;
                tasks.push(submitted["task"].as_str().ok_or("a task")?.to_owned());
            }
            Ok(tasks)
        };
        let shells: Vec<Result<Vec<String>, String>> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..4)
                .map(|number| scope.spawn(move || shell(number).map_err(|error| error.to_string())))
                .collect();
            let ended = started.into_iter().map(std::thread::ScopedJoinHandle::join);
            ended
                .map(|ended| ended.unwrap_or_else(|_| Err("a shell panicked".to_owned())))
                .collect()
        });
        let tasks: Vec<String> = shells.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        let different: BTreeSet<&String> = tasks.iter().collect();
        assert_eq!(different.len(), 4 * each, "each has a task of its own");
        for task in &tasks {
            let found = self
                .devnet
                .node(0)?
                .operation(&id_of(task)?, Finality::Local, PATIENCE)?;
            assert_eq!(found.done, Some(true), "{found:?}");
            let ended = self.devnet.node(0)?.task(task, Some(10 * PATIENCE))?;
            assert_eq!(ended.state, "settled", "{}", ended.explanation);
        }
        assert_eq!(
            self.books()?.0,
            nonce + 4 * each as u64,
            "each was paid once"
        );
        Ok(())
    }
}

/// The id of the operation that submitted a task.
fn id_of(task: &str) -> Outcome<String> {
    let address: frith_ledger::address::Address = task.parse()?;
    Ok(frith_ledger::hash::Hash(address.0).to_hex())
}

/// A command that runs. Dropped, it is killed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = (self.0.kill(), self.0.wait());
    }
}

impl Running {
    fn signal(&mut self, signal: Signal) -> Outcome {
        let process = Pid::from_raw(i32::try_from(self.0.id())?).ok_or("a process")?;
        Ok(kill_process(process, signal)?)
    }

    /// Reads standard error until a line says this.
    fn await_word(&mut self, word: &str) -> Outcome<Value> {
        let stderr = self.0.stderr.as_mut().ok_or("a standard error")?;
        let mut lines = BufReader::with_capacity(1, stderr).lines();
        while let Some(line) = lines.next().transpose()? {
            let value: Value = serde_json::from_str(&line)?;
            if value.get(word).is_some() {
                return Ok(value);
            }
        }
        Err(format!("it ended without {word:?}").into())
    }

    fn end(mut self) -> Outcome<Output> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let out = self.0.stdout.take().ok_or("a standard output")?;
        let err = self.0.stderr.take().ok_or("a standard error")?;
        let reads = std::thread::spawn(move || {
            let mut out = out;
            out.read_to_end(&mut stdout).map(|_| stdout)
        });
        let mut err = err;
        err.read_to_end(&mut stderr)?;
        let stdout = reads.join().map_err(|_| "the reader panicked")??;
        let status = self.0.wait()?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

#[test]
fn what_was_ordered_once_is_paid_once_whatever_is_lost() -> Outcome {
    let mut world = World::start()?;
    world.unlock()?;
    world.a_lost_answer_is_no_second_payment()?;
    world.again_sends_another()?;
    world.an_interrupt_leaves_the_word()?;
    world.a_wait_outlives_its_node()?;
    answer(&world.alone(&["key", "lock"])?).map(drop)
}

#[test]
fn shells_of_one_key_submit_at_once_and_every_task_settles() -> Outcome {
    let world = World::start()?;
    world.unlock()?;
    world.shells_of_one_key_share_its_nonces()?;
    answer(&world.alone(&["key", "lock"])?).map(drop)
}
