//! What people are told, and what has to be done outside.

use tieline_core::command::{AutomationCommand, Command, EffectCommand, NoticeCommand};
use tieline_core::effect::{Effect, Purpose};
use tieline_core::engine::Engine;
use tieline_core::limits::NOTICES_WAITING_MAX;
use tieline_core::log::Log;
use tieline_core::message::{
    DeclineOffer, EndReason, OutcomeDetail, OutcomeReport, OutcomeRun, Refuse, ShareEnded, WireReason,
};
use tieline_core::notice::{NoticeHook, NoticeKind, NoticeSettings};
use tieline_core::outcome::Outcome;
use tieline_core::reason::ReasonCode;
use tieline_core::state::KeptNotice;
use tieline_core::value::Value;
use tieline_core::{AssignTo, EffectId, Owner, Position, RoleName, Seq, ShareId};

use crate::kit::{Org, Partner, at, change_of, content, deal, name, offer_of, stamp};

const OTHER: tieline_core::OrgId = tieline_core::OrgId(9);

/// An org whose owner can be reached by mail, with a partner.
fn desk() -> (Org, Partner) {
    let mut here = Org::new("acme", deal());
    here.run(Command::ChangeUser {
        user: name("ann"),
        email: Some("ann@acme.example".to_owned()),
        role: None,
        active: None,
    });
    let globex = Partner::of(&mut here, "globex");
    (here, globex)
}

fn notices(org: &Org) -> Vec<KeptNotice> {
    org.state().notices.of(&name("ann")).map(|known| known.list.iter().cloned().collect()).unwrap_or_default()
}

fn kinds(org: &Org) -> Vec<NoticeKind> {
    notices(org).iter().map(|notice| notice.kind).collect()
}

/// The subjects of the mails and the bodies of the webhooks that wait, in the order of their events.
fn open(org: &Org) -> Vec<(EffectId, Effect)> {
    let mut open: Vec<_> = org.state().effects.open().iter().collect();
    open.sort_by_key(|(_, open)| open.seq);
    open.into_iter().map(|(id, open)| (*id, (*open.effect).clone())).collect()
}

fn mails(org: &Org) -> Vec<String> {
    let mails = open(org).into_iter().filter_map(|(_, effect)| match effect {
        Effect::Mail(mail) => Some(format!("{}\n{}", mail.subject, mail.text)),
        Effect::Webhook(_) => None,
    });
    mails.collect()
}

/// Replaying the log gives the same state: nothing was decided outside of an event.
fn assert_replays(org: &Org) {
    let mut engine = Engine::default();
    let last = org.state().seq;
    let mut next = Seq(1);
    while next <= last {
        let groups = org.log.read_from(next, 0).unwrap();
        for event in groups.events() {
            engine.replay(event.time, event.kind, event.body).unwrap();
            next = event.seq.next();
        }
    }
    assert_eq!(engine.state().hash(), org.state().hash());
}

fn set(org: &mut Org, settings: NoticeSettings) {
    org.run(Command::Notice(NoticeCommand::Set { user: Some(name("ann")), settings: Some(settings) }));
}

fn offered(org: &mut Org, globex: &mut Partner, title: &str) -> (ShareId, tieline_core::RecordId) {
    let record = org.create("Deal__c", &[("Name", Value::text(title))]);
    (globex.receive(org, record), record)
}

