//! The child's side of living no longer than its parent.
//!
//! Two ways, since each alone has a gap: the kernel's death signal holds also for a process that was taken over, but goes by
//! whoever started this one, which may be a wrapper; the pipe closes with the process that wants the answers, but only
//! a thread of this process sees it.

use std::io;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Has the kernel kill this process when the thread that started it ends. A parent that ended before this call is
/// noticed by [`watch`].
pub(super) fn die_with_parent() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

/// Ends this process, whatever it does, when nobody holds the other end of standard input any more.
pub(super) fn watch() -> io::Result<()> {
    std::thread::Builder::new()
        .stack_size(64 << 10)
        .spawn(|| {
            if is_closed() {
                std::process::exit(0);
            }
        })
        .map(drop)
}

/// Waits for the end of standard input; false when that can't be waited for. What waits to be read doesn't count.
fn is_closed() -> bool {
    let input = io::stdin();
    let mut ends = [PollFd::new(
        std::os::fd::AsFd::as_fd(&input),
        PollFlags::empty(),
    )];
    loop {
        match poll(&mut ends, PollTimeout::NONE) {
            Ok(_) => return true,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}
