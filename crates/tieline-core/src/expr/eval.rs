//! Evaluation of the typed tree.
//!
//! It recurses as deep as the tree, which lowering has bounded, and stops after a fixed number of
//! steps. Types were checked when the tree was made, but records are not trusted to keep to their
//! schema (a field may have changed its type): an operand of another type counts as null.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::Timestamp;
use crate::limits::{DECIMAL_DIGITS_MAX, EXPRESSION_LIST_MAX, EXPRESSION_STEPS_MAX, VALUE_BYTES_MAX};
use crate::value::{Date, Value};

use super::node::{Function, Item, Node, Operation, Relation, Walk};

/// Why an evaluation gives no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the expression divides by zero; test the divisor first")]
    DivisionByZero,
    #[error("a number of the expression needs more than {DECIMAL_DIGITS_MAX} digits; round it first")]
    Overflow,
    #[error("a date of the expression lies outside the years 1 to 9999")]
    DateOutOfRange,
    #[error("days are added to a date as a whole number; round it first")]
    PartOfDay,
    #[error("a text of the expression is longer than {VALUE_BYTES_MAX} bytes")]
    TextTooLong,
    #[error("a list of the expression has more than {EXPRESSION_LIST_MAX} values")]
    ListTooLong,
    #[error("the expression takes more than {EXPRESSION_STEPS_MAX} steps; simplify it")]
    TooManySteps,
}

/// One evaluation: the record, the time of the event, and the steps that are left.
pub(super) struct Evaluation<'e, 'a> {
    read: &'e dyn Fn(usize) -> Option<&'a Value>,
    beside: &'e dyn Fn(usize) -> Option<&'a Value>,
    now: Timestamp,
    steps: Cell<u32>,
}

type Evaluated<'a> = Result<Item<'a>, Fault>;

/// How many bytes of text count as one step.
const STEP_BYTES: usize = 64;
/// A byte that a regular expression looks at counts as so many plain ones: eight steps.
const REGEX_FACTOR: usize = STEP_BYTES * 8;

impl<'e, 'a> Evaluation<'e, 'a> {
    pub(super) fn new(
        read: &'e dyn Fn(usize) -> Option<&'a Value>,
        beside: &'e dyn Fn(usize) -> Option<&'a Value>,
        now: Timestamp,
    ) -> Self {
        Self { read, beside, now, steps: Cell::new(EXPRESSION_STEPS_MAX) }
    }

    /// The value of the whole expression.
    pub(super) fn evaluate<'n: 'a>(&self, root: &'n Node) -> Evaluated<'a> {
        self.node(root, None)
    }

    /// Takes one step, and more for `bytes` of text.
    fn step(&self, bytes: usize) -> Result<(), Fault> {
        let cost = u32::try_from(1 + bytes / STEP_BYTES).unwrap_or(u32::MAX);
        let left = self.steps.get().checked_sub(cost).ok_or(Fault::TooManySteps)?;
        self.steps.set(left);
        Ok(())
    }

    fn node<'n: 'a>(&self, node: &'n Node, variable: Option<&Item<'a>>) -> Evaluated<'a> {
        self.step(0)?;
        let value = |node: &'n Node| self.node(node, variable);
        match node {
            Node::Constant(item) => Ok(item.share()),
            Node::Field(field) => Ok((self.read)(*field).map_or(Item::Null, Item::of)),
            Node::Beside(at) => Ok((self.beside)(*at).map_or(Item::Null, Item::of)),
            Node::Variable => Ok(variable.cloned().unwrap_or(Item::Null)),
            Node::Now => Ok(Item::Moment(self.now)),
            Node::Today => Date::of(self.now).map(Item::Date).ok_or(Fault::DateOutOfRange),
            Node::And(nodes) => self.decide(nodes, variable, false),
            Node::Or(nodes) => self.decide(nodes, variable, true),
            Node::Not(operand) => Ok(Item::Boolean(!is_true(&value(operand)?))),
            Node::Negate(operand) => Ok(match value(operand)? {
                Item::Number(number) => Item::Number(-number),
                _ => Item::Null,
            }),
            Node::If(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                value(if is_true(&value(condition)?) { then } else { otherwise })
            }
            Node::Compare(relation, sides) => {
                let [left, right] = sides.as_ref();
                let (left, right) = (value(left)?, value(right)?);
                self.step(bytes(&left).min(bytes(&right)))?;
                Ok(Item::Boolean(relation.holds(&left, &right)))
            }
            Node::Arithmetic(operation, sides) => {
                let [left, right] = sides.as_ref();
                self.arithmetic(*operation, value(left)?, value(right)?)
            }
            Node::List(nodes) => nodes.iter().map(value).collect::<Result<_, _>>().map(Item::List),
            Node::In(sides) => {
                let [item, list] = sides.as_ref();
                let item = value(item)?;
                // A list that is written down is not built first.
                if let Node::List(nodes) = list {
                    let mut items = nodes.iter().map(value);
                    return items
                        .find_map(|other| other.map(|other| equal(&item, &other).then_some(())).transpose())
                        .transpose()
                        .map(|found| Item::Boolean(found.is_some()));
                }
                let Item::List(items) = value(list)? else { return Ok(Item::Boolean(false)) };
                self.step(items.len() * (STEP_BYTES + bytes(&item)))?;
                Ok(Item::Boolean(items.iter().any(|other| equal(&item, other))))
            }
            Node::Walk(walk, parts) => {
                let [list, body] = parts.as_ref();
                self.walk(*walk, value(list)?, body)
            }
            Node::Call(function, operands) => {
                let mut operands = operands.iter().map(value);
                let first = operands.next().unwrap_or(Ok(Item::Null))?;
                let second = operands.next().unwrap_or(Ok(Item::Null))?;
                self.call(*function, first, &second)
            }
            Node::Matches(text, pattern) => Ok(match value(text)? {
                Item::Text(text) => {
                    self.step(text.len().saturating_mul(REGEX_FACTOR))?;
                    Item::Boolean(pattern.is_match(&text))
                }
                _ => Item::Null,
            }),
        }
    }