#[test]
fn owners_hear_what_partners_did() {
    let (mut here, mut globex) = desk();
    assert_eq!(kinds(&here), [NoticeKind::ConnectionAccepted]);
    for (at, (reason, kind)) in [
        (EndReason::Deleted, NoticeKind::RecordDeleted),
        (EndReason::Converted, NoticeKind::RecordConverted),
        (EndReason::Stopped, NoticeKind::SharingStopped),
    ]
    .into_iter()
    .enumerate()
    {
        let (share, record) = offered(&mut here, &mut globex, "Big");
        globex.send(&mut here, ShareEnded { share, generation: 1, reason });
        let told = notices(&here);
        let last = told.last().unwrap();
        assert_eq!((told.len(), last.kind, last.record), (at + 2, kind, Some(record)), "{reason:?}");
        assert!(last.text.contains("globex") && last.text.contains("Big"), "{}", last.text);
    }
    let record = here.create("Deal__c", &[("Name", Value::text("Small"))]);
    let share = here.run(Command::Forward { record, connection: globex.connection });
    let tieline_core::command::Reply::Share(share) = share else { panic!("{share:?}") };
    globex.send(&mut here, DeclineOffer { share, generation: 1 });
    assert_eq!(kinds(&here).last(), Some(&NoticeKind::OfferDeclined));
    here.run(Command::Deactivate { connection: globex.connection, by_partner: true });
    here.finish_jobs();
    assert_eq!(kinds(&here).last(), Some(&NoticeKind::ConnectionDeactivated));
    assert_eq!(notices(&here).last().unwrap().text, "globex ended the connection");
    assert_eq!(mails(&here).len(), 6, "each kind once: {:?}", mails(&here));
    assert_replays(&here);
}

#[test]
fn what_this_org_ends_itself_is_no_news() {
    let (mut here, mut globex) = desk();
    let (_, record) = offered(&mut here, &mut globex, "Big");
    let before = kinds(&here);
    here.run(Command::EndShare { record, connection: globex.connection, reason: EndReason::Stopped });
    here.run(Command::Deactivate { connection: globex.connection, by_partner: false });
    here.finish_jobs();
    assert_eq!(kinds(&here), before);
}

#[test]
fn failed_updates_are_told_in_both_directions() {
    let (mut here, mut globex) = desk();
    let share = ShareId(1);
    globex.give(&mut here, share, content(&[("Title", Value::text("a deal"))], stamp(1, OTHER)));
    let refused = change_of(share, 1, content(&[("Number", Value::Integer(500))], stamp(5, OTHER)));
    assert_eq!(globex.send(&mut here, refused).outcome, Some(Outcome::Rejected));
    let told = notices(&here);
    let last = told.last().unwrap();
    assert_eq!(last.kind, NoticeKind::UpdateFailed);
    assert!(last.text.contains("A deal over 100 needs a note"), "{}", last.text);

    let (ours, record) = offered(&mut here, &mut globex, "Ours");
    let reasons = vec![WireReason { code: ReasonCode::TooLong, field: Some(name("Note")) }];
    let detail =
        OutcomeDetail { position: Position(1), outcome: Outcome::Rejected, share: Some(ours), reasons };
    let runs = vec![OutcomeRun { outcome: Outcome::Rejected, count: 1 }];
    globex.send(&mut here, OutcomeReport { upto: Position(1), runs, details: vec![detail] });
    let told = notices(&here);
    let last = told.last().unwrap();
    assert_eq!((last.kind, last.record), (NoticeKind::UpdateRefused, Some(record)));
    assert!(last.text.contains("Ours") && last.text.contains("Note"), "{}", last.text);
    assert_replays(&here);
}

#[test]
fn of_a_storm_the_first_comes_at_once_and_the_rest_together() {
    let (mut here, mut globex) = desk();
    let share = ShareId(1);
    globex.give(&mut here, share, content(&[("Title", Value::text("a deal"))], stamp(1, OTHER)));
    let before = mails(&here).len();
    // Not so far ahead that they were held for the clock.
    for second in 0..250 {
        let refused =
            change_of(share, 1, content(&[("Number", Value::Integer(500))], stamp(10 + second, OTHER)));
        globex.send(&mut here, refused);
    }
    assert_eq!(mails(&here).len(), before + 1, "one mail at once");
    let told = kinds(&here).iter().filter(|kind| **kind == NoticeKind::UpdateFailed).count();
    assert_eq!(told, 1 + NOTICES_WAITING_MAX, "the log does not fill up either");
    let digest = Command::Notice(NoticeCommand::MakeDigests);
    here.run(digest.clone());
    assert_eq!(mails(&here).len(), before + 1, "an hour has not gone by");
    here.now = at(3_600);
    here.run(digest.clone());
    let all = mails(&here);
    assert_eq!(all.len(), before + 2);
    assert!(all.last().unwrap().contains(&format!("{NOTICES_WAITING_MAX} or more")), "{all:?}");
    here.run(digest);
    assert_eq!(mails(&here).len(), before + 2, "nothing waits any more");
    // The next one waits again: one was sent a moment ago.
    let refused = change_of(share, 1, content(&[("Number", Value::Integer(600))], stamp(3_650, OTHER)));
    assert_eq!(globex.send(&mut here, refused).outcome, Some(Outcome::Rejected));
    let last = notices(&here).pop().unwrap();
    assert!(last.kind == NoticeKind::UpdateFailed && last.waits, "{last:?}");
    assert_replays(&here);
}

