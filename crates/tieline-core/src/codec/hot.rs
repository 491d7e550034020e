//! The bodies that pass with every change, written and read by hand.
//!
//! What is written is the map that serde writes, with the place of each field in its type instead of
//! its name: serde reads either, and a field that it does not know it passes over in either. Names
//! were a sixth of what a log takes before it is compressed. What is read here may have numbers or names, as older logs have. What is seldom there (reasons, exceptions,
//! values that were held) is left to serde altogether.
//!
//! So a field of one of these types keeps its place, and a new one stands last. It does not compile
//! until it stands here: as written, or as seldom. `tests` hold everything against serde.

use smol_str::SmolStr;

use super::read::{Read, Reader};
use super::write::{self, Write, field};
use crate::content::{Content, Visible};
use crate::event::{Delivery, Origin, Received, RecordAction, RecordChanged};
use crate::frame::Chain;
use crate::limits::OBJECT_FIELDS_MAX;
use crate::message::Change;
use crate::outcome::Outcome;
use crate::stamp::Stamp;
use crate::value::{Date, Value, tag};
use crate::vecmap::VecMap;
use crate::{FieldName, OrgId, Position, Seq, ShareId, Timestamp};

/// A body that is written and read by hand where nothing seldom is in it.
pub(crate) trait ByHand: Sized {
    /// Appends the body. If it is for serde, nothing is appended and the answer is no.
    fn write_by_hand(&self, out: &mut Vec<u8>) -> bool;

    /// The body, if the bytes are as `write_by_hand` writes them.
    fn read_by_hand(bytes: &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ident($number:ty)),*) => {
        $(
            impl Write for $type {
                #[inline]
                fn write(&self, out: &mut Vec<u8>) {
                    self.0.write(out);
                }
            }

            impl<'a> Read<'a> for $type {
                #[inline]
                fn read(from: &mut Reader<'a>) -> Option<Self> {
                    <$number>::read(from).map(Self)
                }
            }
        )*
    };
}
numbers!(Timestamp(i64), OrgId(u64), Seq(u64), Position(u64), Chain(u64));

impl Write for Value {
    fn write(&self, out: &mut Vec<u8>) {
        let pair = |out: &mut Vec<u8>, tag: u8| out.extend_from_slice(&[0x92, tag]);
        match self {
            Self::Null => write::nil(out),
            Self::Text(text) => write::text(out, text),
            Self::Boolean(truth) => write::boolean(out, *truth),
            Self::Integer(number) => number.write(out),
            Self::Decimal(decimal) => {
                pair(out, tag::DECIMAL);
                write::text(out, &crate::value::decimal_text(decimal));
            }
            Self::Date(date) => {
                pair(out, tag::DATE);
                i64::from(date.days()).write(out);
            }
            Self::DateTime(time) => {
                pair(out, tag::DATE_TIME);
                time.write(out);
            }
            Self::Picklist(value) => {
                pair(out, tag::PICKLIST);
                write::text(out, value);
            }
            Self::MultiPicklist(values) => {
                pair(out, tag::MULTI_PICKLIST);
                write::list(out, values.len());
                values.iter().for_each(|value| write::text(out, value));
            }
            Self::Reference(record) => {
                pair(out, tag::REFERENCE);
                record.write(out);
            }
        }
    }
}

impl<'a> Read<'a> for Value {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        Some(match from.peek()? {
            0xc0 => {
                from.nil()?;
                Self::Null
            }
            0xc2 | 0xc3 => Self::Boolean(from.boolean()?),
            0xa0..=0xbf | 0xd9..=0xdb => Self::text(from.text()?),
            0x92 => {
                from.list()?;
                match u8::read(from)? {
                    tag::DECIMAL => Self::Decimal(crate::value::parse_decimal(from.text()?).ok()?),
                    tag::DATE => Self::Date(Date::from_days(i32::try_from(from.signed()?).ok()?)?),
                    tag::DATE_TIME => Self::DateTime(Timestamp::read(from)?),
                    tag::PICKLIST => Self::picklist(SmolStr::new(from.text()?)),
                    tag::MULTI_PICKLIST => multi_picklist(from)?,
                    tag::REFERENCE => Self::Reference(crate::RecordId::read(from)?),
                    _ => return None,
                }
            }
            _ => Self::Integer(from.signed()?),
        })
    }
}

/// Most picklist values and most deliveries that are read by hand: with [`OBJECT_FIELDS_MAX`] fields
/// of so many, a body stays within what the scan lets through.
const LIST_MAX: usize = 32;

fn multi_picklist(from: &mut Reader<'_>) -> Option<Value> {
    let count = from.list().filter(|count| *count <= LIST_MAX)?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(SmolStr::new(from.text()?));
    }
    Some(Value::multi_picklist(values))
}

