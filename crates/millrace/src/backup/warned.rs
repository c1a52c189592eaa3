//! What the crate `backup` warns of, as words on standard error: a backup that is passed over, tables that DynamoDB did not export, a
//! file that is not kept.

use std::error::Error;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::ui::say;

/// Prints warnings and errors from here on, for the whole process.
pub(super) fn listen() {
    // A test may have somebody who listens already.
    let _first = tracing::subscriber::set_global_default(Words);
}

struct Words;

impl Subscriber for Words {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        *metadata.level() <= Level::WARN && (target == "backup" || target.starts_with("backup::"))
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