#[test]
fn a_storm_of_one_partner_silences_no_other() {
    let (mut here, mut globex) = desk();
    let mut initech = Partner::of(&mut here, "initech");
    let share = ShareId(1);
    for partner in [&mut globex, &mut initech] {
        partner.give(&mut here, share, content(&[("Title", Value::text("a deal"))], stamp(1, OTHER)));
    }
    let refuse = |here: &mut Org, partner: &mut Partner, second: i64| {
        let content = content(&[("Number", Value::Integer(500))], stamp(second, OTHER));
        let received = partner.send(here, change_of(share, 1, content));
        assert_eq!(received.outcome, Some(Outcome::Rejected));
    };
    (0..100).for_each(|second| refuse(&mut here, &mut globex, 10 + second));
    let told = |here: &Org, partner: &Partner| {
        let about = |notice: &KeptNotice| {
            notice.kind == NoticeKind::UpdateFailed && notice.connection == Some(partner.connection)
        };
        notices(here).into_iter().filter(about).count()
    };
    refuse(&mut here, &mut initech, 120);
    assert_eq!((told(&here, &globex), told(&here, &initech)), (1 + NOTICES_WAITING_MAX, 1));
    // The other is held to the same.
    (0..100).for_each(|second| refuse(&mut here, &mut initech, 130 + second));
    assert_eq!((told(&here, &globex), told(&here, &initech)), (1 + NOTICES_WAITING_MAX, NOTICES_WAITING_MAX));
    here.now = at(3_600);
    here.run(Command::Notice(NoticeCommand::MakeDigests));
    let digest = mails(&here).pop().unwrap();
    assert!(digest.contains(&format!("{} or more", 2 * NOTICES_WAITING_MAX)), "{digest}");
    assert!(digest.contains("globex: ") && digest.contains("initech: "), "{digest}");
    assert_replays(&here);
}

#[test]
fn users_say_how_they_are_told() {
    let (mut here, mut globex) = desk();
    let webhook =
        Some(NoticeHook { url: "https://acme.example/hook".to_owned(), secret: Some(name("hooks")) });
    let settings =
        NoticeSettings { mail: false, webhook, digest_minutes: 5, muted: [NoticeKind::RecordDeleted].into() };
    set(&mut here, settings.clone());
    let before = open(&here).len();
    let (share, _) = offered(&mut here, &mut globex, "Big");
    globex.send(&mut here, ShareEnded { share, generation: 1, reason: EndReason::Deleted });
    assert_eq!(open(&here).len(), before, "listed and not sent");
    let (share, _) = offered(&mut here, &mut globex, "Big");
    globex.send(&mut here, ShareEnded { share, generation: 1, reason: EndReason::Converted });
    let all = open(&here);
    let Some((_, Effect::Webhook(sent))) = all.last() else { panic!("{all:?}") };
    assert_eq!((sent.url.as_str(), &sent.secret), ("https://acme.example/hook", &Some(name("hooks"))));
    let body: serde_json::Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(body["notices"][0]["kind"], "record_converted");
    assert_eq!(body["notices"][0]["partner"], "globex");

    for (bad, code) in [
        (NoticeSettings { digest_minutes: 0, ..settings.clone() }, "bad_notice_settings"),
        (
            NoticeSettings {
                webhook: Some(NoticeHook { url: "ftp://x".to_owned(), secret: None }),
                ..settings.clone()
            },
            "bad_url",
        ),
        (
            NoticeSettings {
                webhook: Some(NoticeHook { url: "https://u:p@x/".to_owned(), secret: None }),
                ..settings
            },
            "bad_url",
        ),
    ] {
        let command = NoticeCommand::Set { user: None, settings: Some(bad) };
        assert_eq!(here.attempt(Command::Notice(command)).unwrap_err().code, code);
    }
    let unread = |org: &Org| notices(org).iter().filter(|notice| !notice.read).count();
    let first = notices(&here)[0].id;
    let all = unread(&here);
    here.run(Command::Notice(NoticeCommand::Read { ids: vec![first] }));
    assert_eq!(unread(&here), all - 1);
    here.run(Command::Notice(NoticeCommand::Read { ids: Vec::new() }));
    assert_eq!(unread(&here), 0);
    assert_replays(&here);
}

