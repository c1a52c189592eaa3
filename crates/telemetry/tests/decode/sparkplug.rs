//! Sparkplug B, raw and wrapped, with its births.

use crate::support::{
    ARRIVED_MS, Metric, Payload, PropertySet, PropertyValue, Rim, Value, born, changed, sparkplug, wrapped,
};
use prost::Message as _;

const BIRTH: &str = "spBv1.0/plant/DBIRTH/line-3/press";
const DATA: &str = "spBv1.0/plant/DDATA/line-3/press";

fn birth() -> Vec<u8> {
    sparkplug(vec![
        born("Temperature", 1, 10, Value::Double(71.5)),
        born("Offset", 2, 3, Value::Int(-4_i32 as u32)),
        born("Serial", 3, 12, Value::Text("A-1".to_owned())),
        born("Started", 4, 13, Value::Long(ARRIVED_MS as u64)),
        born("Running", 5, 11, Value::Boolean(true)),
    ])
}

fn after_birth() -> Rim {
    let mut rim = Rim::default();
    rim.check(BIRTH, birth(), &["default/plant:line-3:press@0 Temperature=71.5 Offset=-4"]);
    rim
}

#[test]
fn data_by_alias_have_the_name_and_type_of_the_birth() {
    let data = sparkplug(vec![
        changed(2, Value::Int(-7_i32 as u32)),
        changed(1, Value::Double(72.0)),
        changed(4, Value::Long(9)),
        changed(5, Value::Boolean(false)),
        changed(3, Value::Text("B-2".to_owned())),
    ]);
    let expected = ["default/plant:line-3:press@0 Offset=-7 Temperature=72"];
    after_birth().check(DATA, &data, &expected);
    after_birth().check("line-3", wrapped(DATA, &data), &expected);
}

#[test]
fn a_wrapped_payload_belongs_to_the_tenant_of_its_topic() {
    let topic = "tenants/acme/spBv1.0/plant/NBIRTH/line-3";
    let payload = sparkplug(vec![born("Speed", 1, 9, Value::Float(0.5))]);
    Rim::default().check("k", wrapped(topic, &payload), &["acme/plant:line-3@0 Speed=0.5"]);
    Rim::default().check("k", wrapped(topic, &payload).replace('/', r"\/"), &["acme/plant:line-3@0 Speed=0.5"]);
}

#[test]
fn an_unknown_alias_refuses_the_message() {
    after_birth().check(DATA, sparkplug(vec![changed(9, Value::Double(1.0))]), &["poison: unknown_alias"]);
    Rim::default().check(DATA, sparkplug(vec![changed(1, Value::Double(1.0))]), &["poison: unknown_alias"]);
    // Another tenant's birth of the same names is another device's.
    let topic = format!("tenants/acme/{DATA}");
    after_birth().check(&topic, sparkplug(vec![changed(1, Value::Double(1.0))]), &["poison: unknown_alias"]);
}

#[test]
fn a_birth_replaces_the_aliases_of_its_device() {
    let mut rim = after_birth();
    rim.check(BIRTH, sparkplug(vec![born("Force", 1, 7, Value::Int(8))]), &["default/plant:line-3:press@0 Force=8"]);
    rim.check(DATA, sparkplug(vec![changed(1, Value::Int(9))]), &["default/plant:line-3:press@0 Force=9"]);
    rim.check(DATA, sparkplug(vec![changed(2, Value::Int(9))]), &["poison: unknown_alias"]);
}

#[test]
fn a_refused_birth_changes_nothing() {
    let mut rim = after_birth();
    let known = rim.births.clone();
    let wrong = sparkplug(vec![born("Force", 1, 7, Value::Int(8)), born("Torque", 1, 7, Value::Int(9))]);
    rim.check(BIRTH, wrong, &["poison: duplicate_key"]);
    rim.check(BIRTH, sparkplug(vec![born("Force", 1, 10, Value::Double(f64::NAN))]), &["poison: not_finite"]);
    assert_eq!(rim.births, known);
}

#[test]
fn a_death_ends_its_own_session_only() {
    let session = |bits| born("bdSeq", 0, 4, Value::Long(bits));
    let mut rim = after_birth();
    let node = sparkplug(vec![session(7), born("Load", 1, 9, Value::Float(0.5))]);
    rim.check("spBv1.0/plant/NBIRTH/line-3", node, &["default/plant:line-3@0 Load=0.5"]);
    assert_eq!(rim.births.len(), 2);
    rim.check("spBv1.0/plant/NDEATH/line-3", sparkplug(vec![session(6)]), &[]);
    assert_eq!(rim.births.len(), 2);
    rim.check("spBv1.0/plant/NDEATH/line-3", sparkplug(vec![session(7)]), &[]);
    assert!(rim.births.is_empty());

    let mut rim = after_birth();
    rim.check("spBv1.0/plant/DDEATH/line-3/press", sparkplug(Vec::new()), &[]);
    assert!(rim.births.is_empty());
}

