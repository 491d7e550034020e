//! Stamps as a ledger (`docs/protocol.md` §7): how a field came to be, what comes then, and what
//! the field, its pending value and the partners have afterwards.
//!
//! The record is a copy of Globex's and is shared on to Initech, so values come and go over two
//! shares. `Note` is the field that the ledger is about; Globex wrote `first` into it at -100.
//!
//! A row is: what it shows | what happened before | what comes | how that ends | the field's stamp
//! | the stamp of what waits | to whom a change goes on. A stamp is `second@org`, `'` for one
//! microsecond later, and `+rev@reviser` if it was revised. `low` and `high` are orgs with the least
//! and the greatest id. The text `long` is longer than the field.

use tieline_core::command::Command;
use tieline_core::message::Message;
use tieline_core::outcome::Outcome;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, OrgId, OrgName, Position, RecordId, ShareId, Stamp};

use crate::kit::{Org, Partner, at, change_of, content, deal, deals_from_offers, name};

/// The share of Globex.
const SHARE: ShareId = ShareId(1);

const WRITES: &str = "
a later write wins                      | write 10            | globex new 11@low         | applied                | 11@low   | - | initech
an earlier write loses                  | write 10            | globex new 9@high         | superseded conflict    | 10@me    | - | -
of one moment the greater org wins      | write 10            | globex new 10@high        | applied                | 10@high  | - | initech
and the lesser org loses                | write 10            | globex new 10@low         | superseded conflict    | 10@me    | - | -
our own write comes back                | write 10            | globex w10 10@me          | unchanged              | 10@me    | - | -
our own write comes back revised        | write 10            | globex new 10@me+5@other  | unchanged              | 10@me    | - | -
our own earlier write comes back        | write 5, write 10   | initech w5 5@me           | unchanged              | 10@me    | - | -
a write of ours that we forgot          | write 10            | globex new 20@me          | applied                | 20@me+1@me | - | globex initech
what others have of it                  | write 10, globex new 20@me | initech b 20@me    | unchanged              | 20@me+1@me | - | -
it comes back revised                   | write 10            | globex new 20@me+5@other  | applied                | 20@me+6@me | - | globex initech
and is revised once more                | write 10, globex new 20@me | globex b 20@me+5@other | unchanged          | 20@me+1@me | - | -
an equal value takes the later stamp    | write 10            | globex w10 11@low         | unchanged              | 11@low   | - | initech
an equal value leaves the later stamp   | write 10            | globex w10 9@low          | superseded older_stamp | 10@me    | - | -
five minutes ahead is not too far       | write 10            | globex new 310@low        | applied                | 310@low  | - | initech
a moment more is                        | write 10            | globex new 310'@low       | held clock_ahead       | 10@me    | - | -
a local write exceeds what is ahead     | globex a 200@low, write 10 | globex new 200@high | superseded conflict    | 200'@me  | - | -
";

const REVISIONS: &str = "
the same again                          | globex a 10@low     | globex a 10@low           | unchanged              | 10@low            | - | -
a revision is one above both            | globex a 10@low     | globex b 10@low+1@other   | applied                | 10@low+2@me       | - | initech
the next one, though ours is as high    | globex a 10@low, globex b 10@low+1@other | globex c 10@low+2@other | applied | 10@low+3@me | - | initech
the same revision again                 | globex a 10@low, globex b 10@low+1@other | globex c 10@low+1@other | unchanged | 10@low+2@me | - | -
a greater reviser of the same revision  | globex a 10@low, globex b 10@low+1@other | globex c 10@low+1@high | applied | 10@low+3@me | - | initech
a lesser revision than the one received | globex a 10@low+7@other | globex b 10@low+6@high | unchanged             | 10@low+7@other    | - | -
a revision over another share           | globex a 10@low     | initech b 10@low+5@other  | unchanged              | 10@low            | - | -
no revision makes an older write win    | globex a 10@low     | globex b 9@low+99@high    | superseded older_stamp | 10@low            | - | -
a later write over another share        | globex a 10@low     | initech b 11@low          | applied                | 11@low            | - | globex
what was taken over another share       | globex a 10@low, initech b 11@low | globex c 11@low+3@other | unchanged | 11@low           | - | -
";

