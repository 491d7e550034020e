//! Why something was refused: a code of a closed list, what it is about, and a sentence.
//!
//! The code is for machines, metrics and the partner; the sentence is for people and names the
//! thing, the reason and the remedy. A sentence may quote values of this org, so it never crosses
//! to the partner: only code and field name do (PROTOCOL §6).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::FieldName;
use crate::codes::codes;
use crate::limits::{REASON_CHARS_MAX, RULE_NAME_CHARS_MAX};

codes! {
    /// The closed list of reasons.
    pub enum ReasonCode: "reason code" {
        // Values.
        /// A required field has no value.
        RequiredMissing = 1 "required_missing",
        /// A text or list is longer than its field.
        TooLong = 2 "too_long",
        /// A value is not among the values of a restricted picklist.
        NotInPicklist = 3 "not_in_picklist",
        /// A value is of another type than its field.
        WrongType = 4 "wrong_type",
        /// A text is not a number, or has more digits than its field keeps.
        BadNumber = 5 "bad_number",
        /// A text is not a date or not a moment.
        BadDate = 6 "bad_date",
        /// A number or date lies beyond what its field holds.
        OutOfRange = 7 "out_of_range",
        /// A text contains a control character other than tab and line breaks.
        ControlCharacter = 8 "control_character",
        /// A text is not an e-mail address.
        BadEmail = 9 "bad_email",
        /// A text is not the id of a record.
        BadReference = 10 "bad_reference",

        // Names.
        /// An object has no such field.
        UnknownField = 20 "unknown_field",
        /// The org has no such object.
        UnknownObject = 21 "unknown_object",
        /// The same name stands twice where it may stand once.
        Duplicate = 22 "duplicate",
        /// A field cannot be written by anybody.
        NotUpdatable = 23 "not_updatable",

        // Rules.
        /// A validation rule refused the record.
        RuleRefused = 30 "rule_refused",
        /// A rule could not be evaluated.
        RuleFailed = 31 "rule_failed",
        /// The text of a rule or expression does not compile.
        BadExpression = 32 "bad_expression",

        // Publishing, subscribing and mapping.
        /// A picklist value has no mapping and the policy is to reject.
        PicklistUnmapped = 40 "picklist_unmapped",
        /// The field or object is not subscribed.
        NotSubscribed = 41 "not_subscribed",
        /// The field or object is not published.
        NotPublished = 42 "not_published",
        /// A field of this kind cannot be published.
        NotPublishable = 43 "not_publishable",
        /// Two types do not convert into each other.
        IncompatibleTypes = 44 "incompatible_types",
        /// Two objects cannot be mapped to each other.
        IncompatibleObjects = 45 "incompatible_objects",
        /// A local field has more than one source.
        SecondSource = 46 "second_source",
        /// A mapping contradicts the pair that the connection fixed before.
        MappingConflict = 47 "mapping_conflict",

        // Outcomes.
        /// The share is not active.
        ShareInactive = 60 "share_inactive",
        /// The field already has a later value.
        OlderStamp = 61 "older_stamp",
        /// The stamp is too far ahead of this org's clock.
        ClockAhead = 62 "clock_ahead",
        /// The sender masked the whole message.
        Withheld = 63 "withheld",
        /// A message is of a kind that this version does not know.
        UnknownKind = 64 "unknown_kind",
        /// A message cannot be decoded.
        Malformed = 65 "malformed",
        /// Another connection accepted the record first.
        Taken = 66 "taken",
        /// The connection is not active.
        NotActive = 67 "not_active",
        /// The value waits for a person's approval.
        AwaitingApproval = 68 "awaiting_approval",
        /// The partner was restored from a backup.
        PartnerRestored = 69 "partner_restored",
        /// The record that this one belongs to is not here yet.
        AwaitingParent = 70 "awaiting_parent",
        /// The share is of an older generation.
        OlderGeneration = 71 "older_generation",
        /// The record was deleted.
        RecordDeleted = 72 "record_deleted",
        /// The same message was seen before.
        Repeated = 73 "repeated",
        /// A change went through too many orgs.
        TooManyHops = 74 "too_many_hops",

        // People.
        /// A person refused the value.
        ApprovalRefused = 130 "approval_refused",

        /// The field has a later value, and neither writer had seen the other's.
        Conflict = 140 "conflict",

        /// The object is paused; the message waits until it goes on.
        Paused = 141 "paused",

        // Automation.
        /// A rule cannot do what it says.
        BadRule = 120 "bad_rule",
        /// Rules would go on changing a record without end.
        RuleLoop = 121 "rule_loop",

        // Limits and access.
        /// A limit of the org or of Tieline was reached.
        LimitReached = 80 "limit_reached",
        /// The user lacks a permission.
        NoPermission = 81 "no_permission",

        // References and drift.
        /// A reference names a record that is not shared over the connection.
        TargetNotShared = 110 "target_not_shared",
        /// The partner changed or withdrew a field that is mapped.
        FieldDrifted = 111 "field_drifted",
        /// Records of this object cannot be shared.
        UnsupportedObject = 112 "unsupported_object",
    }
}

