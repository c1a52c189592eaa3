//! The first lines of a plant, letter by letter: whoever changes what a seed gives shall see it here.

use simulator::{Emission, PayloadFormat, Plant, PlantConfig};

fn lines(plant: &mut Plant, count: usize, format: PayloadFormat) -> Vec<String> {
    let (mut emission, mut payload, mut lines) = (Emission::default(), Vec::new(), Vec::new());
    for _ in 0..count {
        assert!(plant.next_into(&mut emission));
        emission.payload(format, "demo", &mut payload);
        lines.extend(String::from_utf8_lossy(&payload).lines().map(str::to_owned));
    }
    lines
}

#[test]
fn a_seed_gives_these_payloads() {
    let mut plant = Plant::new(PlantConfig { devices: 5, ..PlantConfig::default() }).expect("a valid configuration");
    assert_eq!(
        lines(&mut plant, 5, PayloadFormat::Topic),
        [
            r#"{"topic":"tenants/demo/devices/compressor-00001/telemetry","ts":1767571200831,"temperature":37.23,"vibration":1.695,"pressure":72.69,"rpm":1280.5,"power":6.64}"#,
            r#"{"topic":"tenants/demo/devices/compressor-00002/telemetry","ts":1767571211936,"temperature":33.05,"vibration":1.787,"pressure":79.68,"rpm":2467.6,"power":21.25}"#,
            r#"{"topic":"tenants/demo/devices/compressor-00000/telemetry","ts":1767571240297,"temperature":33.92,"vibration":0.742,"pressure":65.23,"rpm":2356.0,"power":20.98}"#,
            r#"{"topic":"tenants/demo/devices/press-00003/telemetry","ts":1767571255505,"temperature":34.31,"vibration":0.781,"pressure":62.28,"power":4.08}"#,
            r#"{"topic":"tenants/demo/devices/press-00004/telemetry","ts":1767571259300,"temperature":37.20,"vibration":1.680,"pressure":82.24,"power":19.03}"#,
        ]
    );
    plant.skip_to(plant.config().start + 2 * 86_400_000);
    assert_eq!(
        lines(&mut plant, 2, PayloadFormat::DeviceId),
        [
            r#"{"device_id":"compressor-00001","ts":1767744000831,"temp":40.84,"vibration":1.773,"pressure":77.41,"rpm":1356.3,"power":8.03}"#,
            r#"{"device_id":"compressor-00002","ts":1767744011936,"temp":34.74,"vibration":1.960,"pressure":84.20,"rpm":2617.6,"power":25.06}"#,
        ]
    );
    assert_eq!(
        lines(&mut plant, 1, PayloadFormat::Single),
        [
            r#"{"deviceId":"compressor-00000","sensorType":"temperature","value":39.91,"timestamp":1767744040297}"#,
            r#"{"deviceId":"compressor-00000","sensorType":"vibration","value":0.909,"timestamp":1767744040297}"#,
            r#"{"deviceId":"compressor-00000","sensorType":"pressure","value":71.12,"timestamp":1767744040297}"#,
            r#"{"deviceId":"compressor-00000","sensorType":"rpm","value":2590.5,"timestamp":1767744040297}"#,
            r#"{"deviceId":"compressor-00000","sensorType":"power","value":29.30,"timestamp":1767744040297}"#,
        ]
    );
}

#[test]
fn a_seed_gives_these_faults() {
    let plant = Plant::new(PlantConfig { devices: 5, ..PlantConfig::default() }).expect("a valid configuration");
    let faults: Vec<_> = plant
        .truth()
        .iter()
        .take(5)
        .map(|fault| {
            let minutes = (fault.end_ms - fault.start_ms) / 60_000;
            format!(
                "{} {} {} {} {minutes} {:.3}",
                fault.start_ms,
                fault.device_name,
                fault.kind.name(),
                fault.metrics.join("+"),
                fault.magnitude
            )
        })
        .collect();
    assert_eq!(
        faults,
        [
            "1767660551936 compressor-00002 overheating temperature 451 0.718",
            "1767675780831 compressor-00001 drift temperature 734 -10.976",
            "1767691379300 press-00004 dropout vibration 205 0.000",
            "1767718780297 compressor-00000 spike vibration 2 2.721",
            "1767766240297 compressor-00000 drift power 629 6.135"
        ]
    );
}
