//! What is written by hand is what serde writes, and what is read by hand is what serde reads.

use std::fmt::Debug;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::{decode_body, encode_body};
use super::*;
use crate::reason::{Reason, ReasonCode};
use crate::{ConnectionId, RecordId, ShareId};

fn text() -> impl Strategy<Value = SmolStr> {
    // Around the lengths at which the head of a text grows.
    prop_oneof!["[ -~]{0,40}", "[ü€]{80,90}", "[a-z]{250,260}"].prop_map(SmolStr::from)
}

fn number() -> impl Strategy<Value = i64> {
    (0_u32..64, any::<i64>()).prop_map(|(shift, number)| number >> shift)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        text().prop_map(|text| Value::text(&text)),
        any::<bool>().prop_map(Value::Boolean),
        number().prop_map(Value::Integer),
        (number(), 0_u32..10)
            .prop_map(|(n, scale)| Value::Decimal(rust_decimal::Decimal::new(n >> 8, scale).normalize())),
        (-700_000..2_900_000).prop_filter_map("a day", |days| Date::from_days(days).map(Value::Date)),
        number().prop_map(|n| Value::DateTime(Timestamp(n))),
        text().prop_map(Value::picklist),
        prop::collection::vec(text(), 0..40).prop_map(Value::multi_picklist),
        any::<u128>().prop_map(|id| Value::Reference(RecordId(id))),
    ]
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (number(), any::<u64>(), 0_u32..3, 0_u64..3).prop_map(|(time, org, rev, reviser)| Stamp {
        time: Timestamp(time),
        org: OrgId(org),
        rev,
        reviser: OrgId(reviser),
    })
}

fn named<V: Strategy>(value: V, most: usize) -> impl Strategy<Value = VecMap<FieldName, V::Value>>
where
    V::Value: Debug,
{
    let name = "[A-Za-z][A-Za-z0-9_]{0,50}".prop_map(|name| name.parse().unwrap());
    prop::collection::vec((name, value), 0..most).prop_map(|entries| entries.into_iter().collect())
}

prop_compose! {
    fn content()(values in named(value(), 20), stamp in stamp(), stamps in named(stamp(), 2)) -> Content {
        Content { values, stamp, stamps }
    }
}

prop_compose! {
    fn change()(share: u128, generation: u32, content in content(), hops: u8) -> Change {
        Change { share: ShareId(share), generation, content, hops }
    }
}

fn origin() -> impl Strategy<Value = Origin> {
    (any::<u128>(), any::<u32>()).prop_map(|(id, mapping)| Origin { connection: ConnectionId(id), mapping })
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let link = prop::option::of(any::<u128>());
    let all = (any::<u128>(), any::<u128>(), any::<u32>(), number(), link);
    all.prop_map(|(id, share, generation, position, link)| {
        let position = Position(position.unsigned_abs());
        let links = link.iter().map(|link| ("Parent".parse().unwrap(), ShareId(*link))).collect();
        Delivery { connection: ConnectionId(id), share: ShareId(share), generation, position, links }
    })
}

prop_compose! {
    fn changed()(
        record: u128,
        action in prop::sample::select(vec![RecordAction::Create, RecordAction::Update, RecordAction::Delete]),
        prev in number(),
        owner in prop::option::of(prop::sample::select(vec!["bob", "queue:hot"])),
        content in content(),
        origin in prop::option::of(origin()),
        seldom in prop::option::weighted(0.2, stamp()),
        deliveries in prop::collection::vec(delivery(), 0..4),
        hops: u8,
    ) -> RecordChanged {
        let name: FieldName = "Name".parse().unwrap();
        RecordChanged {
            record: RecordId(record),
            object: "Lead".parse().unwrap(),
            action,
            prev: Seq(prev.unsigned_abs()),
            actor: "ann".parse().unwrap(),
            owner: owner.map(|owner| owner.parse().unwrap()),
            content,
            origin,
            origins: seldom.iter().map(|_| (name.clone(), None)).collect(),
            received: seldom.iter().map(|stamp| (name.clone(), *stamp)).collect(),
            deliveries,
            hops,
            rule: seldom.map(|_| "hot".parse().unwrap()),
        }
    }
}

