//! `tieline salesforce`: moving in from Salesforce.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::{FieldName, MailTemplateName, ObjectName};

use crate::error::{CliError, Kind, Result};
use crate::moving::connections::{self, Fate as ConnectionFate, Former, Inviting};
use crate::moving::links::{self, Pairing, Tally};
use crate::moving::object::{Fate, ID_FIELD, ObjectFate};
use crate::moving::{self, Translation, file_in};
use crate::output::Output;
use crate::session::Session;

/// Move in from Salesforce.
#[derive(Debug, Subcommand)]
pub(crate) enum Salesforce {
    /// Write object files from a source tree or a recorded describe
    Translate(Translate),
    /// Save an invitation for each connection that was in force
    Invite(Invite),
    /// Take over the links between records: offer ours, or accept a partner's into ours
    Link(Link),
}

/// Write one object file for each object of the sources.
///
/// Nothing is asked of a daemon, and nothing of an org changes: look at the files, then give them to
/// `tieline object apply`. Every field and rule of the sources is told: taken, changed, or left out
/// with the reason.
#[derive(Debug, Args)]
pub(crate) struct Translate {
    /// Directories of a source tree, or JSON files with the describe of one object
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Where the files are written; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    overwrite: bool,
}

/// Take over the links of Salesforce to Salesforce, so that nothing is accepted by hand.
///
/// One org passes --offer, then the other passes --accept: each offer is accepted into the record that
/// the export names, and both sides' fields meet, the later value winning. Both read their own export
/// of PartnerNetworkRecordConnection; links that are not in force are passed over.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("side").required(true))]
pub(crate) struct Link {
    /// The object of our records
    object: ObjectName,
    /// The export, as CSV with ConnectionId, LocalRecordId, PartnerRecordId and Status
    file: PathBuf,
    /// Only the links of this connection of Salesforce to Salesforce: its id there
    #[arg(long, value_name = "ID")]
    connection_id: Option<String>,
    /// Offer our records over this connection: id, partner or label
    #[arg(long, value_name = "CONNECTION", group = "side")]
    offer: Option<String>,
    /// Accept the partner's offers over this connection into our records
    #[arg(long, value_name = "CONNECTION", group = "side")]
    accept: Option<String>,
    /// The field that keeps the id a record had; the partner publishes it and has it in its view fields
    #[arg(long, value_name = "FIELD", default_value = ID_FIELD)]
    key: FieldName,
}

/// Save an invitation for each connection of Salesforce to Salesforce that was in force.
///
/// It is named as the connection was, and goes to its primary contact, with its account. Nothing is sent:
/// look at them with `tieline connection list --status saved`, then send them with
/// `tieline connection send`. A connection that is here under its name is passed over, so the same export
/// can be read again. One of two partners does this; the other accepts.
#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// The export of PartnerNetworkConnection, as CSV with ConnectionName, ConnectionStatus, PrimaryContactId
    /// and AccountId
    file: PathBuf,
    /// The field that keeps the id a contact or an account had
    #[arg(long, value_name = "FIELD", default_value = ID_FIELD)]
    key: FieldName,
    /// What the mails will say: see tieline mail list
    #[arg(long, value_name = "TEMPLATE")]
    mail: Option<MailTemplateName>,
}

impl Invite {
    fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        let formers = connections::read(&self.file)?;
        let inviting = Inviting { client: &client, key: &self.key, mail: self.mail.as_ref() };
        let fates = inviting.save(&formers)?;
        let count = |state: &str| fates.iter().filter(|fate| fate.parts().0 == state).count();
        let rows = || formers.iter().zip(&fates).map(|(former, fate)| (former, fate.parts()));
        let told: Vec<Json> = rows()
            .map(|(Former { line, name, .. }, (state, connection, why))| {
                json!({ "line": line, "name": name, "state": state, "connection": connection, "reason": why })
            })
            .collect();
        session.output.show(&json!({ "connections": told }), |output| {
            let cells = rows().map(|(former, (state, connection, why))| {
                vec![former.name.clone(), state.to_owned(), connection.to_owned(), why.to_owned()]
            });
            output.grid(&["CONNECTION", "IS", "HERE AS", "WHY NOT"], cells)
        })?;
        if count("saved") > 0 {
            session.output.hint("Look at them, then: tieline connection send ID…");
        }
        match fates.iter().filter(|fate| matches!(fate, ConnectionFate::Refused(_))).count() {
            0 => Ok(()),
            refused => {
                Err(CliError::refused(format!("{refused} of {} connections were refused", fates.len())))
            }
        }
    }
}

