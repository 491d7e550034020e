//! Which fields of a lead become which of the account, contact and opportunity that it becomes (S2S-56).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::FieldName;
use crate::limits::CONVERSION_FIELDS_MAX;
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldKind, ObjectSchema};

/// Fields of what a lead becomes, each with the field of the lead that it comes from. What an org does not
/// say is as everywhere; custom fields of the same name go along unless the table says something else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConversionMap {
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<BTreeMap<FieldName, FieldName>>,
    /// The contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<BTreeMap<FieldName, FieldName>>,
    /// The opportunity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opportunity: Option<BTreeMap<FieldName, FieldName>>,
}

/// What a lead becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The account.
    Account,
    /// The contact.
    Contact,
    /// The opportunity.
    Opportunity,
}

const ACCOUNT: &[(&str, &str)] = &[
    ("Company", "Name"),
    ("Street", "BillingStreet"),
    ("City", "BillingCity"),
    ("State", "BillingState"),
    ("PostalCode", "BillingPostalCode"),
    ("Country", "BillingCountry"),
    ("Phone", "Phone"),
    ("Fax", "Fax"),
    ("Website", "Website"),
    ("Industry", "Industry"),
    ("AnnualRevenue", "AnnualRevenue"),
    ("NumberOfEmployees", "NumberOfEmployees"),
    ("Rating", "Rating"),
    ("LeadSource", "AccountSource"),
    ("Description", "Description"),
];

const CONTACT: &[(&str, &str)] = &[
    ("Salutation", "Salutation"),
    ("FirstName", "FirstName"),
    ("LastName", "LastName"),
    ("Title", "Title"),
    ("Email", "Email"),
    ("Phone", "Phone"),
    ("MobilePhone", "MobilePhone"),
    ("Fax", "Fax"),
    ("Street", "MailingStreet"),
    ("City", "MailingCity"),
    ("State", "MailingState"),
    ("PostalCode", "MailingPostalCode"),
    ("Country", "MailingCountry"),
    ("LeadSource", "LeadSource"),
    ("Description", "Description"),
];

const OPPORTUNITY: &[(&str, &str)] = &[("LeadSource", "LeadSource"), ("Description", "Description")];

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Account, Self::Contact, Self::Opportunity];

    /// The object.
    #[must_use]
    pub const fn object(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::Contact => "Contact",
            Self::Opportunity => "Opportunity",
        }
    }

    const fn usual(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Account => ACCOUNT,
            Self::Contact => CONTACT,
            Self::Opportunity => OPPORTUNITY,
        }
    }
}

fn field(name: &str) -> FieldName {
    // Every name is a constant of this file, and a test converts a lead with all of them.
    #[expect(clippy::unwrap_used)]
    name.parse().unwrap()
}

impl ConversionMap {
    /// What the org says of a part.
    #[must_use]
    pub const fn own(&self, part: Part) -> Option<&BTreeMap<FieldName, FieldName>> {
        match part {
            Part::Account => self.account.as_ref(),
            Part::Contact => self.contact.as_ref(),
            Part::Opportunity => self.opportunity.as_ref(),
        }
    }

    /// The fields of a part, each with that of the lead that it comes from.
    #[must_use]
    pub fn fields(&self, part: Part) -> BTreeMap<FieldName, FieldName> {
        let usual = || part.usual().iter().map(|(from, to)| (field(to), field(from))).collect();
        self.own(part).cloned().unwrap_or_else(usual)
    }

    /// Whether what the org says of a part fits the objects.
    ///
    /// # Errors
    /// Every reason against it.
    pub fn check(&self, part: Part, lead: &ObjectSchema, object: &ObjectSchema) -> Result<(), Vec<Reason>> {
        let mut reasons = Vec::new();
        let Some(fields) = self.own(part) else { return Ok(()) };
        if fields.len() > CONVERSION_FIELDS_MAX {
            let text = format!("at most {CONVERSION_FIELDS_MAX} fields of {} are filled", object.name);
            reasons.push(Reason::new(ReasonCode::LimitReached, text));
        }
        for (to, from) in fields {
            reasons.extend(lead.require(from).err());
            match object.require(to) {
                Ok(known) if known.kind == FieldKind::Data && known.updatable => {}
                Ok(_) => {
                    let text = format!("{}.{to} is set by the system: leave it out", object.name);
                    reasons.push(Reason::new(ReasonCode::NotUpdatable, text).on_field(to));
                }
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}
