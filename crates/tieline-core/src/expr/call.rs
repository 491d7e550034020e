//! The functions and methods of expressions, and what they take.

use cel::common::ast::{Expr, IdedExpr, LiteralValue};
use regex::RegexBuilder;

use crate::limits::{DECIMAL_DIGITS_MAX, EXPRESSION_REGEX_BYTES_MAX, EXPRESSION_REGEX_COMPILED_BYTES_MAX};
use crate::reason::quoted;
use crate::value::{self, Date};

use super::lower::{Lowered, Lowering, Variable, fault};
use super::node::{Element, Function, Item, Node, Type, Walk};

/// Every function by name, for suggestions.
const NAMES: &[&str] = &[
    "abs",
    "all",
    "changed",
    "contains",
    "date",
    "dec",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "isBlank",
    "lowerAscii",
    "map",
    "matches",
    "now",
    "round",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "today",
    "trim",
    "upperAscii",
];

impl Lowering<'_> {
    pub(super) fn lower_function(
        &mut self,
        node: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        arguments: &[IdedExpr],
        depth: usize,
    ) -> Lowered {
        match (name, target, arguments) {
            ("now", None, []) => {
                self.reads_time = true;
                Ok((Node::Now, Type::Moment))
            }
            ("today", None, []) => {
                self.reads_time = true;
                Ok((Node::Today, Type::Date))
            }
            ("date" | "timestamp" | "dec", None, [argument]) => {
                self.lower_constant(node, name, argument, depth)
            }
            ("changed", None, [argument]) => self.lower_changed(node, argument),
            ("isBlank", None, [operand]) => {
                let (operand, _) = self.lower(operand, depth + 1)?;
                Ok((Node::Call(Function::IsBlank, vec![operand]), Type::Boolean))
            }
            ("size", None, [operand]) | ("size", Some(operand), []) => {
                let (lowered, kind) = self.lower(operand, depth + 1)?;
                if !matches!(kind, Type::Text | Type::List(_) | Type::Null) {
                    return fault(operand, format!("size needs a text or a list and got {}", kind.name()));
                }
                Ok((Node::Call(Function::Size, vec![lowered]), Type::Number))
            }
            ("abs", None, [operand]) => {
                let operand = self.lower_as(operand, Type::Number, name, depth)?;
                Ok((Node::Call(Function::Abs, vec![operand]), Type::Number))
            }
            ("round", None, [operand, digits]) => self.lower_round(operand, digits, depth),
            ("string", None, [operand]) => {
                let (lowered, kind) = self.lower(operand, depth + 1)?;
                if matches!(kind, Type::List(_)) {
                    return fault(operand, "string cannot take a list");
                }
                Ok((Node::Call(Function::String, vec![lowered]), Type::Text))
            }
            ("matches", Some(text), [pattern]) => self.lower_matches(text, pattern, depth),
            (_, Some(text), []) if text_function(name).is_some() => self.lower_text(name, text, None, depth),
            (_, Some(text), [part]) if text_test(name).is_some() => {
                self.lower_text(name, text, Some(part), depth)
            }
            (_, Some(list), [variable, body]) if walk(name).is_some() => {
                self.lower_walk(node, name, list, (variable, body), depth)
            }
            _ => fault(node, unknown(name, target.is_some())),
        }
    }

    /// `date`, `timestamp` and `dec` of a literal are constants; `date` of a moment is its day.
    fn lower_constant(&mut self, node: &IdedExpr, name: &str, argument: &IdedExpr, depth: usize) -> Lowered {
        let Some(text) = literal(argument) else {
            if name == "date" {
                let operand = self.lower_as(argument, Type::Moment, name, depth)?;
                return Ok((Node::Call(Function::DayOf, vec![operand]), Type::Date));
            }
            return fault(node, format!("{name} needs a text in quotes, not an expression"));
        };
        let (constant, kind) = match name {
            "date" => (text.parse::<Date>().map(Item::Date).map_err(|e| e.to_string()), Type::Date),
            "timestamp" => (value::parse_moment(text).map(Item::Moment), Type::Moment),
            _ => (value::parse_decimal(text).map(Item::Number).map_err(|e| e.to_string()), Type::Number),
        };
        match constant {
            Ok(item) => Ok((Node::Constant(item), kind)),
            Err(problem) => fault(argument, format!("{} is wrong: {problem}", quoted(text))),
        }
    }

    fn lower_round(&mut self, operand: &IdedExpr, digits: &IdedExpr, depth: usize) -> Lowered {
        let operand = self.lower_as(operand, Type::Number, "round", depth)?;
        let count = match &digits.expr {
            Expr::Literal(LiteralValue::Int(count)) => u8::try_from(*count.inner()).ok(),
            _ => None,
        };
        let Some(count) = count.filter(|count| *count <= DECIMAL_DIGITS_MAX) else {
            return fault(
                digits,
                format!("round needs a number of digits from 0 to {DECIMAL_DIGITS_MAX}, written down"),
            );
        };
        let digits = Node::Constant(Item::Number(count.into()));
        Ok((Node::Call(Function::Round, vec![operand, digits]), Type::Number))
    }

    fn lower_text(&mut self, name: &str, text: &IdedExpr, part: Option<&IdedExpr>, depth: usize) -> Lowered {
        let (text_node, kind) = self.lower(text, depth + 1)?;
        match kind {
            Type::Text | Type::Null => {}
            Type::List(_) => {
                return fault(text, format!("{name} needs a text and got a list; use in or exists"));
            }
            other => return fault(text, format!("{name} needs a text and got {}", other.name())),
        }
        let mut operands = vec![text_node];
        if let Some(part) = part {
            operands.push(self.lower_as(part, Type::Text, name, depth)?);
        }
        match (text_test(name), text_function(name)) {
            (Some(function), _) => Ok((Node::Call(function, operands), Type::Boolean)),
            (None, Some(function)) => Ok((Node::Call(function, operands), Type::Text)),
            (None, None) => fault(text, unknown(name, true)),
        }
    }

    /// The pattern is a literal, so that it is compiled once and its size is known.
    fn lower_matches(&mut self, text: &IdedExpr, pattern: &IdedExpr, depth: usize) -> Lowered {
        let text = self.lower_as(text, Type::Text, "matches", depth)?;
        let Some(written) = literal(pattern) else {
            return fault(pattern, "the pattern of matches is a text in quotes, not an expression");
        };
        if written.len() > EXPRESSION_REGEX_BYTES_MAX {
            return fault(
                pattern,
                format!("the pattern has more than {EXPRESSION_REGEX_BYTES_MAX} bytes; shorten it"),
            );
        }
        let compiled = RegexBuilder::new(written)
            .size_limit(EXPRESSION_REGEX_COMPILED_BYTES_MAX)
            .dfa_size_limit(EXPRESSION_REGEX_COMPILED_BYTES_MAX)
            .build();
        match compiled {
            Ok(regex) => Ok((Node::Matches(Box::new(text), regex), Type::Boolean)),
            Err(regex::Error::CompiledTooBig(_)) => {
                fault(pattern, "the pattern becomes too large; repeat less, or use [a-z] instead of \\w")
            }
            Err(error) => {
                // The last line says what is wrong; those above it draw the place.
                let text = error.to_string();
                let problem =
                    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                fault(pattern, format!("the pattern is no regular expression: {problem}"))
            }
        }
    }

    fn lower_walk(
        &mut self,
        node: &IdedExpr,
        name: &str,
        list: &IdedExpr,
        (variable, body): (&IdedExpr, &IdedExpr),
        depth: usize,
    ) -> Lowered {
        let walk = walk(name).unwrap_or(Walk::All);
        let (list_node, list_type) = self.lower(list, depth + 1)?;
        let Type::List(element) = list_type else {
            return fault(list, format!("{name} needs a list and got {}", list_type.name()));
        };
        let Expr::Ident(variable_name) = &variable.expr else {
            return fault(variable, format!("the first argument of {name} is the name of a variable, as t"));
        };
        self.open_walk(node, Variable { name: variable_name.clone(), item: element.item() })?;
        let lowered = self.lower(body, depth + 1);
        self.variable = None;
        let (body_node, body_type) = lowered?;
        let result = match walk {
            Walk::Map => match body_type.element() {
                Some(mapped) => Type::List(mapped),
                None if element == Element::None => Type::List(Element::None),
                None => return fault(body, format!("a list cannot hold {}", body_type.name())),
            },
            _ if !matches!(body_type, Type::Boolean | Type::Null) => {
                return fault(
                    body,
                    format!("{name} needs true or false for each value and got {}", body_type.name()),
                );
            }
            Walk::Filter => list_type,
            Walk::All | Walk::Exists | Walk::ExistsOne => Type::Boolean,
        };
        Ok((Node::Walk(walk, Box::new([list_node, body_node])), result))
    }
}

