//! What waits to be sent to one peer: three bounded queues. Pure.
//!
//! Invariant: the bytes and frames of a class never exceed the limits. A full consensus queue gives
//! up its oldest frame, since a later view supersedes it; a full control or bulk queue refuses the
//! new one.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::wire::Priority;

/// The queue of this class is full; the frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
pub(crate) struct Queues {
    classes: [Class; 3],
    bytes_max: usize,
    frames_max: usize,
}

#[derive(Debug, Default)]
struct Class {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Queues {
    pub(crate) fn new(bytes_max: usize, frames_max: usize) -> Self {
        Self {
            classes: Default::default(),
            bytes_max,
            frames_max: frames_max.max(1),
        }
    }

    /// Queues a frame and returns how many older ones gave way to it.
    pub(crate) fn push(&mut self, priority: Priority, frame: Bytes) -> Result<u64, Full> {
        let (bytes_max, frames_max) = (self.bytes_max, self.frames_max);
        let class = &mut self.classes[priority.index()];
        let mut dropped = 0;
        while class.frames.len() >= frames_max || class.bytes + frame.len() > bytes_max {
            if priority != Priority::Consensus {
                return Err(Full);
            }
            let Some(oldest) = class.frames.pop_front() else {
                return Err(Full);
            };
            class.bytes -= oldest.len();
            dropped += 1;
        }
        class.bytes += frame.len();
        class.frames.push_back(frame);
        Ok(dropped)
    }

    pub(crate) fn pop(&mut self, priority: Priority) -> Option<Bytes> {
        let class = &mut self.classes[priority.index()];
        let frame = class.frames.pop_front()?;
        class.bytes -= frame.len();
        Some(frame)
    }

    pub(crate) fn bytes(&self, priority: Priority) -> usize {
        self.classes[priority.index()].bytes
    }

    /// Bytes of all classes.
    pub(crate) fn total(&self) -> usize {
        self.classes.iter().map(|class| class.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tag: u8, length: usize) -> Bytes {
        Bytes::from(vec![tag; length])
    }

    #[test]
    fn frames_of_a_class_leave_in_the_order_they_came() {
        let mut queues = Queues::new(100, 10);
        for tag in 0..5 {
            assert_eq!(queues.push(Priority::Bulk, frame(tag, 10)), Ok(0));
        }
        for tag in 0..5 {
            assert_eq!(queues.pop(Priority::Bulk), Some(frame(tag, 10)));
        }
        assert_eq!(queues.pop(Priority::Bulk), None);
        assert_eq!(queues.bytes(Priority::Bulk), 0);
    }

    #[test]
    fn a_full_bulk_queue_refuses_and_a_full_consensus_queue_drops_its_oldest() {
        for (bytes_max, frames_max) in [(30, 100), (1000, 3)] {
            let mut queues = Queues::new(bytes_max, frames_max);
            for tag in 0..3 {
                assert_eq!(queues.push(Priority::Bulk, frame(tag, 10)), Ok(0));
                assert_eq!(queues.push(Priority::Consensus, frame(tag, 10)), Ok(0));
            }
            assert_eq!(queues.push(Priority::Bulk, frame(3, 10)), Err(Full));
            assert_eq!(queues.push(Priority::Consensus, frame(3, 10)), Ok(1));
            assert_eq!(queues.pop(Priority::Bulk), Some(frame(0, 10)));
            assert_eq!(queues.pop(Priority::Consensus), Some(frame(1, 10)));
        }
    }

    #[test]
    fn a_frame_that_could_never_fit_is_refused() {
        let mut queues = Queues::new(30, 3);
        assert_eq!(queues.push(Priority::Consensus, frame(0, 31)), Err(Full));
        assert_eq!(queues.bytes(Priority::Consensus), 0);
    }
}
