//! Fields of a record between JSON and values.
//!
//! Names are taken in any case of their letters, as imports write them; values are taken as the
//! field's type reads them, and every field that is wrong is named, not only the first.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use tieline_core::FieldName;
use tieline_core::limits::OBJECT_FIELDS_MAX;
use tieline_core::reason::{Reason, ReasonCode, quoted};
use tieline_core::schema::{FieldSchema, ObjectSchema};
use tieline_core::state::Record;
use tieline_core::value::Value;
use tieline_core::vecmap::VecMap;

/// Fields as a request names them, in its order. A name that stands twice is kept, to be refused.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fields(pub(super) Vec<(SmolStr, Given)>);

/// A value as JSON says it. Most are texts, which are kept as they will be kept in the end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    Text(SmolStr),
    Other(Json),
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Given;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any valid JSON value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Given, E> {
                Ok(Given::Text(SmolStr::new(text)))
            }

            fn visit_unit<E>(self) -> Result<Given, E> {
                Ok(Given::Other(Json::Null))
            }

            fn visit_bool<E>(self, truth: bool) -> Result<Given, E> {
                Ok(Given::Other(truth.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Given, E> {
                Ok(Given::Other(number.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Given, E> {
                Ok(Given::Other(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Given, E> {
                Ok(Given::Other(number.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Given, A::Error> {
                Json::deserialize(SeqAccessDeserializer::new(seq)).map(Given::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Given, A::Error> {
                Json::deserialize(MapAccessDeserializer::new(map)).map(Given::Other)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of field names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if fields.len() == OBJECT_FIELDS_MAX {
                        let text = format!("a record has at most {OBJECT_FIELDS_MAX} fields");
                        return Err(A::Error::custom(text));
                    }
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

impl Fields {
    /// The values that these fields have in `object`.
    pub(crate) fn into_values(self, object: &ObjectSchema) -> Result<VecMap<FieldName, Value>, Vec<Reason>> {
        let mut values = VecMap::with_capacity(self.0.len());
        let mut reasons = Vec::new();
        for (name, given) in self.0 {
            match field(object, &name).and_then(|field| Ok((field, given.value(field)?))) {
                Ok((field, value)) => {
                    if values.insert(field.name.clone(), value).is_some() {
                        let text = format!("{} stands twice; name each field once", field.name);
                        reasons.push(Reason::new(ReasonCode::Duplicate, text).on_field(&field.name));
                    }
                }
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() { Ok(values) } else { Err(reasons) }
    }
}

impl Given {
    /// What a field makes of it.
    fn value(self, field: &FieldSchema) -> Result<Value, Reason> {
        match self {
            Self::Text(text) => Value::from_json_text(field, text),
            Self::Other(json) => Value::from_json(field, &json),
        }
    }
}

/// The field of `object` that `name` means.
pub(crate) fn field<'a>(object: &'a ObjectSchema, name: &str) -> Result<&'a FieldSchema, Reason> {
    if let Some(field) = object.field_named(name) {
        return Ok(field);
    }
    match name.parse::<FieldName>() {
        Ok(name) => object.require(&name),
        Err(_) => {
            let text = format!(
                "{} has no field {}; see the fields with `tieline object show {0}`",
                object.name,
                quoted(name)
            );
            Err(Reason::new(ReasonCode::UnknownField, text))
        }
    }
}

/// The fields of a record as JSON.
pub(crate) fn fields_json(record: &Record) -> Map<String, Json> {
    record.fields.iter().map(|(name, state)| (name.to_string(), state.value.to_json())).collect()
}

/// Fields with plain values as JSON.
pub(crate) fn values_json(values: &VecMap<FieldName, Value>) -> Map<String, Json> {
    values.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect()
}

#[cfg(test)]
mod tests {
    use tieline_core::schema::standard_objects;

    use super::*;

    fn lead() -> ObjectSchema {
        standard_objects().into_iter().find(|object| object.name.as_str() == "Lead").unwrap()
    }

    fn values(json: &str) -> Result<VecMap<FieldName, Value>, Vec<Reason>> {
        serde_json::from_str::<Fields>(json).unwrap().into_values(&lead())
    }

    #[test]
    fn names_are_taken_in_any_case() {
        let found = values(r#"{"lastname": "Ng", "COMPANY": "Ü & Sons"}"#).unwrap();
        assert_eq!(found.get("LastName"), Some(&Value::text("Ng")));
        assert_eq!(found.get("Company"), Some(&Value::text("Ü & Sons")));
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let json = r#"{"Lastname": 7, "Stauts": "x", "NumberOfEmployees": "many", "a b": 1, "Email": "a@b.c", "email": "d@e.f"}"#;
        let reasons = values(json).unwrap_err();
        let found: Vec<(ReasonCode, Option<&str>)> =
            reasons.iter().map(|r| (r.code, r.field.as_ref().map(FieldName::as_str))).collect();
        let expected = [
            (ReasonCode::WrongType, Some("LastName")),
            (ReasonCode::UnknownField, Some("Stauts")),
            (ReasonCode::BadNumber, Some("NumberOfEmployees")),
            (ReasonCode::UnknownField, None),
            (ReasonCode::Duplicate, Some("Email")),
        ];
        assert_eq!(found, expected);
        assert!(reasons[1].message.contains("did you mean Status?"), "{}", reasons[1]);
    }

    #[test]
    fn the_number_of_fields_is_bounded() {
        let many: Vec<String> = (0..=OBJECT_FIELDS_MAX).map(|i| format!("\"f{i}\":1")).collect();
        let error = serde_json::from_str::<Fields>(&format!("{{{}}}", many.join(","))).unwrap_err();
        assert!(error.to_string().contains("at most"), "{error}");
        assert!(serde_json::from_str::<Fields>("[]").is_err());
    }
}
