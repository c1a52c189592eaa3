//! The three JSON shapes.

use telemetry::payload::{PULSE, RawForm};

use crate::support::{Rim, check};

#[test]
fn a_sensor_type_names_the_metric_of_its_value() {
    check(
        r#"{"deviceId":"d1","sensorType":"temperature","value":25.5,"timestamp":1793534401000}"#,
        &["default/d1@1000 temperature=25.5"],
    );
}

#[test]
fn a_topic_tells_tenant_and_device() {
    check(
        r#"{"ts":1793534401,"temperature":83.2,"vibration":0.19,"topic":"tenants/acme/devices/pump-7/telemetry"}"#,
        &["acme/pump-7@1000 temperature=83.2 vibration=0.19"],
    );
    check(r#"{"topic":"sensor/d9/data","sensorType":"rpm","value":1425}"#, &["default/d9@0 rpm=1425"]);
}

#[test]
fn a_device_id_beside_numbers_is_enough() {
    check(
        r#"{"device_id":"M001","temp":59.2,"vibration":0.42,"rpm":1425,"power":7.1}"#,
        &["default/M001@0 temp=59.2 vibration=0.42 rpm=1425 power=7.1"],
    );
    check(r#"{"device":17,"x":-0.0}"#, &["default/17@0 x=0"]);
}

#[test]
fn a_partition_key_that_is_a_topic_stands_in_for_the_topic() {
    Rim::default().check("tenants/acme/devices/d7/telemetry", r#"{"x":1}"#, &["acme/d7@0 x=1"]);
    Rim::default().check(
        "tenants/acme/devices/d7/telemetry",
        r#"{"x":1,"topic":"sensor/d9/data"}"#,
        &["default/d9@0 x=1"],
    );
}

#[test]
fn the_stream_tenant_comes_before_the_default() {
    let mut rim = Rim { stream_tenant: Some("acme"), ..Rim::default() };
    rim.check("d1", r#"{"device":"d1","x":1}"#, &["acme/d1@0 x=1"]);
    rim.check("d1", r#"{"device":"d1","x":1,"tenant":"acme"}"#, &["acme/d1@0 x=1"]);
}

#[test]
fn what_is_no_number_is_an_attribute() {
    check(
        r#"{"device":"d1","x":1,"site":"hall 3","on":true,"err":null,"meta":{"a":[1,{"b":2}]},"seq":9,"lat":47.1}"#,
        &["default/d1@0 x=1"],
    );
}

#[test]
fn a_value_without_a_sensor_type_is_a_metric_of_that_name() {
    check(r#"{"device":"d1","value":3}"#, &["default/d1@0 value=3"]);
    check(r#"{"device":"d1","value":3,"sensorType":null}"#, &["default/d1@0 value=3"]);
}

#[test]
fn quality_is_told_in_words() {
    check(r#"{"quality":"bad","device":"d1","x":1}"#, &["default/d1@0 x=1!"]);
    check(r#"{"device":"d1","x":1,"quality":"Uncertain"}"#, &["default/d1@0 x=1?"]);
    check(r#"{"device":"d1","x":1,"quality":"grade A"}"#, &["default/d1@0 x=1"]);
    check(r#"{"device":"d1","quality":0.97}"#, &["default/d1@0 quality=0.97"]);
}

#[test]
fn the_devices_own_time_comes_before_that_of_the_rule() {
    check(r#"{"ts":1793534409,"timestamp":1793534401.25,"device":"d1","x":1}"#, &["default/d1@1250 x=1"]);
    check(r#"{"time":"2026-11-01T13:00:02+01:00","ts":1793534409000,"device":"d1","x":1}"#, &["default/d1@2000 x=1"]);
    check(r#"{"timestamp":null,"ts":1793534409000,"device":"d1","x":1}"#, &["default/d1@9000 x=1"]);
}

#[test]
fn escaped_texts_are_read_as_what_they_say() {
    check(
        r#"{"\u0064evice":"d\u0031","Motor\/Speed":1,"\u00d6ldruck":2,"topic":"tenants\/acme\/devices\/d1\/telemetry"}"#,
        &["acme/d1@0 Motor/Speed=1 Öldruck=2"],
    );
    check(r#"{"device":"d1","x":1,"\u0078":2}"#, &["poison: duplicate_key"]);
}

#[test]
fn values_are_read_to_the_nearest_double() {
    // 2^53 + 1 and its half lie between two doubles; the tie goes to the even one.
    check(
        r#"{"device":"d1","a":0.30000000000000004,"b":1e-999,"c":9007199254740993,"d":4503599627370496.5}"#,
        &["default/d1@0 a=0.30000000000000004 b=0 c=9007199254740992 d=4503599627370496"],
    );
}

#[test]
fn only_one_whole_json_value_on_one_line_may_stand_verbatim() {
    let form = |bytes: &str| Rim::default().decode("d1", bytes.as_bytes()).0;
    for verbatim in [r#"{"device":"d1","x":1}"#, r#"{"x": 1,	"y":2}"#, "42", r#"[{"n":"a:b","v":1}]"#, r#"{"x":"NaN"}"#]
    {
        assert_eq!(form(verbatim), RawForm::Json, "{verbatim}");
    }
    let other =
        ["{\"x\":\n1}", "{\"x\":1}\n", " {\"x\":1}", "{\"x\":1}\r", r#"{"x":1}{"y":2}"#, "", "text", "\u{feff}{}"];
    for other in other {
        assert_eq!(form(other), RawForm::Bytes, "{other}");
    }
}

#[test]
fn a_pulse_is_no_reading_and_no_poison() {
    check(PULSE, &[]);
    // Whatever else a device says of this kind is a mistake that is kept with its reason.
    check(r#"{"millrace":"pulse","x":1}"#, &["poison: no_device"]);
    check(r#"{ "millrace":"pulse"}"#, &["poison: no_device"]);
}
