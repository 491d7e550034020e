//! What a command needs of whoever asks: one table, looked at before anything else.
//!
//! A command that nobody's request becomes (what a partner said, receipts, slices of jobs) needs
//! nothing. What names a record, share or connection that is not there needs nothing either: the
//! command itself says so. Every refusal has the code `no_permission` and names what is missing, and
//! who can grant it.

use crate::automation::Rule;
use crate::command::{
    AutomationCommand, Command, ConfigCommand, Conversion, EffectCommand, Handover, InquiryCommand,
    InvitationCommand, NoticeCommand, Pause, ProfileCommand, Refusal, SharingCommand, TemplateCommand,
    ViewCommand,
};
use crate::job::{Job, JobKind};
use crate::people::{Permission, Rights};
use crate::state::{Connection, Share, ShareRole, ShareStatus, State};
use crate::{ConnectionId, FieldName, ObjectName, RecordId, ShareId, UserName};

#[cfg(test)]
mod tests;

type Checked = Result<(), Refusal>;

/// Whether the actor may give this command.
pub(super) fn check(state: &State, actor: &UserName, command: &Command) -> Checked {
    let rights = state.rights(actor);
    if rights == Rights::All {
        return Ok(());
    }
    if let Command::RevokeToken { user, .. } = command
        && user == actor
    {
        return Ok(());
    }
    if let Command::Notice(NoticeCommand::Set { user: Some(user), .. }) = command
        && user == actor
    {
        return Ok(());
    }
    needs(state, command, &mut |permission| {
        if rights.may(permission) { Ok(()) } else { Err(missing(state, actor, permission)) }
    })
}

/// Whether the person for whom a job works may still do what it does. Jobs that nobody asked for
/// follow from what was decided before.
pub(super) fn job(state: &State, job: &Job) -> Checked {
    match &job.kind {
        JobKind::Forward { .. }
        | JobKind::Accept { .. }
        | JobKind::ShareQueue { .. }
        | JobKind::HandOver { .. }
        | JobKind::Assign { .. }
        | JobKind::Stop { .. }
        | JobKind::MapOwners { .. }
        | JobKind::ApplySharing { .. } => {
            let rights = state.rights(&job.actor);
            let mut need = |permission| {
                if rights.may(permission) { Ok(()) } else { Err(missing(state, &job.actor, permission)) }
            };
            start(state, &job.kind, &mut need)
        }
        JobKind::Backfill { .. }
        | JobKind::Tasks { .. }
        | JobKind::Reconcile { .. }
        | JobKind::Grant { .. }
        | JobKind::Retry { .. }
        | JobKind::FillLinks { .. }
        | JobKind::TellLinks { .. }
        | JobKind::TellOwners { .. }
        | JobKind::FollowParent { .. }
        | JobKind::Compute { .. }
        | JobKind::CatchUp { .. }
        | JobKind::Close { .. } => Ok(()),
    }
}

/// Whether a user may do something, for those who show what is there.
///
/// # Errors
/// What is missing, and who can grant it.
pub fn require(state: &State, user: &UserName, permission: Permission<'_>) -> Result<(), Refusal> {
    if state.may(user, permission) { Ok(()) } else { Err(missing(state, user, permission)) }
}

