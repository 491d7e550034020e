//! The agreement of two orgs: invite, answer, hello, welcome, revoke, deactivate.

use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::{jobs, org, people, profile, reconcile};
use crate::event::{
    ConnectionDeactivated, ConnectionDeclined, ConnectionEstablished, ConnectionSuspended,
    InvitationAnswered, InvitationRevoked, InvitationSent, ReceiptNoted,
};
use crate::job::JobKind;
use crate::limits::LABEL_CHARS_MAX;
use crate::state::{Connection, ConnectionStatus, Side, State};
use crate::{ConnectionId, Incarnation, OrgName, Position, Timestamp, UserName};

pub(super) fn find(state: &State, id: ConnectionId) -> Result<&Connection, Refusal> {
    state
        .connections
        .get(&id)
        .ok_or_else(|| Refusal::not_found("unknown_connection", format!("there is no connection {id}")))
}

pub(super) fn check_label(label: &str) -> Result<(), Refusal> {
    if label.chars().count() > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
        let text = format!("a label has at most {LABEL_CHARS_MAX} characters and no control characters");
        return Err(Refusal::invalid("bad_label", text));
    }
    Ok(())
}

/// Who is to manage a connection: a user of this org, by default whoever makes it (S2S-06, S2S-10).
fn owner(draft: &Draft<'_>, named: Option<&UserName>) -> Result<UserName, Refusal> {
    if let Some(name) = named {
        people::find_active(draft.state, name)?;
    }
    Ok(named.unwrap_or(&draft.actor).clone())
}

pub(super) fn invite(
    draft: &mut Draft<'_>,
    secret_hash: [u8; 32],
    expires: Timestamp,
    owner: Option<&UserName>,
    label: &str,
) -> Result<Reply, Refusal> {
    org::check_invitation(draft)?;
    check_label(label)?;
    if expires <= draft.now {
        return Err(Refusal::invalid("already_expired", "the invitation would end before it begins"));
    }
    let connection = ConnectionId(draft.draw());
    let owner = self::owner(draft, owner)?;
    let actor = Some(draft.actor.clone());
    draft.emit(InvitationSent {
        connection,
        secret_hash,
        expires,
        owner,
        label: label.to_owned(),
        contact: None,
        actor,
    });
    Ok(Reply::Connection(connection))
}

pub(super) fn revoke(draft: &mut Draft<'_>, id: ConnectionId) -> Result<Reply, Refusal> {
    let connection = find(draft.state, id)?;
    if connection.side != Side::Inviter || connection.status != ConnectionStatus::Pending {
        let text = format!(
            "connection {id} is {}: only a pending invitation of this org can be revoked",
            connection.status.as_str()
        );
        return Err(Refusal::conflict("not_pending", text));
    }
    draft.emit(InvitationRevoked { connection: id, actor: draft.actor.clone() });
    Ok(Reply::Connection(id))
}

/// What a person of the invited org says.
pub(super) struct Answer<'a> {
    pub(super) connection: ConnectionId,
    pub(super) inviter: &'a OrgName,
    pub(super) public_key: [u8; 32],
    pub(super) secret_hash: [u8; 32],
    pub(super) expires: Timestamp,
    pub(super) accept: bool,
    pub(super) owner: Option<&'a UserName>,
    pub(super) label: &'a str,
}

