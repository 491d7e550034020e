//! From the tree of a formula to the text of a rule: operators and names.
//!
//! Each step gives the text, and what has to be known of it to put it into another: its kind, how
//! tightly it binds, and whether it can be null.

use std::collections::BTreeSet;

use tieline_core::limits::EXPRESSION_BYTES_MAX;
use tieline_core::reason::quoted;
use tieline_core::schema::{FieldKind, FieldSchema, FieldType, ObjectSchema};

use super::LeftOut;
use super::parse::Formula;

/// What kind of value a part of a rule gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Date,
    Moment,
    List,
    Reference,
}

/// How tightly a part of a rule binds, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binding {
    Choice,
    Or,
    And,
    Relation,
    Sum,
    Product,
    Sign,
    Value,
}

/// A part of a rule.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) kind: Kind,
    pub(super) binding: Binding,
    /// Whether it is null where a field is empty.
    pub(super) nullable: bool,
    /// Whether it is written down, and no field or function.
    pub(super) literal: bool,
}

/// Why a formula is not translated: a sentence about it.
pub(super) type Translated<T = Part> = Result<T, String>;

impl Part {
    /// A part that is whole in itself and never null: a literal, a call of a function.
    pub(super) const fn value(kind: Kind, text: String) -> Self {
        Self { text, kind, binding: Binding::Value, nullable: false, literal: false }
    }

    /// A part that is true or false.
    pub(super) const fn condition(binding: Binding, text: String) -> Self {
        Self { text, kind: Kind::Boolean, binding, nullable: false, literal: false }
    }

    pub(super) fn text_literal(text: &str) -> Self {
        Self { literal: true, ..Self::value(Kind::Text, literal(text)) }
    }

    pub(super) fn or_null(self, nullable: bool) -> Self {
        Self { nullable, ..self }
    }

    /// The text, in brackets if it binds less tightly than `binding`.
    pub(super) fn at(&self, binding: Binding) -> String {
        if self.binding < binding { format!("({})", self.text) } else { self.text.clone() }
    }

    /// A text that is empty where this one is null.
    pub(super) fn filled(self) -> Self {
        if !self.nullable || self.kind != Kind::Text {
            return self;
        }
        let text = format!("{} == null ? \"\" : {}", self.at(Binding::Sum), self.at(Binding::Or));
        Self { text, binding: Binding::Choice, nullable: false, ..self }
    }
}

/// A text as CEL writes it.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

/// One translation.
pub(super) struct Translator<'o> {
    pub(super) object: &'o ObjectSchema,
    left_out: &'o LeftOut,
    /// Whether an empty number is zero, as formulas of fields may have it.
    pub(super) blank_as_zero: bool,
    pub(super) notes: BTreeSet<&'static str>,
}

impl<'o> Translator<'o> {
    pub(super) const fn new(object: &'o ObjectSchema, left_out: &'o LeftOut) -> Self {
        Self { object, left_out, blank_as_zero: false, notes: BTreeSet::new() }
    }

    /// The whole formula of a field: rounded as the field keeps it, a percentage as a number of hundredths.
    pub(super) fn value(&mut self, formula: &Formula, field: &FieldSchema) -> Translated<String> {
        let part = self.part(formula)?;
        if part.kind != Kind::Number {
            return Ok(part.text);
        }
        let part = match field.field_type {
            FieldType::Percent => {
                let text = format!("{} * 100", part.at(Binding::Product));
                Part { text, binding: Binding::Product, ..part }
            }
            _ => part,
        };
        let (_, scale) = field.max_digits();
        Ok(format!("round({}, {scale})", part.text))
    }

    /// The whole formula.
    pub(super) fn condition(&mut self, formula: &Formula) -> Translated<String> {
        let part = self.part(formula)?;
        match part.kind {
            Kind::Boolean => Ok(part.text),
            _ => Err("it gives no true or false".to_owned()),
        }
    }

