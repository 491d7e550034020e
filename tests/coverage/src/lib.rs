//! Which edges of the code an input has reached.
//!
//! `make fuzz` compiles the crates of the workspace with `rustc.sh` beside this crate, which puts a counter of
//! eight bits at each edge and calls [`__sanitizer_cov_8bit_counters_init`] with their range before `main`. In
//! all other builds nothing calls it and there are no counters. They belong to the process, not to a thread:
//! whoever looks at them runs alone (`--test-threads=1`).

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static START: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Called by each object file of an instrumented program, all with the range of the whole program.
///
/// # Safety
/// The range is memory that lives as long as the program, as the compiler's is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    START.store(start, Ordering::Relaxed);
    LENGTH.store((stop as usize).saturating_sub(start as usize), Ordering::Relaxed);
}

/// The counters; nothing in a program that is not instrumented.
fn counters() -> Option<&'static mut [u8]> {
    let (start, length) = (START.load(Ordering::Relaxed), LENGTH.load(Ordering::Relaxed));
    if start.is_null() || length == 0 {
        return None;
    }
    // SAFETY: the range is the program's own section of counters, which lives as long as it does. The borrow
    // ends in the function that asked, none of which runs instrumented code or another of them.
    Some(unsafe { std::slice::from_raw_parts_mut(start, length) })
}

/// The classes of counts, as one bit each: an edge that is taken once is told apart from one that is taken
/// twice, and ten times from a hundred times, but not from eleven times.
const fn class(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..=7 => 8,
        8..=15 => 16,
        16..=31 => 32,
        32..=127 => 64,
        128.. => 128,
    }
}

/// What has been reached so far.
pub struct Reached {
    classes: Vec<u8>,
}

/// What one input has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct New {
    /// Edges that nothing had reached before.
    pub edges: usize,
    /// Edges that were reached as often as never before, those included.
    pub counts: usize,
}

impl Reached {
    /// Nothing yet; `None` in a program that is not instrumented.
    #[must_use]
    pub fn nothing() -> Option<Self> {
        Some(Self { classes: vec![0; counters()?.len()] })
    }

    /// Forgets what ran until now.
    pub fn begin(&self) {
        if let Some(counters) = counters() {
            counters.fill(0);
        }
    }

    /// What ran since, and whether it is new. It is remembered.
    pub fn look(&mut self) -> New {
        let mut new = New { edges: 0, counts: 0 };
        let counters = counters().map_or(&[][..], |counters| counters);
        const WORD: usize = 8;
        for (counts, seen) in counters.chunks(WORD).zip(self.classes.chunks_mut(WORD)) {
            // Most of the program did not run.
            if counts == [0; WORD] {
                continue;
            }
            for (count, seen) in counts.iter().zip(seen) {
                let class = class(*count);
                new.edges += usize::from(*seen == 0 && class != 0);
                new.counts += usize::from(class & !*seen != 0);
                *seen |= class;
            }
        }
        new
    }

    /// The edges that ran since it began, without remembering them.
    #[must_use]
    pub fn edges(&self) -> Vec<u32> {
        let counters = counters().map_or(&[][..], |counters| counters);
        (0..).zip(counters).filter(|(_, count)| **count != 0).map(|(edge, _)| edge).collect()
    }

    /// How many edges have been reached so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.classes.iter().filter(|classes| **classes != 0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_told_once() {
        static COUNTERS: [std::sync::atomic::AtomicU8; 20] =
            [const { std::sync::atomic::AtomicU8::new(0) }; 20];
        let start = COUNTERS.as_ptr().cast_mut().cast::<u8>();
        // SAFETY: a range of bytes that may be changed and live as long as the program.
        unsafe { __sanitizer_cov_8bit_counters_init(start, start.add(COUNTERS.len())) };
        let mut reached = Reached::nothing().unwrap();
        reached.begin();
        let run = |edge: usize, times: u8| COUNTERS[edge].store(times, Ordering::Relaxed);
        run(3, 1);
        run(19, 9);
        assert_eq!(reached.look(), New { edges: 2, counts: 2 });
        assert_eq!(reached.edges(), [3, 19]);
        assert_eq!(reached.look(), New { edges: 0, counts: 0 });
        reached.begin();
        assert_eq!(reached.edges(), [0; 0]);
        run(19, 10);
        run(3, 2);
        assert_eq!(reached.look(), New { edges: 0, counts: 1 });
        assert_eq!(reached.count(), 2);
    }
}
