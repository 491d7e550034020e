//! Formulas and what they become, and that no text does harm.

use proptest::prelude::*;
use tieline_core::schema::ObjectSchema;
use tieline_core::value::Value;
use tieline_core::{FieldName, Timestamp};

use super::*;

const OBJECT: &str = r#"
object = "Deal__c"
name_field = "Name"
[fields]
Name = { type = "text" }
Note__c = { type = "long_text" }
Amount__c = { type = "currency" }
Low__c = { type = "decimal" }
Discount__c = { type = "percent" }
Start__c = { type = "date" }
End__c = { type = "date" }
Seen__c = { type = "date_time" }
Hot__c = { type = "boolean" }
Cold__c = { type = "boolean" }
AccountId = { type = "reference" }
RecordType = { type = "picklist", values = ["Big", "Small"], restricted = true }
Stage__c = { type = "picklist", values = ["New", "Won", "Lost"], restricted = true }
Tags__c = { type = "multi_picklist", values = ["a", "b"] }
Number = { type = "text", kind = "auto_number" }
"#;

fn object() -> ObjectSchema {
    ObjectSchema::from_toml(OBJECT).unwrap().build(None).unwrap()
}

fn rule(formula: &str) -> Result<String, String> {
    let left_out = LeftOut::from([("total__c".to_owned(), "it is a roll-up".to_owned())]);
    translate(formula, &object(), &left_out).map(|translation| translation.condition)
}