    pub(super) fn part(&mut self, formula: &Formula) -> Translated {
        let part = match formula {
            Formula::Number(written) => Part { literal: true, ..Part::value(Kind::Number, number(written)) },
            Formula::Text(text) => Part::text_literal(text),
            Formula::Truth(truth) => Part { literal: true, ..Part::value(Kind::Boolean, truth.to_string()) },
            Formula::Null => {
                Part { literal: true, nullable: true, ..Part::value(Kind::Null, "null".to_owned()) }
            }
            Formula::Name(name) => self.name(name)?,
            Formula::Call(function, arguments) => self.call(function, arguments)?,
            Formula::Not(inner) => {
                let inner = self.truth(inner, "NOT")?;
                Part::condition(Binding::Sign, format!("!{}", inner.at(Binding::Value)))
            }
            Formula::Minus(inner) => {
                let inner = self.part(inner)?;
                let text = format!("-{}", inner.at(Binding::Value));
                Part { text, binding: Binding::Sign, ..inner }
            }
            Formula::Chain(first, rest) => self.chain(first, rest)?,
        };
        // An operand can be repeated: what grows beyond a rule is stopped at once.
        if part.text.len() > EXPRESSION_BYTES_MAX {
            return Err(format!(
                "as a rule it has more than {EXPRESSION_BYTES_MAX} bytes; split it into several rules"
            ));
        }
        Ok(part)
    }

    /// An operand that is true or false.
    pub(super) fn truth(&mut self, formula: &Formula, by: &str) -> Translated {
        let part = self.part(formula)?;
        match part.kind {
            Kind::Boolean | Kind::Null => Ok(part),
            _ => Err(format!("{by} is given {}, which is neither true nor false", quoted(&part.text))),
        }
    }

