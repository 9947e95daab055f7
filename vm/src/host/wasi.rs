//! WASI preview 1: arguments, environment, clocks, randomness, the three standard streams, exit, yield and
//! poll. Layouts follow `wasi_snapshot_preview1.witx`.

use super::ENTRIES_MAX;
use super::frith::word;
use super::memory::{Memory, advance};
use super::state::{Errno, Failure, HostState, Stop, answer};
use super::table::Arguments;

type Answer = Result<u32, Stop>;

const STDIN: u32 = 0;
const STDOUT: u32 = 1;

/// Rights `fd_read`, `fd_write` and `poll_fd_readwrite`: the streams can't seek and aren't terminals.
const RIGHTS_READ: u64 = 1 << 1 | 1 << 27;
const RIGHTS_WRITE: u64 = 1 << 6 | 1 << 27;

pub(super) fn args_sizes_get(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    let sizes = string_sizes(&state.args);
    answer(write_sizes(memory, sizes, args))
}

pub(super) fn args_get(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    let strings = std::mem::take(&mut state.args);
    let result = write_strings(state, memory, &strings, args);
    state.args = strings;
    answer(result)
}

pub(super) fn environ_sizes_get(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    let sizes = string_sizes(&state.env);
    answer(write_sizes(memory, sizes, args))
}

pub(super) fn environ_get(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    let strings = std::mem::take(&mut state.env);
    let result = write_strings(state, memory, &strings, args);
    state.env = strings;
    answer(result)
}

/// How many strings, and how many bytes with their terminating zeros.
fn string_sizes(strings: &[String]) -> (u32, u32) {
    let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
    (
        u32::try_from(strings.len()).unwrap_or(u32::MAX),
        u32::try_from(bytes).unwrap_or(u32::MAX),
    )
}

fn write_sizes(
    memory: &mut Memory<'_>,
    sizes: (u32, u32),
    args: Arguments<'_>,
) -> Result<(), Failure> {
    memory.write_u32(word(args, 0), sizes.0)?;
    memory.write_u32(word(args, 1), sizes.1)?;
    Ok(())
}

fn write_strings(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    strings: &[String],
    args: Arguments<'_>,
) -> Result<(), Failure> {
    let (count, bytes) = string_sizes(strings);
    state.charge_entries(count)?;
    state.charge_bytes(u64::from(bytes))?;
    let (mut pointer, mut buffer) = (word(args, 0), word(args, 1));
    for string in strings {
        memory.write_u32(pointer, buffer)?;
        pointer = advance(pointer, 4)?;
        memory.write(buffer, string.as_bytes())?;
        buffer = advance(
            buffer,
            u32::try_from(string.len()).map_err(|_| Errno::Fault)?,
        )?;
        memory.write(buffer, &[0])?;
        buffer = advance(buffer, 1)?;
    }
    Ok(())
}

pub(super) fn clock_res_get(
    _: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    let resolution = match word(args, 0) {
        0 => 1_000_000,
        1..=3 => 1,
        _ => return Ok(Errno::Invalid as u32),
    };
    answer(
        memory
            .write_u64(word(args, 1), resolution)
            .map_err(Failure::from),
    )
}

pub(super) fn clock_time_get(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    let Some(now) = clock(state, word(args, 0)) else {
        return Ok(Errno::Invalid as u32);
    };
    answer(memory.write_u64(word(args, 2), now).map_err(Failure::from))
}

/// Clock 0 is realtime; 1, 2 and 3 (monotonic, process and thread CPU) count fuel.
fn clock(state: &HostState, id: u32) -> Option<u64> {
    match id {
        0 => Some(state.realtime_ns()),
        1..=3 => Some(state.monotonic_ns()),
        _ => None,
    }
}

pub(super) fn random_get(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    let len = word(args, 1);
    state.charge_random(u64::from(len))?;
    answer(
        memory
            .slice_mut(word(args, 0), len)
            .map(|bytes| state.fill_random(bytes))
            .map_err(Failure::from),
    )
}

pub(super) fn sched_yield(_: &mut HostState, _: &mut Memory<'_>, _: Arguments<'_>) -> Answer {
    Ok(Errno::Success as u32)
}