prop_compose! {
    fn received()(
        id: u128,
        numbers in prop::array::uniform4(number()),
        kind: u16,
        body in prop::collection::vec(any::<u8>(), 0..300),
        outcome in prop::option::of(prop::sample::select(Outcome::ALL.to_vec())),
        ids in prop::array::uniform2(prop::option::of(any::<u128>())),
        seldom in prop::option::weighted(0.2, number()),
    ) -> Received {
        let [position, seq, time, chain] = numbers;
        Received {
            connection: ConnectionId(id),
            position: Position(position.unsigned_abs()),
            seq: Seq(seq.unsigned_abs()),
            time: Timestamp(time),
            chain: Chain(chain as u64),
            kind,
            body,
            outcome,
            share: ids[0].map(ShareId),
            record: ids[1].map(RecordId),
            reasons: seldom.iter().map(|_| Reason::new(ReasonCode::WrongType, "wrong")).collect(),
            held_until: seldom.map(Timestamp),
            parent: seldom.map(|number| ShareId(u128::from(number.unsigned_abs()))),
        }
    }
}

/// Writes and reads `body` both ways; and whatever one altered byte of it is, both read the same.
fn same<T>(body: &T, at: prop::sample::Index, byte: u8) -> Result<(), TestCaseError>
where
    T: ByHand + Serialize + DeserializeOwned + Debug + PartialEq,
{
    let (mut by_hand, mut by_serde) = (Vec::new(), Vec::new());
    encode_body(body, &mut by_serde);
    if body.write_by_hand(&mut by_hand) {
        prop_assert_eq!(&decode_body::<T>(0, "", &by_hand).unwrap(), body);
        prop_assert!(by_hand.len() < by_serde.len(), "a place is shorter than a name");
        read_the_same(body, by_hand, at, byte)?;
    } else {
        prop_assert!(by_hand.is_empty());
    }
    read_the_same(body, by_serde, at, byte)
}

/// Reads the bytes of `body` by hand, and as serde does; then cut off, and with one byte altered.
fn read_the_same<T>(
    body: &T,
    mut bytes: Vec<u8>,
    at: prop::sample::Index,
    byte: u8,
) -> Result<(), TestCaseError>
where
    T: ByHand + DeserializeOwned + Debug + PartialEq,
{
    if let Some(read) = T::read_by_hand(&bytes) {
        prop_assert_eq!(&read, body);
    }
    prop_assert!(T::read_by_hand(bytes.split_last().unwrap().1).is_none(), "it is cut off");
    let at = at.index(bytes.len());
    if let Some(altered) = bytes.get_mut(at) {
        *altered = byte;
    }
    if let Some(read) = T::read_by_hand(&bytes) {
        prop_assert_eq!(read, decode_body::<T>(0, "", &bytes).unwrap());
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_change_is_the_same_both_ways(body in change(), at: prop::sample::Index, byte: u8) {
        same(&body, at, byte)?;
    }

    #[test]
    fn a_changed_record_is_the_same_both_ways(body in changed(), at: prop::sample::Index, byte: u8) {
        same(&body, at, byte)?;
    }

    #[test]
    fn what_was_received_is_the_same_both_ways(body in received(), at: prop::sample::Index, byte: u8) {
        same(&body, at, byte)?;
    }

    #[test]
    fn noise_is_never_read_otherwise(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(Change::read_by_hand(&bytes).is_none());
        prop_assert!(RecordChanged::read_by_hand(&bytes).is_none());
        prop_assert!(Received::read_by_hand(&bytes).is_none());
    }
}

#[test]
fn what_passes_with_every_change_is_read_by_hand_with_places_and_with_names() {
    let content = Content::of(
        [("City".parse().unwrap(), Value::text("Oslo"))].into_iter().collect(),
        Stamp::new(Timestamp(1), OrgId(2)),
    );
    let change = Change { share: ShareId(3), generation: 1, content, hops: 0 };
    let (mut places, mut names) = (Vec::new(), Vec::new());
    assert!(change.write_by_hand(&mut places));
    encode_body(&change, &mut names);
    assert_ne!(places, names);
    assert_eq!(Change::read_by_hand(&places).as_ref(), Some(&change));
    assert_eq!(Change::read_by_hand(&names), Some(change));
}

/// A field that a later version adds has a place that this one does not know.
#[test]
fn a_place_that_is_not_known_is_passed_over() {
    let change = Change { share: ShareId(3), generation: 1, content: Content::default(), hops: 2 };
    let mut bytes = Vec::new();
    assert!(change.write_by_hand(&mut bytes));
    bytes[0] += 1;
    bytes.extend_from_slice(&[4, 0xa5]);
    bytes.extend_from_slice(b"later");
    assert_eq!(Change::read_by_hand(&bytes), None);
    assert_eq!(decode_body::<Change>(4, "Change", &bytes), Ok(change));
}
