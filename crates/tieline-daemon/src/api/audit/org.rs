//! What stands in the audit of the org: settings, people, what they may do, what happens by itself.

use tieline_core::UserName;
use tieline_core::event::{Event, SecretChange};
use tieline_core::log::StoredEvent;

use super::{Making, job};

/// The entry of an event.
pub(super) fn settings(stored: StoredEvent<'_>, event: &Event) -> Making {
    let new = |action: &str| Making::new(stored, action);
    let told = people(stored, event).or_else(|| by_itself(stored, event)).or_else(|| job(stored, event));
    told.unwrap_or_else(|| match event {
        Event::OrgCreated(e) => new("org made").detail(e.name.as_str()),
        Event::IncarnationStarted(_) => new("new life of the log"),
        Event::SharingEnabled(e) => new("sharing enabled").by(&e.actor),
        Event::OrgSettingsSet(e) => new("org set").by(&e.actor),
        Event::CompanySet(e) => new("company set").by(&e.actor).detail(e.company.clone().unwrap_or_default()),
        Event::ObjectDefined(e) => new("object defined").by(&e.actor).object(&e.schema.name),
        Event::ObjectRemoved(e) => new("object removed").by(&e.actor).object(&e.object),
        Event::ConversionMapSet(e) => new("conversion set").by(&e.actor),
        Event::ConfigApplied(e) => {
            new("configuration applied").by(&e.actor).detail(format!("{} changes", e.commands))
        }
        Event::AlarmRaised(e) => new("alarm").detail(format!("{}: {}", e.code, e.message)),
        // What is not told in words stands there by its name.
        _ => new(Event::kind_name(stored.kind)),
    })
}

/// Users, tokens, roles and groups.
fn people(stored: StoredEvent<'_>, event: &Event) -> Option<Making> {
    let new = |action: &str| Making::new(stored, action);
    Some(match event {
        Event::UserAdded(e) => new("user set").detail(e.user.as_str()),
        Event::UserSet(e) => {
            let active = if e.active { "" } else { ", not active" };
            new("user set").by(&e.actor).detail(format!("{}: {}{active}", e.user, e.role))
        }
        Event::UserRemoved(e) => new("user removed").by(&e.actor).detail(e.user.as_str()),
        Event::TokenIssued(e) => new("token issued").detail(e.user.as_str()),
        Event::TokenCreated(e) => {
            new("token issued").by(&e.actor).detail(format!("{} to {}", e.token, e.user))
        }
        Event::TokenRevoked(e) => {
            new("token revoked").by(&e.actor).detail(format!("{} of {}", e.token, e.user))
        }
        Event::RoleSet(e) => new("role set").by(&e.actor).detail(e.role.name.as_str()),
        Event::RoleRemoved(e) => new("role removed").by(&e.actor).detail(e.role.as_str()),
        Event::GroupSet(e) => new("group set").by(&e.actor).detail(e.group.name.as_str()),
        Event::GroupRemoved(e) => new("group removed").by(&e.actor).detail(e.group.as_str()),
        _ => return None,
    })
}

/// What happens by itself, and what is shown and sent how.
fn by_itself(stored: StoredEvent<'_>, event: &Event) -> Option<Making> {
    let new = |action: &str, actor: &UserName, what: &dyn std::fmt::Display| {
        Making::new(stored, action).by(actor).detail(what.to_string())
    };
    Some(match event {
        Event::QueueSet(e) => new("queue set", &e.actor, &e.queue.name),
        Event::QueueRemoved(e) => new("queue removed", &e.actor, &e.queue),
        Event::SharingRuleSet(e) => new("sharing rule set", &e.actor, &e.rule.name),
        Event::AssignmentRuleSet(e) => new("assignment rule set", &e.actor, &e.rule.object),
        Event::EscalationRuleSet(e) => new("escalation rule set", &e.actor, &e.rule.object),
        Event::WorkflowRuleSet(e) => new("workflow rule set", &e.actor, &e.rule.name),
        Event::RuleRemoved(e) => {
            new("rule removed", &e.actor, &format_args!("{} {}", e.kind.as_str(), e.rule))
        }
        Event::RecordViewSet(e) => new("view set", &e.actor, &e.view.name),
        Event::RecordViewRemoved(e) => new("view removed", &e.actor, &e.view),
        Event::InboxViewSet(e) => new("inbox view set", &e.actor, &e.view.name),
        Event::InboxViewRemoved(e) => new("inbox view removed", &e.actor, &e.view),
        Event::NoticeSettingsSet(e) => {
            let whose = e.user.as_ref().map_or("everybody", |user| user.as_str());
            new("notices set", &e.actor, &whose)
        }
        Event::MailTemplateSet(e) => new("mail template set", &e.actor, &e.template.name),
        Event::MailTemplateRemoved(e) => new("mail template removed", &e.actor, &e.name),
        Event::TemplateSet(e) => new("connection template set", &e.actor, &e.template.name),
        Event::TemplateRemoved(e) => new("connection template removed", &e.actor, &e.template),
        Event::ReportSet(e) => new("report set", &e.actor, &e.report.name),
        Event::ReportRemoved(e) => new("report removed", &e.actor, &e.report),
        Event::EffectRetried(e) => new("effect tried again", &e.actor, &e.id),
        Event::EffectDropped(e) => new("effect dropped", &e.actor, &e.id),
        Event::WebhookSecretChanged(e) => {
            let action = match e.change {
                SecretChange::Made => "webhook secret made",
                SecretChange::Rotated => "webhook secret rotated",
                SecretChange::Removed => "webhook secret removed",
            };
            new(action, &e.actor, &e.name)
        }
        _ => return None,
    })
}
