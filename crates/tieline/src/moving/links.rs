//! Links of the reference system, taken over: which of our records stands for which of a partner's.
//!
//! Each org exports its record connections (`PartnerNetworkRecordConnection`) as CSV. One of the two
//! offers its records, the other accepts each offer into the record that it has: both name the pair,
//! so no share begins that only one of them means, and nothing is accepted by hand. Records are found
//! by the field that keeps the id they had; an offer tells that of the partner's record in its view
//! fields.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value as Json, json};
use tieline_core::{FieldName, ObjectName};

use crate::client::{Client, path};
use crate::commands::list;
use crate::error::{CliError, Result};
use crate::import::keys::{Key, Keys};
use crate::import::{self, Content, Format};

/// Links of one request.
const BATCH_LINKS: usize = 200;
/// Offers of one page.
const PAGE: usize = 1_000;
/// A link in one of these states is in force.
const IN_FORCE: [&str; 3] = ["active (received)", "active (sent)", "connected"];

/// A line of the export that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Where it stands.
    pub(crate) line: u64,
    /// The id that our record had.
    pub(crate) local: String,
    /// The id that the partner's record has there; none where the partner has not taken it.
    pub(crate) partner: String,
}

/// Whose links are taken over, and how records are found.
pub(crate) struct Pairing<'a> {
    /// The daemon of this org.
    pub(crate) client: &'a Client,
    /// Id, partner or label of the connection.
    pub(crate) connection: &'a str,
    /// The object of our records.
    pub(crate) object: &'a ObjectName,
    /// The field that keeps the id that a record had, here and in the partner's view fields.
    pub(crate) key: &'a FieldName,
}

/// What became of the links.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Links that are in force.
    pub(crate) read: usize,
    /// Links whose record was offered, or whose offer was accepted.
    pub(crate) done: usize,
    /// Links whose record is shared over the connection already.
    pub(crate) already: usize,
    /// Links whose record is not here: most are of other objects.
    pub(crate) elsewhere: usize,
    /// Links without an offer of the partner.
    pub(crate) without_offer: usize,
    /// What was refused: line and reason.
    pub(crate) refused: Vec<(u64, String)>,
}

impl Tally {
    /// Everything for machines.
    pub(crate) fn to_json(&self) -> Json {
        let refusals = self.refused.iter().map(|(line, message)| json!({ "line": line, "message": message }));
        json!({
            "read": self.read, "done": self.done, "already": self.already, "elsewhere": self.elsewhere,
            "without_offer": self.without_offer, "refused": self.refused.len(),
            "refusals": refusals.collect::<Vec<_>>(),
        })
    }
}

/// The links of an export that are in force: those of one connection of the reference system. An export
/// with links of several needs `only`, the id of the one that is meant, for else the records of one partner
/// would be offered to another.
///
/// # Errors
/// The file cannot be read, lacks a column, or has links of several connections.
pub(crate) fn read(file: &Path, only: Option<&str>) -> Result<Vec<Link>> {
    let mut rows = import::open(file, Some(Format::Csv), b',')?;
    let position = |name: &str| rows.columns().iter().position(|column| column.eq_ignore_ascii_case(name));
    let column = |name: &str| {
        position(name).ok_or_else(|| {
            CliError::refused(format!("{} has no column {name}", file.display())).hint(
                "Export ConnectionId, LocalRecordId, PartnerRecordId and Status of PartnerNetworkRecordConnection",
            )
        })
    };
    let connection = if only.is_some() { Some(column("ConnectionId")?) } else { position("ConnectionId") };
    let mut connections = BTreeSet::new();
    let (local, partner, status) = (column("LocalRecordId")?, column("PartnerRecordId")?, column("Status")?);
    let mut links = Vec::new();
    while let Some(item) = rows.next()? {
        let Content::Cells(cells) = &item.content else { continue };
        let cell = |at: usize| String::from_utf8_lossy(cells.get(at).unwrap_or_default()).trim().to_owned();
        let of = connection.map(cell);
        let is_meant = only.is_none_or(|only| of.as_deref().is_some_and(|of| is_same_id(of, only)));
        if is_meant && IN_FORCE.contains(&cell(status).to_ascii_lowercase().as_str()) {
            connections.extend(of);
            links.push(Link { line: item.line, local: cell(local), partner: cell(partner) });
        }
    }
    if only.is_none() && connections.len() > 1 {
        let ids: Vec<String> = connections.into_iter().collect();
        let text = format!("{} has links of {} connections: {}", file.display(), ids.len(), ids.join(", "));
        return Err(CliError::refused(text).hint(
            "Say which partner's with --connection-id; the export of PartnerNetworkConnection names them",
        ));
    }
    Ok(links)
}

