//! The clock. Views and epochs go by a clock that only counts forward: its *rate* must be right. Root records carry the
//! time of day: a member whose clock is far off votes for none, and nobody votes for its own.

use super::check::Check;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the two clocks of the system are watched.
const WATCHED: Duration = Duration::from_millis(500);
/// Pairs of readings of which the closest counts.
const PAIRS: u32 = 16;
/// Drift between them in that time, in ms, that is worth a word; above the second something sets the clock in jumps.
const DRIFT_MS: (f64, f64) = (5.0, 100.0);
/// Difference to a node's time of day, in s, that is worth a word. Its answer is exact to a second.
const DIFFERENCE_S: (f64, f64) = (2.0, 5.0);
/// The last second before the year 2025: a clock before that has never been set.
const NEVER_SET_S: u64 = 1_735_689_599;

/// The clock's rate, whether something keeps it right, and how far it is from a node's (`node_time`: seconds since 1970
/// as the node said, if one was asked).
#[must_use]
pub fn clock(node_time: Option<u64>) -> Vec<Check> {
    let mut checks = vec![rate(), kept()];
    if let Some(theirs) = node_time {
        checks.push(difference(now(), theirs));
    }
    checks
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// What both clocks say at one moment. This process may be put aside between the two: of several pairs the closest counts.
fn both() -> (Instant, SystemTime) {
    let pair = || {
        let (before, wall) = (Instant::now(), SystemTime::now());
        (before.elapsed(), before, wall)
    };
    let closest = (1..PAIRS).fold(pair(), |closest, _| {
        let next = pair();
        if next.0 < closest.0 { next } else { closest }
    });
    let (apart, before, wall) = closest;
    (before + apart / 2, wall)
}

fn rate() -> Check {
    let (steady, wall) = both();
    std::thread::sleep(WATCHED);
    let (steady_then, wall_then) = both();
    let passed = steady_then.duration_since(steady).as_secs_f64();
    // A clock that was set back during the test has drifted by all of the time.
    let shown = wall_then.duration_since(wall);
    let shown = shown.map_or(0.0, |passed| passed.as_secs_f64());
    let drift_ms = (shown - passed).abs() * 1e3;
    let advice = "something sets the clock in jumps: run one time service only, and let it slew";
    let found = format!(
        "steady and wall clock differ by {drift_ms:.2} ms after {:.1} s",
        passed
    );
    Check::at_most("clock rate", drift_ms, DRIFT_MS, found, advice)
        .with(json!({"drift_ms": drift_ms}))
}

/// Whether a time service keeps the clock right, as far as this system tells.
fn kept() -> Check {
    const NAME: &str = "clock sync";
    if now() <= NEVER_SET_S {
        return Check::fail(
            NAME,
            "the clock was never set",
            "set it, and run a time service (chrony or systemd-timesyncd)",
        );
    }
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Check::ok(NAME, "systemd-timesyncd keeps the clock");
    }
    match asked(
        "timedatectl",
        &["show", "--property=NTPSynchronized", "--value"],
    )
    .as_deref()
    {
        Some("yes") => return Check::ok(NAME, "the system says that its clock is synchronised"),
        Some("no") => {
            return Check::warn(
                NAME,
                "the system says that its clock is not synchronised",
                "run a time service: `timedatectl set-ntp true`, or chrony",
            );
        }
        _ => {}
    }
    match asked("chronyc", &["-c", "tracking"]) {
        // The second field is the server; 127.127.1.1 and an empty one mean that there is none.
        Some(line)
            if line
                .split(',')
                .nth(1)
                .is_some_and(|server| !server.is_empty() && server != "127.127.1.1") =>
        {
            Check::ok(NAME, "chrony keeps the clock")
        }
        _ => Check::warn(
            NAME,
            "no time service that this program knows of (systemd-timesyncd, chrony) says that it keeps the clock",
            "on a machine of your own run one; in a container the host's counts. A node whose clock is far off votes for no root record",
        ),
    }
}

/// The first line that a program of the system prints; `None` when it isn't there or fails.
fn asked(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned())
}

fn difference(ours: u64, theirs: u64) -> Check {
    let seconds = ours.abs_diff(theirs) as f64;
    let found = format!("{seconds} s from the time of day of the node at --api");
    Check::at_most(
        "clock",
        seconds,
        DIFFERENCE_S,
        found,
        "one of the two is wrong: see which, and run a time service there",
    )
    .with(json!({"difference_s": seconds}))
}

/// Seconds since 1970 of an HTTP date (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
#[must_use]
pub(crate) fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    if words.next()? != "GMT" || !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    // Days since 0000-03-01 in the proleptic Gregorian calendar: years begin in March, so leap days end them.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn http_dates_are_read() {
        // RFC 9110's own example, the epoch, a leap day, and a date after a century's missing one.
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(http_date(text), expected, "{text}");
        }
    }

    #[test]
    fn a_clock_is_judged_by_its_distance() {
        assert_eq!(difference(100, 101).state, State::Ok);
        assert_eq!(difference(100, 105).state, State::Warn);
        assert_eq!(difference(106, 100).state, State::Fail);
    }
}
