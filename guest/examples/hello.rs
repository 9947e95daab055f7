//! A task without the SDK: greets the names that stand in its input, one a line.
//!
//! Any program that reads standard input and writes standard output is a task. An error that `main` returns goes to
//! standard error, and the exit status is 1.

use std::io::{self, Read, Write};

/// The greeting of each name; of the world if there is none.
fn greetings(input: &str) -> String {
    let names: Vec<&str> = input
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let names = if names.is_empty() {
        vec!["world"]
    } else {
        names
    };
    names
        .into_iter()
        .map(|name| format!("Hello, {name}!\n"))
        .collect()
}

fn main() -> io::Result<()> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    io::stdout().write_all(greetings(&input).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_in_the_input_is_greeted() {
        assert_eq!(
            greetings("Ada\n\n Grace \n"),
            "Hello, Ada!\nHello, Grace!\n"
        );
    }

    #[test]
    fn an_empty_input_greets_the_world() {
        assert_eq!(greetings(""), "Hello, world!\n");
    }
}