impl Write for Stamp {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { time, org, rev, reviser } = self;
        write::map(out, 2 + usize::from(*rev != 0) + usize::from(reviser.0 != 0));
        field(out, 0, time);
        field(out, 1, org);
        if *rev != 0 {
            field(out, 2, rev);
        }
        if reviser.0 != 0 {
            field(out, 3, reviser);
        }
    }
}

impl<'a> Read<'a> for Stamp {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let mut left = from.map()?.checked_sub(2)?;
        let (time, org) = (from.field(0, "time")?, from.field(1, "org")?);
        let rev = from.optional(2, "rev", &mut left)?.unwrap_or_default();
        let reviser = from.optional(3, "reviser", &mut left)?.unwrap_or_default();
        (left == 0).then_some(Self { time, org, rev, reviser })
    }
}

impl<V: Write> Write for VecMap<FieldName, V> {
    fn write(&self, out: &mut Vec<u8>) {
        write::map(out, self.len());
        for (name, value) in self.iter() {
            name.write(out);
            value.write(out);
        }
    }
}

impl<'a, V: Read<'a>> Read<'a> for VecMap<FieldName, V> {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let count = from.map().filter(|count| *count <= OBJECT_FIELDS_MAX)?;
        let mut map = Self::with_capacity(count.min(64));
        for _ in 0..count {
            // Which of two values of a name counts, serde says.
            let (name, value) = (FieldName::read(from)?, V::read(from)?);
            map.push_last(name, value).then_some(())?;
        }
        Some(map)
    }
}

impl Write for Content {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { values, stamp, stamps } = self;
        write::map(out, 2 + usize::from(!stamps.is_empty()));
        field(out, 0, values);
        field(out, 1, stamp);
        if !stamps.is_empty() {
            field(out, 2, stamps);
        }
    }
}

impl<'a> Read<'a> for Content {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let mut left = from.map()?.checked_sub(2)?;
        let (values, stamp) = (from.field(0, "values")?, from.field(1, "stamp")?);
        let stamps = from.optional(2, "stamps", &mut left)?.unwrap_or_default();
        (left == 0).then_some(Self { values, stamp, stamps })
    }
}

impl<V: Write> Write for [(&FieldName, &V)] {
    fn write(&self, out: &mut Vec<u8>) {
        write::map(out, self.len());
        for (name, value) in self {
            name.write(out);
            value.write(out);
        }
    }
}

impl Write for Visible<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { values, stamp, stamps } = self;
        write::map(out, 2 + usize::from(!stamps.is_empty()));
        field(out, 0, values.as_slice());
        field(out, 1, stamp);
        if !stamps.is_empty() {
            field(out, 2, stamps.as_slice());
        }
    }
}

/// A change of which each part is at hand: how it is written, borrowed or not.
fn write_change(
    share: ShareId,
    generation: u32,
    content: &(impl Write + ?Sized),
    hops: u8,
    out: &mut Vec<u8>,
) {
    write::map(out, 4);
    field(out, 0, &share);
    field(out, 1, &generation);
    field(out, 2, content);
    field(out, 3, &hops);
}

impl Change {
    /// Appends the body of a change whose fields are those of the event that made it; its kind.
    pub(crate) fn write(
        share: ShareId,
        generation: u32,
        content: &Visible<'_>,
        hops: u8,
        out: &mut Vec<u8>,
    ) -> u16 {
        write_change(share, generation, content, hops, out);
        Self::KIND
    }
}

impl ByHand for Change {
    fn write_by_hand(&self, out: &mut Vec<u8>) -> bool {
        let Self { share, generation, content, hops } = self;
        write_change(*share, *generation, content, *hops, out);
        true
    }

    fn read_by_hand(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        (from.map()? == 4).then_some(())?;
        let change = Self {
            share: from.field(0, "share")?,
            generation: from.field(1, "generation")?,
            content: from.field(2, "content")?,
            hops: from.field(3, "hops")?,
        };
        from.is_at_end().then_some(change)
    }
}

impl RecordAction {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Write for RecordAction {
    fn write(&self, out: &mut Vec<u8>) {
        write::text(out, self.name());
    }
}

impl<'a> Read<'a> for RecordAction {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let name = from.text()?;
        [Self::Create, Self::Update, Self::Delete].into_iter().find(|action| action.name() == name)
    }
}

impl Write for Origin {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { connection, mapping } = self;
        write::map(out, 2);
        field(out, 0, connection);
        field(out, 1, mapping);
    }
}

impl<'a> Read<'a> for Origin {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        (from.map()? == 2).then_some(())?;
        Some(Self { connection: from.field(0, "connection")?, mapping: from.field(1, "mapping")? })
    }
}