    /// `&&` (`decisive` false) or `||` (`decisive` true) over a chain: the first side that decides
    /// does so, even if another side before it failed.
    fn decide<'n: 'a>(
        &self,
        nodes: &'n [Node],
        variable: Option<&Item<'a>>,
        decisive: bool,
    ) -> Evaluated<'a> {
        let mut failed = None;
        for node in nodes {
            match self.node(node, variable) {
                Ok(item) if is_true(&item) == decisive => return Ok(Item::Boolean(decisive)),
                Ok(_) => {}
                Err(Fault::TooManySteps) => return Err(Fault::TooManySteps),
                Err(fault) => failed = Some(fault),
            }
        }
        failed.map_or(Ok(Item::Boolean(!decisive)), Err)
    }

    fn arithmetic(&self, operation: Operation, left: Item<'a>, right: Item<'a>) -> Evaluated<'a> {
        use Operation as O;
        match (operation, left, right) {
            (_, Item::Number(a), Item::Number(b)) => {
                let (a, b) = (a.normalize(), b.normalize());
                let widest = a.scale().max(b.scale());
                let result = match operation {
                    O::Add => a.checked_add(b).filter(|sum| is_exact(sum, widest)),
                    O::Subtract => a.checked_sub(b).filter(|difference| is_exact(difference, widest)),
                    O::Multiply if a.is_zero() || b.is_zero() => Some(Decimal::ZERO),
                    O::Multiply => {
                        a.checked_mul(b).filter(|product| is_exact(product, a.scale() + b.scale()))
                    }
                    O::Divide | O::Remainder if b.is_zero() => return Err(Fault::DivisionByZero),
                    O::Divide => a.checked_div(b),
                    O::Remainder => a.checked_rem(b),
                };
                result.map(Item::Number).ok_or(Fault::Overflow)
            }
            (O::Add, Item::Text(a), Item::Text(b)) => {
                self.step(a.len() + b.len())?;
                if a.len() + b.len() > VALUE_BYTES_MAX {
                    return Err(Fault::TextTooLong);
                }
                Ok(Item::Text(Cow::Owned(a.into_owned() + &b)))
            }
            (O::Subtract, Item::Date(a), Item::Date(b)) => {
                Ok(Item::Number(Decimal::from(a.days() - b.days())))
            }
            (O::Add, Item::Date(date), Item::Number(days))
            | (O::Add, Item::Number(days), Item::Date(date)) => moved(date, days),
            (O::Subtract, Item::Date(date), Item::Number(days)) => moved(date, -days),
            _ => Ok(Item::Null),
        }
    }

    fn walk<'n: 'a>(&self, walk: Walk, list: Item<'a>, body: &'n Node) -> Evaluated<'a> {
        let Item::List(items) = list else {
            // Nothing to walk over: a null list is an empty one.
            return Ok(match walk {
                Walk::All => Item::Boolean(true),
                Walk::Exists | Walk::ExistsOne => Item::Boolean(false),
                Walk::Filter | Walk::Map => Item::List(Vec::new()),
            });
        };
        if items.len() > EXPRESSION_LIST_MAX {
            return Err(Fault::ListTooLong);
        }
        let mut found = 0_usize;
        let mut kept = Vec::new();
        for item in items {
            let answer = self.node(body, Some(&item))?;
            match walk {
                Walk::All if !is_true(&answer) => return Ok(Item::Boolean(false)),
                Walk::Exists if is_true(&answer) => return Ok(Item::Boolean(true)),
                Walk::Filter if is_true(&answer) => kept.push(item),
                Walk::Map => kept.push(answer),
                Walk::ExistsOne => found += usize::from(is_true(&answer)),
                Walk::All | Walk::Exists | Walk::Filter => {}
            }
        }
        Ok(match walk {
            Walk::All => Item::Boolean(true),
            Walk::Exists => Item::Boolean(false),
            Walk::ExistsOne => Item::Boolean(found == 1),
            Walk::Filter | Walk::Map => Item::List(kept),
        })
    }

    fn call(&self, function: Function, first: Item<'a>, second: &Item<'a>) -> Evaluated<'a> {
        use Function as F;
        self.step(bytes(&first) + bytes(second))?;
        Ok(match (function, first, second) {
            (F::IsBlank, item, _) => Item::Boolean(is_blank(&item)),
            (F::Size, Item::Text(text), _) => Item::Number(Decimal::from(text.chars().count())),
            (F::Size, Item::List(items), _) => Item::Number(Decimal::from(items.len())),
            (F::Abs, Item::Number(number), _) => Item::Number(number.abs()),
            (F::Round, Item::Number(number), Item::Number(digits)) => {
                // Lowering takes only a literal from 0 to 28 as the digits.
                let digits = digits.to_u32().unwrap_or_default();
                Item::Number(number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero))
            }
            (F::String, Item::Null, _) => Item::Null,
            (F::String, item, _) => Item::Text(Cow::Owned(item.into_value()?.to_text())),
            (F::DayOf, Item::Moment(moment), _) => Item::Date(Date::of(moment).ok_or(Fault::DateOutOfRange)?),
            (F::DayOf, Item::Date(date), _) => Item::Date(date),
            (F::Contains, Item::Text(text), Item::Text(part)) => Item::Boolean(text.contains(part.as_ref())),
            (F::StartsWith, Item::Text(text), Item::Text(part)) => {
                Item::Boolean(text.starts_with(part.as_ref()))
            }
            (F::EndsWith, Item::Text(text), Item::Text(part)) => Item::Boolean(text.ends_with(part.as_ref())),
            (F::LowerAscii, Item::Text(text), _) => Item::Text(Cow::Owned(text.to_ascii_lowercase())),
            (F::UpperAscii, Item::Text(text), _) => Item::Text(Cow::Owned(text.to_ascii_uppercase())),
            (F::Trim, Item::Text(text), _) => Item::Text(Cow::Owned(text.trim().to_owned())),
            _ => Item::Null,
        })
    }
}

