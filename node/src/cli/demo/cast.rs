//! Who plays: the nodes by their seats, the wallets, the programs.

use super::script::{Caller, say, text};
use super::{FAULTY, VICTIM};
use crate::amounts::{bytes, short};
use crate::cli::args::DemoArgs;
use crate::devnet::{Devnet, WALLETS};
use crate::failure::{Context as _, Exit, Failure, Result};
use frith_ledger::address::Address;
use frith_ledger::genesis::Genesis;
use std::path::PathBuf;
use std::time::Instant;

/// The demo's surroundings.
pub(super) struct Cast {
    pub(super) caller: Caller,
    pub(super) api: String,
    pub(super) genesis: Genesis,
    /// Seats by node.
    pub(super) seats: Vec<String>,
    /// Accounts of the workers, by node.
    pub(super) accounts: Vec<String>,
    /// Addresses of the wallets.
    pub(super) wallets: Vec<String>,
    pub(super) programs: PathBuf,
    pub(super) out: PathBuf,
}

impl Cast {
    pub(super) fn of(devnet: &Devnet, args: &DemoArgs) -> Result<Self> {
        let program = std::env::current_exe().doing("cannot find this program")?;
        let caller = Caller {
            program,
            home: devnet.plan().home.clone(),
        };
        let api = devnet.node(0)?.base().to_owned();
        let (mut seats, mut accounts) = (Vec::new(), Vec::new());
        for index in 0..devnet.nodes() {
            let status = devnet.node(index)?.status()?;
            let worker = status
                .worker
                .ok_or_else(|| Failure::other(format!("node {index} has no seat")))?;
            seats.push(worker.seat);
            accounts.push(worker.worker.account);
        }
        let wallets = WALLETS
            .iter()
            .map(|name| {
                let shown = caller.call(&api, name, &["key", "show", name], 0)?;
                text(&shown, "/0/address").map(str::to_owned)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            caller,
            api,
            genesis: devnet.plan().genesis.clone(),
            seats,
            accounts,
            wallets,
            programs: args.programs.clone(),
            out: args.out.clone(),
        })
    }

    /// The node whose seat this is.
    pub(super) fn node_of(&self, seat: &str) -> String {
        self.seats
            .iter()
            .position(|known| known == seat)
            .map_or_else(|| short(seat), |index| format!("node {index}"))
    }

    /// Calls `frith` with a wallet's key.
    pub(super) fn call(&self, key: &str, args: &[&str]) -> Result<serde_json::Value> {
        self.caller.call(&self.api, key, args, 0)
    }

    /// The same for a command that ends with another exit code.
    pub(super) fn call_ending(
        &self,
        key: &str,
        args: &[&str],
        expected: Exit,
    ) -> Result<serde_json::Value> {
        self.caller.call(&self.api, key, args, expected as i32)
    }

    pub(super) fn introduce(&self, devnet: &Devnet, started: Instant) -> Result<()> {
        say(&format!(
            "ready after {} ms, network {}",
            started.elapsed().as_millis(),
            short(&self.genesis.hash().to_hex())
        ));
        for index in 0..devnet.nodes() {
            let status = devnet.node(index)?.status()?;
            let role = match index {
                FAULTY => "  ← started with --fault wrong-result",
                VICTIM => "  ← will be killed",
                _ => "",
            };
            let engines = status
                .worker
                .map(|work| work.worker.terms.engines.join("+"))
                .unwrap_or_default();
            say(&format!(
                "  node {index}  seat {}  {engines:<14} sees {}/{} members  {} resident{role}",
                short(&self.seats[index]),
                status.members_seen,
                status.members,
                bytes(status.resident_bytes),
            ));
        }
        for (name, address) in WALLETS.iter().zip(&self.wallets) {
            let address: Address = address.parse().map_err(Failure::other)?;
            let shown = self.call(name, &["wallet", "balance"])?;
            say(&format!(
                "  {name:<6}  {address}  {} credits, verified by proof",
                text(&shown, "/balance")?
            ));
        }
        Ok(())
    }
}