pub(super) fn answer(draft: &mut Draft<'_>, answer: &Answer<'_>) -> Result<Reply, Refusal> {
    org::check_sharing(draft)?;
    check_label(answer.label)?;
    if *answer.inviter == draft.org().name {
        return Err(Refusal::invalid("own_invitation", "an org cannot accept its own invitation"));
    }
    if let Some(known) = draft.state.connections.get(&answer.connection) {
        let same = known.answer == Some(answer.accept);
        // Said again while the first answer is on its way, it is one answer.
        if same && (!answer.accept || known.status == ConnectionStatus::Pending) {
            return Ok(Reply::Connection(known.id));
        }
        let code = if same { "used" } else { "already_answered" };
        let text = format!(
            "this invitation has been answered here already: it is {}; see `tieline connection show {}`",
            known.status.as_str(),
            known.id
        );
        return Err(Refusal::conflict(code, text));
    }
    if answer.expires <= draft.now {
        let text =
            format!("the invitation of {} ended at {}: ask for a new one", answer.inviter, answer.expires);
        return Err(Refusal::conflict("expired", text));
    }
    let owner = owner(draft, answer.owner)?;
    draft.emit(InvitationAnswered {
        connection: answer.connection,
        inviter: answer.inviter.clone(),
        public_key: answer.public_key,
        secret_hash: answer.secret_hash,
        accept: answer.accept,
        owner,
        label: answer.label.to_owned(),
        actor: Some(draft.actor.clone()),
    });
    Ok(Reply::Connection(answer.connection))
}

/// What the inviter hears.
pub(super) struct Hello<'a> {
    pub(super) from: &'a OrgName,
    pub(super) accept: bool,
    pub(super) user: &'a UserName,
    pub(super) public_key: &'a [u8; 32],
    pub(super) incarnation: Incarnation,
    pub(super) by: Option<&'a UserName>,
}

/// An invitation is used up here and nowhere else: the first answer wins, and the same org gets
/// the same reply again (PROTOCOL §2).
pub(super) fn take_hello(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    hello: &Hello<'_>,
) -> Result<Reply, Refusal> {
    let connection = find(draft.state, id)?;
    let welcome = Ok(Reply::Welcome { owner: connection.owner.clone() });
    if connection.side != Side::Inviter {
        return Err(Refusal::conflict("not_inviter", "this org did not send that invitation"));
    }
    if let Some(key) = &connection.partner_key {
        // A hello may be said again after the key was changed.
        let former = connection.former_partner_key.map(|former| former.key);
        let known = **key == *hello.public_key || former.is_some_and(|key| *key == *hello.public_key);
        let same = known && connection.partner.as_ref() == Some(hello.from);
        return match connection.status {
            ConnectionStatus::Active | ConnectionStatus::Deactivated if same && hello.accept => welcome,
            ConnectionStatus::Declined if same && !hello.accept => welcome,
            _ => Err(Refusal::conflict("used", "this invitation has been used")),
        };
    }
    check_open(draft, connection)?;
    if *hello.from == draft.org().name {
        return Err(Refusal::invalid("own_invitation", "an org cannot accept its own invitation"));
    }
    if hello.accept {
        draft.emit(ConnectionEstablished {
            connection: id,
            partner: hello.from.clone(),
            public_key: *hello.public_key,
            incarnation: hello.incarnation,
            partner_owner: hello.user.clone(),
            answered_by: Some(hello.by.unwrap_or(hello.user).clone()),
        });
        profile::tell(draft, connection);
    } else {
        draft.emit(ConnectionDeclined {
            connection: id,
            partner: Some(hello.from.clone()),
            public_key: Some(*hello.public_key),
            code: "declined".to_owned(),
        });
    }
    welcome
}

/// Whether an invitation of this org can be answered now.
pub(super) fn check_open(draft: &Draft<'_>, connection: &Connection) -> Result<(), Refusal> {
    if connection.side != Side::Inviter {
        return Err(Refusal::conflict("not_inviter", "this org did not send that invitation"));
    }
    match connection.status {
        ConnectionStatus::Pending => {}
        ConnectionStatus::Revoked => return Err(Refusal::conflict("revoked", "this invitation was revoked")),
        _ => return Err(Refusal::conflict("used", "this invitation has been used")),
    }
    if connection.expires.is_some_and(|expires| expires <= draft.now) {
        return Err(Refusal::conflict("expired", "this invitation has ended"));
    }
    Ok(())
}

