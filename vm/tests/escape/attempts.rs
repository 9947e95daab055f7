//! What native code in a runner process would try if a module had broken out of its engine: reach files, keys, the
//! network, other programs, other processes. Each attempt says whether it succeeded.
//!
//! `frith-vm-escape runner <secret> <port> <parent>` is a runner that makes the attempts in its finished sandbox;
//! `frith-vm-escape free …` makes them as an ordinary program, where they must succeed: an attempt that fails anyway
//! would show nothing.

#![expect(
    unsafe_code,
    reason = "attempts are made with bare system calls, as code that was broken into would"
)]

use std::io::{self, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use frith_vm::runner;

type Attempt = fn(&Target) -> io::Result<()>;

/// What is tried, by name.
const ATTEMPTS: &[(&str, Attempt)] = &[
    ("read a system file", |_| {
        std::fs::read("/etc/passwd").map(drop)
    }),
    ("read a key file", |target| {
        std::fs::read(&target.secret).map(drop)
    }),
    ("list the key's directory", |target| {
        std::fs::read_dir(directory(target)?).map(drop)
    }),
    ("write a file beside the key", |target| {
        std::fs::write(directory(target)?.join("left-behind"), b"")
    }),
    ("read the parent's environment", |target| {
        std::fs::read(format!("/proc/{}/environ", target.parent)).map(drop)
    }),
    ("connect to a listener", |target| {
        let address = ([127, 0, 0, 1], target.port).into();
        TcpStream::connect_timeout(&address, Duration::from_secs(5)).map(drop)
    }),
    ("open a UDP socket", |_| {
        UdpSocket::bind("127.0.0.1:0").map(drop)
    }),
    ("open a local socket", |_| UnixStream::pair().map(drop)),
    ("start a program", |_| {
        Command::new("/bin/true").status().map(drop)
    }),
    ("start a thread", |_| {
        let thread = std::thread::Builder::new().spawn(|| ())?;
        thread.join().map_err(|_| io::Error::other("it panicked"))
    }),
    ("fork", |_| fork()),
    ("signal the parent", |target| {
        call(libc::SYS_kill, [target.parent, 0, 0, 0])
    }),
    ("make a file in memory", |_| {
        call(
            libc::SYS_memfd_create,
            [c"x".as_ptr() as libc::c_long, 0, 0, 0],
        )
    }),
    ("duplicate a descriptor", |_| {
        call(libc::SYS_dup, [0, 0, 0, 0])
    }),
    // The last one: from here on a signal would stop this process until its parent lets it go on.
    ("be traced", |_| call(libc::SYS_ptrace, [0, 0, 0, 0])),
];

struct Target {
    secret: String,
    port: u16,
    parent: libc::c_long,
}

fn directory(target: &Target) -> io::Result<&Path> {
    Path::new(&target.secret)
        .parent()
        .ok_or_else(|| io::Error::other("the key has no directory"))
}

fn call(number: libc::c_long, arguments: [libc::c_long; 4]) -> io::Result<()> {
    let [a, b, c, d] = arguments;
    // SAFETY: none of the calls above writes to this process's memory.
    if unsafe { libc::syscall(number, a, b, c, d) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn fork() -> io::Result<()> {
    // SAFETY: the child ends at once, without touching anything of its parent's.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: as above.
        0 => unsafe { libc::_exit(0) },
        child => {
            // Reaped here: a traced process stops at any signal, also at the one that its child has ended.
            // SAFETY: no status is asked for, so nothing is written.
            match unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) } {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        }
    }
}

/// One line an attempt: its name, a tab, and `done` or why not.
fn attempts() -> String {
    let mut given = std::env::args().skip(2);
    let mut next = || given.next().unwrap_or_default();
    let target = Target {
        secret: next(),
        port: next().parse().unwrap_or(0),
        parent: next().parse().unwrap_or(0),
    };
    let tell = |(name, attempt): &(&str, Attempt)| match attempt(&target) {
        Ok(()) => format!("{name}\tdone\n"),
        Err(error) => format!("{name}\t{error}\n"),
    };
    ATTEMPTS.iter().map(tell).collect()
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("runner") {
        return runner::main_after(attempts);
    }
    match io::stdout().write_all(attempts().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
