//! The result: buffered, counted, and flushed before the program ends.

use std::fmt;
use std::io::{self, BufWriter, Write};

/// Where the result goes. Use it with `write!`, `writeln!` or [`Write::write_all`].
///
/// A write that failed fails the task with status 4, even if the program ignored the error.
pub struct Output<'a> {
    sink: BufWriter<Box<dyn Write + 'a>>,
    written: u64,
    failed: Option<io::ErrorKind>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(sink: impl Write + 'a) -> Self {
        // 16 KiB: few host calls for a large result, little memory for a small one.
        Self {
            sink: BufWriter::with_capacity(16 << 10, Box::new(sink)),
            written: 0,
            failed: None,
        }
    }

    /// Bytes of result so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Flushes; fails if this or any earlier write failed.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.failed.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn note<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &outcome
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.failed.get_or_insert(error.kind());
        }
        outcome
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = self.sink.write(bytes);
        let count = self.note(outcome)?;
        self.written = self
            .written
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let outcome = self.sink.flush();
        self.note(outcome)
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("written", &self.written)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as many bytes as it has room for, then fails.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_write_that_failed_is_remembered_when_the_program_forgets_it() {
        let mut output = Output::new(Full(0));
        let _ = output.write_all(&vec![0; 64 << 10]);
        assert_eq!(
            output.finish().expect_err("the sink is full").kind(),
            io::ErrorKind::StorageFull
        );
    }

    #[test]
    fn a_failure_that_only_flushing_shows_is_shown() {
        let mut output = Output::new(Full(2));
        output.write_all(b"abc").expect("the buffer has room");
        assert!(output.finish().is_err());
    }

    #[test]
    fn what_was_written_is_counted() {
        let mut bytes = Vec::new();
        let mut output = Output::new(&mut bytes);
        write!(output, "{}", 12_345).expect("a vector has room");
        assert_eq!(output.written(), 5);
        output.finish().expect("a vector has room");
        drop(output);
        assert_eq!(bytes, b"12345");
    }
}