pub(super) fn take_welcome(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    incarnation: Incarnation,
    owner: Option<&UserName>,
) -> Result<Reply, Refusal> {
    let connection = find(draft.state, id)?;
    let awaited = connection.side == Side::Invited && connection.answer == Some(true);
    let (Some(partner), Some(key)) = (&connection.partner, &connection.partner_key) else {
        return Ok(Reply::Unchanged);
    };
    if !awaited || connection.status != ConnectionStatus::Pending {
        return Ok(Reply::Unchanged);
    }
    let partner_owner = owner.cloned().unwrap_or_else(UserName::connection_user);
    draft.emit(ConnectionEstablished {
        connection: id,
        partner: partner.clone(),
        public_key: **key,
        incarnation,
        partner_owner,
        answered_by: None,
    });
    profile::tell(draft, connection);
    if connection.recovering {
        // Our log had a new life while the answer was on its way, or has forgotten that it came: the
        // partner waits for our shares.
        reconcile::tell_all(draft, connection);
    }
    Ok(Reply::Done)
}

pub(super) fn take_refusal(draft: &mut Draft<'_>, id: ConnectionId, code: &str) -> Result<Reply, Refusal> {
    let connection = find(draft.state, id)?;
    // A decline is over once the inviter has heard it.
    let awaited = connection.status == ConnectionStatus::Pending || connection.answer == Some(false);
    if connection.side != Side::Invited || !awaited || connection.answered.is_some() {
        return Ok(Reply::Unchanged);
    }
    // The code comes from outside: only what a code may look like is kept.
    let code = code.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(40).collect();
    draft.emit(ConnectionDeclined { connection: id, partner: None, public_key: None, code });
    Ok(Reply::Done)
}

pub(super) fn deactivate(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    by_partner: bool,
) -> Result<Reply, Refusal> {
    let connection = find(draft.state, id)?;
    match connection.status {
        ConnectionStatus::Active => {}
        ConnectionStatus::Deactivated => return Ok(Reply::Unchanged),
        status => {
            let remedy = match status {
                ConnectionStatus::Pending => "; a pending one is revoked",
                _ => "",
            };
            let text = format!(
                "connection {id} is {}: only an active one can be deactivated{remedy}",
                status.as_str()
            );
            return Err(Refusal::conflict("connection_not_active", text));
        }
    }
    let actor = (!by_partner).then(|| draft.actor.clone());
    draft.emit(ConnectionDeactivated { connection: id, actor });
    jobs::begin(draft, JobKind::Close { connection: id });
    if connection.reconciling {
        // Grants over other connections need not wait for this one any more.
        reconcile::grant_waiting(draft, id);
    }
    Ok(Reply::Connection(id))
}

/// Lets a suspended connection go on, or grants although it has not reconciled.
pub(super) fn resume(draft: &mut Draft<'_>, id: ConnectionId) -> Result<Reply, Refusal> {
    let connection = find(draft.state, id)?;
    if !connection.suspended && !connection.reconciling {
        return Ok(Reply::Unchanged);
    }
    let actor = Some(draft.actor.clone());
    draft.emit(ConnectionSuspended { connection: id, suspended: false, actor });
    if connection.suspended && connection.recovering {
        // A log may have had a new life meanwhile, of which nothing was told over this connection.
        reconcile::tell_all(draft, connection);
    }
    reconcile::grant_waiting(draft, id);
    Ok(Reply::Connection(id))
}

pub(super) fn note_receipt(
    draft: &mut Draft<'_>,
    id: ConnectionId,
    position: Position,
) -> Result<Reply, Refusal> {
    let outbox = &find(draft.state, id)?.outbox;
    if position > outbox.receipt.position && position <= outbox.head().position {
        draft.emit(ReceiptNoted { connection: id, position });
        return Ok(Reply::Done);
    }
    Ok(Reply::Unchanged)
}
