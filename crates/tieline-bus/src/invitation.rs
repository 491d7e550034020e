//! The connection URL: what an inviter gives to a person so that the other org can answer (S2S-09).
//!
//! ```text
//! tieline://<host>:<port>/<inviter>/<connection>?key=<public key>&expires=<µs>#<secret>.<checksum>
//! ```
//!
//! Key and secret are 32 bytes in base64url, the checksum is the first 4 bytes of SHA-256 over all
//! text before its dot. It guards against mail clients, not against people: a copy that lost its
//! end is told apart from one that was revoked. The URL carries no signature; whoever holds it can
//! answer once, until it expires, and the inviter's log decides that.
//!
//! The inviter keeps only [`SecretHash`]; everything that the secret protects is derived from the
//! hash, so both sides compute the same.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use tieline_core::{ConnectionId, OrgName, Timestamp};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::address::BrokerAddress;
use crate::keys::decode_32;

const SCHEME: &str = "tieline://";
/// Longest text that is looked at: the longest valid URL has about 520 bytes.
const URL_BYTES_MAX: usize = 1_024;

/// Hash of the one-time secret of an invitation: all that the inviter stores of it.
///
/// Whoever has the hash can seal and open the handshake: it is kept like a secret, and `Debug`
/// does not show it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of `secret`.
    #[must_use]
    pub fn of(secret: &[u8; 32]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"tieline invitation secret 1");
        hasher.update(secret);
        Self(hasher.finalize().into())
    }

    /// The hash from the bytes that the log holds.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes that the log holds.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// What an invitation says. `Display` writes the URL **with its secret**; `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionUrl {
    /// The broker that both orgs use.
    pub broker: BrokerAddress,
    /// The org that invites.
    pub inviter: OrgName,
    /// The connection that the answer is about.
    pub connection: ConnectionId,
    /// Proof that the answerer was given this URL.
    pub secret: Zeroizing<[u8; 32]>,
    /// The inviter's X25519 public key.
    pub inviter_public_key: [u8; 32],
    /// The inviter takes no answer after this moment.
    pub expires: Timestamp,
}

/// Why a text is not a connection URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Something else altogether.
    #[error("This is not a connection URL: it has to begin with tieline://")]
    NotTieline,
    /// The checksum is missing or another one.
    #[error(
        "The connection URL is incomplete or was altered: copy it again, from tieline:// to its last character"
    )]
    Damaged,
    /// The checksum is right, so the URL was made like this.
    #[error("The connection URL has no valid {part}: ask the inviter for a new one")]
    Part {
        /// Which part.
        part: &'static str,
    },
}

impl ConnectionUrl {
    /// A new random secret.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn new_secret() -> Result<Zeroizing<[u8; 32]>, getrandom::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut())?;
        Ok(secret)
    }

    /// The hash that the inviter stores, and that both sides derive their keys from.
    #[must_use]
    pub fn secret_hash(&self) -> SecretHash {
        SecretHash::of(&self.secret)
    }
}

/// Four bytes: one damaged copy in four thousand million would pass, and then fail the handshake.
fn checksum(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    BASE64URL_NOPAD.encode(hash.first_chunk::<4>().map_or(&[], |four| four.as_slice()))
}

