//! A compact queue of instants, for the sliding window log.

use std::collections::VecDeque;

use crate::timestamp::Timestamp;

/// How many instants fit in without an allocation.
const INLINE: usize = 2;

/// A queue of instants, oldest first, that costs a bucket of few requests nothing but its own 24 bytes.
///
/// Most identities of a population send once or twice per window, and an allocation for each of a million of
/// them would be more than the table that holds them.
#[derive(Debug)]
#[expect(
    clippy::box_collection,
    reason = "a queue of its own is 32 bytes, which every small one would carry too"
)]
pub(super) enum Timestamps {
    /// The first `len` of `at`.
    Few { len: u8, at: [Timestamp; INLINE] },
    /// Stays in use when it has become short, so that a busy bucket does not allocate again and again.
    Many(Box<VecDeque<Timestamp>>),
}

impl Timestamps {
    pub(super) const fn new() -> Self {
        Self::Few { len: 0, at: [Timestamp::EPOCH; INLINE] }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few { len, .. } => usize::from(*len),
            Self::Many(queue) => queue.len(),
        }
    }

    pub(super) fn oldest(&self) -> Option<Timestamp> {
        match self {
            Self::Few { len, at } => at[..usize::from(*len)].first().copied(),
            Self::Many(queue) => queue.front().copied(),
        }
    }

    /// The one that so many are older than.
    pub(super) fn nth(&self, place: usize) -> Option<Timestamp> {
        match self {
            Self::Few { len, at } => at[..usize::from(*len)].get(place).copied(),
            Self::Many(queue) => queue.get(place).copied(),
        }
    }

    pub(super) fn newest(&self) -> Option<Timestamp> {
        match self {
            Self::Few { len, at } => at[..usize::from(*len)].last().copied(),
            Self::Many(queue) => queue.back().copied(),
        }
    }

    pub(super) fn push(&mut self, now: Timestamp) {
        match self {
            Self::Few { len, at } => {
                if let Some(place) = at.get_mut(usize::from(*len)) {
                    *place = now;
                    *len += 1;
                } else {
                    let mut queue = VecDeque::with_capacity(2 * INLINE);
                    queue.extend(at.iter());
                    queue.push_back(now);
                    *self = Self::Many(Box::new(queue));
                }
            }
            Self::Many(queue) => queue.push_back(now),
        }
    }

    /// Takes the oldest out; `None` where there is none.
    pub(super) fn pop_oldest(&mut self) -> Option<Timestamp> {
        match self {
            Self::Few { len, at } => {
                let left = len.checked_sub(1)?;
                at.rotate_left(1);
                *len = left;
                // The rotation brought it to the end.
                at.last().copied()
            }
            Self::Many(queue) => queue.pop_front(),
        }
    }

    /// Gives back an allocation that is not needed, or not in that size.
    pub(super) fn compact(&mut self) {
        let Self::Many(queue) = self else { return };
        if queue.len() <= INLINE {
            let mut few = Self::new();
            queue.iter().for_each(|&at| few.push(at));
            *self = few;
        } else if queue.capacity() > 4 * queue.len() {
            queue.shrink_to(2 * queue.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn it_is_a_queue_inline_and_out_of_line() {
        let mut queue = Timestamps::new();
        assert_eq!((queue.len(), queue.oldest(), queue.newest()), (0, None, None));
        for pushed in 1..=5 {
            queue.push(nanos(pushed));
            assert_eq!(queue.len(), pushed as usize);
            assert_eq!((queue.oldest(), queue.newest()), (Some(nanos(1)), Some(nanos(pushed))));
            let places = [0, pushed as usize - 1, pushed as usize].map(|place| queue.nth(place));
            assert_eq!(places, [queue.oldest(), queue.newest(), None]);
        }
        for dropped in 1..=4 {
            assert_eq!(queue.pop_oldest(), Some(nanos(dropped)));
            assert_eq!((queue.oldest(), queue.newest()), (Some(nanos(dropped + 1)), Some(nanos(5))));
        }
        assert_eq!(queue.pop_oldest(), Some(nanos(5)));
        assert_eq!((queue.len(), queue.pop_oldest(), queue.newest()), (0, None, None));
        queue.compact();
        assert_eq!(queue.pop_oldest(), None);
        queue.push(nanos(6));
        queue.push(nanos(7));
        assert_eq!((queue.pop_oldest(), queue.pop_oldest()), (Some(nanos(6)), Some(nanos(7))));
        assert_eq!((queue.len(), queue.pop_oldest()), (0, None));
    }

    #[test]
    fn a_queue_that_has_become_short_comes_back_inline() {
        let mut queue = Timestamps::new();
        (0..1000).for_each(|at| queue.push(nanos(at)));
        assert!((0..990).all(|at| queue.pop_oldest() == Some(nanos(at))));
        queue.compact();
        let Timestamps::Many(inner) = &queue else { panic!("ten do not fit inline") };
        assert!(inner.capacity() < 100);

        assert!((990..998).all(|at| queue.pop_oldest() == Some(nanos(at))));
        queue.compact();
        assert!(matches!(queue, Timestamps::Few { len: 2, .. }));
        assert_eq!((queue.oldest(), queue.newest()), (Some(nanos(998)), Some(nanos(999))));
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Timestamps>(), 24);
    }
}
