//! Names and ids as newtypes: what parses is valid, and no two kinds can be mixed up.
//!
//! An id that leaves the org never comes from a counter: a restored log would hand the same
//! number out twice. Ids are drawn from the entropy that a command carries.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// A name or id that does not parse, with the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not valid: {rule}")]
pub struct InvalidId {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

fn invalid(kind: &'static str, text: &str, rule: &'static str) -> InvalidId {
    // An id comes from outside: the error quotes it, but never a megabyte of it.
    InvalidId { kind, text: text.chars().take(80).collect(), rule }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name {
            // Names are looked up by halves all the time: most comparisons end here.
            start: u64,
            text: SmolStr,
        }

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.text
            }
        }

        impl std::hash::Hash for $name {
            /// As the text, which is what a name is borrowed as.
            fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
                self.text.hash(hasher);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.text).finish()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.text
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self { start: start(text), text: SmolStr::new(text) }) } else { Err(invalid($kind, text, $rule)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{}: {}", $kind, $rule)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                d.deserialize_str(Text)
            }
        }
    };
}

/// The name of a field, parsed or not: fields are looked up by both.
pub trait FieldText {
    /// The name.
    fn text(&self) -> &str;

    /// Its first eight bytes as a number that is ordered as they are.
    fn start(&self) -> u64;
}

impl FieldText for str {
    fn text(&self) -> &str {
        self
    }

    fn start(&self) -> u64 {
        start(self)
    }
}

impl FieldText for FieldName {
    fn text(&self) -> &str {
        &self.text
    }

    fn start(&self) -> u64 {
        self.start
    }
}

/// The first eight bytes as a number that is ordered as they are. A shorter text ends with zeros,
/// which no name contains, so comparing these first and then the texts is comparing the texts.
fn start(text: &str) -> u64 {
    if let Some(first) = text.as_bytes().first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut first = [0; 8];
    for (place, byte) in first.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    u64::from_be_bytes(first)
}

fn is_identifier(text: &str) -> bool {
    // Every name of every field that comes passes here: one look at a table for each byte.
    let fits = |byte: u8| IN_IDENTIFIERS[usize::from(byte)];
    text.len() <= 80
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text.bytes().fold(true, |all, byte| all & fits(byte))
}

const IN_IDENTIFIERS: [bool; 256] = {
    let mut fits = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        fits[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    fits
};

fn is_label_name(text: &str) -> bool {
    (1..=80).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

name_type!(
    /// The name of an org: it is a token of NATS subjects and an account of the broker.
    OrgName, "org name", "1 to 40 of a-z, 0-9 and -, and not hub",
    |t| (1..=40).contains(&t.len())
        && t != "hub"
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);
name_type!(
    /// The API name of an object, as `Lead` or `Fund__c`.
    ObjectName, "object name", "1 to 80 letters, digits and _, a letter first", is_identifier
);
name_type!(
    /// The API name of a field, as `LastName` or `Region__c`.
    FieldName, "field name", "1 to 80 letters, digits and _, a letter first", is_identifier
);
name_type!(
    /// The login name of a user of this org.
    UserName, "user name", "1 to 80 of letters, digits and . _ @ + -",
    |t| (1..=80).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@+-".contains(&b))
);

name_type!(
    /// The name of a connection template.
    ConnectionTemplateName, "template name", "1 to 80 of a-z, 0-9, _ and -", is_label_name
);
name_type!(
    /// The name of a role: what its users may do.
    RoleName, "role name", "1 to 80 of a-z, 0-9, _ and -",
    is_label_name
);
name_type!(
    /// The name of a group of users.
    GroupName, "group name", "1 to 80 of a-z, 0-9, _ and -",
    is_label_name
);

name_type!(
    /// The name of a queue.
    QueueName, "queue name", "1 to 80 of a-z, 0-9, _ and -",
    is_label_name
);
name_type!(
    /// The name of a sharing, escalation or workflow rule.
    RuleName, "rule name", "1 to 80 of a-z, 0-9, _ and -",
    is_label_name
);
name_type!(
    /// The name of a mail template.
    MailTemplateName, "mail template name", "1 to 80 of a-z, 0-9, _ and -",
    is_label_name
);
name_type!(
    /// The name of a saved view.
    ViewName, "view name", "1 to 80 of a-z, 0-9, _ and -",
    is_label_name
);
name_type!(
    /// The name of a secret that lies beside the keys of the org.
    SecretName, "secret name", "1 to 80 of a-z, 0-9, _ and -",
    is_label_name
);
name_type!(
    /// The name of a report.
    ReportName, "report name", "1 to 80 of a-z, 0-9, _ and -",
    is_label_name
);

impl RoleName {
    /// The role that may do everything; it is there from the beginning and cannot be changed.
    #[must_use]
    pub fn administrator() -> Self {
        const NAME: &str = "administrator";
        Self { start: start(NAME), text: SmolStr::new_static(NAME) }
    }

    /// The role of everybody who works with records; it is there from the beginning.
    #[must_use]
    pub fn standard() -> Self {
        const NAME: &str = "standard";
        Self { start: start(NAME), text: SmolStr::new_static(NAME) }
    }
}

impl RecordId {
    /// The task for a value that waits for approval: one for each field of each record.
    #[must_use]
    pub fn of_approval(record: Self, field: &FieldName) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tieline approval task 1");
        hasher.update(&record.0.to_be_bytes());
        hasher.update(field.as_str().as_bytes());
        Self(first_128(&hasher.finalize()))
    }
}

impl MailTemplateName {
    /// The name of the template that is used for a purpose where no other is named.
    #[must_use]
    pub fn of(purpose: crate::mail_template::MailPurpose) -> Self {
        let name = purpose.as_str();
        Self { start: start(name), text: SmolStr::new_static(name) }
    }
}

impl ObjectName {
    /// Whether this names a custom object (`…__c`).
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.text.ends_with("__c")
    }
}

