//! From the tree of a formula to the text of a rule: functions.

use tieline_core::Timestamp;
use tieline_core::expr::Expression;
use tieline_core::reason::quoted;
use tieline_core::value::{Date, Value};

use super::parse::Formula;
use super::pattern::pattern;
use super::translate::{Binding, Kind, Part, Translated, Translator, arithmetic, literal};

/// What a person has to know of rules with these functions.
const DAY_IN_UTC: &str = "the day is that of UTC, not of the user";
const ASCII_CASE: &str = "only letters of ASCII change their case";

/// A Sunday before every date that counts: days since it, by seven, are the day of the week.
const A_SUNDAY: &str = "date(\"0001-01-07\")";

/// Why functions of the reference system have no counterpart.
fn missing(function: &str) -> String {
    let reason = match function {
        "ISCHANGED" | "PRIORVALUE" => {
            "it needs the value before the write, and a rule sees the record after it"
        }
        "ISNEW" | "ISCLONE" => {
            "it asks whether the record is new, and a rule sees what a record is, not how it came"
        }
        "VLOOKUP" | "PARENTGROUPVAL" | "PREVGROUPVAL" => {
            "it reads other records, and a rule sees its own alone"
        }
        "VALUE" | "ISNUMBER" => {
            "texts are not numbers in rules; keep the number in a number field, or write x.matches(\"^[0-9]+$\")"
        }
        "YEAR" | "MONTH" | "DAY" | "ADDMONTHS" | "DATETIMEVALUE" | "TIMEVALUE" | "HOUR" | "MINUTE"
        | "SECOND" => "rules compare dates and count days, and know no parts of them",
        "LEFT" | "RIGHT" | "MID" | "FIND" | "SUBSTITUTE" | "LPAD" | "RPAD" | "REVERSE" => {
            "rules take no parts of a text; compare the whole, or use REGEX"
        }
        _ => "rules have no such function",
    };
    format!("{function}: {reason}")
}

fn arguments<'f, const N: usize>(function: &str, given: &'f [Formula]) -> Translated<[&'f Formula; N]> {
    let given: Vec<&Formula> = given.iter().collect();
    let count = given.len();
    given.try_into().map_err(|_| format!("{function} is given {count} arguments and takes {N}"))
}

