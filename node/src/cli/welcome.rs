//! What `frith` says when it is run bare on a terminal.

use super::Report;

const TEXT: &str = "\
Frith: nodes are paid to run WebAssembly tasks; neighbours verify each other's results and balances.

  Try it on this machine     frith devnet --nodes 4
  Run a program locally      frith task run --local program.wasm
  Make a key                 frith key new, then frith key unlock
  See a balance, verified    frith wallet balance
  Submit a task              frith task submit program.wasm
  Run a paid worker node     frith node init --dir DIR --genesis FILE, then frith node run --dir DIR
  How a node does            frith node status, frith doctor
  What a machine would earn  frith bench

`frith help` lists everything; `frith help COMMAND` explains a command. Every command takes --json.";

/// The short help.
pub(super) fn report() -> Report {
    Report::new(TEXT, &()).unwrap_or_default()
}
