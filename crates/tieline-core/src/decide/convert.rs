//! Converting a lead: it becomes an account, a contact and, if asked for, an opportunity (S2S-56).
//!
//! The lead stays, marked, and is not shared any more: partners see it inactive (converted) and convert
//! nothing. What it became is shared like any other record.

use std::collections::BTreeMap;

use crate::command::{Conversion, Refusal, Reply};
use crate::conversion::{ConversionMap, Part};
use crate::decide::compute::compute;
use crate::decide::draft::Draft;
use crate::decide::record::{self, defaults};
use crate::decide::share;
use crate::decide::write::{Candidate, Candidates, Write, record_changed, refusals};
use crate::event::{ConversionMapSet, RecordAction};
use crate::message::EndReason;
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldKind, ObjectSchema};
use crate::stamp::Stamp;
use crate::state::{Record, State};
use crate::value::{Date, Value, cast};
use crate::vecmap::VecMap;
use crate::{FieldName, ObjectName, Owner, RecordId};

/// The status of a converted lead, where its object has it.
const CONVERTED_STATUS: &str = "Closed - Converted";

fn field(name: &str) -> FieldName {
    // Every name is a constant of this file, and a test converts a lead with all of them.
    #[expect(clippy::unwrap_used)]
    name.parse().unwrap()
}

fn object_name(name: &str) -> ObjectName {
    // As above.
    #[expect(clippy::unwrap_used)]
    name.parse().unwrap()
}

/// Sets which fields of a lead become which of what it becomes.
pub(super) fn set(draft: &mut Draft<'_>, map: &ConversionMap) -> Result<Reply, Refusal> {
    let state = draft.state;
    if state.conversion == *map {
        return Ok(Reply::Unchanged);
    }
    let lead = record::object(state, &object_name("Lead"))?;
    let mut reasons = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| map.own(*part).is_some()) {
        let object = record::object(state, &object_name(part.object()))?;
        reasons.extend(map.check(part, lead, object).err().into_iter().flatten());
    }
    if !reasons.is_empty() {
        return Err(Refusal::record(reasons));
    }
    draft.emit(ConversionMapSet { map: map.clone(), actor: draft.actor.clone() });
    Ok(Reply::Done)
}

/// What of the lead goes into an object: by the table of the org, and custom fields of the same name.
fn mapped(
    lead: &Record,
    lead_object: &ObjectSchema,
    object: &ObjectSchema,
    mut table: BTreeMap<FieldName, FieldName>,
) -> VecMap<FieldName, Value> {
    for custom in lead_object.fields.iter().filter(|known| known.name.as_str().ends_with("__c")) {
        table.entry(custom.name.clone()).or_insert_with(|| custom.name.clone());
    }
    let mut values = VecMap::new();
    for (to, from) in table {
        let Some(known) = object.field(&to).filter(|known| known.kind == FieldKind::Data) else { continue };
        let value = lead.value(&from);
        // What the other object's field does not take stays with the lead.
        if !value.is_null()
            && known.updatable
            && let Ok(value) = cast(value, known)
            && value.check(known).is_ok()
        {
            values.insert(to, value);
        }
    }
    values
}

/// One conversion while it is decided.
struct Converting<'a> {
    lead: &'a Record,
    lead_object: &'a ObjectSchema,
    owner: Owner,
    stamp: Stamp,
}

