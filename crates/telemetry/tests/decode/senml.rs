//! SenML packs. Examples are in the manner of RFC 8428, section 5.

use crate::support::{Rim, check};

const URN: &str = "urn:dev:ow:10e2073a01080063";

#[test]
fn base_fields_carry_over() {
    check(
        r#"[{"bn":"pump-1:","bt":1793534400,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
            {"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},{"bn":"pump-2/","n":"voltage","v":119}]"#,
        &[
            "default/pump-1@-5000 current=1.2",
            "default/pump-1@-4000 current=1.3",
            "default/pump-1@0 voltage=120.1",
            "default/pump-2@0 voltage=119",
        ],
    );
}

#[test]
fn a_urn_is_split_behind_the_device() {
    check(format!(r#"[{{"n":"{URN}:temperature","v":23.1}}]"#), &[&format!("default/{URN}@0 temperature=23.1")]);
    check(format!(r#"[{{"n":"{URN}","v":23.1}}]"#), &["poison: no_device"]);
}

#[test]
fn values_of_one_instant_are_one_observation() {
    check(
        r#"[{"bn":"d1:","n":"a","v":1},{"n":"b","v":2},{"n":"door","vb":true},{"n":"note","vs":"x"}]"#,
        &["default/d1@0 a=1 b=2"],
    );
}

#[test]
fn a_base_value_is_added() {
    check(r#"[{"bn":"d1:","bv":20,"n":"t","v":1.5}]"#, &["default/d1@0 t=21.5"]);
}

#[test]
fn small_times_are_relative_to_the_arrival_and_large_ones_are_not() {
    check(r#"[{"n":"d1:x","t":-10.5,"v":1}]"#, &["default/d1@-10500 x=1"]);
    check(r#"[{"n":"d1:x","bt":1793534401,"v":1}]"#, &["default/d1@1000 x=1"]);
    check(r#"[{"n":"d1:x","t":268435456,"v":1}]"#, &["poison: time_impossible"]);
}

#[test]
fn a_topic_names_the_device_of_a_pack() {
    let check = |pack: &str, expected: &str| {
        Rim::default().check("tenants/acme/devices/d1/telemetry", pack, &[expected]);
    };
    check(r#"[{"n":"motor/speed","v":1}]"#, "acme/d1@0 motor/speed=1");
    check(r#"[{"n":"d1:speed","v":1}]"#, "acme/d1@0 speed=1");
    check(&format!(r#"[{{"n":"{URN}:speed","v":1}}]"#), "poison: other_device");
}

#[test]
fn what_a_pack_demands_and_we_do_not_know_refuses_it() {
    check(r#"[{"n":"d1:x","v":1,"must_":1}]"#, &["poison: unknown_shape"]);
    check(r#"[{"bver":11,"n":"d1:x","v":1}]"#, &["poison: unknown_shape"]);
    check(r#"[{"n":"d1:x","v":1,"ut":60,"other":1}]"#, &["default/d1@0 x=1"]);
}

#[test]
fn one_bad_record_refuses_the_pack() {
    check(r#"[{"n":"d1:x","v":1},{"n":"nameless","v":1}]"#, &["poison: no_device"]);
    check(r#"[{"n":"d1:x","v":1},{"n":"d1:y","v":"NaN"}]"#, &["poison: not_finite"]);
    check(r#"[{"n":"d1:x","v":1e308,"bv":1e308}]"#, &["poison: not_finite"]);
    check(r#"[{"n":"d1:x","v":1},{"n":"d1:x","v":2}]"#, &["poison: duplicate_key"]);
    check(r#"[{"n":"d1:x","v":1,"v":2}]"#, &["poison: duplicate_key"]);
    check(r#"[{"n":"d1:x","v":1},7]"#, &["poison: unknown_shape"]);
    check(r#"[{"deviceId":"d1","x":1}]"#, &["poison: unknown_shape"]);
    check("[]", &["poison: unknown_shape"]);
}