/// The login name of the system user.
const CONNECTION_USER: &str = "connection.user";

/// The name in which an org does what nobody asked for and no partner sent: it escalates, it computes.
const AUTOMATION_USER: &str = "automation.user";

impl UserName {
    /// The system user in whose name remote changes are made (S2S-01).
    #[must_use]
    pub fn connection_user() -> Self {
        Self { start: start(CONNECTION_USER), text: SmolStr::new_static(CONNECTION_USER) }
    }

    /// Whether this is that user.
    #[must_use]
    pub fn is_connection_user(&self) -> bool {
        self.text == CONNECTION_USER
    }

    /// The name in which the org does something by itself. It is no user: nobody has it.
    #[must_use]
    pub fn automation() -> Self {
        Self { start: start(AUTOMATION_USER), text: SmolStr::new_static(AUTOMATION_USER) }
    }

    /// Whether this is no person: the Connection User, or the org by itself.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.is_connection_user() || self.text == AUTOMATION_USER
    }
}

/// The 64-bit form of an org's name that stamps carry: comparable everywhere, and it does not
/// tell a partner the name of a third org.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct OrgId(pub u64);

impl From<&OrgName> for OrgId {
    fn from(name: &OrgName) -> Self {
        let hash = blake3::derive_key("tieline org id 1", name.as_str().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        Self(u64::from_be_bytes(first))
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Crockford's base 32 in lower case: readable aloud, no vowels that make words, fits a subject.
const SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// How many symbols write 128 bits: the last one has two bits to spare, which are zero.
const ID_CHARS: usize = 26;

/// The number of each symbol; of everything else, a number that none has.
const NUMBERS: [u8; 256] = {
    let mut numbers = [0xff; 256];
    let mut number = 0;
    while number < SYMBOLS.len() {
        numbers[SYMBOLS[number] as usize] = number as u8;
        number += 1;
    }
    numbers
};

fn id_text(id: u128) -> [u8; ID_CHARS] {
    let mut text = [0; ID_CHARS];
    text[ID_CHARS - 1] = SYMBOLS[(id as usize & 7) << 2];
    let mut left = id >> 3;
    for place in text[..ID_CHARS - 1].iter_mut().rev() {
        *place = SYMBOLS[left as usize & 31];
        left >>= 5;
    }
    text
}

fn id_of(text: &str) -> Option<u128> {
    let text: &[u8; ID_CHARS] = text.as_bytes().try_into().ok()?;
    let mut id = 0_u128;
    let mut seen = 0;
    for symbol in &text[..ID_CHARS - 1] {
        let number = NUMBERS[usize::from(*symbol)];
        seen |= number;
        id = id << 5 | u128::from(number & 0x1f);
    }
    let last = NUMBERS[usize::from(text[ID_CHARS - 1])];
    seen |= last;
    // A symbol that is none would have higher bits, and the last one has its lower bits to spare.
    (seen < 32 && last & 3 == 0).then_some(id << 3 | u128::from(last >> 2))
}

name_type! {
    /// What a client calls a request, so that the request is done once however often it is sent.
    RequestKey, "idempotency key", "use 1 to 128 visible ASCII characters",
    |text| (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // The symbols are ASCII.
                f.write_str(std::str::from_utf8(&id_text(self.0)).unwrap_or_default())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                id_of(text).map(Self).ok_or_else(|| invalid($kind, text, "26 of 0-9 a-z without i l o u"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() {
                    s.collect_str(self)
                } else {
                    serde_bytes::serialize(&self.0.to_be_bytes(), s)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    SmolStr::deserialize(d)?.parse().map_err(serde::de::Error::custom)
                } else {
                    let bytes: [u8; 16] = serde_bytes::deserialize(d)?;
                    Ok(Self(u128::from_be_bytes(bytes)))
                }
            }
        }
    };
}

id_type!(
    /// One record of this org.
    RecordId, "record id"
);
id_type!(
    /// One connection; the same on both sides.
    ConnectionId, "connection id"
);
id_type!(
    /// One share: the same on both sides, derived from connection and origin record.
    ShareId, "share id"
);
id_type!(
    /// One job: wide work that goes on in slices.
    JobId, "job id"
);
id_type!(
    /// One API token of a user.
    TokenId, "token id"
);
id_type!(
    /// One thing that has to be done outside.
    EffectId, "effect id"
);
id_type!(
    /// One question to a contact whether a connection is possible.
    InquiryId, "inquiry id"
);
id_type!(
    /// One notice to a user.
    NoticeId, "notice id"
);
id_type!(
    /// A life of a daemon's log: time, then randomness, so that a later life is a greater number.
    Incarnation, "incarnation"
);

impl ShareId {
    /// The stable id of the share of `record`, which belongs to `origin`, over `connection`.
    #[must_use]
    pub fn derive(connection: ConnectionId, origin: &OrgName, record: RecordId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tieline share id 1");
        hasher.update(&connection.0.to_be_bytes());
        hasher.update(&record.0.to_be_bytes());
        hasher.update(origin.as_str().as_bytes());
        Self(first_128(&hasher.finalize()))
    }
}

impl Incarnation {
    /// A life that begins at `now`, told from others of the same microsecond by `random`.
    #[must_use]
    pub fn begin(now: Timestamp, random: u64) -> Self {
        let time = u128::from(now.0.unsigned_abs());
        Self(time << 64 | u128::from(random))
    }

    /// When it began, or a moment after that if the one before it seemed to have begun later.
    #[must_use]
    pub fn begun(self) -> Timestamp {
        Timestamp(i64::try_from(self.0 >> 64).unwrap_or(i64::MAX))
    }
}

/// The first 128 bits of a hash: enough for ids that nobody can choose.
pub(crate) fn first_128(hash: &blake3::Hash) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_be_bytes(first)
}

/// Numbers the events of a log, from 1, without gaps. Zero is "before the first".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// Numbers the messages of one direction of a connection, from 1, without gaps, per pair of
/// incarnations. Zero is "before the first".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

macro_rules! number_type {
    ($name:ident) => {
        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_type!(Seq);
number_type!(Position);

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Microseconds from `earlier` to this moment; negative if this one is the earlier.
    #[must_use]
    pub const fn since_us(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment moved by `us` microseconds.
    #[must_use]
    pub const fn plus_us(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidId;
    /// RFC 3339, or a day, which begins at midnight in UTC.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(time.as_microsecond()));
        }
        let day = text.parse::<jiff::civil::Date>().ok();
        let midnight = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        midnight
            .map(|midnight| Self(midnight.timestamp().as_microsecond()))
            .ok_or_else(|| invalid("moment", text, "as 2026-01-31T09:30:00Z, or a day as 2026-01-31"))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; a moment outside the years -9999 to 9999 shows as its number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

#[cfg(test)]
mod tests;
