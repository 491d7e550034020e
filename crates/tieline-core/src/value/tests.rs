//! Values: texts, JSON, bytes, casts.

use proptest::prelude::*;
use smol_str::SmolStr;

use super::*;
use crate::limits::{LONG_TEXT_CHARS_MAX, MSGPACK_DEPTH_MAX, MSGPACK_NODES_MAX};
use crate::msgpack::scan_msgpack;
use crate::reason::ReasonCode::{self, *};
use crate::schema::{FieldSchema, PicklistValue, compatible};

fn field(field_type: FieldType) -> FieldSchema {
    FieldSchema::new("Field__c".parse().unwrap(), field_type)
}

fn code<T: std::fmt::Debug>(result: Result<T, crate::reason::Reason>) -> ReasonCode {
    let reason = result.unwrap_err();
    assert!(reason.message.contains("Field__c"), "the message names the field: {reason}");
    reason.code
}

fn decimal(text: &str) -> Value {
    Value::Decimal(parse_decimal(text).unwrap())
}

/// Every bit of these encodings is in logs and on the wire: a change here is a new format.
#[test]
fn encodings_are_pinned() {
    let day = Value::Date("2026-01-31".parse().unwrap());
    let golden: &[(Value, &[u8])] = &[
        (Value::Null, b"\xc0"),
        (Value::Boolean(true), b"\xc3"),
        (Value::Boolean(false), b"\xc2"),
        (Value::Integer(-1), b"\xff"),
        (Value::Integer(300), b"\xcd\x01\x2c"),
        (Value::text("Zoë"), b"\xa4Zo\xc3\xab"),
        (decimal("12.50"), b"\x92\x01\xa412.5"),
        (decimal("-0.00"), b"\x92\x01\xa10"),
        (day, b"\x92\x02\xcd\x50\x04"),
        (Value::DateTime(Timestamp(-1)), b"\x92\x03\xff"),
        (Value::picklist("Hot".into()), b"\x92\x04\xa3Hot"),
        (Value::multi_picklist(["b".into(), "a".into(), "b".into()]), b"\x92\x05\x92\xa1a\xa1b"),
        (Value::Reference(RecordId(1)), b"\x92\x06\xc4\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"),
    ];
    for (value, bytes) in golden {
        let encoded = rmp_serde::to_vec_named(value).unwrap();
        assert_eq!(encoded, *bytes, "{value:?}");
        assert_eq!(rmp_serde::from_slice::<Value>(bytes).unwrap(), *value);
    }
}

