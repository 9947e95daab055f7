//! A member whose frames come late, often after their view is over.

use crate::random::Random;

pub(super) fn delay(random: &mut Random) -> u64 {
    random.between(100, 1_500)
}