impl Link {
    fn run(self, session: &Session) -> Result<()> {
        let Self { object, file, connection_id, offer, accept, key } = self;
        let client = session.client()?;
        let links = links::read(&file, connection_id.as_deref())?;
        let pairing = |connection| Pairing { client: &client, connection, object: &object, key: &key };
        let tally = match (&offer, &accept) {
            (Some(connection), _) => pairing(connection.as_str()).offer(&links)?,
            (None, Some(connection)) => pairing(connection.as_str()).accept(&links)?,
            // The definition of the arguments rules it out.
            (None, None) => return Err(CliError::usage("Pass --offer or --accept with a connection")),
        };
        tally.refused.iter().for_each(|(line, why)| session.output.tell(&format!("line {line}: {why}")));
        session.output.show(&tally.to_json(), |output| {
            let Tally { read, done, already, elsewhere, without_offer, refused } = &tally;
            let what = if offer.is_some() { "offered" } else { "accepted" };
            let waiting = match accept {
                Some(_) => format!(", {without_offer} without an offer"),
                None => String::new(),
            };
            let refused = refused.len();
            output.line(&format!(
                "{read} links in force, {done} {what}, {already} shared already, {elsewhere} of no {object} here{waiting}, \
                 {refused} refused"
            ))
        })?;
        match tally.refused.len() {
            0 => Ok(()),
            refused => Err(CliError::refused(format!("{refused} of {} links were refused", tally.read))),
        }
    }
}

impl Salesforce {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Translate(translate) => translate.run(session),
            Self::Invite(invite) => invite.run(session),
            Self::Link(link) => link.run(session),
        }
    }
}

impl Translate {
    fn run(self, session: &Session) -> Result<()> {
        let translation = moving::translate(&self.sources)?;
        self.write(&translation)?;
        session.output.show(&translation.to_json(), |output| show(output, &translation))?;
        let problems: Vec<String> = translation.problems().collect();
        problems.iter().for_each(|problem| session.output.tell(problem));
        if !problems.is_empty() {
            let files = if problems.len() == 1 { "file" } else { "files" };
            return Err(CliError::refused(format!("{} {files} could not be taken", problems.len()))
                .hint("Mend them and translate again with --overwrite"));
        }
        session
            .output
            .hint(&format!("Look at the files, then: tieline object apply {}/*.toml", self.out.display()));
        Ok(())
    }

    /// Writes the files, or none if one is there and may not be written over.
    fn write(&self, translation: &Translation) -> Result<()> {
        let files: Vec<(PathBuf, &str)> = translation
            .objects
            .iter()
            .filter_map(|object| Some((file_in(&self.out, &object.fate.object), object.text.as_deref()?)))
            .collect();
        if let Some((there, _)) = files.iter().find(|(file, _)| !self.overwrite && file.exists()) {
            let text = format!("{} is there already, so nothing was written", there.display());
            return Err(CliError::new(Kind::Conflict, text)
                .hint("Pass --overwrite to write over it, or name another directory with --out"));
        }
        fs::create_dir_all(&self.out).map_err(|error| unwritable(&self.out, &error))?;
        files
            .iter()
            .try_for_each(|(file, text)| fs::write(file, text).map_err(|error| unwritable(file, &error)))
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(Kind::Internal, format!("{} cannot be written", path.display())).caused_by(error)
}

fn show(output: &Output, translation: &Translation) -> Result<()> {
    let fates: Vec<&ObjectFate> = translation.objects.iter().map(|object| &object.fate).collect();
    let headings = ["OBJECT", "FIELDS TAKEN", "CHANGED", "LEFT OUT", "RULES TAKEN", "LEFT OUT", "WHY NOT"];
    let objects = fates.iter().map(|fate| {
        let left = fate.rules.iter().filter(|rule| rule.fate == Fate::LeftOut).count();
        let counts = [
            fate.fields_that(Fate::Taken),
            fate.fields_that(Fate::Changed),
            fate.fields_that(Fate::LeftOut),
            fate.rules.len() - left,
            left,
        ];
        let counts = counts.iter().map(usize::to_string);
        std::iter::once(fate.object.clone())
            .chain(counts)
            .chain([fate.left_out.clone().unwrap_or_default()])
            .collect()
    });
    output.grid(&headings, objects)?;
    let rows: Vec<Vec<String>> = fates.iter().flat_map(|fate| differing(fate)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.grid(&["OBJECT", "FIELD OR RULE", "IS", "WHY"], rows)
}

/// A row for each field and rule that is not as it was.
fn differing(fate: &ObjectFate) -> Vec<Vec<String>> {
    let fields = fate.fields.iter().map(|field| (&field.field, field.fate, &field.why));
    let rules = fate.rules.iter().map(|rule| (&rule.rule, rule.fate, &rule.why));
    let word = |fate: Fate| {
        serde_json::to_value(fate).ok().as_ref().and_then(Json::as_str).unwrap_or_default().replace('_', " ")
    };
    fields
        .chain(rules)
        .filter(|(_, part, _)| fate.left_out.is_none() && *part != Fate::Taken)
        .map(|(name, part, why)| vec![fate.object.clone(), name.clone(), word(part), why.join("; ")])
        .collect()
}
