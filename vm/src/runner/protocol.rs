//! Messages between parent and child, and their frames.

use std::io::{Read, Write};

use parity_scale_codec::{Decode, DecodeAll, Encode};

use super::sandbox::Confinement;
use crate::engine::EngineKind;
use crate::job::{HostError, Job, Outcome};
use crate::limits::Limits;
use crate::meter::Metadata;
use crate::refusal::Refusal;

/// Bytes that a frame may have: the largest compiled module and the largest input fit.
pub const FRAME_BYTES_MAX: u32 = 512 << 20;

/// What the parent sees when a child ends in the middle of an answer.
pub(super) const CUT_SHORT: &str = "frame cut short";

/// What a child process may use of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Resources {
    /// Bytes of address space. wasmtime reserves 4 GiB for a linear memory, used or not.
    pub address_space_bytes: u64,
    /// Bytes of memory that can be written: the memory cap proper.
    pub data_bytes: u64,
    /// Seconds of CPU time of one process, over all its jobs.
    pub cpu_seconds: u64,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            address_space_bytes: 12 << 30,
            data_bytes: 2 << 30,
            cpu_seconds: 3_600,
        }
    }
}

/// What the parent asks.
#[derive(Debug, Encode, Decode)]
pub(super) enum Request {
    /// The first message.
    #[codec(index = 0)]
    Setup(Resources),
    /// Validate, meter and, where a job within these two limits can begin, compile.
    #[codec(index = 1)]
    Compile {
        engine: EngineKind,
        limits: Limits,
        wasm: Vec<u8>,
        fuel_limit: u64,
        memory_limit_pages: u32,
    },
    /// Run; without a module, the one of the request before.
    #[codec(index = 2)]
    Run {
        engine: EngineKind,
        module: Option<Artifact>,
        job: Box<Job>,
    },
}

/// A compiled module as it is kept and sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Artifact {
    pub(super) metadata: Metadata,
    pub(super) code: Vec<u8>,
}

/// What the child answers.
#[derive(Debug, Encode, Decode)]
pub(super) enum Response {
    /// The limits hold, and what else confines the process.
    #[codec(index = 0)]
    Ready(Confinement),
    #[codec(index = 1)]
    Compiled(Artifact),
    #[codec(index = 2)]
    Refused(Refusal),
    #[codec(index = 3)]
    Done(Outcome),
    /// The compiled module can't be loaded.
    #[codec(index = 4)]
    BadArtifact(String),
    /// Any other [`HostError`], in words.
    #[codec(index = 5)]
    Failed(String),
}

/// Writes one frame and flushes.
pub(super) fn send(to: &mut impl Write, message: &impl Encode) -> Result<(), HostError> {
    let bytes = message.encode();
    let len = u32::try_from(bytes.len())
        .ok()
        .filter(|len| *len <= FRAME_BYTES_MAX);
    let len = len.ok_or(HostError::Protocol {
        reason: "message too large",
    })?;
    let io = |source| HostError::Io {
        doing: "writing to the runner's pipe",
        source,
    };
    to.write_all(&len.to_le_bytes()).map_err(io)?;
    to.write_all(&bytes).map_err(io)?;
    to.flush().map_err(io)
}

/// Reads one frame; `None` at the end of the stream.
pub(super) fn receive<T: Decode>(from: &mut impl Read) -> Result<Option<T>, HostError> {
    let io = |source| HostError::Io {
        doing: "reading from the runner's pipe",
        source,
    };
    let mut header = Vec::with_capacity(4);
    from.by_ref().take(4).read_to_end(&mut header).map_err(io)?;
    if header.is_empty() {
        return Ok(None);
    }
    let header: [u8; 4] = header
        .try_into()
        .map_err(|_| HostError::Protocol { reason: CUT_SHORT })?;
    let len = u32::from_le_bytes(header);
    if len > FRAME_BYTES_MAX {
        return Err(HostError::Protocol {
            reason: "frame too large",
        });
    }
    let mut bytes = Vec::new();
    from.by_ref()
        .take(len.into())
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() != len as usize {
        return Err(HostError::Protocol { reason: CUT_SHORT });
    }
    T::decode_all(&mut &bytes[..])
        .map(Some)
        .map_err(|_| HostError::Protocol {
            reason: "frame doesn't decode",
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_arrives_as_it_was_sent_and_a_cut_one_is_an_error() -> Result<(), HostError> {
        let mut pipe = Vec::new();
        send(&mut pipe, &Response::Failed("reason".to_owned()))?;
        let whole: Option<Response> = receive(&mut &pipe[..])?;
        assert!(matches!(whole, Some(Response::Failed(reason)) if reason == "reason"));
        for len in 1..pipe.len() {
            assert!(receive::<Response>(&mut &pipe[..len]).is_err());
        }
        assert!(receive::<Response>(&mut &[][..])?.is_none());
        assert!(receive::<Response>(&mut &[0xff; 8][..]).is_err());
        Ok(())
    }

    /// One frame that holds `payload`, decoded.
    fn framed<T: Decode>(payload: &[u8]) -> Result<T, HostError> {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let frame = [&len.to_le_bytes(), payload].concat();
        receive(&mut &frame[..])?.ok_or(HostError::Protocol { reason: CUT_SHORT })
    }

    #[test]
    fn fuzz_requests_to_the_runner() {
        frith_fuzz::harness!(|input: &[u8]| {
            frith_fuzz::codec::<Request, _>(input, 1 << 20, framed);
            let _ = receive::<Request>(&mut &input[..]);
        });
    }

    #[test]
    fn fuzz_responses_of_the_runner() {
        frith_fuzz::harness!(|input: &[u8]| {
            frith_fuzz::codec::<Response, _>(input, 1 << 20, framed);
            let _ = receive::<Response>(&mut &input[..]);
        });
    }
}
