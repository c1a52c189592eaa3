//! Emissions as lines: payloads, or CSV in long or wide form.

use std::fmt;
use std::io::{self, Write};

use anomaly_core::Timestamp;
use simulator::{Emission, PayloadFormat, Plant};

use crate::ui::Usage;

/// What was written so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    /// Values that can be read back.
    pub(super) readings: u64,
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} readings in {} lines, {} bytes", self.readings, self.lines, self.bytes)
    }
}

/// Turns emissions into lines.
#[derive(Debug)]
pub(super) struct Writer {
    form: Form,
    lines: Lines,
}

/// The line that is being written, and what was.
#[derive(Debug, Default)]
struct Lines {
    written: Written,
    /// Reused from line to line.
    line: Vec<u8>,
}

impl Lines {
    fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.line.push(b'\n');
        self.written.lines += 1;
        self.written.bytes += self.line.len() as u64;
        out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}

#[derive(Debug)]
enum Form {
    Payloads { format: PayloadFormat, tenant: String },
    Long,
    Wide { device: u32, metrics: Vec<&'static str> },
}

impl Writer {
    pub(super) fn payloads(format: PayloadFormat, tenant: &str) -> Self {
        Self::of(Form::Payloads { format, tenant: tenant.to_owned() })
    }

    pub(super) fn long() -> Self {
        Self::of(Form::Long)
    }

    /// One device, by name.
    pub(super) fn wide(plant: &Plant, name: &str) -> Result<Self, Usage> {
        let devices = plant.config().devices;
        let Some(device) = (0..devices).find(|index| plant.device_name(*index).as_deref() == Some(name)) else {
            let some: Vec<_> = (0..devices.min(5)).filter_map(|index| plant.device_name(index)).collect();
            return Err(Usage(format!(
                "the plant of seed {} has no device `{name}` among its {devices}; it has {}{}",
                plant.config().seed,
                some.join(", "),
                if devices > 5 { ", …" } else { "" }
            )));
        };
        let metrics = plant.asset_type(device).map_or(&[][..], |asset| asset.metrics());
        Ok(Self::of(Form::Wide { device, metrics: metrics.iter().map(|metric| metric.name()).collect() }))
    }

    fn of(form: Form) -> Self {
        Self { form, lines: Lines::default() }
    }

    /// What was written so far.
    pub(super) fn written(&self) -> Written {
        self.lines.written
    }

    /// Writes the header, where the form has one.
    pub(super) fn begin(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Self { form, lines } = self;
        match form {
            Form::Payloads { .. } => Ok(()),
            Form::Long => {
                lines.line.extend_from_slice(b"timestamp,device,metric,value");
                lines.end(out)
            }
            Form::Wide { metrics, .. } => {
                write!(lines.line, "timestamp,{}", metrics.join(","))?;
                lines.end(out)
            }
        }
    }

    /// Writes the lines of one emission. CSV has no form for poison and leaves it out.
    pub(super) fn emission(&mut self, emission: &Emission, out: &mut impl Write) -> io::Result<()> {
        let sound = if emission.poison.is_none() { emission.values.as_slice() } else { &[] };
        let at = |millis| Timestamp::from_millis(millis).map_err(io::Error::other);
        let Self { form, lines } = self;
        match form {
            Form::Payloads { format, tenant } => {
                emission.payload(*format, tenant, &mut lines.line);
                lines.written.readings += sound.len() as u64;
                // The payloads of one emission are separated by line feeds already.
                lines.written.lines += emission.payload_count(*format) as u64 - 1;
                lines.end(out)
            }
            Form::Long => {
                let at = at(emission.at_ms)?;
                for (metric, value) in sound {
                    write!(lines.line, "{at},{},{metric},{value}", emission.device_name)?;
                    lines.written.readings += 1;
                    lines.end(out)?;
                }
                Ok(())
            }
            Form::Wide { device, metrics } => {
                if emission.device != *device || sound.is_empty() {
                    return Ok(());
                }
                write!(lines.line, "{}", at(emission.at_ms)?)?;
                for metric in metrics {
                    lines.line.push(b',');
                    if let Some((_, value)) = sound.iter().find(|(name, _)| name == metric) {
                        write!(lines.line, "{value}")?;
                        lines.written.readings += 1;
                    }
                }
                lines.end(out)
            }
        }
    }
}
