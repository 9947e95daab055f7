//! Text: how often each word occurs in the input, the most frequent first.
//!
//! Parameters: `top` (how many words to list; default 100, 0 for all), `min` (shortest word, in letters; default 1).
//! A word is a run of letters and digits, with apostrophes inside it; upper and lower case count as one.

use frith_guest::{Failure, Task, limits};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    frith_guest::run(wordcount)
}

fn wordcount(task: &mut Task<'_>) -> Result<(), Failure> {
    let mut params = task.params()?;
    let top: usize = params.take("top", 100)?;
    let letters_min: usize = params.take_in("min", 1, 1..=100)?;
    params.finish()?;
    let text = task.text(limits::INPUT_BYTES_MAX)?;
    let counts = count(&text, letters_min);
    let total: u64 = counts.values().sum();
    writeln!(task.output(), "words={total} distinct={}", counts.len())?;
    let listed = if top == 0 { usize::MAX } else { top };
    for (word, count) in ranked(&counts).into_iter().take(listed) {
        writeln!(task.output(), "{count}\t{word}")?;
    }
    Ok(())
}

/// How often each word of at least `letters_min` letters occurs.
fn count(text: &str, letters_min: usize) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for run in text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’') {
        let word = run.trim_matches(['\'', '’']).to_lowercase();
        if word.chars().count() >= letters_min {
            *counts.entry(word).or_insert(0) += 1;
        }
    }
    counts
}

/// The most frequent first; equally frequent ones in the order of their bytes, so that every worker lists the same.
fn ranked(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut words: Vec<(&str, u64)> = counts
        .iter()
        .map(|(word, &count)| (word.as_str(), count))
        .collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_guest::Trial;

    fn check(arguments: &[&str], input: &str, expected: &str) {
        let trial = Trial::run(wordcount, arguments, input.as_bytes());
        assert_eq!(
            (trial.status, trial.text().as_str()),
            (0, expected),
            "{}",
            trial.log
        );
    }

    #[test]
    fn words_are_ranked_by_count_then_by_name() {
        check(
            &[],
            "b a c a\nb a",
            "words=6 distinct=3\n3\ta\n2\tb\n1\tc\n",
        );
    }

    #[test]
    fn case_and_punctuation_do_not_make_another_word() {
        check(
            &[],
            "Don't 'don't', DON'T! Über über",
            "words=5 distinct=2\n3\tdon't\n2\tüber\n",
        );
    }

    #[test]
    fn the_list_is_as_long_as_asked() {
        check(&["top=1"], "a a b", "words=3 distinct=2\n2\ta\n");
        check(&["top=0"], "a a b", "words=3 distinct=2\n2\ta\n1\tb\n");
    }

    #[test]
    fn short_words_are_left_out_when_asked() {
        check(&["min=3"], "to be or not", "words=1 distinct=1\n1\tnot\n");
    }

    #[test]
    fn no_words_are_no_failure() {
        check(&[], "… – '", "words=0 distinct=0\n");
    }

    #[test]
    fn an_input_that_is_no_text_is_refused() {
        assert_eq!(Trial::run(wordcount, &[], b"a\xff").status, 3);
    }
}
