//! Sizes, counts and times in words, for people.

/// A count with thousands apart: `1 234 567`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Bytes in binary units with one place: `1.5 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = u128::from(count) * 10;
    let mut unit = 0;
    while scaled >= 10_240 && unit + 1 < units.len() {
        scaled /= 1024;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{}.{} {}", scaled / 10, scaled % 10, units[unit])
    }
}

/// A span of time in its largest whole unit: `45 s`, `3 min`, `5 h`, `12 days`.
#[must_use]
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The beginning and the end of a long address or hash.
#[must_use]
pub fn short(text: &str) -> String {
    match (text.get(..12), text.get(text.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if text.len() > 20 => format!("{head}…{tail}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_sizes_and_addresses_are_shown_short() {
        assert_eq!(
            (grouped(0), grouped(1234), grouped(1_234_567)),
            ("0".into(), "1 234".into(), "1 234 567".into())
        );
        assert_eq!(
            (bytes(1023), bytes(1024), bytes(1_572_864)),
            ("1023 B".into(), "1.0 KiB".into(), "1.5 MiB".into())
        );
        assert_eq!(
            [0, 59_999, 60_000, 3_600_000, 172_800_000].map(span),
            ["0 s", "59 s", "1 min", "1 h", "2 days"]
        );
        assert_eq!(short("frith1"), "frith1");
        assert_eq!(
            short("frith1abcdefghijklmnopqrstuvwxyz"),
            "frith1abcdef…wxyz"
        );
    }
}