/// Ids are written with 15 characters in reports, and with three more elsewhere that repeat their case.
fn is_same_id(one: &str, other: &str) -> bool {
    match (one.get(..15), other.get(..15)) {
        (Some(start), Some(other_start)) if one.len() <= 18 && other.len() <= 18 => start == other_start,
        _ => one == other,
    }
}

impl Pairing<'_> {
    /// Offers the record of each link to the partner.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub(crate) fn offer(&self, links: &[Link]) -> Result<Tally> {
        let keys = self.keys()?;
        let (mut tally, found) = self.here(&keys, links);
        for batch in found.chunks(BATCH_LINKS) {
            let records: Vec<&str> = batch.iter().map(|(_, record)| *record).collect();
            let body = json!({
                "connections": [self.connection], "object": self.object, "records": records,
            });
            let answer = self.client.post(&path(["shares"]), &body)?;
            let results = list(&answer, "results").iter().map(|row| row.get("result").unwrap_or(row));
            tally.count(batch.iter().map(|(link, _)| *link), results);
        }
        Ok(tally)
    }

    /// Accepts the partner's offer of each link into the record that is here.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub(crate) fn accept(&self, links: &[Link]) -> Result<Tally> {
        let keys = self.keys()?;
        let offers = self.offers()?;
        let (mut tally, found) = self.here(&keys, links);
        let offered: Vec<(&Link, &str, &str)> = found
            .iter()
            .filter_map(|(link, record)| Some((*link, *record, offers.get(&link.partner)?.as_str())))
            .collect();
        tally.without_offer = found.len() - offered.len();
        for batch in offered.chunks(BATCH_LINKS) {
            let shares: Vec<&str> = batch.iter().map(|(_, _, share)| *share).collect();
            let into: BTreeMap<&str, &str> =
                batch.iter().map(|(_, record, share)| (*share, *record)).collect();
            let body = json!({ "connection": self.connection, "shares": shares, "into": into });
            let answer = self.client.post(&path(["inbox", "accept"]), &body)?;
            tally.count(batch.iter().map(|(link, ..)| *link), list(&answer, "results").iter());
        }
        Ok(tally)
    }

    fn key(&self) -> Key {
        Key { object: self.object.clone(), field: self.key.clone() }
    }

    fn keys(&self) -> Result<Keys> {
        let mut keys = Keys::default();
        keys.load(self.client, &self.key())?;
        Ok(keys)
    }

    /// The links whose record is here, each with that.
    fn here<'k, 'l>(&self, keys: &'k Keys, links: &'l [Link]) -> (Tally, Vec<(&'l Link, &'k str)>) {
        let key = self.key();
        let mut tally = Tally { read: links.len(), ..Tally::default() };
        let mut found = Vec::new();
        for link in links {
            match keys.find(&key, &link.local) {
                Ok(Some(record)) => found.push((link, record)),
                Ok(None) => tally.elsewhere += 1,
                Err(problem) => tally.refused.push((link.line, problem)),
            }
        }
        (tally, found)
    }

    /// The offers of the connection by the id that the partner's record has there.
    fn offers(&self) -> Result<BTreeMap<String, String>> {
        let mut offers = BTreeMap::new();
        let mut cursor = None;
        loop {
            let query = [
                ("connection", Some(self.connection.to_owned())),
                ("limit", Some(PAGE.to_string())),
                ("cursor", cursor),
            ];
            let answer = self.client.get(&path(["inbox"]), &query)?;
            for offer in list(&answer, "offers") {
                let named = offer.pointer(&format!("/preview/{}", self.key)).and_then(Json::as_str);
                let share = offer.get("share").and_then(Json::as_str);
                // What was accepted already and waits to be created is no offer any more.
                let is_open = offer.get("status").and_then(Json::as_str) == Some("offered");
                if let (Some(named), Some(share), true) = (named, share, is_open) {
                    offers.insert(named.to_owned(), share.to_owned());
                }
            }
            cursor = answer.get("next").and_then(Json::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(offers);
            }
        }
    }
}