    /// The field that a name means.
    fn field(&self, name: &str) -> Translated<&'o FieldSchema> {
        if let Some((global, _)) = name.split_once('.').filter(|(global, _)| global.starts_with('$')) {
            return Err(format!("it reads {name}, and a rule sees its record and no {global}"));
        }
        let name = match name.split_once('.') {
            // The record type became a field, with the names that formulas compare.
            Some((relation, "DeveloperName")) if self.object.field("RecordType").is_some() => relation,
            Some(_) => {
                return Err(format!("it reads {name} of another record, and a rule sees its own alone"));
            }
            None => name,
        };
        let Some(field) = self.object.field_named(name) else {
            return Err(match self.left_out.get(&name.to_ascii_lowercase()) {
                Some(reason) => format!("it reads {name}, which was left out: {reason}"),
                None => format!("it reads {name}, and {} has no such field", self.object.name),
            });
        };
        if field.kind != FieldKind::Data && field.expression.is_none() {
            let kind = field.kind;
            return Err(format!("it reads {name}, which the org itself keeps ({kind}) and no rule sees"));
        }
        Ok(field)
    }

    /// A field as formulas compute with it.
    fn name(&self, name: &str) -> Translated {
        let field = self.field(name)?;
        let part = stored(field);
        let part = if self.blank_as_zero && part.kind == Kind::Number {
            let text = format!("({0} == null ? 0 : {0})", part.text);
            Part { text, nullable: false, ..part }
        } else {
            part
        };
        Ok(match field.field_type {
            FieldType::Percent => {
                Part { text: format!("{} / 100", part.text), binding: Binding::Product, ..part }
            }
            _ => part,
        })
    }

    /// A part that is only asked whether it is there: a percentage as it stands.
    pub(super) fn asked(&mut self, formula: &Formula) -> Translated {
        match formula {
            Formula::Name(name) => self.field(name).map(stored),
            _ => self.part(formula),
        }
    }

    fn chain(&mut self, first: &Formula, rest: &[(&'static str, Formula)]) -> Translated {
        match rest {
            [("&&" | "||", _), ..] => {
                let is_and = rest.first().is_some_and(|(sign, _)| *sign == "&&");
                let operands = std::iter::once(first).chain(rest.iter().map(|(_, operand)| operand));
                self.logic(is_and, operands)
            }
            [("+" | "-" | "&" | "*" | "/" | "^", _), ..] => {
                let mut sum = self.part(first)?;
                for (sign, operand) in rest {
                    sum = arithmetic(sum, sign, self.part(operand)?)?;
                    if sum.text.len() > EXPRESSION_BYTES_MAX {
                        return Ok(sum);
                    }
                }
                Ok(sum)
            }
            [(sign, second)] => self.compare(first, sign, second),
            _ => Err("it compares the result of a comparison; put brackets around what is meant".to_owned()),
        }
    }

    /// Operands joined by `&&` or `||`.
    pub(super) fn logic<'f>(
        &mut self,
        is_and: bool,
        operands: impl Iterator<Item = &'f Formula>,
    ) -> Translated {
        let (by, sign, binding, inner) = if is_and {
            ("AND", " && ", Binding::And, Binding::And)
        } else {
            // Brackets around && in || are not needed, and help who reads the rule.
            ("OR", " || ", Binding::Or, Binding::Relation)
        };
        let mut parts = Vec::new();
        for operand in operands {
            let part = self.truth(operand, by)?;
            parts.push(if !is_and && part.binding == Binding::Or { part.text } else { part.at(inner) });
        }
        match &parts[..] {
            [] => Err(format!("{by} is given nothing")),
            [only] => Ok(Part::condition(Binding::Choice, only.clone())),
            _ => Ok(Part::condition(binding, parts.join(sign))),
        }
    }

    /// `left sign right`; `sign` is one of `= == <> != < <= > >=`.
    pub(super) fn compare(&mut self, left: &Formula, sign: &str, right: &Formula) -> Translated {
        let equal = matches!(sign, "=" | "==");
        let sign = match sign {
            "=" | "==" => "==",
            "<>" | "!=" => "!=",
            other => other,
        };
        let is_equality = equal || sign == "!=";
        if is_equality
            && let Some(test) =
                self.beginning_or_end(left, right).or_else(|| self.beginning_or_end(right, left))
        {
            let test = test?;
            return Ok(if equal { test } else { negated(&test) });
        }
        let (a, b) = (self.part(left)?, self.part(right)?);
        if is_equality && a.kind == Kind::Boolean && b.kind == Kind::Boolean {
            return Ok(same_truth(&a, equal, &b));
        }
        let plain = format!("{} {sign} {}", a.at(Binding::Sum), b.at(Binding::Sum));
        let by_null = [&a, &b].iter().any(|part| part.kind == Kind::Null);
        let is_quantity = [&a, &b].iter().all(|p| matches!(p.kind, Kind::Number | Kind::Date | Kind::Moment));
        if !is_equality || by_null || !is_quantity {
            return Ok(Part::condition(Binding::Relation, plain));
        }
        // A blank number or date is equal to nothing, and not unequal to anything either.
        let guard = |part: &Part| part.nullable.then(|| format!("{} != null", part.at(Binding::Sum)));
        let guards: Vec<String> = match (guard(&a), guard(&b)) {
            // Null is equal to null alone: one side has to be looked at, if both can be null.
            (Some(a), Some(_)) if equal => vec![a],
            _ if equal => vec![],
            (a, b) => a.into_iter().chain(b).collect(),
        };
        if guards.is_empty() {
            return Ok(Part::condition(Binding::Relation, plain));
        }
        Ok(Part::condition(Binding::And, format!("{} && {plain}", guards.join(" && "))))
    }

    /// `LEFT(x, 2) = "ab"` and `RIGHT(x, 2) = "ab"`, which rules say without a part of a text.
    fn beginning_or_end(&mut self, call: &Formula, text: &Formula) -> Option<Translated> {
        let (Formula::Call(function, arguments), Formula::Text(text)) = (call, text) else { return None };
        let [of, Formula::Number(count)] = &arguments[..] else { return None };
        let method = match function.as_str() {
            "LEFT" => "startsWith",
            "RIGHT" => "endsWith",
            _ => return None,
        };
        // Fewer or more characters than are taken: equal only to a whole text, which is another question.
        let whole =
            count.parse::<usize>().is_ok_and(|count| count == text.chars().count()) && !text.is_empty();
        whole.then(|| self.method(of, method, &Part::text_literal(text)))
    }

    /// `x.method(argument)`, for a text.
    pub(super) fn method(&mut self, of: &Formula, method: &str, argument: &Part) -> Translated {
        let of = self.part(of)?;
        if of.kind != Kind::Text {
            return Err(format!("{method} needs a text, and {} is none", quoted(&of.text)));
        }
        Ok(Part::condition(Binding::Value, format!("{}.{method}({})", of.at(Binding::Value), argument.text)))
    }
}