#[test]
fn metrics_of_several_times_are_several_observations() {
    let at = |alias, seconds: i64, value| Metric {
        timestamp: Some((ARRIVED_MS + seconds * 1000) as u64),
        ..changed(alias, Value::Double(value))
    };
    let data = sparkplug(vec![at(1, 2, 73.0), at(1, 1, 72.0), at(2, 2, 1.0)]);
    after_birth().check(
        DATA,
        data,
        &["default/plant:line-3:press@1000 Temperature=72", "default/plant:line-3:press@2000 Temperature=73 Offset=1"],
    );
    after_birth().check(DATA, sparkplug(vec![at(1, 2, 73.0), at(1, 2, 74.0)]), &["poison: duplicate_key"]);
    after_birth().check(DATA, sparkplug(vec![at(1, -1_793_534_400, 73.0)]), &["poison: time_impossible"]);
}

#[test]
fn the_quality_property_is_kept() {
    let with = |alias, code| Metric {
        properties: Some(PropertySet {
            keys: vec!["engUnit".to_owned(), "Quality".to_owned()],
            values: vec![
                PropertyValue { datatype: Some(12), int_value: None },
                PropertyValue { datatype: Some(3), int_value: Some(code) },
            ],
        }),
        ..changed(alias, Value::Double(1.0))
    };
    let check = |code, expected: &str| {
        after_birth().check(
            DATA,
            sparkplug(vec![with(1, code)]),
            &[&format!("default/plant:line-3:press@0 {expected}")],
        );
    };
    check(0, "Temperature=1!");
    check(192, "Temperature=1");
    check(500, "Temperature=1?");
}

#[test]
fn every_integer_type_is_read_by_its_own_rules() {
    let of = |datatype, value| sparkplug(vec![born("x", 1, datatype, value)]);
    let check = |datatype, value, expected: &str| {
        Rim::default().check("spBv1.0/g/NBIRTH/n", of(datatype, value), &[&format!("default/g:n@0 x={expected}")]);
    };
    check(1, Value::Int(0xff), "-1");
    check(1, Value::Int(u32::MAX), "-1");
    check(2, Value::Int(0x8000), "-32768");
    check(3, Value::Int(u32::MAX), "-1");
    check(4, Value::Long(-9_i64 as u64), "-9");
    check(5, Value::Int(200), "200");
    check(7, Value::Long(u64::from(u32::MAX)), "4294967295");
    check(8, Value::Long(1 << 53), "9007199254740992");
}

#[test]
fn a_name_without_a_type_is_read_where_every_type_means_the_same() {
    let named = |value| sparkplug(vec![Metric { name: Some("x".to_owned()), value: Some(value), ..Metric::default() }]);
    Rim::default().check("spBv1.0/g/NDATA/n", named(Value::Int(5)), &["default/g:n@0 x=5"]);
    Rim::default().check("spBv1.0/g/NDATA/n", named(Value::Int(u32::MAX)), &["poison: unknown_alias"]);
}

#[test]
fn null_metrics_and_those_of_the_protocol_are_no_readings() {
    let null = Metric { is_null: Some(true), ..born("Gone", 1, 10, Value::Double(1.0)) };
    let rate = born("Node Control/Scan Rate", 2, 4, Value::Long(500));
    let mut rim = Rim::default();
    rim.check("spBv1.0/g/NBIRTH/n", sparkplug(vec![null, rate]), &[]);
    rim.check(
        "spBv1.0/g/NDATA/n",
        sparkplug(vec![changed(1, Value::Double(2.0)), changed(2, Value::Long(9))]),
        &["default/g:n@0 Gone=2"],
    );
}

#[test]
fn commands_carry_no_readings() {
    Rim::default().check("spBv1.0/g/NCMD/n", b"\xff", &[]);
    Rim::default().check("spBv1.0/STATE/scada", r#"{"online":true,"timestamp":1793534400000}"#, &[]);
}

#[test]
fn what_is_no_sparkplug_payload_is_of_the_wrong_encoding() {
    Rim::default().check(DATA, b"hello", &["poison: wrong_encoding"]);
    let body = Payload { uuid: Some("SPBV1.0_COMPRESSED".to_owned()), body: Some(vec![1]), ..Payload::default() };
    Rim::default().check(DATA, body.encode_to_vec(), &["poison: wrong_encoding"]);
    Rim::default().check("k", wrapped(DATA, b"").replace(r#""data":"""#, r#""data":"?""#), &["poison: wrong_encoding"]);
    Rim::default().check("k", format!(r#"{{"topic":"{DATA}"}}"#), &["poison: unknown_shape"]);
    Rim::default().check("spBv1.0/a:b/NDATA/n", sparkplug(Vec::new()), &["poison: bad_name"]);
}