#[test]
fn formulas_become_rules() {
    for (formula, expected) in [
        // Blank, null, zero.
        ("ISBLANK(name)", "isBlank(Name)"),
        ("ISBLANK(AccountId)", "isBlank(AccountId)"),
        ("ISNULL(Amount__c)", "isBlank(Amount__c)"),
        ("Amount__c = NULL", "Amount__c == null"),
        ("Amount__c <> 5", "Amount__c != null && Amount__c != 5"),
        ("Amount__c = 0", "Amount__c == 0"),
        ("Start__c = End__c", "Start__c != null && Start__c == End__c"),
        ("Name <> \"x\"", "Name != \"x\""),
        ("LEN(Name) < 5", "size(Name == null ? \"\" : Name) < 5"),
        ("Name & '-' = \"-\"", "(Name == null ? \"\" : Name) + \"-\" == \"-\""),
        ("BLANKVALUE(Amount__c, 1) > 2", "(isBlank(Amount__c) ? 1 : Amount__c) > 2"),
        // Logic.
        ("AND(Hot__c, NOT(Cold__c))", "Hot__c && !Cold__c"),
        ("Hot__c && Cold__c || Hot__c", "(Hot__c && Cold__c) || Hot__c"),
        ("OR(Hot__c, OR(Cold__c, Hot__c), Cold__c)", "Hot__c || Cold__c || Hot__c || Cold__c"),
        ("AND(OR(Hot__c, Cold__c), Hot__c)", "(Hot__c || Cold__c) && Hot__c"),
        ("NOT(AND(Hot__c, Cold__c))", "!(Hot__c && Cold__c)"),
        ("Hot__c = FALSE", "!Hot__c"),
        ("TRUE <> Hot__c", "!Hot__c"),
        ("Hot__c = TRUE", "Hot__c"),
        ("Hot__c <> Cold__c", "(Hot__c == true) != (Cold__c == true)"),
        ("IF(Hot__c, Amount__c, 0) > 10", "(Hot__c ? Amount__c : 0) > 10"),
        // Picklists.
        ("ISPICKVAL(Stage__c, \"Won\")", "Stage__c == \"Won\""),
        ("ISPICKVAL(Stage__c, '')", "isBlank(Stage__c)"),
        ("NOT ISPICKVAL(Stage__c, 'Won')", "!(Stage__c == \"Won\")"),
        ("TEXT(Stage__c) = 'Won'", "Stage__c == \"Won\""),
        ("INCLUDES(Tags__c, \"a\")", "\"a\" in Tags__c"),
        (
            "CASE(Stage__c, 'New', 1, 'Won', 1, 'Lost', 2, 0) = 1",
            "(Stage__c in [\"New\", \"Won\"] ? 1 : Stage__c == \"Lost\" ? 2 : 0) == 1",
        ),
        ("RecordType.DeveloperName = 'Big'", "RecordType == \"Big\""),
        // Numbers.
        ("Discount__c > .2", "Discount__c / 100 > 0.2"),
        ("ISBLANK(Discount__c)", "isBlank(Discount__c)"),
        ("-Low__c > 007", "-Low__c > 7"),
        ("Amount__c - (Low__c - 1) < 0.10", "Amount__c - (Low__c - 1) < 0.10"),
        ("Amount__c > 1234567890123456", "Amount__c > dec(\"1234567890123456\")"),
        ("MOD(Low__c + 1, 2) = 1", "(Low__c + 1) % 2 == 1"),
        ("ABS(ROUND(Low__c, 2)) >= 1", "abs(round(Low__c, 2)) >= 1"),
        // Dates.
        ("Start__c < TODAY()", "Start__c < today()"),
        ("End__c - Start__c > 30", "End__c - Start__c > 30"),
        ("Start__c + 5 >= DATE(2026, 1, 31)", "Start__c + 5 >= date(\"2026-01-31\")"),
        ("DATEVALUE(Seen__c) > Start__c", "date(Seen__c) > Start__c"),
        ("Seen__c > NOW()", "Seen__c > now()"),
        ("WEEKDAY(Start__c) > 6", "(Start__c - date(\"0001-01-07\")) % 7 + 1 > 6"),
        // Texts.
        ("CONTAINS(Name, 'x')", "Name.contains(\"x\")"),
        ("CONTAINS('New:Won', TEXT(Stage__c))", "\"New:Won\".contains(Stage__c == null ? \"\" : Stage__c)"),
        ("BEGINS(LOWER(Name), 'a')", "Name.lowerAscii().startsWith(\"a\")"),
        ("LEFT(Name, 2) <> '+4'", "!Name.startsWith(\"+4\")"),
        ("'\"' = RIGHT(TRIM(Name), 1)", "Name.trim().endsWith(\"\\\"\")"),
        (r#"NOT(REGEX(Name, "\\d{5}"))"#, r#"!Name.matches("^(?:[0-9]{5})$")"#),
        (r#"REGEX(Name, "\\d*")"#, r#"(Name == null ? "" : Name).matches("^(?:[0-9]*)$")"#),
    ] {
        assert_eq!(rule(formula).as_deref(), Ok(expected), "{formula}");
    }
}

#[test]
fn what_rules_cannot_say_is_a_reason() {
    for (formula, part) in [
        ("ISCHANGED(Name)", "ISCHANGED: it needs the value before the write"),
        ("AND(ISNEW(), Hot__c)", "ISNEW: it asks whether the record is new"),
        ("PRIORVALUE(Name) = 'x'", "value before"),
        ("Account.Name = 'x'", "Account.Name of another record"),
        ("$User.Id = 'x'", "no $User"),
        ("$Permission.Skip", "no $Permission"),
        ("YEAR(Start__c) = 2026", "no parts of them"),
        ("VALUE(Name) > 1", "texts are not numbers"),
        ("MID(Name, 1, 2) = 'ab'", "no parts of a text"),
        ("LEFT(Name, 3) = 'ab'", "no parts of a text"),
        ("HYPERLINK(Name, 'x') = 'y'", "no such function"),
        ("ISNULL(Name)", "ISBLANK is"),
        ("Total__c > 1", "left out: it is a roll-up"),
        ("Nmae = 'x'", "no such field"),
        ("Number = 'x'", "auto_number"),
        ("Amount__c", "neither true nor false|gives no true or false"),
        ("AND(Hot__c, Amount__c)", "AND is given"),
        ("AND()", "AND is given nothing"),
        ("NOT(Hot__c, Cold__c)", "2 arguments and takes 1"),
        ("ISPICKVAL(Stage__c, 'Wno')", "never has the value"),
        ("Amount__c > 'x'", "a number is compared with a text"),
        ("NOW() - 1 > Seen__c", "date and time"),
        ("DATE(2026, 2, 30) > Start__c", "not a date"),
        ("Low__c ^ 2 > 4", "there is no ^"),
        ("1 < Low__c < 5", "result of a comparison"),
        (r#"REGEX(Name, "(a)\\1")"#, "regular expression"),
        ("IF(Hot__c, 1, 'x') = 1", "of two types"),
        ("CASE(Stage__c, 'New', 1)", "CASE has"),
        ("Name = \"x", "character 8: the text in quotes does not end"),
    ] {
        let reason = rule(formula).unwrap_err();
        assert!(part.split('|').any(|part| reason.contains(part)), "{formula}: {reason}");
    }
}

#[test]
fn what_differs_is_noted() {
    let notes = |formula: &str| translate(formula, &object(), &LeftOut::new()).unwrap().notes;
    assert_eq!(notes("Start__c > TODAY()"), ["the day is that of UTC, not of the user"]);
    assert_eq!(notes("UPPER(Name) = 'X' && LOWER(Name) = 'x'"), ["only letters of ASCII change their case"]);
    assert!(notes("ISBLANK(Name)").is_empty());
}

/// The verdict of a translated formula on a record.
fn refuses(formula: &str, record: &[(&str, Value)]) -> bool {
    let object = object();
    let rule = Expression::condition(&rule(formula).unwrap(), &object).unwrap();
    let lookup =
        |name: &FieldName| record.iter().find(|(field, _)| *field == name.as_str()).map(|(_, value)| value);
    rule.holds(lookup, Timestamp(0)).unwrap()
}

#[test]
fn verdicts_on_blank_fields_are_those_of_the_reference() {
    for (formula, on_blank) in [
        ("Amount__c <> 1", false),
        ("Amount__c = 0", false),
        ("Amount__c < 1", false),
        ("Start__c = End__c", false),
        ("Name = ''", true),
        ("Name <> 'x'", true),
        ("LEN(Name) = 0", true),
        ("LEN(Name) < 5", true),
        ("Hot__c = FALSE", true),
        ("Hot__c = Cold__c", true),
        ("NOT(Hot__c)", true),
        ("CONTAINS('New:Won', TEXT(Stage__c))", true),
        ("CONTAINS(Name, 'x')", false),
        ("REGEX(Name, '[a-z]*')", true),
        ("REGEX(Name, '[a-z]+')", false),
        ("INCLUDES(Tags__c, 'a')", false),
        ("ISPICKVAL(Stage__c, '')", true),
        ("CASE(Stage__c, 'New', 1, 2) = 2", true),
        ("ISBLANK(Discount__c)", true),
        ("Discount__c > 0.1", false),
    ] {
        assert_eq!(refuses(formula, &[]), on_blank, "{formula}");
    }
}

#[test]
fn verdicts_on_values_are_those_of_the_reference() {
    let field = |name: &str, text: &str| {
        let object = object();
        Value::from_text(object.require(&name.parse::<FieldName>().unwrap()).unwrap(), text).unwrap()
    };
    for (formula, name, text, verdict) in [
        ("Discount__c > 0.2", "Discount__c", "20.5", true),
        ("Discount__c > 0.2", "Discount__c", "20", false),
        ("WEEKDAY(Start__c) = 1", "Start__c", "2026-11-22", true),
        ("WEEKDAY(Start__c) = 7", "Start__c", "2026-11-21", true),
        (r#"REGEX(Name, "\\d{3}")"#, "Name", "1234", false),
        (r#"REGEX(Name, "\\d{3}")"#, "Name", "123\n", false),
        (r#"REGEX(Name, "\\d{3}")"#, "Name", "١٢٣", false),
        (r#"REGEX(Name, "a|b")"#, "Name", "ab", false),
        ("CASE(Stage__c, 'New', 1, 'Won', 2, 3) = 2", "Stage__c", "Won", true),
        ("Name & 'x' = 'ax'", "Name", "a", true),
    ] {
        assert_eq!(refuses(formula, &[(name, field(name, text))]), verdict, "{formula}: {text}");
    }
}

#[test]
fn a_formula_that_grows_is_stopped() {
    let mut formula = "Name".to_owned();
    for _ in 0..40 {
        formula = format!("BLANKVALUE({formula}, {formula})");
        if formula.len() > lex::FORMULA_BYTES_MAX {
            break;
        }
    }
    assert!(rule(&format!("{formula} = 'x'")).is_err());
    let joined =
        (0..12).fold("Name".to_owned(), |inner, _| format!("LEFT(BLANKVALUE({inner}, 'x') & 'y', 1)"));
    assert!(rule(&joined).is_err());
    assert!(rule(&"Hot__c && ".repeat(900)).is_err());
    assert!(rule(&("Hot__c && ".repeat(100) + "Hot__c")).is_ok());
}

proptest! {
    /// No text panics, hangs or gives a rule that the object does not take.
    #[test]
    fn any_text_ends_well(text in "[ -~\\n\u{e4}]{0,80}") {
        drop(rule(&text));
    }

    /// The same with what formulas are made of.
    #[test]
    fn any_words_end_well(words in proptest::collection::vec(proptest::sample::select(vec![
        "AND(", "OR(", "NOT(", "IF(", "CASE(", "LEN(", "TEXT(", "REGEX(", "BLANKVALUE(", "LEFT(", "MOD(",
        ")", ",", "=", "<>", "&&", "||", "+", "&", "-", "*", "!", "Name", "Amount__c", "Hot__c", "Stage__c",
        "Start__c", "Tags__c", "Discount__c", "1", ".5", "'x'", "\"\\\\d\"", "TRUE", "NULL", "TODAY()", "(",
    ]), 0..60)) {
        drop(rule(&words.join(" ")));
    }
}