/// Calls `need` with each permission that the command takes, until one is refused.
fn needs<'a>(
    state: &'a State,
    command: &'a Command,
    need: &mut impl FnMut(Permission<'a>) -> Checked,
) -> Checked {
    match command {
        Command::CreateOrg { .. }
        | Command::StartIncarnation { .. }
        | Command::TakeHello { .. }
        | Command::TakeWelcome { .. }
        | Command::TakeRefusal { .. }
        | Command::TakeIncarnation { .. }
        | Command::NoteReceipt { .. }
        | Command::ConfirmKey { .. }
        | Command::Deactivate { by_partner: true, .. }
        | Command::AdvanceJob { .. }
        | Command::Pause(Pause::Heard { .. })
        | Command::TryHeld { .. }
        | Command::Effect(EffectCommand::End { .. })
        | Command::Invitation(InvitationCommand::TakePostponement { .. })
        | Command::Notice(NoticeCommand::MakeDigests | NoticeCommand::Read { .. }) => Ok(()),

        // Each of its commands is asked for by itself.
        Command::Config(ConfigCommand::Apply { .. }) => Ok(()),

        Command::Notice(NoticeCommand::Set { .. })
        | Command::Effect(EffectCommand::NoteSecret { .. })
        | Command::EnableSharing
        | Command::SetOrg { .. }
        | Command::AddUser { .. }
        | Command::ChangeUser { .. }
        | Command::RemoveUser { .. }
        | Command::RemoveObject { .. }
        | Command::SetRole { .. }
        | Command::RemoveRole { .. }
        | Command::SetGroup { .. }
        | Command::RemoveGroup { .. }
        | Command::IssueToken { .. }
        | Command::RevokeToken { .. }
        | Command::Report(_)
        | Command::Profile(ProfileCommand::SetCompany { .. })
        // The mails of the org are among its sharing settings (S2S-08).
        | Command::Invitation(
            InvitationCommand::SetTemplate { .. } | InvitationCommand::RemoveTemplate { .. },
        )
        | Command::DefineObject { .. } => need(Permission::ModifyAllData),

        Command::Invite { .. }
        | Command::Revoke { .. }
        | Command::Answer { .. }
        | Command::Deactivate { by_partner: false, .. }
        | Command::Resume { .. }
        | Command::Pause(Pause::Set { .. })
        | Command::Profile(ProfileCommand::SetLabel { .. })
        | Command::Handover(Handover::Connection { .. })
        | Command::Reconcile { .. }
        | Command::AnnounceKey { .. }
        | Command::Inquiry(InquiryCommand::Record { .. })
        | Command::Invitation(
            InvitationCommand::SendSaved { .. }
            | InvitationCommand::Discard { .. }
            | InvitationCommand::Postpone { .. },
        )
        | Command::Effect(EffectCommand::Retry { .. } | EffectCommand::Drop { .. })
        | Command::Publish { rule: None, .. }
        | Command::Subscribe { rule: None, .. }
        // Its rules are asked for one by one when they are applied.
        | Command::Template(
            TemplateCommand::Set { .. }
            | TemplateCommand::Save { .. }
            | TemplateCommand::Remove { .. }
            | TemplateCommand::Give { .. },
        ) => need(Permission::ManageConnections),

        // Whoever writes to contacts reads their addresses.
        Command::Invitation(InvitationCommand::Send { .. } | InvitationCommand::Save { .. })
        | Command::Inquiry(InquiryCommand::Ask { .. }) => {
            need(Permission::ManageConnections)?;
            let contact = state.objects.get_key_value("Contact");
            contact.map_or(Ok(()), |(contact, _)| need(Permission::Read(contact)))
        }
        // S2S-03.
        Command::Publish { object, rule: Some(rule), .. } => {
            need(Permission::ManageConnections)?;
            need(Permission::Edit(object))?;
            fields(object, rule.fields.iter(), need)
        }
        Command::Subscribe { rule: Some(rule), .. } => {
            need(Permission::ManageConnections)?;
            need(Permission::Edit(&rule.local))?;
            fields(&rule.local, rule.fields.iter().map(|mapping| &mapping.local), need)
        }

        Command::CreateRecord { object, values, .. } => {
            need(Permission::Create(object))?;
            fields(object, values.keys(), need)
        }
        Command::UpdateRecord { record, values } => {
            let Some(object) = object_of(state, *record) else { return Ok(()) };
            need(Permission::Edit(object))?;
            fields(object, values.keys(), need)
        }
        Command::DeleteRecord { record }
        | Command::Forward { record, .. }
        | Command::EndShare { record, .. }
        | Command::Adopt { record, .. } => match object_of(state, *record) {
            Some(object) => need(Permission::Edit(object)),
            None => Ok(()),
        },

        Command::Retry { connection, share }
        | Command::Accept { connection, share, .. }
        | Command::Decline { connection, share } => answer(state, *connection, *share, need),
        Command::Automation(command) => automation(state, command, need),
        Command::StartJob { kind } => start(state, kind, need),

        // Whether a list view is the actor's own is looked at when it is decided.
        Command::View(ViewCommand::Set { view }) => need(Permission::Read(&view.object)),
        Command::View(ViewCommand::Remove { .. }) => Ok(()),
        Command::Sharing(SharingCommand::Forward { record, .. }) => match object_of(state, *record) {
            Some(object) => need(Permission::Edit(object)),
            None => Ok(()),
        },
        Command::Sharing(SharingCommand::SetAccountRule { .. } | SharingCommand::SetOwnerMap { .. }) => {
            need(Permission::ManageConnections)
        }
        Command::Sharing(SharingCommand::SetConversionMap { .. }) => need(Permission::ModifyAllData),
        Command::Sharing(SharingCommand::Accept { connection, share, .. }) => {
            answer(state, *connection, *share, need)
        }
        Command::Sharing(SharingCommand::Convert { lead, conversion }) => {
            convert(state, *lead, conversion, need)
        }
        Command::Sharing(
            SharingCommand::Approve { record, field } | SharingCommand::Reject { record, field },
        ) => {
            let Some(object) = object_of(state, *record) else { return Ok(()) };
            need(Permission::Edit(object))?;
            need(Permission::WriteField(object, field))
        }
        Command::View(ViewCommand::SetInbox { .. } | ViewCommand::RemoveInbox { .. }) => {
            need(Permission::ManageConnections)
        }
    }
}

