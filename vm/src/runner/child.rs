//! The child's side: sandbox, then requests until the pipe closes.

use std::io::{Read, Write};
use std::process::ExitCode;

use super::lifeline;
use super::protocol::{Artifact, Request, Response, receive, send};
use super::sandbox::{self, Confinement, Fence};
use crate::engine::{Compiled, Engine, EngineKind, NATIVE_STACK_BYTES, engine, plan};
use crate::job::{HostError, Job};
use crate::limits::Limits;
use crate::meter::prepare;

/// Runs the child's side to its end; the whole program is this call. Exits with 0 when the parent closes the
/// pipe or ends, in the middle of a job too, and with 1 when the sandbox can't be set up or the parent breaks the protocol.
pub fn main() -> ExitCode {
    run(None)
}

/// As [`main`], but runs `attempt` in the finished sandbox and answers the first request with what it says. For tests
/// that try to break out.
#[doc(hidden)]
pub fn main_after(attempt: fn() -> String) -> ExitCode {
    run(Some(attempt))
}

fn run(attempt: Option<fn() -> String>) -> ExitCode {
    let bound = lifeline::die_with_parent();
    sandbox::close_descriptors();
    if bound.and_then(|()| sandbox::restrict()).is_err() {
        return ExitCode::FAILURE;
    }
    let fence = sandbox::fence();
    if lifeline::watch().is_err() {
        return ExitCode::FAILURE;
    }
    let worker = std::thread::Builder::new()
        .stack_size(NATIVE_STACK_BYTES)
        .spawn(move || {
            let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
            confine(&mut input, fence).and_then(|confinement| {
                let ready = attempt.map_or(Response::Ready(confinement), |attempt| {
                    Response::Failed(attempt())
                });
                send(&mut output, &ready)?;
                serve(&mut input, &mut output)
            })
        });
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// The engine and module of the last run.
#[derive(Default)]
struct Warm {
    engine: Option<Box<dyn Engine>>,
    module: Option<Compiled>,
}

/// The rest of the sandbox, which the first message completes.
fn confine(input: &mut impl Read, fence: Fence) -> Result<Confinement, HostError> {
    let Some(Request::Setup(resources)) = receive(input)? else {
        return Err(HostError::Protocol {
            reason: "no limits",
        });
    };
    sandbox::limit(&resources).map_err(|source| HostError::Io {
        doing: "setting limits",
        source,
    })?;
    Ok(Confinement {
        system_calls: sandbox::filter_system_calls(),
        fence,
    })
}

fn serve(input: &mut impl Read, output: &mut impl Write) -> Result<(), HostError> {
    let mut warm = Warm::default();
    while let Some(request) = receive(input)? {
        let response = match request {
            Request::Setup(_) => {
                return Err(HostError::Protocol {
                    reason: "limits twice",
                });
            }
            Request::Compile {
                engine,
                limits,
                wasm,
                fuel_limit,
                memory_limit_pages,
            } => {
                let job = Job {
                    fuel_limit,
                    memory_limit_pages,
                    ..Job::default()
                };
                compile(engine, &limits, &wasm, &job)
            }
            Request::Run {
                engine,
                module,
                job,
            } => warm.run(engine, module, &job),
        };
        let response = response.unwrap_or_else(|error| match error {
            HostError::Artifact { reason } => Response::BadArtifact(reason),
            other => Response::Failed(other.to_string()),
        });
        send(output, &response)?;
    }
    Ok(())
}

/// Compiles for a job; one that its limits keep from beginning ends here, since nobody pays for compiling it.
fn compile(
    kind: EngineKind,
    limits: &Limits,
    wasm: &[u8],
    job: &Job,
) -> Result<Response, HostError> {
    let metered = match prepare(wasm, limits) {
        Ok(metered) => metered,
        Err(refusal) => return Ok(Response::Refused(refusal)),
    };
    if let Err(outcome) = plan(&metered.metadata, job)? {
        return Ok(Response::Done(outcome));
    }
    let engine = engine(kind)?;
    let code = engine.save(&engine.compile(&metered)?)?;
    Ok(Response::Compiled(Artifact {
        metadata: metered.metadata,
        code,
    }))
}

impl Warm {
    fn run(
        &mut self,
        kind: EngineKind,
        module: Option<Artifact>,
        job: &Job,
    ) -> Result<Response, HostError> {
        if self
            .engine
            .as_ref()
            .is_none_or(|engine| engine.kind() != kind)
        {
            self.module = None;
            self.engine = Some(engine(kind)?);
        }
        let engine = self.engine.as_deref().ok_or(HostError::NoEngine(kind))?;
        if let Some(artifact) = module {
            self.module = None;
            self.module = Some(engine.load(&artifact.code, &artifact.metadata)?);
        }
        let module = self.module.as_ref();
        let module = module.ok_or(HostError::Protocol {
            reason: "a run without a module",
        })?;
        engine.run_here(module, job).map(Response::Done)
    }
}