/// A field as its record holds it.
fn stored(field: &FieldSchema) -> Part {
    let kind = match field.field_type {
        FieldType::Boolean => Kind::Boolean,
        FieldType::Integer | FieldType::Decimal | FieldType::Currency | FieldType::Percent => Kind::Number,
        FieldType::Date => Kind::Date,
        FieldType::DateTime => Kind::Moment,
        FieldType::MultiPicklist => Kind::List,
        FieldType::Reference => Kind::Reference,
        _ => Kind::Text,
    };
    Part::value(kind, field.name.to_string()).or_null(true)
}

/// Whether two conditions are alike; an empty checkbox is not checked.
fn same_truth(a: &Part, equal: bool, b: &Part) -> Part {
    let (condition, literal) = if b.literal { (a, b) } else { (b, a) };
    if literal.literal {
        let wanted = (literal.text == "true") == equal;
        let condition = Part::condition(condition.binding, condition.text.clone());
        return if wanted { condition } else { negated(&condition) };
    }
    let definite = |part: &Part| {
        if part.nullable { format!("({} == true)", part.text) } else { part.at(Binding::Sum) }
    };
    let sign = if equal { "==" } else { "!=" };
    Part::condition(Binding::Relation, format!("{} {sign} {}", definite(a), definite(b)))
}

fn negated(part: &Part) -> Part {
    Part::condition(Binding::Sign, format!("!{}", part.at(Binding::Value)))
}

/// `a sign b`, for numbers, dates and texts.
pub(super) fn arithmetic(a: Part, sign: &str, b: Part) -> Translated {
    if a.kind == Kind::Text || b.kind == Kind::Text || sign == "&" {
        if a.kind != Kind::Text || b.kind != Kind::Text || !matches!(sign, "+" | "&") {
            return Err(format!("{sign} is given {} and {}; only texts can be joined", a.text, b.text));
        }
        let (a, b) = (a.filled(), b.filled());
        let text = format!("{} + {}", a.at(Binding::Sum), b.at(Binding::Product));
        return Ok(Part { binding: Binding::Sum, ..Part::value(Kind::Text, text) });
    }
    let kind = match (a.kind, sign, b.kind) {
        (Kind::Number, _, Kind::Number) => Kind::Number,
        (Kind::Date, "+" | "-", Kind::Number) | (Kind::Number, "+", Kind::Date) => Kind::Date,
        (Kind::Date, "-", Kind::Date) => Kind::Number,
        (Kind::Moment, ..) | (.., Kind::Moment) => {
            return Err("it computes with a date and time, and rules compute with dates alone".to_owned());
        }
        _ => return Err(format!("{sign} cannot take {} and {}", a.text, b.text)),
    };
    let (binding, right) = match sign {
        "+" | "-" => (Binding::Sum, Binding::Product),
        "*" | "/" => (Binding::Product, Binding::Sign),
        _ => return Err(format!("there is no {sign} in rules")),
    };
    let text = format!("{} {sign} {}", a.at(binding), b.at(right));
    Ok(Part { text, kind, binding, nullable: a.nullable || b.nullable, literal: false })
}

/// A number as CEL writes it: what is longer than a rule reads exactly stands in quotes.
fn number(written: &str) -> String {
    const DIGITS: usize = 15;
    let plain = written.trim_start_matches('0');
    let plain =
        if plain.is_empty() || plain.starts_with('.') { format!("0{plain}") } else { plain.to_owned() };
    if plain.bytes().filter(u8::is_ascii_digit).count() > DIGITS {
        format!("dec(\"{plain}\")")
    } else {
        plain
    }
}
