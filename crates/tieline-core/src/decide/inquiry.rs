//! Questions to contacts whether a connection is possible: asked by mail, answers recorded.

use crate::command::{InquiryCommand, Refusal, Reply};
use crate::decide::draft::Draft;
use crate::decide::{connection, invitation, org};
use crate::effect::{Cause, Purpose};
use crate::event::{InquiryAnswered, InquirySent};
use crate::inquiry::InquiryAnswer;
use crate::mail_template::{ANSWER_CODE, MailPurpose};
use crate::{InquiryId, MailTemplateName, RecordId};

pub(super) fn run(draft: &mut Draft<'_>, command: &InquiryCommand) -> Result<Reply, Refusal> {
    match command {
        InquiryCommand::Ask { contact, template, again } => ask(draft, *contact, template.as_ref(), *again),
        InquiryCommand::Record { id, reply, org, listed, note } => {
            let answer = InquiryAnswer {
                reply: *reply,
                org: org.clone(),
                listed: *listed,
                note: note.clone(),
                actor: draft.actor.clone(),
            };
            record(draft, *id, answer)
        }
    }
}

fn ask(
    draft: &mut Draft<'_>,
    contact: RecordId,
    template: Option<&MailTemplateName>,
    again: bool,
) -> Result<Reply, Refusal> {
    org::check_sharing(draft)?;
    let contact = invitation::contact_of(draft.state, contact, None)?;
    if let Some(known) = draft.state.inquiries.of(contact.record).filter(|_| !again) {
        let text =
            format!("{} was asked at {} already: say --again to ask once more", contact.name, known.asked);
        return Err(Refusal::conflict("already_asked", text));
    }
    let template = invitation::template_of(draft.state, template, MailPurpose::Inquiry)?;
    let id = InquiryId(draft.draw());
    let mut fields = invitation::common_fields(draft.state, &draft.actor, &contact);
    fields.insert(ANSWER_CODE, id.to_string());
    let mail = invitation::mail_to(draft, &contact, &template, &fields);
    let cause = Cause::of(Purpose::Inquiry).on_record(contact.record).by(&draft.actor);
    draft.emit(InquirySent { id, contact, actor: draft.actor.clone() });
    draft.queue_mail(mail, cause).ok_or_else(invitation::no_room)?;
    Ok(Reply::Done)
}

fn record(draft: &mut Draft<'_>, id: InquiryId, answer: InquiryAnswer) -> Result<Reply, Refusal> {
    let Some(known) = draft.state.inquiries.all().get(&id) else {
        let text = format!("there is no question {id}: see `tieline finder list`");
        return Err(Refusal::not_found("unknown_inquiry", text));
    };
    connection::check_label(&answer.note)?;
    if answer.listed && answer.org.is_none() {
        let text = "an org is listed by its name: say which org the contact answers for";
        return Err(Refusal::invalid("no_org_named", text));
    }
    if known.answer.as_ref() == Some(&answer) {
        return Ok(Reply::Unchanged);
    }
    draft.emit(InquiryAnswered { id, answer });
    Ok(Reply::Done)
}