/// What converting a lead needs: to edit it, and to create or edit what it becomes.
fn convert<'a>(
    state: &'a State,
    lead: RecordId,
    conversion: &Conversion,
    need: &mut impl FnMut(Permission<'a>) -> Checked,
) -> Checked {
    let Some(object) = object_of(state, lead) else { return Ok(()) };
    need(Permission::Edit(object))?;
    let parts = [
        ("Account", true, conversion.account),
        ("Contact", true, conversion.contact),
        ("Opportunity", conversion.opportunity.is_some(), None),
    ];
    for (name, made, existing) in parts {
        let Some((object, _)) = state.objects.get_key_value(name).filter(|_| made) else { continue };
        need(if existing.is_some() { Permission::Edit(object) } else { Permission::Create(object) })?;
    }
    Ok(())
}

fn fields<'a>(
    object: &'a ObjectName,
    mut fields: impl Iterator<Item = &'a FieldName>,
    need: &mut impl FnMut(Permission<'a>) -> Checked,
) -> Checked {
    fields.try_for_each(|field| need(Permission::WriteField(object, field)))
}

fn object_of(state: &State, record: RecordId) -> Option<&ObjectName> {
    state.record(record).map(|record| &record.object)
}

/// The object here of a record that a partner offers or shares; nothing if it is not subscribed.
fn local_object<'a>(connection: &'a Connection, share: &'a Share) -> Option<&'a ObjectName> {
    match share.role {
        ShareRole::Origin => Some(&share.object),
        ShareRole::Copy => connection.subscribe.get(&share.object).map(|rule| &rule.local),
    }
}

/// What answering an offer, or trying a share again, needs. Accepting takes read and create, and not
/// Manage Connections (S2S-02); what is here already is a record like others. What is not subscribed concerns only those who could subscribe it.
#[must_use]
pub fn answering<'a>(connection: &'a Connection, share: &'a Share) -> Permission<'a> {
    let is_here = share.role == ShareRole::Origin
        || !matches!(share.status, ShareStatus::Offered | ShareStatus::Accepting | ShareStatus::Granted);
    match local_object(connection, share) {
        None => Permission::ManageConnections,
        Some(object) if is_here => Permission::Edit(object),
        Some(object) => Permission::Create(object),
    }
}

fn answer<'a>(
    state: &'a State,
    connection: ConnectionId,
    share: ShareId,
    need: &mut impl FnMut(Permission<'a>) -> Checked,
) -> Checked {
    let Some(connection) = state.connections.get(&connection) else { return Ok(()) };
    connection.shares.get(&share).map_or(Ok(()), |share| need(answering(connection, share)))
}

