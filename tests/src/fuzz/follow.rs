//! The mutator in an instrumented program: what reaches new code is mutated further, and what the corpus lacks
//! is made small and kept.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tieline_coverage::Reached;

/// Most inputs that are kept for one target in one run: those with the most new code come first.
const KEPT_MAX: usize = 12;
/// How often an input is tried to be made smaller.
const SHRINKS_MAX: usize = 500;

/// What was reached, and by what.
pub(super) struct Follow {
    reached: Reached,
    /// Edges that the corpus reaches.
    by_corpus: usize,
    /// What reached edges that nothing had reached before.
    found: Vec<Vec<u8>>,
}

impl Follow {
    /// `None` in a program that is not instrumented.
    pub(super) fn start() -> Option<Self> {
        Some(Self { reached: Reached::nothing()?, by_corpus: 0, found: Vec::new() })
    }

    /// An input is tried next.
    pub(super) fn begin(&self) {
        self.reached.begin();
    }

    /// An input of the corpus was tried.
    pub(super) fn known(&mut self) {
        self.by_corpus += self.reached.look().edges;
    }

    /// A mutation was tried: whether it is worth to be mutated further.
    pub(super) fn is_new(&mut self, bytes: &[u8]) -> bool {
        let new = self.reached.look();
        if new.edges > 0 {
            self.found.push(bytes.to_vec());
        }
        new.counts > 0
    }

    /// Tells what was found, and writes what the corpus lacks into a directory if there is one.
    pub(super) fn end(
        self,
        name: &str,
        inputs: &[Vec<u8>],
        into: Option<&Path>,
        decode: impl Fn(&[u8]),
    ) -> String {
        let told = format!("{} edges, {} of them by its corpus", self.reached.count(), self.by_corpus);
        let Some(dir) = into.map(|dir| dir.join(name)) else {
            return format!("{told}; {} inputs found more", self.found.len());
        };
        let edges = |bytes: &[u8]| -> BTreeSet<u32> {
            self.reached.begin();
            // It did not panic before, and what panics while it is made smaller is not kept.
            let ended = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
            if ended.is_ok() { self.reached.edges().into_iter().collect() } else { BTreeSet::new() }
        };
        let mut covered: BTreeSet<u32> = inputs.iter().flat_map(|input| edges(input)).collect();
        let mut found: Vec<_> = self.found.iter().map(|bytes| (bytes.clone(), edges(bytes))).collect();
        let mut kept = 0;
        while kept < KEPT_MAX {
            let gain = |of: &BTreeSet<u32>| of.difference(&covered).count();
            let best = (0..found.len())
                .max_by_key(|at| (gain(&found[*at].1), std::cmp::Reverse(found[*at].0.len())));
            let Some((bytes, of)) = best.map(|at| found.swap_remove(at)) else { break };
            let own: BTreeSet<u32> = of.difference(&covered).copied().collect();
            if own.is_empty() {
                break;
            }
            let small = shrunk(bytes, |bytes| own.is_subset(&edges(bytes)));
            covered.extend(edges(&small));
            fs::create_dir_all(&dir).expect("a directory of the corpus");
            fs::write(dir.join(format!("found-{:016x}", fnv(&small))), small).expect("a file of the corpus");
            kept += 1;
        }
        format!("{told}; {kept} inputs kept")
    }
}

/// The bytes without whatever can go while they are still good for the same.
fn shrunk(mut bytes: Vec<u8>, good: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut tries, mut size) = (0, bytes.len() / 2);
    while size > 0 {
        let mut at = 0;
        while at < bytes.len() {
            if tries == SHRINKS_MAX {
                return bytes;
            }
            tries += 1;
            let mut less = bytes.clone();
            drop(less.drain(at..(at + size).min(bytes.len())));
            if good(&less) {
                bytes = less;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    bytes
}

/// A name for an input: FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