impl fmt::Display for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, inviter, connection, secret, inviter_public_key, expires } = self;
        let key = BASE64URL_NOPAD.encode(inviter_public_key);
        let secret = Zeroizing::new(BASE64URL_NOPAD.encode(secret.as_slice()));
        let text = Zeroizing::new(format!(
            "{SCHEME}{broker}/{inviter}/{connection}?key={key}&expires={expires}#{secret}",
            expires = expires.0,
            secret = *secret,
        ));
        write!(f, "{}.{}", *text, checksum(&text))
    }
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionUrl")
            .field("broker", &self.broker)
            .field("inviter", &self.inviter)
            .field("connection", &self.connection)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl FromStr for ConnectionUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.len() > URL_BYTES_MAX || !text.starts_with(SCHEME) {
            return Err(UrlError::NotTieline);
        }
        let (body, sum) = text.rsplit_once('.').ok_or(UrlError::Damaged)?;
        if checksum(body) != sum {
            return Err(UrlError::Damaged);
        }
        let part = |part| move || UrlError::Part { part };
        let (address, secret) = body.split_once('#').ok_or_else(part("secret"))?;
        let (address, query) = address.split_once('?').ok_or_else(part("key"))?;
        let (key, expires) = query.split_once('&').ok_or_else(part("expiry"))?;
        let mut path = address.trim_start_matches(SCHEME).splitn(3, '/');
        let mut next = || path.next().unwrap_or_default();
        let (broker, inviter, connection) = (next(), next(), next());
        let key = key.strip_prefix("key=").and_then(decode_32).ok_or_else(part("key"))?;
        let expires = expires.strip_prefix("expires=").and_then(|us| us.parse().ok());
        Ok(Self {
            broker: broker.parse().map_err(|_| part("broker")())?,
            inviter: inviter.parse().map_err(|_| part("inviter")())?,
            connection: connection.parse().map_err(|_| part("connection")())?,
            secret: decode_32(secret).ok_or_else(part("secret"))?,
            inviter_public_key: *key,
            expires: Timestamp(expires.ok_or_else(part("expiry"))?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url() -> ConnectionUrl {
        ConnectionUrl {
            broker: "broker.example:4222".parse().unwrap(),
            inviter: "alpha".parse().unwrap(),
            connection: ConnectionId(1),
            secret: Zeroizing::new([7; 32]),
            inviter_public_key: [9; 32],
            expires: Timestamp(1_764_000_000_000_000),
        }
    }

    #[test]
    fn the_form_is_pinned() {
        // URLs are in people's mailboxes: a new version has to read those of the old one.
        let text = "tieline://broker.example:4222/alpha/00000000000000000000000004\
                    ?key=CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk&expires=1764000000000000\
                    #BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc.";
        let shown = url().to_string();
        assert_eq!(&shown[..text.len()], text);
        assert_eq!(shown.len(), text.len() + 6);
        assert_eq!(shown.parse(), Ok(url()));
        assert_eq!(format!("  {shown}\n").parse(), Ok(url()), "copied with blanks around it");
    }

    #[test]
    fn a_truncated_copy_is_noticed_wherever_it_ends() {
        let shown = url().to_string();
        for end in 0..shown.len() {
            let expected = if end < SCHEME.len() { UrlError::NotTieline } else { UrlError::Damaged };
            assert_eq!(shown[..end].parse::<ConnectionUrl>(), Err(expected), "cut to {end}");
        }
        assert_eq!(format!("{shown}x").parse::<ConnectionUrl>(), Err(UrlError::Damaged));
    }

    #[test]
    fn a_part_that_was_made_wrong_is_named() {
        let good = url().to_string();
        let (body, _) = good.rsplit_once('.').unwrap();
        for (from, to, part) in [
            (":4222", "", "broker"),
            ("/alpha/", "/HUB/", "inviter"),
            ("00000000000000000000000004", "x", "connection"),
            ("key=CQ", "key=C", "key"),
            ("?", "!", "key"),
            ("&", "!", "expiry"),
            ("expires=1", "expires=x", "expiry"),
            ("#Bw", "#B", "secret"),
            ("#", "!", "secret"),
        ] {
            let body = body.replacen(from, to, 1);
            let text = format!("{body}.{}", checksum(&body));
            assert_eq!(text.parse::<ConnectionUrl>(), Err(UrlError::Part { part }), "{text}");
        }
        for text in ["", "https://a.example/x", "tieline:", &"tieline://".repeat(1_000)] {
            assert_eq!(text.parse::<ConnectionUrl>(), Err(UrlError::NotTieline));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = BASE64URL_NOPAD.encode(url().secret.as_slice());
        let shown = format!("{:?} {:?}", url(), url().secret_hash());
        assert!(!shown.contains(&secret) && !shown.contains("7, 7"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_url_survives(connection: u128, secret: [u8; 32], key: [u8; 32], expires: i64, port in 1u16..) {
            let url = ConnectionUrl {
                broker: format!("h:{port}").parse().unwrap(),
                inviter: "a-1".parse().unwrap(),
                connection: ConnectionId(connection),
                secret: Zeroizing::new(secret),
                inviter_public_key: key,
                expires: Timestamp(expires),
            };
            prop_assert_eq!(url.to_string().parse(), Ok(url));
        }

        #[test]
        fn one_altered_character_is_noticed(at in 0usize..200, to in "[ -~]") {
            let shown = url().to_string();
            let at = at % shown.len();
            prop_assume!(shown[at..=at] != to);
            let altered = format!("{}{to}{}", &shown[..at], &shown[at + 1..]);
            prop_assert!(altered.parse::<ConnectionUrl>().is_err());
        }
    }
}