impl Translator<'_> {
    pub(super) fn call(&mut self, function: &str, given: &[Formula]) -> Translated {
        match function {
            "AND" => self.logic(true, given.iter()),
            "OR" => self.logic(false, given.iter()),
            "NOT" => {
                let [inner] = arguments(function, given)?;
                self.part(&Formula::Not(Box::new(inner.clone())))
            }
            "IF" => {
                let [condition, then, otherwise] = arguments(function, given)?;
                let condition = self.truth(condition, function)?;
                let (then, otherwise) = (self.part(then)?, self.part(otherwise)?);
                choice(&condition, &then, &otherwise)
            }
            "CASE" => self.case(given),
            "ISBLANK" => {
                let [of] = arguments(function, given)?;
                Ok(blank(&self.asked(of)?))
            }
            "ISNULL" => {
                let [of] = arguments(function, given)?;
                let of = self.asked(of)?;
                if of.kind == Kind::Text {
                    return Err("ISNULL is never true of a text, so the rule cannot be meant so; ISBLANK is"
                        .to_owned());
                }
                Ok(blank(&of))
            }
            "BLANKVALUE" | "NULLVALUE" => {
                let [of, otherwise] = arguments(function, given)?;
                let (of, otherwise) = (self.part(of)?, self.part(otherwise)?);
                choice(&blank(&of), &otherwise, &of)
            }
            "ISPICKVAL" => {
                let [of, value] = arguments(function, given)?;
                self.picklist_is(of, value)
            }
            "INCLUDES" => {
                let [of, value] = arguments(function, given)?;
                let (of, value) = (self.part(of)?, self.part(value)?);
                if of.kind != Kind::List {
                    return Err(format!("INCLUDES needs a multi-select picklist, and {} is none", of.text));
                }
                let text = format!("{} in {}", value.at(Binding::Sum), of.at(Binding::Sum));
                Ok(Part::condition(Binding::Relation, text))
            }
            "TODAY" | "NOW" => self.time(function, given),
            "DATE" => date(&arguments::<3>(function, given)?),
            "DATEVALUE" => {
                let [of] = arguments(function, given)?;
                self.date_value(of)
            }
            "WEEKDAY" => {
                let [of] = arguments(function, given)?;
                let of = self.of_kind(of, Kind::Date, function)?;
                let text = format!("({} - {A_SUNDAY}) % 7 + 1", of.at(Binding::Sum));
                Ok(Part { text, kind: Kind::Number, binding: Binding::Sum, ..of })
            }
            "MOD" => {
                let [a, b] = arguments(function, given)?;
                let (a, b) =
                    (self.of_kind(a, Kind::Number, function)?, self.of_kind(b, Kind::Number, function)?);
                let product = arithmetic(a, "*", b)?;
                Ok(Part { text: product.text.replacen(" * ", " % ", 1), ..product })
            }
            "ABS" => {
                let [of] = arguments(function, given)?;
                let of = self.of_kind(of, Kind::Number, function)?;
                Ok(Part::value(Kind::Number, format!("abs({})", of.text)).or_null(of.nullable))
            }
            "ROUND" => {
                let [of, digits] = arguments(function, given)?;
                let (of, digits) = (self.of_kind(of, Kind::Number, function)?, self.part(digits)?);
                Ok(Part::value(Kind::Number, format!("round({}, {})", of.text, digits.text))
                    .or_null(of.nullable))
            }
            _ => self.text_call(function, given),
        }
    }

    fn text_call(&mut self, function: &str, given: &[Formula]) -> Translated {
        match function {
            "LEN" => {
                let [of] = arguments(function, given)?;
                let of = self.of_kind(of, Kind::Text, function)?.filled();
                Ok(Part::value(Kind::Number, format!("size({})", of.text)))
            }
            "TEXT" => {
                let [of] = arguments(function, given)?;
                let of = self.part(of)?;
                match of.kind {
                    Kind::Text => Ok(of),
                    Kind::Number | Kind::Date => {
                        Ok(Part::value(Kind::Text, format!("string({})", of.text)).or_null(of.nullable))
                    }
                    _ => Err(format!("TEXT of {} would be written otherwise by a rule", of.text)),
                }
            }
            "CONTAINS" | "BEGINS" => {
                let [of, part] = arguments(function, given)?;
                let part = self.of_kind(part, Kind::Text, function)?.filled();
                self.method(of, if function == "CONTAINS" { "contains" } else { "startsWith" }, &part)
            }
            "REGEX" => {
                let [of, pattern] = arguments(function, given)?;
                self.regex(of, pattern)
            }
            "UPPER" | "LOWER" | "TRIM" => {
                // A second argument of UPPER and LOWER is a locale.
                let of = given.first().ok_or_else(|| format!("{function} is given nothing"))?;
                let of = self.of_kind(of, Kind::Text, function)?;
                let method = match function {
                    "UPPER" => "upperAscii",
                    "LOWER" => "lowerAscii",
                    _ => "trim",
                };
                if function != "TRIM" {
                    self.notes.insert(ASCII_CASE);
                }
                let text = format!("{}.{method}()", of.at(Binding::Value));
                Ok(Part::value(Kind::Text, text).or_null(of.nullable))
            }
            _ => Err(missing(function)),
        }
    }

    fn of_kind(&mut self, formula: &Formula, kind: Kind, by: &str) -> Translated {
        let part = self.part(formula)?;
        if part.kind == kind {
            return Ok(part);
        }
        Err(format!("{by} cannot take {}", quoted(&part.text)))
    }

    fn time(&mut self, function: &str, given: &[Formula]) -> Translated {
        let [] = arguments(function, given)?;
        if function == "NOW" {
            return Ok(Part::value(Kind::Moment, "now()".to_owned()));
        }
        self.notes.insert(DAY_IN_UTC);
        Ok(Part::value(Kind::Date, "today()".to_owned()))
    }

    fn date_value(&mut self, of: &Formula) -> Translated {
        if let Formula::Text(text) = of {
            return day(text);
        }
        let of = self.part(of)?;
        match of.kind {
            Kind::Date => Ok(of),
            Kind::Moment => {
                self.notes.insert(DAY_IN_UTC);
                Ok(Part::value(Kind::Date, format!("date({})", of.text)).or_null(of.nullable))
            }
            _ => Err(format!("DATEVALUE of {}: rules read no dates from texts", quoted(&of.text))),
        }
    }

    fn picklist_is(&mut self, of: &Formula, value: &Formula) -> Translated {
        let of = self.part(of)?;
        let Formula::Text(value) = value else {
            return Err("ISPICKVAL compares with a value that is not written down".to_owned());
        };
        match of.kind {
            Kind::Text if value.is_empty() => Ok(blank(&of)),
            Kind::Text => {
                let text = format!("{} == {}", of.at(Binding::Sum), literal(value));
                Ok(Part::condition(Binding::Relation, text))
            }
            _ => Err(format!("ISPICKVAL needs a picklist, and {} is none", quoted(&of.text))),
        }
    }

    /// `CASE(x, a, 1, b, 1, 0)` as `x in [a, b] ? 1 : 0`.
    fn case(&mut self, given: &[Formula]) -> Translated {
        let [of, pairs @ .., otherwise] = given else { return Err("CASE is given too little".to_owned()) };
        if pairs.is_empty() || pairs.len() % 2 != 0 {
            return Err("CASE has a value without a result, or no value for the others".to_owned());
        }
        let of = self.part(of)?;
        // Neighbours with one result are one question.
        let mut groups: Vec<(Vec<Part>, Part)> = Vec::new();
        for pair in pairs.chunks_exact(2) {
            let [value, result] = pair else { continue };
            let (value, result) = (self.part(value)?, self.part(result)?);
            match groups.last_mut() {
                Some((values, known)) if known.text == result.text && known.kind == result.kind => {
                    values.push(value);
                }
                _ => groups.push((vec![value], result)),
            }
        }
        let mut chosen = self.part(otherwise)?;
        for (values, result) in groups.iter().rev() {
            let texts: Vec<String> = values.iter().map(|value| value.at(Binding::Sum)).collect();
            let question = match &texts[..] {
                [only] => format!("{} == {only}", of.at(Binding::Sum)),
                _ => format!("{} in [{}]", of.at(Binding::Sum), texts.join(", ")),
            };
            chosen = choice(&Part::condition(Binding::Relation, question), result, &chosen)?;
        }
        Ok(chosen)
    }

    fn regex(&mut self, of: &Formula, pattern_of: &Formula) -> Translated {
        let Formula::Text(java) = pattern_of else {
            return Err("REGEX has a pattern that is not written down".to_owned());
        };
        let pattern = literal(&pattern(java));
        let of = self.of_kind(of, Kind::Text, "REGEX")?;
        // A blank text is an empty one: it matters only where the pattern takes an empty text.
        let of = if self.takes_nothing(&pattern) { of.filled() } else { of };
        Ok(Part::condition(Binding::Value, format!("{}.matches({pattern})", of.at(Binding::Value))))
    }

    /// Whether a pattern, as a literal, matches the empty text. One that is none is refused later.
    fn takes_nothing(&self, pattern: &str) -> bool {
        Expression::condition(&format!("\"\".matches({pattern})"), self.object)
            .is_ok_and(|test| test.evaluate(|_| None, Timestamp(0)) == Ok(Value::Boolean(true)))
    }
}