#[test]
fn wrong_encodings_are_refused_with_their_reason() {
    let wrong: &[(&[u8], &str)] = &[
        (b"\x92\x63\x01", "unknown kind 99"),
        (b"\x92\x01\xa31,5", "is no decimal"),
        (b"\x92\x02\xd2\x7f\xff\xff\xff", "outside the years"),
        (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "expected a field value"),
        (b"\xcb\x3f\xf0\0\0\0\0\0\0", "expected a field value"),
        (b"\x93\x04\xa1a\xa1b", "invalid length 3"),
        (b"\x91\x04", "invalid length 1"),
        (b"\x90", "invalid length 0"),
    ];
    for (bytes, expected) in wrong {
        let error = rmp_serde::from_slice::<Value>(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{bytes:x?}: {error}");
    }
}

/// What a partner sends empty or unsorted is stored as we would have written it.
#[test]
fn other_spellings_decode_to_the_one_spelling() {
    let same: &[(&[u8], Value)] = &[
        (b"\xa0", Value::Null),
        (b"\x92\x04\xa0", Value::Null),
        (b"\x92\x05\x90", Value::Null),
        (b"\x92\x05\x93\xa1b\xa1a\xa1b", Value::multi_picklist(["a".into(), "b".into()])),
        (b"\x92\x01\xa512.50", decimal("12.5")),
    ];
    for (bytes, value) in same {
        assert_eq!(rmp_serde::from_slice::<Value>(bytes).unwrap(), *value);
    }
}

/// A field type with a value that fits it, and that is in the one spelling of constructors.
fn any_value() -> impl Strategy<Value = (FieldType, Value)> {
    use FieldType as T;
    let text_type = prop_oneof![Just(T::Text), Just(T::LongText), Just(T::Phone), Just(T::Url)];
    let item = "[^;]{1,12}".prop_map(SmolStr::from);
    prop_oneof![
        any::<bool>().prop_map(|b| (T::Boolean, Value::Boolean(b))),
        any::<i64>().prop_map(|i| (T::Integer, Value::Integer(i))),
        (text_type, any::<String>()).prop_map(|(t, s)| (t, Value::text(&s))),
        (any::<i64>(), 0_u32..=18).prop_map(|(m, s)| {
            (T::Currency, Value::Decimal(Decimal::from_i128_with_scale(i128::from(m), s).normalize()))
        }),
        (Date::MIN.days()..=Date::MAX.days())
            .prop_map(|d| (T::Date, Value::Date(Date::from_days(d).unwrap()))),
        (Date::MIN.start().0..=Date::MAX.start().0)
            .prop_map(|us| (T::DateTime, Value::DateTime(Timestamp(us)))),
        any::<String>().prop_map(|s| (T::Picklist, Value::picklist(s.into()))),
        prop::collection::vec(item, 0..5).prop_map(|v| (T::MultiPicklist, Value::multi_picklist(v))),
        any::<u128>().prop_map(|id| (T::Reference, Value::Reference(RecordId(id)))),
    ]
}

proptest! {
    #[test]
    fn values_survive_every_encoding((field_type, value) in any_value()) {
        let field = field(field_type);
        let bytes = rmp_serde::to_vec_named(&value).unwrap();
        prop_assert_eq!(scan_msgpack(&bytes, MSGPACK_DEPTH_MAX, MSGPACK_NODES_MAX), Ok(()));
        prop_assert!(bytes.len() <= value.encoded_len(), "{} > {}", bytes.len(), value.encoded_len());
        prop_assert_eq!(&rmp_serde::from_slice::<Value>(&bytes).unwrap(), &value);
        prop_assert_eq!(&Value::from_json(&field, &value.to_json()).unwrap(), &value);
        if let serde_json::Value::String(text) = value.to_json() {
            prop_assert_eq!(&Value::from_json_text(&field, text.into()).unwrap(), &value);
        }
        prop_assert_eq!(&Value::from_text(&field, &value.to_text()).unwrap(), &value);
        prop_assert!(value.fits(field_type));
    }

    #[test]
    fn decimals_are_read_as_they_are_written(mantissa in -99_999_999_999_999_i64..99_999_999_999_999, scale in 0_u32..=10) {
        let number = Decimal::from_i128_with_scale(i128::from(mantissa), scale);
        prop_assert_eq!(parse_decimal(&number.to_string()).unwrap(), number);
        let scientific = format!("{mantissa}e-{scale}");
        prop_assert_eq!(parse_decimal(&scientific).unwrap(), number);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>()) {
        for &field_type in FieldType::ALL {
            if let Ok(value) = Value::from_text(&field(field_type), &text) {
                prop_assert!(value.fits(field_type));
                // The check may refuse it, but must not fail otherwise.
                let _checked = value.check(&field(field_type));
            }
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = rmp_serde::from_slice::<Value>(&bytes) {
            let again = rmp_serde::to_vec_named(&value).unwrap();
            prop_assert_eq!(rmp_serde::from_slice::<Value>(&again).unwrap(), value);
        }
    }

    /// Casting within a type changes nothing; where types are incompatible no value gets through,
    /// texts aside, whose values look alike whatever their type.
    #[test]
    fn casts_agree_with_the_table_of_types((from, value) in any_value()) {
        for &to in FieldType::ALL {
            let cast = cast(&value, &field(to));
            let refused = matches!(&cast, Err(reason) if reason.code == IncompatibleTypes);
            if from == to {
                prop_assert_eq!(&cast, &Ok(value.clone()));
            }
            if compatible(from, to).is_ok() {
                prop_assert!(!refused, "{} to {}", from, to);
            } else if !from.is_text() && !value.is_null() {
                prop_assert!(refused, "{} to {}", from, to);
            }
            if let Ok(cast) = cast {
                prop_assert!(cast.fits(to));
            }
        }
    }
}

#[test]
fn cells_are_read() {
    use FieldType as T;
    let moment = Value::DateTime(Timestamp(1_718_810_565_250_000));
    let table: &[(FieldType, &str, Value)] = &[
        (T::Text, "", Value::Null),
        (T::Text, "  a\t\n", Value::text("  a\t\n")),
        (T::Boolean, "TRUE", Value::Boolean(true)),
        (T::Boolean, " no ", Value::Boolean(false)),
        (T::Boolean, "1", Value::Boolean(true)),
        (T::Integer, "+0042", Value::Integer(42)),
        (T::Integer, "1.5e3", Value::Integer(1500)),
        (T::Integer, "-9223372036854775808", Value::Integer(i64::MIN)),
        (T::Currency, "1200", decimal("1200.00")),
        (T::Currency, "1E-3", decimal("0.001")),
        (T::Percent, ".5", decimal("0.5")),
        (T::Decimal, "1e20", decimal("100000000000000000000")),
        (T::Decimal, "0e9999", decimal("0")),
        (T::Date, "2024-02-29", Value::Date("2024-02-29".parse().unwrap())),
        (T::DateTime, "2024-06-19T15:22:45.250Z", moment.clone()),
        (T::DateTime, "2024-06-19T15:22:45.250+0000", moment.clone()),
        (T::DateTime, "2024-06-19T17:22:45.25+02:00", moment),
        (T::Picklist, "Hot ", Value::Picklist("Hot ".into())),
        (T::MultiPicklist, "b;a;;b", Value::multi_picklist(["a".into(), "b".into()])),
        (T::Reference, "00000000000000000000000000", Value::Reference(RecordId(0))),
    ];
    for (field_type, text, value) in table {
        assert_eq!(&Value::from_text(&field(*field_type), text).unwrap(), value, "{text}");
    }
}

#[test]
fn cells_that_could_mean_two_things_are_refused() {
    use FieldType as T;
    let table: &[(FieldType, &str, ReasonCode)] = &[
        (T::Boolean, "maybe", WrongType),
        (T::Integer, "1.5", BadNumber),
        (T::Integer, "9223372036854775808", OutOfRange),
        (T::Integer, "1e9999", BadNumber),
        (T::Currency, "1,200.00", BadNumber),
        (T::Currency, "1_200", BadNumber),
        (T::Currency, "1.200,00", BadNumber),
        (T::Currency, "€5", BadNumber),
        (T::Currency, "١٢", BadNumber),
        (T::Currency, "0x10", BadNumber),
        (T::Currency, "NaN", BadNumber),
        (T::Currency, "1e", BadNumber),
        (T::Currency, ".", BadNumber),
        (T::Currency, "123456789012345678901234567890", BadNumber),
        (T::Currency, "0.12345678901234567890123456789", BadNumber),
        (T::Date, "19/06/2024", BadDate),
        (T::Date, "2023-02-29", BadDate),
        (T::Date, "0000-01-01", BadDate),
        (T::Date, "+024-01-01", BadDate),
        (T::Date, "2024-06-19T15:22:45Z", BadDate),
        (T::DateTime, "2024-06-19T15:22:45", BadDate),
        (T::DateTime, "2024-06-19", BadDate),
        (T::DateTime, "2024-06-19T15:22:45+02:00[Europe/Berlin]", BadDate),
        (T::DateTime, "2024-06-19T15:22:45.0000001Z", BadDate),
        (T::DateTime, "-000001-06-19T15:22:45Z", BadDate),
        (T::Reference, "0015800000gKsoMAAS", BadReference),
        (T::Unknown, "x", WrongType),
    ];
    for (field_type, text, expected) in table {
        assert_eq!(code(Value::from_text(&field(*field_type), text)), *expected, "{text}");
    }
}

#[test]
fn json_is_read_without_guessing() {
    use FieldType as T;
    let read =
        |field_type, json: &str| Value::from_json(&field(field_type), &serde_json::from_str(json).unwrap());
    let taken = [
        (T::Text, "null", Value::Null),
        (T::Text, "\"\"", Value::Null),
        (T::Integer, "7", Value::Integer(7)),
        (T::Integer, "7.0", Value::Integer(7)),
        (T::Integer, "\"7\"", Value::Integer(7)),
        (T::Currency, "0.1", decimal("0.1")),
        (T::Currency, "-1e3", decimal("-1000")),
        (T::Currency, "123456789012345.0", decimal("123456789012345")),
        (T::Currency, "9007199254740993", decimal("9007199254740993")),
        (T::Currency, "\"0.1234567890123456789\"", decimal("0.1234567890123456789")),
        (T::MultiPicklist, "[\"b\", \"a\"]", Value::multi_picklist(["a".into(), "b".into()])),
        (T::MultiPicklist, "[]", Value::Null),
    ];
    for (field_type, json, value) in taken {
        assert_eq!(read(field_type, json).unwrap(), value, "{json}");
    }
    let refused = [
        (T::Text, "5", WrongType),
        (T::Text, "{}", WrongType),
        (T::Boolean, "\"true\"", WrongType),
        (T::Boolean, "1", WrongType),
        (T::Integer, "true", WrongType),
        (T::Integer, "1.5", BadNumber),
        (T::Currency, "0.1234567890123456", BadNumber),
        (T::MultiPicklist, "[1]", WrongType),
        (T::Picklist, "[\"a\"]", WrongType),
        (T::Date, "20240619", WrongType),
    ];
    for (field_type, json, expected) in refused {
        assert_eq!(code(read(field_type, json)), expected, "{json}");
    }
}

#[test]
fn fields_hold_what_fits() {
    use FieldType as T;
    let short = FieldSchema { length: Some(3), ..field(T::Text) };
    let money = FieldSchema { precision: Some(5), scale: Some(2), ..field(T::Currency) };
    let whole = FieldSchema { precision: Some(3), ..field(T::Integer) };
    let rating = FieldSchema {
        values: vec![PicklistValue::new("Hot"), PicklistValue { active: false, ..PicklistValue::new("Old") }],
        restricted: true,
        ..field(T::Picklist)
    };
    let tags = FieldSchema { field_type: T::MultiPicklist, ..rating.clone() };
    let needed = FieldSchema { required: true, ..field(T::Text) };
    let table: &[(&FieldSchema, Value, Result<(), ReasonCode>)] = &[
        (&short, Value::text("äöü"), Ok(())),
        (&short, Value::text("abcd"), Err(TooLong)),
        (&short, Value::Integer(1), Err(WrongType)),
        (&short, Value::Null, Ok(())),
        (&short, Value::text("a\n\t"), Ok(())),
        (&short, Value::text("a\0"), Err(ControlCharacter)),
        (&short, Value::text("\u{85}"), Err(ControlCharacter)),
        (&short, Value::text("\u{202e}a"), Ok(())),
        (&money, decimal("999.99"), Ok(())),
        (&money, decimal("-999.9900"), Ok(())),
        (&money, decimal("1000"), Err(OutOfRange)),
        (&money, decimal("0.001"), Err(BadNumber)),
        (&whole, Value::Integer(-999), Ok(())),
        (&whole, Value::Integer(1000), Err(OutOfRange)),
        (&field(T::Integer), Value::Integer(i64::MIN), Err(OutOfRange)),
        (&rating, Value::Picklist("Hot".into()), Ok(())),
        (&rating, Value::Picklist("hot".into()), Err(NotInPicklist)),
        (&rating, Value::Picklist("Old".into()), Err(NotInPicklist)),
        (&tags, Value::multi_picklist(["Hot".into()]), Ok(())),
        (&tags, Value::multi_picklist(["Hot".into(), "Cold".into()]), Err(NotInPicklist)),
        (&field(T::MultiPicklist), Value::multi_picklist(["a;b".into()]), Err(NotInPicklist)),
        (&field(T::Picklist), Value::Picklist("x".repeat(256).into()), Err(TooLong)),
        (&field(T::Picklist), Value::Picklist("a\u{7}".into()), Err(ControlCharacter)),
        (&needed, Value::Null, Err(RequiredMissing)),
        (&needed, Value::text(" \n"), Err(RequiredMissing)),
        (&field(T::DateTime), Value::DateTime(Timestamp(i64::MAX)), Err(OutOfRange)),
        (&field(T::LongText), Value::text(&"x".repeat(LONG_TEXT_CHARS_MAX)), Ok(())),
        (&field(T::LongText), Value::text(&"x".repeat(LONG_TEXT_CHARS_MAX + 1)), Err(TooLong)),
        (&field(T::LongText), Value::text(&"𝄞".repeat(LONG_TEXT_CHARS_MAX)), Err(TooLong)),
        (&field(T::Email), Value::text("a.b+c@example.org"), Ok(())),
        (&field(T::Email), Value::text("zoë@bücher.example"), Ok(())),
        (&field(T::Unknown), Value::text("a"), Err(WrongType)),
    ];
    for (field, value, expected) in table {
        let checked = value.check(field);
        assert_eq!(checked.map_err(|reason| reason.code), *expected, "{value:?}");
    }
    for address in
        ["a", "a@b", "@b.c", "a@b..c", "a b@c.de", "a@b.c, d@e.f", "<a@b.c>", "a@b@c.d", "a@.de", "a@b.de\n"]
    {
        assert_eq!(code(Value::text(address).check(&field(T::Email))), BadEmail, "{address}");
    }
}

/// Texts that were made to break software: each is kept byte for byte or refused by name.
#[test]
fn hostile_texts_are_kept_or_refused() {
    let kept = [
        "Ω≈ç√∫˜µ≤≥÷",
        "田中さんにあげて下さい",
        "ﷺ ﷽",
        "👩‍👩‍👧‍👦",
        "T̗̺͖̹̯͓Ṯ̤͍̥͇͈h̲́",
        "\u{feff}bom",
        "\u{200b}",
        "\u{202e}test",
        "'; DROP TABLE users--",
        "<script>alert(1)</script>",
        "=cmd|' /C calc'!A0",
        "%s%n%p",
        "$HOME",
        "../../etc/passwd",
        "NULL",
        "undefined",
        "nil",
        "true",
        "0x1F",
        "1e1000",
        "\\u0000",
        "\"quoted\", \"comma\"",
        "a;b",
        "\r\n",
        " ",
        "\u{fffe}",
    ];
    for text in kept {
        let value = Value::from_text(&field(FieldType::LongText), text).unwrap();
        value.check(&field(FieldType::LongText)).unwrap();
        let bytes = rmp_serde::to_vec(&value).unwrap();
        assert_eq!(rmp_serde::from_slice::<Value>(&bytes).unwrap().to_text().as_bytes(), text.as_bytes());
        assert_eq!(value.to_json(), serde_json::Value::from(text));
    }
    for text in ["\0", "a\u{1b}[31m", "\u{7f}", "\u{9b}", "\u{8}"] {
        assert_eq!(code(Value::text(text).check(&field(FieldType::LongText))), ControlCharacter, "{text:?}");
    }
}

#[test]
fn casts_keep_or_refuse() {
    use FieldType as T;
    let moment = Value::DateTime(Timestamp(-1));
    let table: &[(Value, FieldType, Result<Value, ReasonCode>)] = &[
        (Value::Integer(5), T::Currency, Ok(decimal("5"))),
        (decimal("5.00"), T::Integer, Ok(Value::Integer(5))),
        (decimal("5.5"), T::Integer, Err(BadNumber)),
        (decimal("1e19"), T::Integer, Err(OutOfRange)),
        (Value::Boolean(true), T::Text, Ok(Value::text("true"))),
        (Value::Boolean(true), T::Integer, Err(IncompatibleTypes)),
        (moment.clone(), T::Date, Ok(Value::Date("1969-12-31".parse().unwrap()))),
        (moment, T::Text, Ok(Value::text("1969-12-31T23:59:59.999999Z"))),
        (Value::Date(Date::default()), T::DateTime, Ok(Value::DateTime(Timestamp(0)))),
        (Value::DateTime(Timestamp(i64::MAX)), T::Date, Err(OutOfRange)),
        (Value::picklist("a".into()), T::MultiPicklist, Ok(Value::multi_picklist(["a".into()]))),
        (Value::multi_picklist(["b".into(), "a".into()]), T::LongText, Ok(Value::text("a;b"))),
        (Value::multi_picklist(["a".into()]), T::Picklist, Err(IncompatibleTypes)),
        (Value::Reference(RecordId(1)), T::Text, Err(IncompatibleTypes)),
        (Value::Null, T::Reference, Ok(Value::Null)),
    ];
    for (value, to, expected) in table {
        assert_eq!(cast(value, &field(*to)).map_err(|reason| reason.code), *expected, "{value:?} to {to}");
    }
}

#[test]
fn days_are_counted_from_1970() {
    for (text, days) in
        [("1970-01-01", 0), ("0001-01-01", -719_162), ("9999-12-31", 2_932_896), ("2000-03-01", 11_017)]
    {
        let date: Date = text.parse().unwrap();
        assert_eq!((date.days(), date.to_string().as_str()), (days, text));
        assert_eq!(Date::of(date.start()), Some(date));
        assert_eq!(Date::of(date.start().plus_us(86_400_000_000 - 1)), Some(date));
    }
    assert_eq!(Date::of(Timestamp(-1)).unwrap().to_string(), "1969-12-31");
    assert_eq!(Date::from_days(Date::MAX.days() + 1), None);
    assert_eq!(Date::of(Timestamp(i64::MIN)), None);
}