impl Write for Vec<Delivery> {
    fn write(&self, out: &mut Vec<u8>) {
        write::list(out, self.len());
        for Delivery { connection, share, generation, position, links } in self {
            write::map(out, 4 + usize::from(!links.is_empty()));
            field(out, 0, connection);
            field(out, 1, share);
            field(out, 2, generation);
            field(out, 3, position);
            if !links.is_empty() {
                field(out, 4, links);
            }
        }
    }
}

impl<'a> Read<'a> for Vec<Delivery> {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let count = from.list().filter(|count| *count <= LIST_MAX)?;
        let mut deliveries = Self::with_capacity(count);
        for _ in 0..count {
            let mut left = from.map()?.checked_sub(4)?;
            deliveries.push(Delivery {
                connection: from.field(0, "connection")?,
                share: from.field(1, "share")?,
                generation: from.field(2, "generation")?,
                position: from.field(3, "position")?,
                links: from.optional(4, "links", &mut left)?.unwrap_or_default(),
            });
            (left == 0).then_some(())?;
        }
        Some(deliveries)
    }
}

impl ByHand for RecordChanged {
    fn write_by_hand(&self, out: &mut Vec<u8>) -> bool {
        let Self {
            record,
            object,
            action,
            prev,
            actor,
            owner,
            content,
            origin,
            origins,
            received,
            deliveries,
            hops,
            rule,
        } = self;
        if !origins.is_empty() || !received.is_empty() || rule.is_some() {
            return false;
        }
        let there = [owner.is_some(), origin.is_some(), !deliveries.is_empty()];
        write::map(out, 7 + there.into_iter().map(usize::from).sum::<usize>());
        field(out, 0, record);
        field(out, 1, object);
        field(out, 2, action);
        field(out, 3, prev);
        field(out, 4, actor);
        if let Some(owner) = owner {
            field(out, 5, owner);
        }
        field(out, 6, content);
        if let Some(origin) = origin {
            field(out, 7, origin);
        }
        if !deliveries.is_empty() {
            field(out, 10, deliveries);
        }
        field(out, 11, hops);
        true
    }

    fn read_by_hand(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let mut left = from.map()?.checked_sub(7)?;
        let changed = Self {
            record: from.field(0, "record")?,
            object: from.field(1, "object")?,
            action: from.field(2, "action")?,
            prev: from.field(3, "prev")?,
            actor: from.field(4, "actor")?,
            owner: from.optional(5, "owner", &mut left)?,
            content: from.field(6, "content")?,
            origin: from.optional(7, "origin", &mut left)?,
            origins: VecMap::empty(),
            received: VecMap::empty(),
            deliveries: from.optional(10, "deliveries", &mut left)?.unwrap_or_default(),
            hops: from.field(11, "hops")?,
            rule: None,
        };
        (left == 0 && from.is_at_end()).then_some(changed)
    }
}

impl Write for Outcome {
    fn write(&self, out: &mut Vec<u8>) {
        write::text(out, self.as_str());
    }
}

impl<'a> Read<'a> for Outcome {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let name = from.text()?;
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

impl ByHand for Received {
    fn write_by_hand(&self, out: &mut Vec<u8>) -> bool {
        let Self {
            connection,
            position,
            seq,
            time,
            chain,
            kind,
            body,
            outcome,
            share,
            record,
            reasons,
            held_until,
            parent,
        } = self;
        if !reasons.is_empty() || held_until.is_some() || parent.is_some() {
            return false;
        }
        let there = [outcome.is_some(), share.is_some(), record.is_some()];
        write::map(out, 7 + there.into_iter().map(usize::from).sum::<usize>());
        field(out, 0, connection);
        field(out, 1, position);
        field(out, 2, seq);
        field(out, 3, time);
        field(out, 4, chain);
        field(out, 5, kind);
        write::key(out, 6);
        write::bytes(out, body);
        if let Some(outcome) = outcome {
            field(out, 7, outcome);
        }
        if let Some(share) = share {
            field(out, 8, share);
        }
        if let Some(record) = record {
            field(out, 9, record);
        }
        true
    }

    fn read_by_hand(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let mut left = from.map()?.checked_sub(7)?;
        let received = Self {
            connection: from.field(0, "connection")?,
            position: from.field(1, "position")?,
            seq: from.field(2, "seq")?,
            time: from.field(3, "time")?,
            chain: from.field(4, "chain")?,
            kind: from.field(5, "kind")?,
            body: from.field::<&[u8]>(6, "body")?.to_vec(),
            outcome: from.optional(7, "outcome", &mut left)?,
            share: from.optional(8, "share", &mut left)?,
            record: from.optional(9, "record", &mut left)?,
            reasons: Vec::new(),
            held_until: None,
            parent: None,
        };
        (left == 0 && from.is_at_end()).then_some(received)
    }
}

#[cfg(test)]
mod tests;
