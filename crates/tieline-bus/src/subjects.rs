//! The subjects of PROTOCOL §1, built and taken apart in one place.
//!
//! In an org's own inbox account a subject reads `tl.<me>.<from>.…`: the broker puts `<from>`
//! there, the sender cannot choose it. In its sender account an org writes `to.<partner>.…`.

use tieline_core::{ConnectionId, OrgName};

/// Frames of `partner` to `me`: the subject of one ring.
pub(crate) fn frames_in(me: &OrgName, partner: &OrgName, connection: ConnectionId) -> String {
    format!("tl.{me}.{partner}.{connection}.f")
}

/// Frames from this org to `partner`.
pub(crate) fn frames_out(partner: &OrgName, connection: ConnectionId) -> String {
    format!("to.{partner}.{connection}.f")
}

/// Heartbeats of all partners to `me`.
pub(crate) fn heartbeats_in(me: &OrgName) -> String {
    format!("tl.{me}.*.*.hb")
}

/// Heartbeats from this org to `partner`.
pub(crate) fn heartbeats_out(partner: &OrgName, connection: ConnectionId) -> String {
    format!("to.{partner}.{connection}.hb")
}

/// Hellos of all orgs to `me`.
pub(crate) fn hellos_in(me: &OrgName) -> String {
    format!("tl.{me}.*.hello")
}

/// The hello of this org to `inviter`.
pub(crate) fn hello_out(inviter: &OrgName) -> String {
    format!("to.{inviter}.hello")
}

/// A message of `me` to itself: how it leaves the sender account, and how it comes back in the
/// inbox account.
pub(crate) fn echo(me: &OrgName) -> (String, String) {
    (format!("to.{me}.echo"), format!("tl.{me}.{me}.echo"))
}

/// The name of the ring of one connection.
pub(crate) fn ring(connection: ConnectionId) -> String {
    format!("IN_{connection}")
}

/// Who sent a heartbeat, and for which connection; `None` for a subject of another form.
pub(crate) fn parse_heartbeat(subject: &str) -> Option<(OrgName, ConnectionId)> {
    let mut tokens = subject.split('.').skip(2);
    let from = tokens.next()?.parse().ok()?;
    let connection = tokens.next()?.parse().ok()?;
    (tokens.next() == Some("hb") && tokens.next().is_none()).then_some((from, connection))
}

/// Who sent a hello; `None` for a subject of another form.
pub(crate) fn parse_hello(subject: &str) -> Option<OrgName> {
    let mut tokens = subject.split('.').skip(2);
    let from = tokens.next()?.parse().ok()?;
    (tokens.next() == Some("hello") && tokens.next().is_none()).then_some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_tell_who_sent_them() {
        let connection = ConnectionId(7);
        let id = connection.to_string();
        let alpha: OrgName = "alpha".parse().unwrap();
        let heard = |subject: &str| parse_heartbeat(subject);
        assert_eq!(heard(&format!("tl.beta.alpha.{id}.hb")), Some((alpha.clone(), connection)));
        for bad in
            [format!("tl.beta.alpha.{id}.f"), format!("tl.beta.alpha.{id}.hb.x"), "tl.beta.alpha.x.hb".into()]
        {
            assert_eq!(heard(&bad), None, "{bad}");
        }
        assert_eq!(parse_hello("tl.beta.alpha.hello"), Some(alpha));
        for bad in ["tl.beta.hello", "tl.beta.alpha.hello.x", "tl.beta.Alpha.hello", ""] {
            assert_eq!(parse_hello(bad), None, "{bad}");
        }
    }
}