#[test]
fn an_effect_that_failed_can_be_tried_again_or_dropped() {
    let (mut here, _) = desk();
    let (id, effect) = open(&here).remove(0);
    assert_eq!(here.attempt(Command::Effect(EffectCommand::Retry { id })).unwrap_err().code, "effect_open");
    let end = |sent: bool| {
        Command::Effect(EffectCommand::End { id, sent, attempts: 3, error: "no\r\nserver".to_owned() })
    };
    here.run(end(false));
    assert!(open(&here).is_empty());
    let failed = &here.state().effects.failed()[&id];
    assert_eq!((failed.attempts, failed.error.as_str()), (3, "no\nserver"));
    assert_eq!(failed.open.cause.purpose, Purpose::Notice);
    here.run(Command::Effect(EffectCommand::Retry { id }));
    assert_eq!(open(&here), [(id, effect)]);
    here.run(end(true));
    assert_eq!(here.state().effects.sent().back().unwrap().id, id);
    // What comes late changes nothing.
    assert_eq!(here.run(end(false)), tieline_core::command::Reply::Unchanged);
    assert_eq!(here.attempt(Command::Effect(EffectCommand::Drop { id })).unwrap_err().code, "unknown_effect");
    assert_replays(&here);
}

#[test]
fn who_is_given_a_record_by_another_is_told() {
    let (mut here, _) = desk();
    here.run(Command::AddUser { user: name("bob"), email: None, role: RoleName::administrator() });
    let given = here.create("Deal__c", &[("Name", Value::text("pens"))]);
    let assign = |to: &str| {
        let to = AssignTo::Owner(Owner::User(name(to)));
        Command::Automation(AutomationCommand::Assign { record: given, to })
    };
    let told = |org: &Org, user: &str| {
        let known = org.state().notices.of(&name(user));
        let list = known.map(|known| known.list.iter().map(|n| (n.kind, n.text.clone())).collect::<Vec<_>>());
        list.unwrap_or_default()
    };
    here.run(assign("bob"));
    let told_bob = (NoticeKind::RecordAssigned, "ann gave you Deal__c pens".to_owned());
    assert_eq!(told(&here, "bob"), [told_bob]);
    // Nobody is told of what he does himself.
    here.run(assign("ann"));
    assert!(!kinds(&here).contains(&NoticeKind::RecordAssigned));
}

/// S2S-45: whoever loses hears of it, also who had not answered yet.
#[test]
fn an_org_that_loses_an_offer_is_told() {
    let (mut here, mut globex) = desk();
    let share = ShareId(9);
    globex.send(&mut here, offer_of(share, 1));
    let code = ReasonCode::Taken;
    globex.send(&mut here, Refuse { share, generation: 1, code });
    let told = notices(&here);
    let last = told.last().unwrap();
    assert_eq!((last.kind, last.connection), (NoticeKind::OfferTaken, Some(globex.connection)), "{last:?}");
    assert!(last.text.starts_with("globex offered a"), "{}", last.text);
    assert_replays(&here);
}
