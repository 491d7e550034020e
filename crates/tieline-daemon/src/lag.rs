//! Lags for people: how long changes took from commit there to durable apply here.
//!
//! Prometheus has the same as histograms over time; this one answers "p50 and p99 since the daemon
//! started" without Prometheus. Buckets are log-linear: sixteen for each doubling, so a quantile is
//! at most one sixteenth above the true one. A histogram takes 4.6 KiB and never grows.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tieline_core::ConnectionId;

/// Buckets for each doubling, as a power of two.
const STEPS_LOG2: u32 = 4;
const STEPS: usize = 1 << STEPS_LOG2;
/// Lags from here on (an hour and more) share the last bucket.
const US_MAX: u64 = 1 << 36;
const BUCKETS: usize = bucket_of(US_MAX) + 1;

/// The bucket of a lag. Below sixteen microseconds each has its own.
const fn bucket_of(us: u64) -> usize {
    let us = if us > US_MAX { US_MAX } else { us };
    let magnitude = u64::BITS - us.leading_zeros();
    if magnitude <= STEPS_LOG2 {
        return us as usize;
    }
    let shift = magnitude - STEPS_LOG2 - 1;
    // The top bit is in every value of this magnitude: only the four below it tell them apart.
    let step = (us >> shift) as usize - STEPS;
    (shift as usize + 1) * STEPS + step
}

/// The largest lag of a bucket.
const fn upper_bound(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let shift = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS + 1) as u64) * (1 << shift) - 1
}

/// How many lags of which size there were.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0 }
    }
}

impl Histogram {
    /// Counts one lag.
    pub fn record(&mut self, us: i64) {
        self.record_many(us, 1);
    }

    /// Counts so many equal lags. A negative one, of clocks that differ, counts as none.
    pub fn record_many(&mut self, us: i64, times: u64) {
        let us = u64::try_from(us).unwrap_or_default();
        if let Some(count) = self.counts.get_mut(bucket_of(us)) {
            *count += times;
            self.total += times;
        }
    }

    /// The lag that `share` (0 to 1) of all lags do not exceed, in µs, by at most a sixteenth too
    /// large; nothing if there was none.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        let within = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        within.map(upper_bound)
    }

    /// What `/v1/status` shows.
    #[must_use]
    pub fn summary(&self) -> LagSummary {
        let ms = |share| self.quantile_us(share).map(|us| us as f64 / 1_000.0);
        LagSummary { count: self.total, p50_ms: ms(0.5), p99_ms: ms(0.99), p999_ms: ms(0.999) }
    }
}

/// Lags in short, since the daemon started.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, utoipa::ToSchema)]
pub struct LagSummary {
    /// How many changes were measured.
    pub count: u64,
    /// Half of them took at most so many milliseconds.
    pub p50_ms: Option<f64>,
    /// All but one in a hundred took at most so many milliseconds.
    pub p99_ms: Option<f64>,
    /// All but one in a thousand took at most so many milliseconds.
    pub p999_ms: Option<f64>,
}

/// Which lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LagKind {
    /// Of a change.
    Propagation,
    /// Of first copies, of their follow-ups, and of other snapshots.
    FollowUp,
}

/// The lags of all connections of an org.
#[derive(Debug, Default)]
pub struct Lags {
    by_connection: Mutex<BTreeMap<(ConnectionId, LagKind), Histogram>>,
}

impl Lags {
    /// Counts so many equal lags, in µs.
    pub fn record(&self, connection: ConnectionId, kind: LagKind, us: i64, times: u64) {
        let mut lags = self.by_connection.lock().unwrap_or_else(PoisonError::into_inner);
        lags.entry((connection, kind)).or_default().record_many(us, times);
    }

    /// The lags of a connection in short.
    #[must_use]
    pub fn summary(&self, connection: ConnectionId, kind: LagKind) -> LagSummary {
        let lags = self.by_connection.lock().unwrap_or_else(PoisonError::into_inner);
        lags.get(&(connection, kind)).map(Histogram::summary).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lag_lies_at_most_a_sixteenth_below_the_bound_of_its_bucket() {
        for us in (0..5_000).chain((1..36).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1])) {
            let bound = upper_bound(bucket_of(us));
            assert!(bound >= us && bound - us <= us / 16, "{us} is under {bound}");
        }
        for us in 1..100_000 {
            let step = bucket_of(us) - bucket_of(us - 1);
            assert!(step <= 1, "{us} leaves a bucket out");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_lags() {
        let mut lags = Histogram::default();
        assert_eq!(lags.summary(), LagSummary::default());
        (1..=1_000).for_each(|us| lags.record(us * 1_000));
        for (share, true_us) in [(0.0, 1_000), (0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let us = lags.quantile_us(share).unwrap();
            assert!(us >= true_us && us <= true_us + true_us / 16, "{share}: {us}");
        }
        assert_eq!(lags.summary().count, 1_000);
    }

    #[test]
    fn a_clock_behind_ours_makes_no_negative_lag() {
        let lags = Lags::default();
        lags.record(ConnectionId(1), LagKind::Propagation, -5, 1);
        let summary = lags.summary(ConnectionId(1), LagKind::Propagation);
        assert_eq!((summary.count, summary.p99_ms), (1, Some(0.0)));
        assert_eq!(lags.summary(ConnectionId(1), LagKind::FollowUp).count, 0);
    }
}