fn blank(of: &Part) -> Part {
    Part::condition(Binding::Value, format!("isBlank({})", of.text))
}

fn choice(condition: &Part, then: &Part, otherwise: &Part) -> Translated {
    let kind = match (then.kind, otherwise.kind) {
        (a, b) if a == b => a,
        (Kind::Null, kind) | (kind, Kind::Null) => kind,
        _ => return Err(format!("IF or CASE gives {} or {}, of two types", then.text, otherwise.text)),
    };
    let text = format!(
        "{} ? {} : {}",
        condition.at(Binding::Or),
        then.at(Binding::Or),
        otherwise.at(Binding::Choice)
    );
    let nullable = then.nullable || otherwise.nullable;
    Ok(Part { text, kind, binding: Binding::Choice, nullable, literal: false })
}

fn date(parts: &[&Formula; 3]) -> Translated {
    let mut numbers = Vec::new();
    for part in parts {
        let Formula::Number(number) = part else {
            return Err("DATE is computed, and rules write dates down".to_owned());
        };
        numbers.push(number.as_str());
    }
    match &numbers[..] {
        [year, month, date] => day(&format!("{year:0>4}-{month:0>2}-{date:0>2}")),
        _ => Err("DATE takes year, month and day".to_owned()),
    }
}

/// A date that is written down.
fn day(text: &str) -> Translated {
    match text.parse::<Date>() {
        Ok(date) => Ok(Part { literal: true, ..Part::value(Kind::Date, format!("date(\"{date}\")")) }),
        Err(error) => Err(format!("{} is {error}", quoted(text))),
    }
}