pub(super) fn bad_descriptor(_: &mut HostState, _: &mut Memory<'_>, _: Arguments<'_>) -> Answer {
    Ok(Errno::BadDescriptor as u32)
}

pub(super) fn not_supported(_: &mut HostState, _: &mut Memory<'_>, _: Arguments<'_>) -> Answer {
    Ok(Errno::NotSupported as u32)
}

/// Positioned reads, writes and seeks: the standard streams are not seekable, and there is nothing else.
pub(super) fn no_seeking(state: &mut HostState, _: &mut Memory<'_>, args: Arguments<'_>) -> Answer {
    let open = state.is_open(word(args, 0));
    Ok(if open {
        Errno::NoSeeking
    } else {
        Errno::BadDescriptor
    } as u32)
}

/// Anything that succeeds on an open stream without doing something.
pub(super) fn fd_sync(state: &mut HostState, _: &mut Memory<'_>, args: Arguments<'_>) -> Answer {
    answer(opened(state, word(args, 0)).map_err(Failure::from))
}

fn opened(state: &HostState, descriptor: u32) -> Result<(), Errno> {
    if state.is_open(descriptor) {
        Ok(())
    } else {
        Err(Errno::BadDescriptor)
    }
}

pub(super) fn fd_close(state: &mut HostState, _: &mut Memory<'_>, args: Arguments<'_>) -> Answer {
    match state.closed.get_mut(word(args, 0) as usize) {
        Some(closed) if !*closed => {
            *closed = true;
            Ok(Errno::Success as u32)
        }
        _ => Ok(Errno::BadDescriptor as u32),
    }
}

/// `fdstat`: type, flags, rights, inheriting rights; 24 bytes. The type is "unknown", so that C libraries
/// buffer output as they do for a pipe.
pub(super) fn fd_fdstat_get(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    let descriptor = word(args, 0);
    let mut fdstat = [0_u8; 24];
    let rights = if descriptor == STDIN {
        RIGHTS_READ
    } else {
        RIGHTS_WRITE
    };
    fdstat[8..16].copy_from_slice(&rights.to_le_bytes());
    answer(
        opened(state, descriptor)
            .map_err(Failure::from)
            .and_then(|()| memory.write(word(args, 1), &fdstat).map_err(Failure::from)),
    )
}

/// `filestat`: device, inode, type, links, size and three times; 64 bytes. Only the input has a size.
pub(super) fn fd_filestat_get(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    let descriptor = word(args, 0);
    let mut filestat = [0_u8; 64];
    filestat[24..32].copy_from_slice(&1_u64.to_le_bytes());
    if descriptor == STDIN {
        filestat[32..40].copy_from_slice(&(state.input.len() as u64).to_le_bytes());
    }
    answer(
        opened(state, descriptor)
            .map_err(Failure::from)
            .and_then(|()| {
                memory
                    .write(word(args, 1), &filestat)
                    .map_err(Failure::from)
            }),
    )
}

/// The vectors of a read or write: (pointer, length) pairs, and their total length.
fn vectors(
    state: &mut HostState,
    memory: &Memory<'_>,
    at: u32,
    count: u32,
) -> Result<(Vec<(u32, u32)>, u64), Failure> {
    if count > ENTRIES_MAX {
        return Err(Errno::Invalid.into());
    }
    state.charge_entries(count)?;
    let mut list = Vec::with_capacity(count as usize);
    let mut total = 0_u64;
    for index in 0..count {
        let entry = advance(at, index * 8)?;
        let (pointer, len) = (
            memory.read_u32(entry)?,
            memory.read_u32(advance(entry, 4)?)?,
        );
        memory.slice(pointer, len)?;
        total += u64::from(len);
        list.push((pointer, len));
    }
    Ok((list, total))
}

pub(super) fn fd_read(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    answer(read(state, memory, args))
}

