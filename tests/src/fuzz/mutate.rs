//! A mutator for decoders: inputs of a corpus as they are, then changed, all decided by one seed.
//!
//! It stands alone, so that crates whose decoders are private can use this very file in their tests.
//! A decoder that panics or takes too long ends the test, which tells the input; one that ends the
//! whole process (a stack that overflows) is found again with `TIELINE_FUZZ_CAREFUL=1`, which writes
//! each input to a file before it is tried.
//!
//! In an instrumented program (`make fuzz`) it follows coverage: `follow.rs`.

#[path = "follow.rs"]
mod follow;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use follow::Follow;

/// Mutations of each target in an ordinary test run.
const MUTATIONS: u64 = 2_000;
/// A decoder that takes longer than this hangs, also on a slow machine.
const SLOWEST: Duration = Duration::from_secs(5);
/// Inputs may grow to this.
const BYTES_MAX: usize = 100_000;
/// What decoders stumble over: markers of MessagePack with lengths that lie, nests, numbers at their
/// edges, quotes, entities.
const WORDS: [&[u8]; 28] = [
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\x91\x91\x91\x91\x91\x91\x91\x91",
    b"\x81\xa1a\x81\xa1a\x81\xa1a",
    b"\xc0",
    b"\xc1",
    b"\x80",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"((((((((((((((((",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"<a><a><a><a>",
    b"&#x10ffff;&#0;&lt;&x;",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"\"\"\"",
    b"\"\n",
    b"9223372036854775808",
    b"-79228162514264337593543950336",
    b"1e1000",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x91\xa9\xe2\x80\x8d\xed\xa0\x80",
];

/// xorshift: the seed decides everything.
struct Random(u64);

impl Random {
    const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    const fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { ((self.next() >> 16) % end as u64) as usize }
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let at = self.below(items.len());
        items.get(at).expect("something to pick from")
    }
}

/// What is to be done, from the environment.
struct Wanted {
    seed: u64,
    seconds: Option<u64>,
    careful: bool,
    /// Where what the corpus lacks is kept.
    keep: Option<PathBuf>,
}

impl Wanted {
    fn read() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        Self {
            seed: number("TIELINE_FUZZ_SEED").unwrap_or(1),
            seconds: number("TIELINE_FUZZ_SECONDS"),
            careful: std::env::var_os("TIELINE_FUZZ_CAREFUL").is_some(),
            keep: std::env::var_os("TIELINE_FUZZ_KEEP").filter(|dir| !dir.is_empty()).map(PathBuf::from),
        }
    }
}

/// The files below `dir/name`: a corpus, and whatever was found once.
#[must_use]
pub fn corpus(dir: &Path, name: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir.join(name)).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file of the corpus")).collect()
}

/// Tries each input, and then mutations of them: as many as an ordinary run has, or for as many
/// seconds as `TIELINE_FUZZ_SECONDS` says.
///
/// # Panics
/// The decoder did, or took too long. The input is told, and kept in a file.
pub fn drive(name: &str, inputs: &[Vec<u8>], decode: impl Fn(&[u8])) {
    assert!(!inputs.is_empty(), "{name} has no corpus");
    let wanted = Wanted::read();
    let keep = std::env::temp_dir().join(format!("tieline-fuzz-{name}-{}", std::process::id()));
    let mut slowest = (Duration::ZERO, 0);
    let mut try_one = |bytes: &[u8], what: &str| {
        if wanted.careful {
            fs::write(&keep, bytes).expect("a file for the input");
        }
        let begun = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
        let took = begun.elapsed();
        slowest = slowest.max((took, bytes.len()));
        if ended.is_ok() && took < SLOWEST {
            return;
        }
        fs::write(&keep, bytes).expect("a file for the input");
        let start =
            String::from_utf8_lossy(bytes.get(..bytes.len().min(300)).unwrap_or_default()).into_owned();
        panic!(
            "{name} {} at {what} after {took:?}; the {} bytes are in {}: {start:?}",
            if ended.is_ok() { "was too slow" } else { "panicked" },
            bytes.len(),
            keep.display()
        );
    };
    // Nothing is followed in an ordinary run: its mutations are the same whatever was compiled.
    let mut follow = wanted.seconds.and_then(|_| Follow::start());
    for (n, input) in inputs.iter().enumerate() {
        follow.iter().for_each(Follow::begin);
        try_one(input, &format!("input {n} of its corpus"));
        follow.iter_mut().for_each(Follow::known);
    }
    let mut pool = inputs.to_vec();
    let begun = Instant::now();
    let mut tried = 0;
    while match wanted.seconds {
        None => tried < MUTATIONS,
        Some(seconds) => begun.elapsed() < Duration::from_secs(seconds),
    } {
        // Each mutation has a seed of its own, so that it can be tried alone where nothing is followed.
        let mut random = Random::new(wanted.seed.wrapping_add(tried).wrapping_mul(0x0100_0000_01b3));
        tried += 1;
        let mut bytes = random.pick(&pool).clone();
        for _ in 0..=random.below(6) {
            mutate(&mut bytes, &pool, &mut random);
        }
        bytes.truncate(BYTES_MAX);
        follow.iter().for_each(Follow::begin);
        try_one(&bytes, &format!("seed {}, mutation {tried}", wanted.seed));
        if follow.as_mut().is_some_and(|follow| follow.is_new(&bytes)) {
            pool.push(bytes);
        }
    }
    if wanted.seconds.is_some() {
        let followed = follow.map_or_else(
            || "coverage was not followed".to_owned(),
            |follow| follow.end(name, inputs, wanted.keep.as_deref(), &decode),
        );
        eprintln!(
            "{name}: {tried} mutations of {} inputs, seed {}; {followed}; the slowest took {:?} ({} bytes)",
            inputs.len(),
            wanted.seed,
            slowest.0,
            slowest.1
        );
    }
    if wanted.careful {
        fs::remove_file(&keep).ok();
    }
}

fn mutate(bytes: &mut Vec<u8>, inputs: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let length = random.below(bytes.len() - at + 1).min(1 + random.below(64));
    match random.below(10) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..at + length)),
        5 => {
            let word = *random.pick(&WORDS);
            bytes.splice(at..at, word.iter().copied());
        }
        6 => {
            let word = *random.pick(&WORDS);
            let end = (at + word.len()).min(bytes.len());
            bytes.splice(at..end, word.iter().copied());
        }
        7 => {
            // A part again and again.
            let part = bytes.get(at..at + length).unwrap_or_default().to_vec();
            let most = if random.below(20) == 0 { 2_000 } else { 8 };
            let times = 1 + random.below(most);
            if part.len() * times < BYTES_MAX {
                bytes.splice(at..at, part.repeat(times));
            }
        }
        8 => {
            // The end of another input.
            let other = random.pick(inputs);
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(other.get(from..).unwrap_or_default());
        }
        _ => {
            let from = random.below(bytes.len() + 1);
            let part = bytes.get(from..(from + length).min(bytes.len())).unwrap_or_default().to_vec();
            bytes.splice(at..at, part);
        }
    }
}
