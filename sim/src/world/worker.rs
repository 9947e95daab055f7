//! The worker of a machine: it runs what its seat was drawn for, and commits, reveals, decides.

use super::clock::{Event, World};
use crate::adversaries::Adversary;
use crate::workload::outcome;
use frith_ledger::operation::Operation;
use frith_neighbourhood::Input;
use frith_tasks::worker::{RunResult, TaskJob, WorkerIdentity, WorkerStep, plan};
use parity_scale_codec::Encode as _;

impl World {
    /// What the worker of a machine does next.
    pub(super) fn work(&mut self, index: usize) {
        let host = &self.hosts[index];
        let Some(node) = &host.node else { return };
        let key = host.seed.worker();
        let Some(seat) = node.state().place_of(&key.public()) else {
            return;
        };
        let me = WorkerIdentity { seat, key };
        let steps = plan(node.state(), &self.rules, &me, &host.results, &host.running);
        for step in steps {
            match step {
                WorkerStep::Run { task, job } => self.run_job(index, task, &job),
                WorkerStep::Submit(operation) => {
                    let operation = Operation::Worker(*operation).encode();
                    let mut outputs = Vec::new();
                    let at = self.moment(index);
                    let Some(node) = self.hosts[index].node.as_mut() else {
                        return;
                    };
                    let token = u64::MAX;
                    let input = Input::Submit { token, operation };
                    node.handle(at, input, &mut outputs);
                    // What a commit in here brings is planned at the next one.
                    let _committed = self.perform(index, outputs.into());
                }
            }
        }
        self.schedule_tick(index);
    }

    fn run_job(&mut self, host: usize, task: frith_ledger::address::Address, job: &TaskJob) {
        let adversary = self.scenario.adversary(self.hosts[host].member);
        let lies = adversary == Some(Adversary::WrongResult);
        let run = Box::new(RunResult {
            engine: job.engine,
            outcome: outcome(job, lies.then_some(host as u64)),
        });
        let at = self.now + self.random.between(1, 300);
        let life = self.hosts[host].life;
        self.hosts[host].running.insert(task);
        let ran = Event::Ran {
            host,
            life,
            task,
            run,
        };
        self.push(at, ran);
    }
}