fn read(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Result<(), Failure> {
    let descriptor = word(args, 0);
    opened(state, descriptor)?;
    if descriptor != STDIN {
        return Err(Errno::BadDescriptor.into());
    }
    let (list, total) = vectors(state, memory, word(args, 1), word(args, 2))?;
    let left = (state.input.len() - state.input_at) as u64;
    state.charge_bytes(total.min(left))?;
    let mut count = 0_u32;
    for (pointer, len) in list {
        let rest = &state.input[state.input_at..];
        let taken = rest.len().min(len as usize);
        memory.write(pointer, &rest[..taken])?;
        state.input_at += taken;
        count += taken as u32;
    }
    memory.write_u32(word(args, 3), count)?;
    Ok(())
}

pub(super) fn fd_write(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    answer(write(state, memory, args))
}

fn write(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Result<(), Failure> {
    let descriptor = word(args, 0);
    opened(state, descriptor)?;
    if descriptor == STDIN {
        return Err(Errno::BadDescriptor.into());
    }
    let (list, total) = vectors(state, memory, word(args, 1), word(args, 2))?;
    let count = u32::try_from(total).map_err(|_| Errno::Invalid)?;
    state.charge_written(total)?;
    if descriptor == STDOUT {
        state.check_output(total)?;
    }
    memory.write_u32(word(args, 3), count)?;
    for (pointer, len) in list {
        let bytes = memory.slice(pointer, len)?;
        if descriptor == STDOUT {
            state.write_output(bytes)?;
        } else {
            state.write_stderr(bytes);
        }
    }
    Ok(())
}

pub(super) fn poll_oneoff(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Answer {
    answer(poll(state, memory, args))
}

/// Streams are ready at once. Without streams the earliest clock fires: time moves to its deadline, and
/// every clock that has passed by then is reported. Subscriptions are 48 bytes, events 32.
fn poll(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    args: Arguments<'_>,
) -> Result<(), Failure> {
    let (from, to, count) = (word(args, 0), word(args, 1), word(args, 2));
    if count == 0 || count > ENTRIES_MAX {
        return Err(Errno::Invalid.into());
    }
    state.charge_entries(count)?;
    let mut subscriptions = Vec::with_capacity(count as usize);
    for index in 0..count {
        subscriptions.push(Subscription::read(
            state,
            memory,
            advance(from, index * 48)?,
        )?);
    }
    let wait = subscriptions
        .iter()
        .map(|one| one.wait_ns)
        .min()
        .unwrap_or(0);
    state.wait_ns(wait);
    let mut events = 0_u32;
    for one in subscriptions.iter().filter(|one| one.wait_ns <= wait) {
        let mut event = [0_u8; 32];
        event[..8].copy_from_slice(&one.userdata.to_le_bytes());
        event[8..10].copy_from_slice(&(one.errno as u16).to_le_bytes());
        event[10] = one.kind;
        memory.write(advance(to, events * 32)?, &event)?;
        events += 1;
    }
    memory.write_u32(word(args, 3), events)?;
    Ok(())
}

/// One thing to wait for.
struct Subscription {
    userdata: u64,
    kind: u8,
    errno: Errno,
    wait_ns: u64,
}

impl Subscription {
    fn read(state: &HostState, memory: &Memory<'_>, at: u32) -> Result<Self, Failure> {
        let userdata = memory.read_u64(at)?;
        let kind = memory.slice(advance(at, 8)?, 1)?[0];
        let mut one = Self {
            userdata,
            kind,
            errno: Errno::Success,
            wait_ns: 0,
        };
        match kind {
            0 => {
                let timeout = memory.read_u64(advance(at, 24)?)?;
                let absolute = memory.read_u16(advance(at, 40)?)? & 1 == 1;
                match clock(state, memory.read_u32(advance(at, 16)?)?) {
                    Some(now) if absolute => one.wait_ns = timeout.saturating_sub(now),
                    Some(_) => one.wait_ns = timeout,
                    None => one.errno = Errno::Invalid,
                }
            }
            1 | 2 => {
                let descriptor = memory.read_u32(advance(at, 16)?)?;
                if !state.is_open(descriptor) {
                    one.errno = Errno::BadDescriptor;
                }
            }
            _ => return Err(Errno::Invalid.into()),
        }
        Ok(one)
    }
}
