//! The org itself: its creation, its part in sharing, its edition and licences, its objects.

use crate::command::{NewToken, Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::{control, jobs, people, rules};
use crate::event::{CatalogueSent, ObjectDefined, OrgCreated, OrgSettingsSet, SharingEnabled, UserSet};
use crate::job::JobKind;
use crate::limits::{CONNECTION_LICENCES_MAX, OBJECTS_MAX};
use crate::message::Catalogue;
use crate::people::{Edition, Licences, OrgSettings};
use crate::publish::catalogue_object;
use crate::schema::ObjectSchema;
use crate::state::ConnectionStatus;
use crate::{Incarnation, OrgName, RoleName, TokenId, UserName};

pub(super) fn create(
    draft: &mut Draft<'_>,
    name: &OrgName,
    admin: &UserName,
    token: &NewToken,
    objects: &[ObjectSchema],
    settings: OrgSettings,
    sharing: bool,
) -> Result<Reply, Refusal> {
    if let Some(org) = &draft.state.org {
        let text = format!("this log already belongs to org {}: choose another data directory", org.name);
        return Err(Refusal::conflict("org_exists", text));
    }
    people::check_person(admin)?;
    check_licences(settings)?;
    // The lower half of a drawn number is as random as the whole.
    let random = u64::try_from(draft.draw() & u128::from(u64::MAX)).unwrap_or_default();
    let incarnation = Incarnation::begin(draft.now, random);
    draft.emit(OrgCreated { name: name.clone(), incarnation });
    draft.emit(OrgSettingsSet { settings, actor: admin.clone() });
    if sharing {
        check_edition(settings.edition)?;
        draft.emit(SharingEnabled { actor: admin.clone() });
    }
    draft.emit(UserSet {
        user: admin.clone(),
        email: None,
        role: RoleName::administrator(),
        active: true,
        actor: admin.clone(),
    });
    let id = TokenId(draft.draw());
    draft.emit(people::token_created(id, admin, token, admin));
    for schema in objects {
        schema.check().map_err(Refusal::record)?;
        let schema = ObjectSchema { version: 1, ..schema.clone() };
        draft.emit(ObjectDefined { schema, actor: admin.clone() });
    }
    Ok(Reply::Done)
}

/// The way back does not exist (S2S-01): to share nothing, an org ends its connections.
pub(super) fn enable_sharing(draft: &mut Draft<'_>) -> Result<Reply, Refusal> {
    if draft.state.sharing_enabled() {
        return Ok(Reply::Unchanged);
    }
    check_edition(draft.org().settings.edition)?;
    draft.emit(SharingEnabled { actor: draft.actor.clone() });
    Ok(Reply::Done)
}

pub(super) fn set(draft: &mut Draft<'_>, settings: OrgSettings) -> Result<Reply, Refusal> {
    if settings == draft.org().settings {
        return Ok(Reply::Unchanged);
    }
    check_licences(settings)?;
    let open =
        draft.state.connections.values().find(|connection| {
            matches!(connection.status, ConnectionStatus::Pending | ConnectionStatus::Active)
        });
    if let Some(connection) = open.filter(|_| !settings.edition.shares()) {
        let text = format!(
            "connection {} is {}, and an org of edition {} takes no part in sharing: end its connections first",
            connection.display_name(),
            connection.status.as_str(),
            settings.edition
        );
        return Err(Refusal::conflict("open_connections", text));
    }
    draft.emit(OrgSettingsSet { settings, actor: draft.actor.clone() });
    Ok(Reply::Done)
}

fn check_licences(settings: OrgSettings) -> Result<(), Refusal> {
    let licences = settings.connection_licences.unwrap_or_default();
    if licences <= CONNECTION_LICENCES_MAX {
        return Ok(());
    }
    let text =
        format!("{licences} connection licences are more than {CONNECTION_LICENCES_MAX}: ask for fewer");
    Err(Refusal::invalid("limit_reached", text))
}

fn check_edition(edition: Edition) -> Result<(), Refusal> {
    if edition.shares() {
        return Ok(());
    }
    let text = format!(
        "an org of edition {edition} takes no part in sharing: change its edition with `tieline org set --edition`"
    );
    Err(Refusal::conflict("edition_cannot_share", text))
}

/// Whether this org takes part in sharing: it has an edition that does, and enabled it.
pub(super) fn check_sharing(draft: &Draft<'_>) -> Result<(), Refusal> {
    check_edition(draft.org().settings.edition)?;
    if draft.state.sharing_enabled() {
        return Ok(());
    }
    let text = "sharing is not enabled in this org: a user with Modify All Data can enable it, for good, with \
                `tieline org enable`";
    Err(Refusal::conflict("sharing_not_enabled", text))
}

/// Whether this org may send one more invitation (S2S-04, S2S-05).
pub(super) fn check_invitation(draft: &Draft<'_>) -> Result<(), Refusal> {
    check_sharing(draft)?;
    let edition = draft.org().settings.edition;
    if !edition.sends() {
        let text = format!(
            "an org of edition {edition} may accept invitations and not send any: let the other org invite, or \
             change the edition with `tieline org set --edition`"
        );
        return Err(Refusal::conflict("edition_cannot_send", text));
    }
    let Licences { max, used } = draft.state.licences(draft.now);
    if used < max {
        return Ok(());
    }
    let text = format!(
        "{used} of {max} connection licences are in use: revoke or deactivate a connection that this org \
         invited, or raise them with `tieline org set --connection-licences`"
    );
    Err(Refusal::conflict("no_licence", text))
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
    let computes_anew = schema.computed_fields().any(|(field, text)| {
        let known = known.and_then(|known| known.field(&field.name));
        known.is_none_or(|known| known.expression.as_deref() != Some(text))
    });
    draft.emit(ObjectDefined { schema: schema.clone(), actor: draft.actor.clone() });
    if computes_anew && draft.state.count_of(&schema.name) > 0 {
        jobs::begin(draft, JobKind::Compute { object: schema.name.clone() });
    }
    for connection in draft.state.connections.values().filter(|connection| connection.is_active()) {
        if let Some(rule) = connection.publish.get(&schema.name) {
            let entry = catalogue_object(&schema, rule);
            let before = known.map(|known| catalogue_object(known, rule));
            rules::note_drift(draft, connection, &schema.name, before, Some(&entry));
            let objects = vec![entry];
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