impl ReasonCode {
    /// Whether the code says what is wrong with a value itself, whoever wrote it.
    #[must_use]
    pub const fn is_about_value(self) -> bool {
        self.number() >= 1 && self.number() < 20
    }
}

/// Why something was refused, or what is worth a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The code of the closed list.
    #[serde(default)]
    pub code: ReasonCode,
    /// The field that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldName>,
    /// The name of the validation rule or other rule that it is about, at most 80 characters.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "rule_name")]
    pub rule: Option<String>,
    /// One sentence for people: the thing, the reason, the remedy. It has at most 500 characters
    /// and no control characters.
    #[serde(default, deserialize_with = "sentence")]
    pub message: String,
}

impl Reason {
    /// A reason with its sentence, which is cleaned and cut to its limit.
    #[must_use]
    pub fn new(code: ReasonCode, message: impl AsRef<str>) -> Self {
        Self { code, field: None, rule: None, message: clean(message.as_ref(), REASON_CHARS_MAX) }
    }

    /// This reason, said about `field`.
    #[must_use]
    pub fn on_field(mut self, field: &FieldName) -> Self {
        self.field = Some(field.clone());
        self
    }

    /// This reason, said about `rule`.
    #[must_use]
    pub fn by_rule(mut self, rule: &str) -> Self {
        self.rule = Some(clean(rule, RULE_NAME_CHARS_MAX));
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Reason {}

/// A text from outside as an error quotes it: in quotes, escaped, cut to 40 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() == text.len() { format!("{shown:?}") } else { format!("{shown:?}…") }
}

/// `text` without control characters and with at most `max` characters.
fn clean(text: &str, max: usize) -> String {
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    if text.chars().nth(max).is_none() {
        return spaced.collect();
    }
    let mut cut: String = spaced.take(max - 1).collect();
    cut.push('…');
    cut
}

fn sentence<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    String::deserialize(d).map(|text| clean(&text, REASON_CHARS_MAX))
}

fn rule_name<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.map(|text| clean(&text, RULE_NAME_CHARS_MAX)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_sentence_is_clean_and_short() {
        let reason = Reason::new(ReasonCode::TooLong, "a\u{1b}[31m\nb");
        assert_eq!(reason.message, "a [31m b");
        let long = Reason::new(ReasonCode::TooLong, "ß".repeat(10_000));
        assert_eq!(long.message.chars().count(), REASON_CHARS_MAX);
        assert!(long.message.ends_with('…'));
        assert_eq!(Reason::new(ReasonCode::TooLong, "x".repeat(500)).message.len(), 500);
    }

    /// A partner's reason is held to the same bounds, and its unknown code and keys are borne.
    #[test]
    fn what_is_decoded_is_clean_too() {
        #[derive(Serialize)]
        struct Newer {
            code: u32,
            rule: String,
            message: String,
            colour: &'static str,
        }
        let newer =
            Newer { code: 70_000, rule: "r".repeat(200), message: "\u{7}m".repeat(600), colour: "red" };
        let reason: Reason = rmp_serde::from_slice(&rmp_serde::to_vec_named(&newer).unwrap()).unwrap();
        assert_eq!(reason.code, ReasonCode::Unknown);
        assert_eq!(reason.message.chars().count(), REASON_CHARS_MAX);
        assert!(!reason.message.contains(char::is_control));
        assert_eq!(reason.rule.unwrap().chars().count(), RULE_NAME_CHARS_MAX);
        assert_eq!(reason.field, None);
    }

    #[test]
    fn codes_are_numbers_for_machines_and_names_for_people() {
        let reason =
            Reason::new(ReasonCode::RuleRefused, "no").by_rule("r").on_field(&"Name".parse().unwrap());
        let bytes = rmp_serde::to_vec_named(&reason).unwrap();
        assert_eq!(bytes, b"\x84\xa4code\x1e\xa5field\xa4Name\xa4rule\xa1r\xa7message\xa2no");
        assert_eq!(rmp_serde::from_slice::<Reason>(&bytes).unwrap(), reason);
        let json = serde_json::to_string(&reason).unwrap();
        assert_eq!(json, r#"{"code":"rule_refused","field":"Name","rule":"r","message":"no"}"#);
        assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason);
        let error = serde_json::from_str::<ReasonCode>("\"rule_refuzed\"").unwrap_err().to_string();
        assert!(
            error.contains("\"rule_refuzed\" is not a reason code; use one of required_missing"),
            "{error}"
        );
    }

    #[test]
    fn every_code_has_its_own_name_and_number() {
        let names: BTreeSet<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        let numbers: BTreeSet<u16> = ReasonCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!((names.len(), numbers.len()), (ReasonCode::ALL.len(), ReasonCode::ALL.len()));
        for &code in ReasonCode::ALL {
            assert_eq!(ReasonCode::from_number(code.number()), code);
            assert_eq!(code.as_str().parse(), Ok(code));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
        assert_eq!(ReasonCode::from_number(65_535), ReasonCode::Unknown);
        assert!(!numbers.contains(&0));
    }

    #[test]
    fn quotes_are_short_and_escaped() {
        assert_eq!(quoted("a\"\n"), r#""a\"\n""#);
        assert_eq!(quoted(&"x".repeat(41)), format!("\"{}\"…", "x".repeat(40)));
    }
}
