//! Expressions: what they mean, and bombs that have to be refused.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::*;
use crate::limits::*;
use crate::schema::{FieldSchema, FieldType, PicklistValue};

const NOON: Timestamp = Timestamp(1_769_860_800_000_000); // 2026-01-31T12:00:00Z

fn object() -> ObjectSchema {
    use FieldType as T;
    let fields = [
        ("Amount", T::Currency),
        ("Count", T::Integer),
        ("Rate", T::Percent),
        ("Name", T::Text),
        ("Email", T::Email),
        ("Description", T::LongText),
        ("Closed", T::Boolean),
        ("CloseDate", T::Date),
        ("SeenAt", T::DateTime),
        ("Stage", T::Picklist),
        ("Tags", T::MultiPicklist),
        ("AccountId", T::Reference),
        ("Odd", T::Unknown),
    ];
    let mut fields: Vec<FieldSchema> =
        fields.into_iter().map(|(name, t)| FieldSchema::new(name.parse().unwrap(), t)).collect();
    for field in &mut fields {
        if field.name.as_str() == "Stage" {
            field.values = ["Open", "Closed Won"].map(PicklistValue::new).into();
            field.restricted = true;
        }
    }
    let mut object = ObjectSchema {
        name: "Deal__c".parse().unwrap(),
        label: String::new(),
        name_field: "Name".parse().unwrap(),
        fields,
        rules: Vec::new(),
        create_set: Vec::new(),
        view_fields: Vec::new(),
        record_types: Vec::new(),
        sharing_by_hand: true,
        version: 0,
    };
    object.sort();
    object
}

fn record() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("Amount", Value::Decimal(Decimal::new(120_050, 2))),
        ("Count", Value::Integer(3)),
        ("Rate", Value::Decimal(Decimal::new(1, 1))),
        ("Name", Value::text("  Straße 7 ")),
        ("Email", Value::text("zoe@Example.org")),
        ("Closed", Value::Boolean(false)),
        ("CloseDate", Value::Date("2026-02-28".parse().unwrap())),
        ("SeenAt", Value::DateTime(Timestamp(NOON.0 - 1))),
        ("Stage", Value::picklist("Open".into())),
        ("Tags", Value::multi_picklist(["east".into(), "key".into()])),
        ("AccountId", Value::Reference(crate::RecordId(7))),
    ])
}

fn evaluate(text: &str) -> Result<Value, Reason> {
    let expression = Expression::compile(text, &object()).unwrap_or_else(|e| panic!("{text}: {e}"));
    let record = record();
    expression.evaluate(|name| record.get(name.as_str()), NOON)
}

fn refusal(text: &str) -> ExpressionError {
    match Expression::compile(text, &object()) {
        Err(error) => error,
        Ok(expression) => panic!("{text} compiled: {expression:?}"),
    }
}

#[test]
fn conditions_hold_or_not() {
    let table = [
        ("Amount > 1000", true),
        ("Amount == 1200.5", true),
        ("Amount == dec(\"1200.50\")", true),
        ("1200.5 == Amount && Amount != 1200", true),
        ("0.1 + 0.2 == 0.3", true),
        ("1 == 1.0", true),
        ("7 / 2 == 3.5 && 7 % 4 == 3 && -7 + 2 == -5", true),
        ("Amount * Rate == 120.05", true),
        ("Count * 1000 > Amount", true),
        ("Count in [1, 2, 3] && !(Count in [])", true),
        ("Name == \"  Straße 7 \"", true),
        ("size(Name) == 11 && Name.trim().size() == 8", true),
        ("Name.contains(\"ß\") && Name.trim().startsWith(\"Str\") && Name.trim().endsWith(\"7\")", true),
        ("Email.lowerAscii().endsWith(\"@example.org\")", true),
        ("Email.matches(\"^[a-z]+@\") && !Email.matches(\"^x\")", true),
        ("Stage == \"Open\" || Stage in [\"Closed Won\"]", true),
        ("\"key\" in Tags && size(Tags) == 2", true),
        ("Tags.exists(t, t.startsWith(\"ea\")) && Tags.all(t, size(t) > 2)", true),
        ("Tags.exists_one(t, t == \"key\") && !Tags.exists_one(t, size(t) > 1)", true),
        ("Tags.filter(t, t != \"key\") == [\"east\"]", true),
        ("Tags.map(t, size(t)) == [4, 3]", true),
        ("[1, 2, 3].all(n, n < Count + 1)", true),
        ("Closed ? Amount > 5 : Count == 3", true),
        ("CloseDate > today() && CloseDate - today() == 28", true),
        ("CloseDate + 1 == date(\"2026-03-01\") && CloseDate - 31 == date(\"2026-01-28\")", true),
        ("SeenAt < now() && now() == timestamp(\"2026-01-31T12:00:00Z\")", true),
        ("date(SeenAt) == today()", true),
        ("AccountId != null", true),
        ("round(2.5, 0) == 3 && round(-2.5, 0) == -3 && round(1.005, 2) == 1.01", true),
        ("abs(-1.5) == 1.5 && string(Count) + \"x\" == \"3x\"", true),
        ("1/3 > 0.333 && 1/3 < 0.334", true),
        ("Amount < 1000", false),
        ("Closed", false),
        ("null", false),
    ];
    for (text, expected) in table {
        let expression = Expression::compile(text, &object()).unwrap_or_else(|e| panic!("{text}: {e}"));
        let record = record();
        assert_eq!(expression.holds(|name| record.get(name.as_str()), NOON), Ok(expected), "{text}");
    }
}