/// Converts a lead.
pub(super) fn convert(
    draft: &mut Draft<'_>,
    id: RecordId,
    conversion: &Conversion,
) -> Result<Reply, Refusal> {
    let state = draft.state;
    let lead = record::find(state, id)?;
    let lead_object = record::object(state, &lead.object)?;
    if lead.object.as_str() != "Lead" {
        let text = format!("record {id} is of {}: only leads are converted", lead.object);
        return Err(Refusal::invalid("not_a_lead", text));
    }
    if is_converted(lead) {
        return Err(Refusal::conflict("converted", format!("the lead {id} was converted before")));
    }
    let owner = conversion.owner.clone().map_or_else(|| lead.owner.clone(), Owner::User);
    let converting = Converting { lead, lead_object, owner, stamp: draft.stamp() };
    let account = converting.part(draft, Part::Account, conversion.account, VecMap::new())?;
    let of_account: VecMap<_, _> = [(field("AccountId"), Value::Reference(account))].into_iter().collect();
    let contact = converting.part(draft, Part::Contact, conversion.contact, of_account)?;
    let opportunity = match &conversion.opportunity {
        Some(given) => {
            let mut values = converting.opportunity(state, draft, given)?;
            values.insert(field("AccountId"), Value::Reference(account));
            values.insert(field("ContactId"), Value::Reference(contact));
            Some(converting.part(draft, Part::Opportunity, None, values)?)
        }
        None => None,
    };
    for (connection, share) in &lead.shares {
        share::end_if_open(draft, state, *connection, *share, EndReason::Converted);
    }
    converting.mark(draft, id, account, contact, opportunity)?;
    Ok(Reply::Converted { account, contact, opportunity })
}

/// Whether a lead was converted.
pub(super) fn is_converted(lead: &Record) -> bool {
    lead.object.as_str() == "Lead" && *lead.value(&field("IsConverted")) == Value::Boolean(true)
}

