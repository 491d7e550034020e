//! A day without a time zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil;

use crate::Timestamp;

/// A day of the years 1 to 9999, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Date(i32);

/// A text that is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date; write it as YYYY-MM-DD, with a year from 0001 to 9999")]
pub struct InvalidDate;

const DAY_US: i64 = 86_400 * 1_000_000;

impl Date {
    /// 0001-01-01.
    pub const MIN: Self = Self(-719_162);
    /// 9999-12-31.
    pub const MAX: Self = Self(2_932_896);

    /// The day that is `days` after 1970-01-01; none outside the years 1 to 9999.
    #[must_use]
    pub const fn from_days(days: i32) -> Option<Self> {
        if days >= Self::MIN.0 && days <= Self::MAX.0 { Some(Self(days)) } else { None }
    }

    /// How many days it is after 1970-01-01.
    #[must_use]
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The day in UTC of a moment; none outside the years 1 to 9999.
    #[must_use]
    pub fn of(moment: Timestamp) -> Option<Self> {
        i32::try_from(moment.0.div_euclid(DAY_US)).ok().and_then(Self::from_days)
    }

    /// The moment at which the day begins in UTC.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * DAY_US)
    }

    /// The last day of the quarter of the year that it lies in.
    #[must_use]
    pub fn end_of_quarter(self) -> Self {
        let day = self.civil();
        let month = (day.month() - 1) / 3 * 3 + 3;
        let last = civil::Date::new(day.year(), month, 1).map(civil::Date::last_of_month);
        let days = last.and_then(|last| civil::date(1970, 1, 1).until(last)).map(|span| span.get_days());
        days.ok().and_then(Self::from_days).unwrap_or(self)
    }

    fn civil(self) -> civil::Date {
        // Every day from MIN to MAX is one of jiff's, so the sum does not saturate.
        civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(i64::from(self.0)))
    }
}

impl FromStr for Date {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        let number = |range: std::ops::Range<usize>| -> Result<i16, InvalidDate> {
            let digits = text.get(range).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|d| d.parse().ok()).ok_or(InvalidDate)
        };
        if text.len() != 10 || text.get(4..5) != Some("-") || text.get(7..8) != Some("-") {
            return Err(InvalidDate);
        }
        let part = |n: i16| i8::try_from(n).map_err(|_| InvalidDate);
        let day = civil::Date::new(number(0..4)?, part(number(5..7)?)?, part(number(8..10)?)?)
            .map_err(|_| InvalidDate)?;
        let days = civil::date(1970, 1, 1).until(day).map_err(|_| InvalidDate)?.get_days();
        Self::from_days(days).ok_or(InvalidDate)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.civil().fmt(f)
    }
}