/// What queues and rules need. A connection that is a member gets records: who adds one has to be
/// allowed to (S2S-42).
fn automation<'a>(
    state: &'a State,
    command: &'a AutomationCommand,
    need: &mut impl FnMut(Permission<'a>) -> Checked,
) -> Checked {
    match command {
        AutomationCommand::SetQueue { queue } => {
            need(Permission::ModifyAllData)?;
            if queue.connections.is_empty() { Ok(()) } else { need(Permission::ManageConnections) }
        }
        AutomationCommand::SetRule { rule } => {
            need(Permission::ModifyAllData)?;
            match rule.as_ref() {
                Rule::Sharing(_) => need(Permission::ManageConnections),
                Rule::Assignment(_) | Rule::Escalation(_) | Rule::Workflow(_) => Ok(()),
            }
        }
        AutomationCommand::RemoveQueue { .. } | AutomationCommand::RemoveRule { .. } => {
            need(Permission::ModifyAllData)
        }
        AutomationCommand::ShareQueue { .. } | AutomationCommand::ApplySharing { .. } => {
            need(Permission::ManageConnections)
        }
        AutomationCommand::Escalate => Ok(()),
        AutomationCommand::Assign { record, .. } => match object_of(state, *record) {
            Some(object) => need(Permission::Edit(object)),
            None => Ok(()),
        },
    }
}

/// What a job is for that a person asks for.
fn start<'a>(
    state: &'a State,
    kind: &'a JobKind,
    need: &mut impl FnMut(Permission<'a>) -> Checked,
) -> Checked {
    match kind {
        JobKind::Forward { object, .. } | JobKind::Assign { object, .. } | JobKind::Stop { object, .. } => {
            need(Permission::Edit(object))
        }
        JobKind::HandOver { .. } => need(Permission::ModifyAllData),
        // Everything that it may accept: who may not, accepts object by object.
        JobKind::Accept { connection, object, .. } => {
            let Some(connection) = state.connections.get(connection) else { return Ok(()) };
            let meant = |remote: &&ObjectName| object.as_ref().is_none_or(|object| object == *remote);
            let mut rules = connection.subscribe.iter().filter(|(remote, _)| meant(remote));
            rules.try_for_each(|(_, rule)| need(Permission::Create(&rule.local)))
        }
        JobKind::Backfill { .. }
        | JobKind::Tasks { .. }
        | JobKind::Reconcile { .. }
        | JobKind::Grant { .. }
        | JobKind::Retry { .. }
        | JobKind::ShareQueue { .. }
        | JobKind::FillLinks { .. }
        | JobKind::TellLinks { .. }
        | JobKind::TellOwners { .. }
        | JobKind::MapOwners { .. }
        | JobKind::FollowParent { .. }
        | JobKind::Compute { .. }
        | JobKind::CatchUp { .. }
        | JobKind::ApplySharing { .. }
        | JobKind::Close { .. } => need(Permission::ManageConnections),
    }
}

/// The refusal: who lacks what, and how it can be granted.
fn missing(state: &State, actor: &UserName, permission: Permission<'_>) -> Refusal {
    let Some(user) = state.users.get(actor).filter(|user| user.active) else {
        return Refusal::forbidden(format!("{actor} is not an active user of this org and may do nothing"));
    };
    let role = &user.role;
    let portal = state.roles.get(role).is_some_and(|role| role.portal);
    let remedy = match permission {
        Permission::ManageConnections if portal => {
            format!("a portal role can never have it; another role: `tieline user set {actor} --role …`")
        }
        Permission::ModifyAllData => format!("`tieline user set {actor} --role administrator`"),
        Permission::ManageConnections => format!("`tieline role set {role} --manage-connections true`"),
        Permission::Read(object) | Permission::Create(object) | Permission::Edit(object) => {
            let had = |one| state.roles.get(role).is_some_and(|role| role.grants(one));
            let rights = [("create", Permission::Create(object)), ("edit", Permission::Edit(object))];
            let rights = rights.iter().filter(|(_, one)| *one == permission || had(*one));
            let more: String = rights.map(|(name, _)| format!(",{name}")).collect();
            format!("`tieline role set {role} --object {object}=read{more}`")
        }
        Permission::WriteField(object, field) => {
            format!("`tieline role set {role} --writable {object}.{field}`")
        }
    };
    let text = format!(
        "{actor} needs {permission}, and the role {role} does not have it: a user with Modify All Data can \
         grant it: {remedy}"
    );
    Refusal::forbidden(text)
}