fn text_test(name: &str) -> Option<Function> {
    match name {
        "contains" => Some(Function::Contains),
        "startsWith" => Some(Function::StartsWith),
        "endsWith" => Some(Function::EndsWith),
        _ => None,
    }
}

fn text_function(name: &str) -> Option<Function> {
    match name {
        "lowerAscii" => Some(Function::LowerAscii),
        "upperAscii" => Some(Function::UpperAscii),
        "trim" => Some(Function::Trim),
        _ => None,
    }
}

fn walk(name: &str) -> Option<Walk> {
    match name {
        "all" => Some(Walk::All),
        "exists" => Some(Walk::Exists),
        "exists_one" => Some(Walk::ExistsOne),
        "filter" => Some(Walk::Filter),
        "map" => Some(Walk::Map),
        _ => None,
    }
}

fn literal(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// What to say of a call that is not known: a wrong name, or a known one called otherwise.
fn unknown(name: &str, is_method: bool) -> String {
    let form = match name {
        "now" | "today" => "now() or today()",
        "date" | "timestamp" | "dec" | "isBlank" | "abs" | "string" => "f(x), with one argument",
        "size" => "size(x) or x.size()",
        "round" => "round(x, 2)",
        "changed" => "changed(Field)",
        "contains" | "startsWith" | "endsWith" | "matches" => "x.f(\"text\"), as a method of a text",
        "lowerAscii" | "upperAscii" | "trim" => "x.f(), as a method of a text",
        "all" | "exists" | "exists_one" | "filter" | "map" => {
            "list.f(t, …), with a variable and what is asked of it"
        }
        "has" => return "has is not needed: write isBlank(x) or compare with null".to_owned(),
        _ => {
            let what = if is_method { "method" } else { "function" };
            let meant = crate::suggest::nearest(name, NAMES.iter(), |known| known).map_or_else(
                || format!("known are {}", NAMES.join(", ")),
                |known| format!("did you mean {known}?"),
            );
            return format!("there is no {what} {}; {meant}", quoted(name));
        }
    };
    format!("{name} is called as {form}")
}
