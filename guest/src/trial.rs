//! Runs a program natively, in the process of a test.

use crate::{Failure, Task};

/// What came of a program that ran on given arguments and input, without a node or an engine.
///
/// ```
/// use frith_guest::{Failure, Task, Trial};
/// use std::io::Write;
///
/// fn shout(task: &mut Task<'_>) -> Result<(), Failure> {
///     let text = task.text(1 << 20)?;
///     writeln!(task.output(), "{}", text.to_uppercase())?;
///     Ok(())
/// }
///
/// let trial = Trial::run(shout, &[], b"frith");
/// assert_eq!((trial.status, trial.result.as_slice()), (0, b"FRITH\n".as_slice()));
/// ```
///
/// Random streams are seeded with zeros; [`Trial::run_seeded`] takes another seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Exit status: 0 if the result is complete.
    pub status: u8,
    /// What the program wrote as its result.
    pub result: Vec<u8>,
    /// What it logged, the failure's message at the end.
    pub log: String,
}

impl Trial {
    /// Runs `program` on `arguments` (without a program's name) and `input`.
    pub fn run(
        program: impl FnOnce(&mut Task<'_>) -> Result<(), Failure>,
        arguments: &[&str],
        input: &[u8],
    ) -> Self {
        Self::run_seeded(program, arguments, input, [0; 32])
    }

    /// As [`Trial::run`], with random streams derived from `seed`.
    pub fn run_seeded(
        program: impl FnOnce(&mut Task<'_>) -> Result<(), Failure>,
        arguments: &[&str],
        input: &[u8],
        seed: [u8; 32],
    ) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let (mut result, mut log) = (Vec::new(), Vec::new());
        let status = Task::of_trial(&arguments, input, &mut result, &mut log, seed).run(program);
        Self {
            status,
            result,
            log: String::from_utf8_lossy(&log).into_owned(),
        }
    }

    /// The result as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.result).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn echo(task: &mut Task<'_>) -> Result<(), Failure> {
        let input = task.input(8)?;
        task.log("read it");
        task.output().write_all(&input)?;
        Ok(())
    }

    #[test]
    fn a_program_that_succeeds_has_status_0_and_its_result() {
        let trial = Trial::run(echo, &[], b"in");
        assert_eq!(
            trial,
            Trial {
                status: 0,
                result: b"in".to_vec(),
                log: "read it\n".to_owned()
            }
        );
    }

    #[test]
    fn a_failure_becomes_its_status_and_a_line_in_the_log() {
        let trial = Trial::run(echo, &[], b"too long for it");
        assert_eq!((trial.status, trial.result.len()), (3, 0));
        assert_eq!(trial.log, "error: the input is longer than 8 bytes\n");
    }

    #[test]
    fn what_a_failed_program_wrote_stays() {
        let half = |task: &mut Task<'_>| {
            task.output().write_all(b"half")?;
            Err(Failure::with_status(77, "stopped"))
        };
        let trial = Trial::run(half, &[], b"");
        assert_eq!((trial.status, trial.text().as_str()), (77, "half"));
    }

    #[test]
    fn random_streams_differ_within_a_task_and_follow_its_seed() {
        let draw = |task: &mut Task<'_>| {
            let (a, b) = (task.random()?.bits(), task.random()?.bits());
            assert_ne!(a, b);
            write!(task.output(), "{a}")?;
            Ok(())
        };
        let run = |seed| Trial::run_seeded(draw, &[], b"", [seed; 32]);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
