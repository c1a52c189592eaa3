//! What the fan-out warns of, as words on standard error: a profile that is refused, a message that was not taken.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Prints warnings and errors from here on, for the whole process.
pub(super) fn listen() {
    // A test may have somebody who listens already.
    let _first = tracing::subscriber::set_global_default(Words);
}

struct Words;

impl Subscriber for Words {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("alert_fanout")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        // Where standard error is closed there is nobody left to tell.
        let _said = writeln!(std::io::stderr().lock(), "warning: {}{}", line.message, line.fields);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

// Writing to a String cannot fail.
impl Visit for Line {
    fn record_error(&mut self, _: &Field, error: &(dyn Error + 'static)) {
        let _ = write!(self.fields, ": {error}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // Names may come from a device: what would move the cursor is escaped.
        let _ = write!(self.fields, ", {field} `{}`", value.escape_debug());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let _ = write!(self.fields, ", {field} {value:?}");
        }
    }
}