const MAPPINGS: &str = "
a newer mapping takes the write again   | globex a 10@low, remap globex | globex b 10@low | applied                | 10@low+1@me       | - | initech
but not if it comes to the same value   | globex a 10@low, remap globex | globex a 10@low | unchanged              | 10@low            | - | -
and once                                | globex a 10@low, remap globex, globex b 10@low | globex c 10@low | unchanged | 10@low+1@me | - | -
a newer mapping of another share        | globex a 10@low, remap initech | initech b 10@low | unchanged             | 10@low            | - | -
a newer mapping and our own write       | write 10, remap globex | globex b 10@me         | unchanged              | 10@me             | - | -
";

const PENDING: &str = "
a refused value waits                   | -                   | globex long 20@low        | rejected too_long      | -100@other | 20@low | -
the same again                          | globex long 20@low  | globex long 20@low        | unchanged              | -100@other | 20@low | -
an older one over its share             | globex long 20@low  | globex b 19@high          | unchanged              | -100@other | 20@low | -
a later good one replaces it            | globex long 20@low  | globex b 21@low           | applied                | 21@low     | -      | initech
a later one that is refused, too        | globex long 20@low  | globex long 22@low        | rejected too_long      | -100@other | 22@low | -
an older one over another share         | globex long 20@low  | initech b 15@low          | applied                | 15@low     | 20@low | globex
a later one over another share          | globex long 20@low  | initech b 21@low          | applied                | 21@low     | -      | globex
an older refused one over another share | globex long 20@low  | initech long 15@low       | rejected too_long      | -100@other | 20@low | -
a write of ours that we forgot          | -                   | globex long 20@me         | rejected too_long      | -100@other | 20@me  | -
the same again                          | globex long 20@me   | globex long 20@me         | unchanged              | -100@other | 20@me  | -
a local write exceeds and clears it     | globex long 20@low, write 5 | globex b 20@low   | superseded conflict    | 20'@me     | -      | -
";

fn org(word: &str) -> OrgId {
    match word {
        "me" => OrgId::from(&name::<OrgName>("acme")),
        "low" => OrgId(1),
        "other" => OrgId(9),
        "high" => OrgId(u64::MAX),
        _ => panic!("no org is called {word}"),
    }
}

fn stamp(word: &str) -> Stamp {
    let (time, owner) = word.split_once('@').unwrap();
    let (owner, revised) = owner.split_once('+').map_or((owner, None), |(owner, rest)| (owner, Some(rest)));
    let (second, later) = time.strip_suffix('\'').map_or((time, 0), |second| (second, 1));
    let written = Stamp::new(at(second.parse().unwrap()).plus_us(later), org(owner));
    revised.map_or(written, |revised| {
        let (rev, reviser) = revised.split_once('@').unwrap();
        Stamp { rev: rev.parse().unwrap(), reviser: org(reviser), ..written }
    })
}

/// The org with the record, and its two partners.
struct Desk {
    here: Org,
    globex: Partner,
    initech: Partner,
    /// The share with Initech.
    there: ShareId,
    record: RecordId,
}

impl Desk {
    fn new() -> Self {
        let mut here = Org::new("acme", deal());
        let mut globex = Partner::of(&mut here, "globex");
        let mut initech = Partner::of(&mut here, "initech");
        let granted = [("Remark", Value::text("first")), ("Title", Value::text("a deal"))];
        let record = globex.give(&mut here, SHARE, content(&granted, stamp("-100@other")));
        let there = initech.receive(&mut here, record);
        Self { here, globex, initech, there, record }
    }

    /// Does one step; how the message that it brought ended, with the first reason.
    fn step(&mut self, step: &str) -> String {
        let words: Vec<&str> = step.split_whitespace().collect();
        let fields = |text: &str, stamped: &str| {
            let text =
                if text == "long" { "a remark of more than forty characters is too long" } else { text };
            content(&[("Remark", Value::text(text))], stamp(stamped))
        };
        let ended = match *words.as_slice() {
            ["write", second] => {
                self.here.now = at(second.parse().unwrap());
                self.here.update(self.record, &[("Note", Value::text(&format!("w{second}")))]);
                return String::new();
            }
            ["remap", partner] => {
                self.remap(partner);
                return String::new();
            }
            ["globex", text, stamped] => {
                self.globex.send(&mut self.here, change_of(SHARE, 1, fields(text, stamped)))
            }
            ["initech", text, stamped] => {
                self.initech.send(&mut self.here, change_of(self.there, 1, fields(text, stamped)))
            }
            _ => panic!("no step is {step:?}"),
        };
        let codes = ended.reasons.iter().map(|reason| reason.code.as_str());
        std::iter::once(ended.outcome.unwrap().as_str()).chain(codes).collect::<Vec<_>>().join(" ")
    }