impl Converting<'_> {
    /// Creates what the lead becomes, or fills what is empty of a record that is here already.
    fn part(
        &self,
        draft: &mut Draft<'_>,
        part: Part,
        existing: Option<RecordId>,
        more: VecMap<FieldName, Value>,
    ) -> Result<RecordId, Refusal> {
        let state = draft.state;
        let object = record::object(state, &object_name(part.object()))?;
        let mut values = mapped(self.lead, self.lead_object, object, state.conversion.fields(part));
        for (name, value) in more.iter() {
            if object.field(name).is_some() {
                values.insert(name.clone(), value.clone());
            }
        }
        match existing {
            Some(id) => self.fill(draft, object, id, &values),
            None => self.create(draft, object, &values),
        }
    }

    fn create(
        &self,
        draft: &mut Draft<'_>,
        object: &ObjectSchema,
        values: &VecMap<FieldName, Value>,
    ) -> Result<RecordId, Refusal> {
        let candidate = |value: &Value| Candidate::local(value.clone(), self.stamp);
        let mut candidates: Candidates =
            values.iter().map(|(name, value)| (name.clone(), candidate(value))).collect();
        for (name, value) in defaults(object) {
            if !candidates.contains_key(name) {
                candidates.insert(name.clone(), candidate(value));
            }
        }
        if let Some((name, value)) = record::record_type(draft.state, object, self.owner.user())
            && !candidates.contains_key(&name)
        {
            candidates.insert(name, candidate(&value));
        }
        refused(draft, object, None, &candidates)?;
        let id = RecordId(draft.draw());
        let failed = compute(draft, object, None, &mut candidates);
        let (action, actor) = (RecordAction::Create, draft.actor.clone());
        let owner = Some(self.owner.clone());
        let write = Write { id, object: object.name.clone(), action, actor, owner, hops: 0 };
        draft.emit(record_changed(None, write, candidates, Vec::new()));
        failed.note(draft, id, &object.name);
        Ok(id)
    }

    fn fill(
        &self,
        draft: &mut Draft<'_>,
        object: &ObjectSchema,
        id: RecordId,
        values: &VecMap<FieldName, Value>,
    ) -> Result<RecordId, Refusal> {
        let known = record::find(draft.state, id)?;
        if known.object != object.name {
            let text = format!("record {id} is of {}: name one of {}", known.object, object.name);
            return Err(Refusal::record(vec![Reason::new(ReasonCode::WrongType, text)]));
        }
        let empty = values.iter().filter(|(name, _)| known.value(name).is_blank());
        let empty = empty.map(|(name, value)| (name.clone(), value.clone())).collect();
        let candidates = record::local_candidates(draft, known, &empty);
        if candidates.is_empty() {
            return Ok(id);
        }
        refused(draft, object, Some(known), &candidates)?;
        let actor = draft.actor.clone();
        record::write_with_pending(draft, id, known, object, candidates, actor, 0);
        Ok(id)
    }

    /// What an opportunity begins with: what was given, and what one needs.
    fn opportunity(
        &self,
        state: &State,
        draft: &Draft<'_>,
        given: &VecMap<FieldName, Value>,
    ) -> Result<VecMap<FieldName, Value>, Refusal> {
        let object = record::object(state, &object_name("Opportunity"))?;
        let mut values = given.clone();
        let company = match self.lead.value(&field("Company")) {
            Value::Text(company) => company.to_string(),
            _ => "Converted lead".to_owned(),
        };
        let stage =
            object.field("StageName").and_then(|stage| stage.values.iter().find(|value| value.active));
        let begun = [
            ("Name", Value::text(&format!("{company} -"))),
            ("StageName", stage.map_or(Value::Null, |stage| Value::picklist(stage.value.clone()))),
            ("CloseDate", Value::Date(Date::of(draft.now).unwrap_or_default().end_of_quarter())),
        ];
        for (name, value) in begun.map(|(name, value)| (field(name), value)) {
            let needed = object.field(&name).is_some() && values.get(&name).is_none_or(Value::is_blank);
            if needed && !value.is_null() {
                values.insert(name, value);
            }
        }
        let unknown = values.keys().find(|name| object.field(*name).is_none());
        if let Some(reason) = unknown.and_then(|name| object.require(name).err()) {
            return Err(Refusal::record(vec![reason]));
        }
        Ok(values)
    }

    /// Marks the lead.
    fn mark(
        &self,
        draft: &mut Draft<'_>,
        id: RecordId,
        account: RecordId,
        contact: RecordId,
        opportunity: Option<RecordId>,
    ) -> Result<(), Refusal> {
        let mut marks = vec![
            ("IsConverted", Value::Boolean(true)),
            ("ConvertedDate", Value::Date(Date::of(draft.now).unwrap_or_default())),
            ("ConvertedAccountId", Value::Reference(account)),
            ("ConvertedContactId", Value::Reference(contact)),
        ];
        marks.extend(opportunity.map(|id| ("ConvertedOpportunityId", Value::Reference(id))));
        let status = self.lead_object.field("Status");
        if status.is_some_and(|status| status.picklist_value(CONVERTED_STATUS).is_some()) {
            marks.push(("Status", Value::picklist(CONVERTED_STATUS.into())));
        }
        let marks = marks.into_iter().map(|(name, value)| (field(name), value));
        let mut candidates: Candidates = marks
            .filter(|(name, _)| self.lead_object.field(name).is_some())
            .map(|(name, value)| (name, Candidate::local(value, self.stamp)))
            .collect();
        refused(draft, self.lead_object, Some(self.lead), &candidates)?;
        let failed = compute(draft, self.lead_object, Some(self.lead), &mut candidates);
        let (action, actor) = (RecordAction::Update, draft.actor.clone());
        let write = Write { id, object: self.lead.object.clone(), action, actor, owner: None, hops: 0 };
        // It is shared with nobody any more.
        draft.emit(record_changed(Some(self.lead), write, candidates, Vec::new()));
        failed.note(draft, id, &self.lead_object.name);
        Ok(())
    }
}

fn refused(
    draft: &Draft<'_>,
    object: &ObjectSchema,
    record: Option<&Record>,
    candidates: &Candidates,
) -> Result<(), Refusal> {
    let reasons = refusals(draft.state, object, record, candidates, draft.now);
    if reasons.is_empty() { Ok(()) } else { Err(Refusal::record(reasons)) }
}
