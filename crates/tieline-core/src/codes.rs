//! Closed lists: enums whose variants have a number for machines and a name for people.
//!
//! In the log and on the wire a code is its number, so that a name can be mended; in JSON and TOML
//! it is its name. Numbers are never reused. A number that this version does not know decodes as
//! `Unknown`, so that a newer partner or log does not make a message unreadable; an unknown *name*
//! is an error, because names are written by people.

/// Declares a closed list. Each variant has a number and a name; number 0 is always `Unknown`.
macro_rules! codes {
    (
        $(#[$doc:meta])*
        pub enum $type:ident: $what:literal {
            $($(#[$variant_doc:meta])* $variant:ident = $number:literal $name:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum $type {
            /// A code of a newer version.
            #[default]
            Unknown = 0,
            $($(#[$variant_doc])* $variant = $number,)+
        }

        impl $type {
            /// Every code that this version knows, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name, as it stands in files, JSON and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Unknown => "unknown",
                    $(Self::$variant => $name,)+
                }
            }

            /// The stable number, as it stands in the log and on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The code of a number; one that this version does not know is `Unknown`.
            #[must_use]
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$variant,)+
                    _ => Self::Unknown,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::codes::UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err($crate::codes::UnknownName::new($what, text, &[$($name),+])),
                }
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.serialize_str(self.as_str()) } else { s.serialize_u16(self.number()) }
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if !d.is_human_readable() {
                    return u64::deserialize(d).map(|n| u16::try_from(n).map_or(Self::Unknown, Self::from_number));
                }
                let name = smol_str::SmolStr::deserialize(d)?;
                // What a newer version could not name when it wrote is read back as it was written.
                if name == "unknown" { Ok(Self::Unknown) } else { name.parse().map_err(serde::de::Error::custom) }
            }
        }
    };
}

pub(crate) use codes;

/// A name that is not in a closed list, with the names that are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}; use one of {known}")]
pub struct UnknownName {
    what: &'static str,
    text: String,
    known: String,
}

impl UnknownName {
    pub(crate) fn new(what: &'static str, text: &str, known: &[&str]) -> Self {
        Self { what, text: text.chars().take(80).collect(), known: known.join(", ") }
    }
}