    /// Saves the mapping of a partner with a default for nulls: a later version of it.
    fn remap(&mut self, partner: &str) {
        let mut rule = deals_from_offers();
        for mapping in rule.fields.iter_mut().filter(|mapping| mapping.local.as_str() == "Note") {
            mapping.default = Some(Value::text("nothing"));
        }
        let connection = self.connection(partner);
        self.here.run(Command::Subscribe { connection, object: name("Offer__c"), rule: Some(rule) });
    }

    fn connection(&self, partner: &str) -> ConnectionId {
        if partner == "globex" { self.globex.connection } else { self.initech.connection }
    }

    fn heads(&self) -> [(&'static str, Position); 2] {
        ["globex", "initech"]
            .map(|partner| (partner, self.here.connection(self.connection(partner)).outbox.head().position))
    }

    /// To whom something of the change went since. A void is the place of a change of which nothing
    /// may leave: it would be there if a value went back over the share that it came over.
    fn told_since(&self, heads: [(&'static str, Position); 2]) -> Vec<&'static str> {
        let changes = |(partner, after)| {
            let sent = self.here.sent(self.connection(partner), after);
            sent.into_iter()
                .filter(|m| matches!(m, Message::Change(_) | Message::Void(_)))
                .map(move |_| partner)
        };
        heads.into_iter().flat_map(changes).collect()
    }
}

/// Plays each row of a ledger on a desk of its own.
fn balance(ledger: &str) {
    for row in ledger.lines().filter(|line| !line.is_empty()) {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [what, before, then, ends, stamped, waits, told] = columns.try_into().unwrap();
        let mut desk = Desk::new();
        for step in before.split(',').filter(|step| step.trim() != "-") {
            desk.step(step);
        }
        let heads = desk.heads();
        assert_eq!(desk.step(then), ends, "{what}: how it ends");
        let record = desk.here.record(desk.record);
        assert_eq!(record.fields.get("Note").unwrap().stamp, stamp(stamped), "{what}: the stamp");
        let pending = record.pending.get("Note").map(|pending| pending.stamp);
        assert_eq!(pending, (waits != "-").then(|| stamp(waits)), "{what}: what waits");
        let told: Vec<&str> = told.split_whitespace().filter(|partner| *partner != "-").collect();
        assert_eq!(desk.told_since(heads), told, "{what}: who is told");
        for connection in desk.here.state().connections.values() {
            assert!(connection.inbound.counts.balanced(), "{what}: {:?}", connection.inbound.counts);
        }
    }
}

#[test]
fn the_greater_write_wins() {
    balance(WRITES);
}

#[test]
fn revisions_are_taken_over_their_own_share() {
    balance(REVISIONS);
}

#[test]
fn a_newer_mapping_takes_a_write_again() {
    balance(MAPPINGS);
}

#[test]
fn a_newer_mapping_writes_only_what_comes_to_another_value() {
    let mut desk = Desk::new();
    let came = content(&[("Remark", Value::Null), ("Title", Value::text("a deal"))], stamp("10@low"));
    desk.globex.send(&mut desk.here, change_of(SHARE, 1, came.clone()));
    desk.step("remap globex");
    let ended = desk.globex.send(&mut desk.here, change_of(SHARE, 1, came));
    assert_eq!(ended.outcome, Some(Outcome::Applied));
    let record = desk.here.record(desk.record);
    let stamps = record.fields.iter().map(|(name, field)| (name.as_str(), field.stamp));
    let expected = [("Name", stamp("10@low")), ("Note", stamp("10@low+1@me"))];
    assert_eq!(stamps.collect::<Vec<_>>(), expected);
    assert_eq!(*record.value(&name("Note")), Value::text("nothing"));
}

#[test]
fn refused_values_wait() {
    balance(PENDING);
}