/// An empty field never makes a rule fail, and what null gives is fixed.
#[test]
fn null_is_equal_to_null_and_in_no_order() {
    let table = [
        ("Amount == null", true),
        ("Amount != null", false),
        ("Amount > 0", false),
        ("Amount <= 0", false),
        ("!(Amount > 0)", true),
        ("Amount + 1 == null", true),
        ("-Amount == null", true),
        ("Name.contains(\"x\")", false),
        ("Name == \"\"", true),
        ("isBlank(Name)", true),
        ("isBlank(Tags)", true),
        ("Closed", false),
        ("!Closed", true),
        ("size(Tags) == 0", false),
        ("size(Tags) == null", true),
        ("Tags == []", true),
        ("Tags.exists(t, true)", false),
        ("Tags.all(t, false)", true),
        ("\"a\" in Tags", false),
        ("Name.matches(\".*\")", false),
        ("string(Amount) == null", true),
        ("Closed ? false : true", true),
        ("CloseDate + 1 == null", true),
        ("date(SeenAt) == null", true),
        ("null == null", true),
        ("null in [1]", false),
        ("round(Amount, 2) == null", true),
        ("Amount == Rate", true),
    ];
    for (text, expected) in table {
        let expression = Expression::condition(text, &object()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(expression.holds(|_| None, NOON), Ok(expected), "{text}");
    }
}

#[test]
fn results_are_values() {
    let decimal = |text: &str| Value::Decimal(crate::value::parse_decimal(text).unwrap());
    assert_eq!(evaluate("Amount * 2"), Ok(decimal("2401")));
    assert_eq!(evaluate("Name.trim().upperAscii()"), Ok(Value::text("STRAßE 7")));
    assert_eq!(evaluate("CloseDate"), Ok(Value::Date("2026-02-28".parse().unwrap())));
    assert_eq!(evaluate("now()"), Ok(Value::DateTime(NOON)));
    assert_eq!(
        evaluate("Tags.map(t, t.upperAscii())"),
        Ok(Value::multi_picklist(["EAST".into(), "KEY".into()]))
    );
    assert_eq!(evaluate("\"\""), Ok(Value::Null));
    assert_eq!(evaluate("Closed ? null : Count"), Ok(decimal("3")));
    assert_eq!(evaluate("\"Amount: \" + string(Amount)"), Ok(Value::text("Amount: 1200.5")));
}

#[test]
fn failures_have_their_reason_and_are_absorbed_by_what_decides() {
    let table = [
        ("1 / 0 == 1", "divides by zero"),
        ("1 % (Count - 3) == 1", "divides by zero"),
        ("dec(\"9999999999999999999999999999\") * 10 == 1", "28 digits"),
        ("dec(\"9999999999999999999999999999\") + 0.1 == 1", "28 digits"),
        ("dec(\"0.0000000000000001\") * dec(\"0.0000000000000001\") == 0", "28 digits"),
        ("CloseDate + 3000000 == CloseDate", "years 1 to 9999"),
        ("CloseDate + 0.5 == CloseDate", "whole number"),
        ("true && 1 / 0 == 1", "divides by zero"),
        ("1 / 0 == 1 || false", "divides by zero"),
    ];
    for (text, expected) in table {
        let reason = evaluate(text).unwrap_err();
        assert_eq!(reason.code, ReasonCode::RuleFailed);
        assert!(reason.message.contains(expected), "{text}: {reason}");
    }
    for (text, expected) in [
        ("false && 1 / 0 == 1", false),
        ("1 / 0 == 1 && false", false),
        ("1 / 0 == 1 || true", true),
        ("Count == 3 ? true : 1 / 0 == 1", true),
    ] {
        assert_eq!(evaluate(text), Ok(Value::Boolean(expected)), "{text}");
    }
}

#[test]
fn wrong_expressions_are_refused_with_place_and_remedy() {
    let table = [
        ("", "not an expression"),
        ("Amount >", "not an expression"),
        ("Amuont > 5", "did you mean Amount?"),
        ("Amount > \"5\"", "a number is compared with a text"),
        ("CloseDate > \"2026-01-01\"", "write the day as date("),
        ("CloseDate < now()", "date(x)"),
        ("Name > null && Tags > Tags", "has no order"),
        ("Stage == \"Opne\"", "did you mean \"Open\"?"),
        ("\"Closed\" != Stage", "never has the value"),
        ("Stage in [\"Open\", \"Won\"]", "never has the value"),
        ("Tags == \"x\"", "with in or exists"),
        ("Tags.contains(\"x\")", "use in or exists"),
        ("Amount && true", "&& needs true or false"),
        ("!Amount", "! needs true or false"),
        ("Amount + Name == 1", "cannot take a number and a text"),
        ("[1, \"a\"] == []", "keep one type"),
        ("[[1]] == []", "cannot hold a list"),
        ("5 in Tags", "of which each is a text"),
        ("Name in Name", "needs a list"),
        ("Closed ? 1 : \"a\"", "branch"),
        ("Odd == 1", "upgrade"),
        ("Name.matches(Name)", "in quotes"),
        ("Name.matches(\"(\")", "no regular expression"),
        ("Name.matches(\"(\\\\w{99}){99}\")", "too large"),
        ("date(\"31.01.2026\") == today()", "YYYY-MM-DD"),
        ("dec(\"1,5\") == 1", "separators"),
        ("0.12345678901234567 == 1.0", "dec("),
        ("round(Amount, Count) == 1", "written down"),
        ("Amount.foo == 1", "named alone"),
        ("{\"a\": 1} == null", "maps"),
        ("Deal__c{} == null", "maps"),
        ("b\"a\" == null", "bytes"),
        ("Tags[0] == \"a\"", "by number"),
        ("has(Name)", "isBlank"),
        ("isBlnak(Name)", "did you mean isBlank?"),
        ("Name.startWith(\"a\")", "did you mean startsWith?"),
        ("contains(Name, \"a\")", "as a method"),
        ("today(1) == today()", "today()"),
        ("Tags.exists(1, true)", "name of a variable"),
        ("Tags.exists(Name, true)", "also a field"),
        ("Tags.exists(t, size(t))", "true or false for each"),
        ("Tags.exists(t, true) && t == \"a\"", "has no field"),
        ("Tags.exists(t, Tags.exists(u, u == t))", "inside another"),
        ("Tags.map(t, t + t) == Tags", "inside a walk"),
        ("type(Name) == string", "there is no function"),
        ("getSecret()", "there is no function"),
    ];
    for (text, expected) in table {
        let error = refusal(text);
        assert!(error.message.contains(expected), "{text}: {error}");
    }
    let error = refusal("Amount > 1 &&\n  Nmae == \"x\"");
    assert_eq!((error.line, error.column), (2, 3), "{error}");
    let error = Expression::condition("Amount", &object()).unwrap_err();
    assert!(error.message.contains("gives a number"), "{error}");
}

#[test]
fn what_does_not_parse_is_told_in_plain_words() {
    let deep = format!("{}true{}", "(".repeat(900), ")".repeat(900));
    let table = [
        ("", (1, 1), "it is empty"),
        ("Amount >", (1, 9), "a value is missing after \">\""),
        ("Amount > 1 &&\n  (Count < 2", (2, 13), "a closing ) is missing at its end"),
        ("Amount = 1", (1, 8), "write =="),
        ("Amount > 1 and Count < 2", (1, 12), "write && for and"),
        ("Amount > 1 OR Count < 2", (1, 12), "write || for or"),
        ("Amount > 1 & Count < 2", (1, 12), "write && for and"),
        ("Amount > 1 | Count < 2", (1, 12), "write || for or"),
        ("not Closed", (1, 5), "write ! for not"),
        ("Amount <> 1", (1, 9), "write != for unequal"),
        ("Name == \"abc", (1, 9), "a text is not closed"),
        ("Amount > 1 Count", (1, 12), "\"Count\" cannot follow here"),
        ("Amount > 1)", (1, 11), "\")\" cannot follow here"),
        ("(Amount > 1 Count)", (1, 13), "a closing ) is missing before \"Count\""),
        ("Amount > * 2", (1, 10), "\"*\" cannot stand here"),
        ("\"Straße\" == Name Count", (1, 18), "\"Count\" cannot follow here"),
        ("Amount > 1x", (1, 11), "a number goes on with \"x\""),
        (deep.as_str(), (1, 34), "nests deeper than 32 levels"),
    ];
    let told: Vec<String> = table
        .iter()
        .filter_map(|(text, place, expected)| {
            let error = refusal(text);
            let plain = error.message.contains(expected) && !error.message.contains("Syntax");
            let shown: String = text.chars().take(40).collect();
            (!plain || (error.line, error.column) != *place).then(|| format!("{shown}: {error}"))
        })
        .collect();
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn reads_are_known() {
    let expression =
        Expression::compile("Amount > 1 && Tags.exists(t, t == Name) || Amount < 0", &object()).unwrap();
    let fields: Vec<&str> = expression.fields().iter().map(FieldName::as_str).collect();
    assert_eq!(fields, ["Amount", "Tags", "Name"]);
    assert!(!expression.reads_time());
    assert!(Expression::compile("CloseDate < today()", &object()).unwrap().reads_time());
}

/// Expressions that take seconds, gigabytes or the stack elsewhere.
#[test]
fn bombs_are_refused() {
    let list = "[1,2,3,4,5,6,7,8,9,10]";
    let nested_map = (0..5).fold("1".to_owned(), |body, i| format!("{list}.map(v{i}, {body})"));
    let doubling =
        (0..8).fold("'aaaaaaaaaa'".to_owned(), |s, _| format!("[{s}].map(x, x+x+x+x+x+x+x+x+x+x)[0]"));
    let bombs = [
        nested_map,
        doubling,
        format!("1{} == 1", "+1".repeat(10_000)),
        format!("1{} == 1", "+1".repeat(600)),
        format!("true{}", " && true".repeat(600)),
        format!("{}1{}", "(".repeat(1000), ")".repeat(1000)),
        format!("{}1{}", "[".repeat(1000), "]".repeat(1000)),
        format!("{}1", "!!(!!!!!!(!!!!(((((!!(!!(!!!!((".repeat(60)),
        format!("Name{}", ".trim()".repeat(280)),
        format!("{}1{}", "true ? ".repeat(200), " : 1".repeat(200)),
        format!("Name.matches(\"{}\")", "a?".repeat(200)),
        "Name.matches('(a{1,1000}){1,1000}')".to_owned(),
    ];
    for bomb in bombs {
        let error = refusal(&bomb);
        assert!(error.message.chars().count() < 300, "{error}");
    }
    // The parser itself takes pairs of signs away.
    for harmless in [format!("{}true", "!".repeat(2000)), format!("{}1", "-".repeat(2000))] {
        assert!(Expression::compile(&harmless, &object()).is_ok());
    }
}

/// The largest expressions that compile stop at the limit of steps.
#[test]
fn evaluation_is_bounded() {
    let mut record = record();
    let tags: Vec<smol_str::SmolStr> = (0..1000).map(|i| format!("tag{i}").into()).collect();
    record.insert("Tags", Value::multi_picklist(tags));
    record.insert("Description", Value::text(&"ab".repeat(LONG_TEXT_CHARS_MAX / 2)));
    let fail = |text: &str| {
        let expression = Expression::compile(text, &object()).unwrap_or_else(|e| panic!("{text}: {e}"));
        expression.evaluate(|name| record.get(name.as_str()), NOON).unwrap_err().message
    };
    let dear = "Description.contains(t) || ".repeat(40);
    assert!(fail(&format!("Tags.exists(t, {dear} false)")).contains("steps"));
    assert!(fail("Tags.exists(t, Description.matches(\"(a|b)*c\"))").contains("steps"));
    let doubled = "Description + Description";
    assert!(fail(doubled).contains("longer than"));
    record.insert("Tags", Value::multi_picklist((0..=1000).map(|i| i.to_string().into())));
    let expression = Expression::compile("Tags.all(t, true)", &object()).unwrap();
    let reason = expression.evaluate(|name| record.get(name.as_str()), NOON).unwrap_err();
    assert!(reason.message.contains("more than 1000 values"), "{reason}");
}

/// A record that does not keep to its schema counts as null and fails nothing.
#[test]
fn values_of_another_type_count_as_null() {
    let wrong = Value::Boolean(true);
    for text in
        ["Amount > 5", "Name.contains(\"a\")", "Tags.exists(t, true)", "CloseDate < today()", "\"a\" in Tags"]
    {
        let expression = Expression::condition(text, &object()).unwrap();
        assert_eq!(expression.holds(|_| Some(&wrong), NOON), Ok(false), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic(text in "[ -~]{0,40}|[\\PC]{0,20}|(Amount|Tags|Name|\\.all\\(|t|,|\\)|\\(|[0-9]|[<>=!&|+*/%?:-]|\"){0,15}") {
        if let Ok(expression) = Expression::compile(&text, &object()) {
            let record = record();
            let first = expression.evaluate(|name| record.get(name.as_str()), NOON);
            proptest::prop_assert_eq!(first, expression.evaluate(|name| record.get(name.as_str()), NOON));
        }
    }

    /// Comparing and adding amounts is what comparing and adding decimals is.
    #[test]
    fn amounts_are_exact(a in -1_000_000_000_000_i64..1_000_000_000_000, b in -1_000_000_000_000_i64..1_000_000_000_000) {
        let (a, b) = (Decimal::new(a, 2), Decimal::new(b, 4));
        let (amount, rate) = (Value::Decimal(a), Value::Decimal(b));
        let lookup = |name: &FieldName| Some(if name.as_str() == "Amount" { &amount } else { &rate });
        let run = |text: &str| Expression::compile(text, &object()).unwrap().evaluate(lookup, NOON).unwrap();
        proptest::prop_assert_eq!(run("Amount < Rate"), Value::Boolean(a < b));
        proptest::prop_assert_eq!(run("Amount + Rate"), Value::Decimal((a + b).normalize()));
        proptest::prop_assert_eq!(run("Amount * Rate"), Value::Decimal((a * b).normalize()));
        proptest::prop_assert_eq!(run("Amount + Rate - Rate"), Value::Decimal(a.normalize()));
    }
}

/// What a criterion reads besides the fields, and what others may not.
#[test]
fn criteria_read_what_was_and_facts() {
    let stage: FieldName = "Stage".parse().unwrap();
    let record = record();
    let old = Value::picklist("Closed Won".into());
    let facts = |fact: Fact| match fact {
        Fact::SentTo => Value::text("globex, initech"),
        Fact::ReceivedFrom => Value::Null,
        Fact::Owner => Value::text("queue:emea"),
        Fact::LastModifiedBy => Value::text("ann"),
        Fact::ByConnectionUser | Fact::IsNew => Value::Boolean(false),
    };
    let facts: Vec<(Fact, Value)> = Fact::ALL.iter().map(|(_, fact)| (*fact, facts(*fact))).collect();
    let holds = |text: &str| {
        let criterion = Expression::criterion(text, &object()).unwrap_or_else(|e| panic!("{text}: {e}"));
        let beside = |beside: &Beside| match beside {
            Beside::Old(field) if *field == stage => Some(&old),
            Beside::Old(field) => record.get(field.as_str()),
            Beside::Fact(fact) => facts.iter().find(|(known, _)| known == fact).map(|(_, value)| value),
            Beside::Column(_) => None,
        };
        criterion.holds_beside(|field| record.get(field.as_str()), beside, NOON).unwrap()
    };
    for (text, expected) in [
        ("changed(Stage)", true),
        ("changed(\"Stage\") && old.Stage == \"Closed Won\" && Stage == \"Open\"", true),
        ("changed(Name)", false),
        ("old.Amount == Amount", true),
        ("sent_to.contains(\"globex\")", true),
        ("sent_to == \"globex\"", false),
        ("isBlank(received_from)", true),
        ("received_from.contains(\"globex\")", false),
        ("owner == \"queue:emea\" && !is_new && !by_connection_user && last_modified_by == \"ann\"", true),
    ] {
        assert_eq!(holds(text), expected, "{text}");
    }
    for (text, problem) in [
        ("old.Stage == \"Opne\"", "did you mean"),
        ("old.Nmae == \"a\"", "has no field"),
        ("changed(1)", "name of a field"),
        ("owner > 1", "is compared with"),
        ("is_new", ""),
    ] {
        match Expression::criterion(text, &object()) {
            Ok(_) => assert!(problem.is_empty(), "{text}"),
            Err(error) => assert!(error.to_string().contains(problem), "{text}: {error}"),
        }
    }
    // Rules that see no change know none of it.
    for text in ["changed(Stage)", "old.Stage == \"New\"", "is_new", "owner == \"ann\""] {
        assert!(Expression::condition(text, &object()).is_err(), "{text}");
    }
}

/// The columns of a row: a text of three values, a moment and a number.
struct Row;

impl Columns for Row {
    fn column(&self, name: &str) -> Result<ColumnType, String> {
        let known = |field_type, values: &[&str]| {
            Ok(ColumnType { field_type, values: values.iter().map(|value| (*value).into()).collect() })
        };
        match name {
            "share.status" => known(FieldType::Text, &["offered", "active", "inactive (stopped)"]),
            "share.offered" => known(FieldType::DateTime, &[]),
            "AccountId.Employees" => known(FieldType::Integer, &[]),
            _ => Err(format!("there is no column {name}")),
        }
    }
}

/// What the filter of a report reads besides fields: columns, with their types and values.
#[test]
fn filters_of_reports_read_columns() {
    let record = record();
    let columns: [(&str, Value); 3] = [
        ("share.status", Value::text("active")),
        ("share.offered", Value::DateTime(NOON)),
        ("AccountId.Employees", Value::Integer(7)),
    ];
    let beside = |beside: &Beside| match beside {
        Beside::Column(name) => columns.iter().find(|(known, _)| known == name).map(|(_, value)| value),
        _ => None,
    };
    for (text, expected) in [
        ("share.status == 'active' && Stage == 'Open'", true),
        ("share.status in ['offered', 'inactive (stopped)'] || AccountId.Employees > 6.5", true),
        ("date(share.offered) < today() - 1", false),
        ("share.status.startsWith('inactive')", false),
    ] {
        let filter = Expression::of_row(text, &object(), &Row).unwrap_or_else(|e| panic!("{text}: {e}"));
        let holds = filter.holds_beside(|field| record.get(field.as_str()), beside, NOON).unwrap();
        assert_eq!(holds, expected, "{text}");
    }
    for (text, problem) in [
        ("share.status == 'inactive'", "share.status never has the value \"inactive\""),
        ("share.status in ['actve']", "did you mean \"active\""),
        ("share.state == 'active'", "there is no column share.state"),
        ("share.offered > 3", "is compared with"),
        ("AccountId.Employees", "not true or false"),
        ("AccountId.Owner.Name == 'x'", "there is no"),
        ("old.Stage == 'Open'", "there is no column old.Stage"),
        ("changed(Stage)", "there is no change"),
        ("owner == 'ann'", "has no field"),
    ] {
        let error = Expression::of_row(text, &object(), &Row).map(drop).expect_err(text).to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
    assert!(Expression::condition("share.status == 'active'", &object()).is_err());
}