/// Whether a sum or product kept all its digits: rounding leaves fewer than `scale` after the
/// point. A zero is exact, because the operands of a sum that cancel out are.
fn is_exact(result: &Decimal, scale: u32) -> bool {
    result.scale() == scale || scale <= u32::from(DECIMAL_DIGITS_MAX) && result.is_zero()
}

fn moved<'a>(date: Date, days: Decimal) -> Evaluated<'a> {
    if days.normalize().scale() != 0 {
        return Err(Fault::PartOfDay);
    }
    let moved = days.to_i32().and_then(|days| date.days().checked_add(days)).and_then(Date::from_days);
    moved.map(Item::Date).ok_or(Fault::DateOutOfRange)
}

/// Null, and whatever else is not true, counts as false.
const fn is_true(item: &Item<'_>) -> bool {
    matches!(item, Item::Boolean(true))
}

fn is_blank(item: &Item<'_>) -> bool {
    match item {
        Item::Null => true,
        Item::Text(text) => text.trim().is_empty(),
        Item::List(items) => items.is_empty(),
        Item::Boolean(_) | Item::Number(_) | Item::Date(_) | Item::Moment(_) | Item::Reference(_) => false,
    }
}

/// The bytes of text that an operation on `item` looks at.
fn bytes(item: &Item<'_>) -> usize {
    match item {
        Item::Text(text) => text.len(),
        Item::List(items) => items.len() * STEP_BYTES,
        _ => 0,
    }
}

/// Equality; an empty list and an empty text are what an empty field holds, null.
fn equal(left: &Item<'_>, right: &Item<'_>) -> bool {
    let none = |item: &Item<'_>| match item {
        Item::Null => true,
        Item::Text(text) => text.is_empty(),
        Item::List(items) => items.is_empty(),
        _ => false,
    };
    left == right || none(left) && none(right)
}

/// Which of two comes first; nothing of what has no order.
fn order(left: &Item<'_>, right: &Item<'_>) -> Option<Ordering> {
    match (left, right) {
        (Item::Number(a), Item::Number(b)) => Some(a.cmp(b)),
        (Item::Text(a), Item::Text(b)) => Some(a.cmp(b)),
        (Item::Date(a), Item::Date(b)) => Some(a.cmp(b)),
        (Item::Moment(a), Item::Moment(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

impl Relation {
    fn holds(self, left: &Item<'_>, right: &Item<'_>) -> bool {
        match self {
            Self::Equal => equal(left, right),
            Self::NotEqual => !equal(left, right),
            Self::Less => order(left, right).is_some_and(Ordering::is_lt),
            Self::LessOrEqual => order(left, right).is_some_and(Ordering::is_le),
            Self::Greater => order(left, right).is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual => order(left, right).is_some_and(Ordering::is_ge),
        }
    }
}
