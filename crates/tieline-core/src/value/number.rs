//! Exact numbers: a plain grammar, no rounding, no locale.
//!
//! A number is an optional sign, digits with at most one point, and an optional exponent. There
//! are no separators of thousands: whether `1.234` is about one or about a thousand depends on the
//! country of who wrote it, and a wrong guess is money.

use rust_decimal::Decimal;

use crate::limits::DECIMAL_DIGITS_MAX;

/// Why a text is not a number that can be kept exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberProblem {
    #[error("a number is written with digits, a point and no separators of thousands, as -1234.5")]
    Grammar,
    #[error("a number has at most {DECIMAL_DIGITS_MAX} digits, and is not rounded to fit")]
    TooManyDigits,
}

/// The exact decimal that `text` says, without trailing zeros.
pub(crate) fn parse_decimal(text: &str) -> Result<Decimal, NumberProblem> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix(['-', '+']) {
        Some(digits) => (mantissa.starts_with('-'), digits),
        None => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let no_digits = whole.is_empty() && fraction.is_empty();
    if no_digits || !all_digits(whole) || !all_digits(fraction) {
        return Err(NumberProblem::Grammar);
    }
    // Zeros at both ends carry no value: without them the count of digits is that of the number.
    let joined = [whole, fraction].concat();
    let significant = joined.trim_end_matches('0');
    let exponent = exponent - fraction.len() as i64 + (joined.len() - significant.len()) as i64;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(Decimal::ZERO);
    }
    scaled(significant, exponent, negative).ok_or(NumberProblem::TooManyDigits)
}

fn parse_exponent(text: &str) -> Result<i64, NumberProblem> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().map_err(|_| NumberProblem::Grammar) } else { Err(NumberProblem::Grammar) }
}

/// `digits` × 10^`exponent`, if the 96 bits of a decimal hold it: 28 digits always, some of 29.
fn scaled(digits: &str, exponent: i64, negative: bool) -> Option<Decimal> {
    let zeros = usize::try_from(exponent.max(0)).ok()?;
    let scale = u32::try_from((-exponent).max(0)).ok()?;
    if digits.len() + zeros > usize::from(DECIMAL_DIGITS_MAX) + 1 {
        return None;
    }
    let mantissa: i128 = digits.parse().ok()?;
    let mantissa = mantissa * 10_i128.pow(u32::try_from(zeros).ok()?);
    Decimal::try_from_i128_with_scale(if negative { -mantissa } else { mantissa }, scale).ok()
}

/// How many digits a decimal has before and after its point, without zeros that say nothing.
pub(crate) fn digits_of(decimal: &Decimal) -> (u32, u32) {
    let plain = decimal.normalize();
    let whole = plain.trunc().mantissa().unsigned_abs();
    (whole.checked_ilog10().map_or(0, |log| log + 1), plain.scale())
}

/// The one text of a decimal: plain digits, without trailing zeros, exponent or minus zero.
pub(crate) fn decimal_text(decimal: &Decimal) -> String {
    decimal.normalize().to_string()
}