impl Tally {
    /// Counts the answers to a request, one for each link.
    fn count<'a>(&mut self, links: impl Iterator<Item = &'a Link>, results: impl Iterator<Item = &'a Json>) {
        for (link, result) in links.zip(results) {
            if result.get("ok").and_then(Json::as_bool) == Some(true) {
                self.done += 1;
            } else if result.get("code").and_then(Json::as_str) == Some("already_shared") {
                // Taken over before: the same export may be read again.
                self.already += 1;
            } else {
                let detail = result.get("detail").and_then(Json::as_str).unwrap_or("the daemon refused it");
                self.refused.push((link.line, detail.to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_are_in_force_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("links.csv");
        std::fs::write(
            &file,
            "Id,ConnectionId,LOCALRECORDID,PartnerRecordId,Status,StartDate\n\
             1,c,001A,001X,Active (sent),2020-01-01\n2,c,001B,001Y,Inactive (deleted),\n\
             3,c,001C,001Z,connected,\n4,c,001D,,Pending (sent),\n",
        )
        .unwrap();
        let link = |line, local: &str, partner: &str| Link {
            line,
            local: local.to_owned(),
            partner: partner.to_owned(),
        };
        assert_eq!(read(&file, None).unwrap(), [link(2, "001A", "001X"), link(4, "001C", "001Z")]);
        std::fs::write(&file, "LocalRecordId,Status\n").unwrap();
        assert!(read(&file, None).unwrap_err().to_string().contains("no column PartnerRecordId"));
    }

    #[test]
    fn links_of_another_partner_are_never_taken() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("links.csv");
        std::fs::write(
            &file,
            "ConnectionId,LocalRecordId,PartnerRecordId,Status\n04PA0000000aaaaAAA,001A,001X,Connected\n\
             04PA0000000aaaaAAA,001B,001Y,Connected\n04PB0000000bbbbAAA,001C,001Z,Connected\n\
             04PC0000000ccccAAA,001D,001W,Inactive\n",
        )
        .unwrap();
        let refused = read(&file, None).unwrap_err().to_string();
        assert!(
            refused.contains("links of 2 connections: 04PA0000000aaaaAAA, 04PB0000000bbbbAAA"),
            "{refused}"
        );
        let locals = |only| {
            let links = read(&file, Some(only)).unwrap();
            links.into_iter().map(|link| link.local).collect::<Vec<_>>()
        };
        assert_eq!(locals("04PA0000000aaaa"), ["001A", "001B"]);
        assert_eq!(locals("04PB0000000bbbbAAA"), ["001C"]);
        assert!(locals("04PZ0000000zzzz").is_empty());
    }

    #[test]
    fn answers_are_counted_by_link() {
        let links = [1, 2, 3].map(|line| Link { line, local: String::new(), partner: String::new() });
        let answers = [
            json!({"ok": true}),
            json!({"ok": false, "code": "not_published", "detail": "is not published"}),
            json!({"ok": false, "code": "already_shared", "detail": "is shared already"}),
        ];
        let mut tally = Tally::default();
        tally.count(links.iter(), answers.iter());
        assert_eq!((tally.done, tally.already), (1, 1));
        assert_eq!(tally.refused, [(2, "is not published".to_owned())]);
    }
}
