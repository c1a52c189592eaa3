//! What a crate warns of in its log, as words on standard error: a profile that is refused, a message that was not taken, a backup
//! that is passed over.

use std::error::Error;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::ui::say;

/// Prints warnings and errors of a crate, named as in code, from here on, for the whole process.
pub(crate) fn listen(of: &'static str) {
    // A test may have somebody who listens already.
    let _first = tracing::subscriber::set_global_default(Words { of });
}

struct Words {
    of: &'static str,
}

impl Subscriber for Words {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_of = |target: &str| target.split("::").next() == Some(self.of);
        *metadata.level() <= Level::WARN && is_of(metadata.target())
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        say(format_args!("warning: {}{}", line.message, line.fields));
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
