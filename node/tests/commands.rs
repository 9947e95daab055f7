//! `frith devnet` as a process, and the commands of tasks and blocks against it: prices, local runs, results, taking
//! back, and what is refused before anybody pays.

mod support;

use frith::devnet::environment;
use frith_ledger::certificate::Committee;
use frith_ledger::genesis::Genesis;
use frith_ledger::light::Checkpoint;
use parity_scale_codec::Encode as _;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use support::{Outcome, answer, check_refused, error, frith_with, program};

/// Copies up to 1,024 bytes of its input to its output.
const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 64))
        (i32.store (i32.const 4) (i32.const 1024))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
const SAID: &str = "what the task is given";

/// A command that did what it was told, about a program that ended badly: its answer and its exit code.
fn check_failed(output: &Output, code: &str, path: &str, status: &str) -> Outcome {
    check_refused(output, 7, code, "")?;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let found = said.pointer(path).and_then(Value::as_str);
    assert!(
        found.is_some_and(|found| found.contains(status)),
        "{status}: {said}"
    );
    Ok(())
}

/// A devnet that a `frith` process runs, and what that process said.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    said: Value,
    directory: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only a test that failed leaves it running.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Running {
    fn start() -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let mut child = Command::new(program())
            .args(["devnet", "--json", "--nodes", "3", "--dir"])
            .arg(directory.path().join("devnet"))
            .env_clear()
            .envs(environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("a standard output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let said = serde_json::from_str(&line)?;
        Ok(Self {
            child,
            stdout,
            said,
            directory,
        })
    }

    fn text(&self, path: &str) -> Outcome<&str> {
        let found = self.said.pointer(path).and_then(Value::as_str);
        Ok(found.ok_or_else(|| format!("no {path} in {}", self.said))?)
    }

    fn call_with(&self, input: &str, args: &[&str]) -> Outcome<Output> {
        let home = Path::new(self.text("/home")?);
        let passphrase = [("FRITH_PASSPHRASE", self.text("/passphrase")?)];
        frith_with(
            home,
            self.text("/nodes/0/api")?,
            &passphrase,
            input.as_bytes(),
            args,
        )
    }

    fn call(&self, args: &[&str]) -> Outcome<Output> {
        self.call_with("", args)
    }

    /// The same as people see it, without `--json`.
    fn say(&self, input: &str, args: &[&str]) -> Outcome<Output> {
        let mut child = Command::new(program())
            .args(["--api", self.text("/nodes/0/api")?])
            .args(args)
            .env_clear()
            .envs(environment())
            .env("FRITH_HOME", self.text("/home")?)
            .env("FRITH_PASSPHRASE", self.text("/passphrase")?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().ok_or("a standard input")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        Ok(child.wait_with_output()?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file of these bytes; its path as text.
    fn file(&self, name: &str, bytes: &[u8]) -> Outcome<String> {
        let path = self.path(name);
        std::fs::write(&path, bytes)?;
        Ok(path.to_str().ok_or("a path")?.to_owned())
    }

    /// A quote adds up, and says what is in the way of workers.
    fn prices(&self, echo: &str) -> Outcome {
        let line = ["task", "quote", echo, "--fuel", "2000000"];
        let more = ["--price", "0.5", "--replicas", "2"];
        let quoted = answer(&self.call(&[&line[..], &more].concat())?)?;
        // 2 × 0.5 credits of fuel and the task fee of 0.01, for each of two.
        assert_eq!(quoted["most_per_worker"], json!("1.01"), "{quoted}");
        assert_eq!(quoted["escrow"], json!("2.02"), "{quoted}");
        let credits =
            |name: &str| -> Outcome<f64> { Ok(quoted[name].as_str().ok_or("an amount")?.parse()?) };
        let sum = credits("escrow")? + credits("fee")?;
        assert!((credits("most")? - sum).abs() < 1e-9, "{quoted}");
        assert!(quoted["warnings"].is_null(), "{quoted}");
        let doubt = |more: &[&str]| -> Outcome<String> {
            let quoted = answer(&self.call(&[&["task", "quote", echo], more].concat())?)?;
            Ok(quoted["warnings"].to_string())
        };
        let cheap = doubt(&["--price", "0.00001"])?;
        assert!(
            cheap.contains("0 of 3 workers") && cheap.contains("offer 0.0001"),
            "{cheap}"
        );
        let many = doubt(&["--replicas", "4"])?;
        assert!(many.contains("there are 3"), "{many}");
        let dear = doubt(&["--price", "100", "--fuel", "1000000000"])?;
        assert!(dear.contains("collateral"), "{dear}");
        let unasked = doubt(&["--api", "http://127.0.0.1:9"])?;
        assert!(unasked.contains("not known"), "{unasked}");
        Ok(())
    }

    /// Both engines give the same result for the same fuel on this machine; the fuel.
    fn runs_here(&self, echo: &str) -> Outcome<u64> {
        let input = self.file("input", SAID.as_bytes())?;
        let mut fuel = Vec::new();
        for engine in ["wasmtime", "wasmi"] {
            let line = ["task", "run", "--local", echo, "--input", &input];
            let more = ["--engine", engine];
            let ran = answer(&self.call(&[&line[..], &more].concat())?)?;
            assert_eq!(ran["output"], json!(hex::encode(SAID)), "{ran}");
            assert_eq!(ran["outcome"]["status"], "exit 0");
            fuel.push(ran["outcome"]["fuel"].as_u64().ok_or("fuel")?);
        }
        assert_eq!(fuel[0], fuel[1]);
        Ok(fuel[0])
    }

    /// Submitted, followed and fetched; the same fuel as here.
    fn is_run_by_workers(&self, echo: &str, fuel: u64) -> Outcome {
        let line = ["task", "submit", echo, "--input", "-", "--replicas", "2"];
        let asked = self.call_with(SAID, &line)?;
        let (code, said) = error(&asked)?;
        let question = said["error"]["message"].as_str().ok_or("a message")?;
        assert_eq!(code, Some(2), "nobody is there to ask: {said}");
        assert!(question.contains("of your 1000000 credits"), "{question}");

        let yes = ["--yes", "--wait", "final", "--timeout", "100"];
        let text = self.say(SAID, &[&line[..], &yes].concat())?;
        let text = String::from_utf8(text.stdout)?;
        assert!(text.contains(&format!("output    {SAID}")), "{text}");
        let submitted = answer(&self.call_with(SAID, &[&line[..], &yes].concat())?)?;
        let task = submitted["task"].as_str().ok_or("a task")?;
        let printed = self.call(&["task", "result", task])?;
        assert_eq!(printed.stderr, b"", "JSON has all of it");
        assert_eq!(answer(&printed)?["output"], json!(hex::encode(SAID)));
        assert_eq!(submitted["outcome"]["state"], "settled", "{submitted}");
        let status = answer(&self.call(&["task", "status", task, "--wait", "100"])?)?;
        assert_eq!(status["outcome"]["fuel"], json!(fuel), "{status}");
        let mine = answer(&self.call(&["task", "list"])?)?;
        assert_eq!(mine["tasks"][0]["address"], json!(task), "{mine}");
        let others = answer(&self.call(&["--key", "bob", "task", "list"])?)?;
        assert_eq!(others["tasks"], json!([]));
        let kept = self.path("kept");
        let to = kept.to_str().ok_or("a path")?;
        let result = answer(&self.call(&["task", "result", task, "-o", to])?)?;
        assert_eq!(result["verified"], true);
        assert_eq!(std::fs::read_to_string(&kept)?, SAID);
        let late = self.call(&["task", "cancel", task])?;
        check_refused(&late, 3, "task_phase", "settled")
    }

    /// A task that no worker takes at its price is taken back with its escrow, once.
    fn is_taken_back(&self, echo: &str) -> Outcome {
        let balance = || -> Outcome<f64> {
            let shown = answer(&self.call(&["wallet", "balance"])?)?;
            let local = shown["local_balance"].as_str().ok_or("a balance")?;
            Ok(local.parse()?)
        };
        let before = balance()?;
        let line = ["task", "submit", echo, "--price", "0.00001", "--yes"];
        let fuel = ["--fuel", "100000000000"];
        let submitted = answer(&self.call(&[&line[..], &fuel].concat())?)?;
        let task = submitted["task"].as_str().ok_or("a task")?;
        let warned = submitted["cost"]["warnings"].to_string();
        assert!(warned.contains("0 of 3 workers"), "{submitted}");
        assert!(before - balance()? > 3.0, "the escrow is taken");
        let cancelled = answer(&self.call(&["task", "cancel", task])?)?;
        assert_eq!(cancelled["done"], true);
        assert!(before - balance()? < 0.1, "all but fees is back");
        let status = answer(&self.call(&["task", "status", task])?)?;
        assert_eq!(status["state"], "cancelled");
        check_refused(
            &self.call(&["task", "cancel", task])?,
            3,
            "task_phase",
            "cancelled",
        )?;
        let line = ["task", "result", task, "--timeout", "100"];
        check_refused(&self.call(&line)?, 7, "no_result", "no result")?;
        let line = ["task", "status", task, "--wait", "100"];
        check_failed(&self.call(&line)?, "no_result", "/state", "cancelled")
    }

    /// A task whose program ended otherwise than with exit status 0 ends the commands that waited for it with 7, and they
    /// answer all the same.
    fn ends_as_the_program_did(&self) -> Outcome {
        let three = r#"(module (func (export "run") (result i32) (i32.const 3)))"#;
        let three = self.file("three.wasm", &wat::parse_str(three)?)?;
        let line = ["task", "submit", &three, "--yes", "--replicas", "2"];
        let wait = ["--wait", "final", "--timeout", "100"];
        let submitted = self.call(&[&line[..], &wait].concat())?;
        let status = "/outcome/outcome/status";
        check_failed(&submitted, "program_failed", status, "exit 3")?;
        let said: Value = serde_json::from_slice(&submitted.stdout)?;
        let task = said["task"].as_str().ok_or("a task")?;
        let status = "/outcome/status";
        let waited = self.call(&["task", "status", task, "--wait", "100"])?;
        check_failed(&waited, "program_failed", status, "exit 3")?;
        let result = self.call(&["task", "result", task])?;
        check_failed(&result, "program_failed", status, "exit 3")?;
        // Asked how it is, it is no failure that it ended so.
        let asked = answer(&self.call(&["task", "status", task])?)?;
        assert_eq!(asked["outcome"]["status"], "exit 3");
        Ok(())
    }

    /// What workers would refuse is refused before it costs; unchecked, their refusal is the result.
    fn refuses_modules(&self) -> Outcome {
        let functions = "(func)".repeat(100_000);
        let large = format!("(module {functions} (func (export \"run\")))");
        let large = self.file("large.wasm", &wat::parse_str(&large)?)?;
        let submit = self.call(&["task", "submit", &large, "--yes"])?;
        check_refused(&submit, 3, "module_refused", "functions")?;
        let here = self.call(&["task", "run", "--local", &large])?;
        check_refused(&here, 3, "module_refused", "functions")?;
        let missing = self.call(&["task", "submit", "nowhere.wasm", "--yes"])?;
        check_refused(&missing, 1, "file", "nowhere.wasm")?;

        let text = self.file("text.wasm", b"no module at all")?;
        let line = ["task", "submit", &text, "--yes"];
        check_refused(&self.call(&line)?, 3, "module_refused", "at byte")?;
        let more = ["--unchecked", "--wait", "final", "--timeout", "100"];
        let paid = self.call(&[&line[..], &more].concat())?;
        let status = "/outcome/outcome/status";
        check_failed(&paid, "program_failed", status, "refused")
    }

    /// Blocks by height and the newest; what is none.
    fn shows_blocks(&self) -> Outcome {
        let newest = answer(&self.call(&["block", "show"])?)?;
        let height = newest["height"].as_u64().ok_or("a height")?;
        let same = answer(&self.call(&["block", "show", &height.to_string()])?)?;
        assert_eq!(
            (&same["id"], &same["epoch"]),
            (&newest["id"], &newest["epoch"])
        );
        let parent = answer(&self.call(&["block", "show", &(height - 1).to_string()])?)?;
        assert_eq!(parent["id"], newest["parent"]);
        let words = self.call(&["block", "show", "high"])?;
        check_refused(&words, 2, "usage", "\"high\"")?;
        let future = self.call(&["block", "show", "99999999"])?;
        check_refused(&future, 3, "not_found", "99999999")
    }

    /// Nothing is signed for a network whose genesis isn't the one that is trusted.
    fn knows_its_network(&self) -> Outcome {
        let genesis = Path::new(self.text("/home")?).join("genesis.json");
        let mut other: Value = serde_json::from_slice(&std::fs::read(genesis)?)?;
        other["name"] = json!("elsewhere");
        let other = self.file("other.json", other.to_string().as_bytes())?;
        let bob = answer(&self.call(&["key", "show", "bob"])?)?;
        let bob = bob[0]["address"].as_str().ok_or("an address")?;
        let line = ["wallet", "send", bob, "1", "--yes", "--genesis", &other];
        check_refused(&self.call(&line)?, 3, "wrong_network", "elsewhere")?;
        // A character of an address that was changed.
        let typo = if bob.ends_with('q') { "p" } else { "q" };
        let wrong = format!("{}{typo}", &bob[..bob.len() - 1]);
        let (code, said) = error(&self.call(&["wallet", "send", &wrong, "1", "--yes"])?)?;
        assert_eq!((code, &said["error"]["code"]), (Some(2), &json!("usage")));
        Ok(())
    }

    /// What was verified is gone on from, and an answer that contradicts it is refused until the user says who is right.
    fn keeps_to_what_it_verified(&self) -> Outcome {
        let shown = answer(&self.call(&["checkpoint", "show"])?)?;
        let id = shown["checkpoint"].as_str().ok_or("an id")?;
        assert!(shown["record_age_ms"].is_u64(), "{shown}");
        let balance = answer(&self.call(&["wallet", "balance"])?)?;
        assert!(balance["record_time_ms"].as_u64() >= shown["record_time_ms"].as_u64());
        let genesis = Path::new(self.text("/home")?).join("genesis.json");
        let genesis: Genesis = serde_json::from_slice(&std::fs::read(genesis)?)?;
        let checkpoint = Checkpoint {
            genesis: genesis.hash(),
            period: 0,
            committee: Committee::new(Vec::new()),
            newest: None,
        };
        let body = format!("{}\n", hex::encode(checkpoint.encode()));
        let sum = blake3::hash(body.as_bytes());
        let name = format!("verified/{}.txt", genesis.hash());
        let file = Path::new(self.text("/home")?).join(name);
        std::fs::write(file, format!("frith checkpoint 2 {sum}\n{body}"))?;
        let refused = self.call(&["wallet", "balance"])?;
        check_refused(
            &refused,
            5,
            "contradiction",
            "contradicts what was verified",
        )?;
        let kept = self.path("proof.json");
        let kept = kept.to_str().ok_or("a path")?;
        let save = ["wallet", "balance", "--save-proof", kept];
        check_refused(
            &self.call(&save)?,
            5,
            "contradiction",
            "contradicts what was verified",
        )?;
        answer(&self.call(&[&save[..], &["--from-genesis"]].concat())?)?;
        let verify = ["proof", "verify", kept];
        check_refused(
            &self.call(&verify)?,
            5,
            "contradiction",
            "contradicts what was verified",
        )?;
        let taken = answer(&self.call(&["checkpoint", "take", id])?)?;
        assert!(taken["period"].as_u64() >= shown["period"].as_u64());
        answer(&self.call(&["wallet", "balance"])?)?;
        let proof = answer(&self.call(&verify)?)?;
        assert!(proof["record_age_ms"].is_u64(), "{proof}");
        Ok(())
    }

    /// Interrupted, it ends its nodes in order and says so.
    fn ends_when_it_is_asked(mut self) -> Outcome {
        let process = Pid::from_raw(self.child.id().cast_signed()).ok_or("a process")?;
        kill_process(process, Signal::INT)?;
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest)?;
        assert!(self.child.wait()?.success());
        let said: Value = serde_json::from_str(&rest)?;
        assert_eq!(said, json!({"stopped": "asked"}));
        for node in self.said["nodes"].as_array().ok_or("nodes")? {
            let process = node["process"].as_i64().ok_or("a process")?;
            let process = Pid::from_raw(i32::try_from(process)?).ok_or("a process")?;
            assert!(test_kill_process(process).is_err(), "{node} still runs");
        }
        Ok(())
    }
}

#[test]
fn a_devnet_prices_runs_and_takes_back_tasks_and_refuses_what_nobody_would_run() -> Outcome {
    let devnet = Running::start()?;
    assert_eq!(devnet.said["nodes"].as_array().map(Vec::len), Some(3));
    let echo = devnet.file("echo.wasm", &wat::parse_str(ECHO)?)?;
    devnet.prices(&echo)?;
    let fuel = devnet.runs_here(&echo)?;
    devnet.is_run_by_workers(&echo, fuel)?;
    devnet.is_taken_back(&echo)?;
    devnet.ends_as_the_program_did()?;
    devnet.refuses_modules()?;
    devnet.shows_blocks()?;
    devnet.knows_its_network()?;
    devnet.keeps_to_what_it_verified()?;
    devnet.ends_when_it_is_asked()
}
