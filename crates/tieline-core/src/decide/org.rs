//! The org itself: its creation, its users' tokens, its objects.

use crate::command::{Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::{control, jobs};
use crate::event::{CatalogueSent, ObjectDefined, OrgCreated, TokenIssued, UserAdded};
use crate::job::JobKind;
use crate::limits::OBJECTS_MAX;
use crate::message::Catalogue;
use crate::publish::catalogue_object;
use crate::schema::ObjectSchema;
use crate::{Incarnation, OrgName, UserName};

pub(super) fn create(
    draft: &mut Draft<'_>,
    name: &OrgName,
    admin: &UserName,
    token_hash: [u8; 32],
    objects: &[ObjectSchema],
) -> Result<Reply, Refusal> {
    if let Some(org) = &draft.state.org {
        let text = format!("this log already belongs to org {}: choose another data directory", org.name);
        return Err(Refusal::conflict("org_exists", text));
    }
    // The lower half of a drawn number is as random as the whole.
    let random = u64::try_from(draft.draw() & u128::from(u64::MAX)).unwrap_or_default();
    let incarnation = Incarnation::begin(draft.now, random);
    draft.emit(OrgCreated { name: name.clone(), incarnation });
    draft.emit(UserAdded { user: UserName::connection_user(), admin: false });
    draft.emit(UserAdded { user: admin.clone(), admin: true });
    draft.emit(TokenIssued { user: admin.clone(), hash: token_hash });
    for schema in objects {
        schema.check().map_err(Refusal::record)?;
        let schema = ObjectSchema { version: 1, ..schema.clone() };
        draft.emit(ObjectDefined { schema, actor: admin.clone() });
    }
    Ok(Reply::Done)
}

pub(super) fn issue_token(
    draft: &mut Draft<'_>,
    user: &UserName,
    admin: bool,
    hash: [u8; 32],
) -> Result<Reply, Refusal> {
    if *user == UserName::connection_user() {
        return Err(Refusal::invalid(
            "system_user",
            "the Connection User makes remote changes and has no token",
        ));
    }
    if !draft.state.users.contains_key(user) {
        draft.emit(UserAdded { user: user.clone(), admin });
    }
    draft.emit(TokenIssued { user: user.clone(), hash });
    Ok(Reply::Done)
}

/// Defines or changes an object. Partners see the part that is published to them anew.
pub(super) fn define_object(draft: &mut Draft<'_>, schema: &ObjectSchema) -> Result<Reply, Refusal> {
    schema.check().map_err(Refusal::record)?;
    let known = draft.state.object(&schema.name);
    if known.is_none() && draft.state.objects.len() >= OBJECTS_MAX {
        return Err(Refusal::invalid("limit_reached", format!("an org has at most {OBJECTS_MAX} objects")));
    }
    let version = known.map_or(0, |known| known.version);
    if known.is_some_and(|known| ObjectSchema { version, ..schema.clone() } == **known) {
        return Ok(Reply::Unchanged);
    }
    let schema = ObjectSchema { version: version + 1, ..schema.clone() };
    draft.emit(ObjectDefined { schema: schema.clone(), actor: draft.actor.clone() });
    for connection in draft.state.connections.values().filter(|connection| connection.is_active()) {
        if let Some(rule) = connection.publish.get(&schema.name) {
            let objects = vec![catalogue_object(&schema, rule)];
            let position = draft.position(connection);
            let catalogue = Catalogue { full: false, objects, removed: Vec::new() };
            draft.emit(CatalogueSent { connection: connection.id, position, catalogue });
        }
        let takes = connection.subscribe.values().any(|rule| rule.local == schema.name);
        if takes && connection.shares.values().any(|share| control::waits(draft.state, connection, share)) {
            jobs::begin(draft, JobKind::Retry { connection: connection.id });
        }
    }
    Ok(Reply::Done)
}
