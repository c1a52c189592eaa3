//! A line for each message to a writer: for a person who watches, and for logs.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::{Channel, Receipt, SendError};
use crate::message::Message;

/// Writes lines.
pub struct Console {
    name: String,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl Console {
    /// Writes to `writer`, such as standard output.
    pub fn new(name: &str, writer: impl Write + Send + 'static) -> Self {
        Self { name: name.to_owned(), writer: Mutex::new(Box::new(writer)) }
    }
}

impl Channel for Console {
    fn name(&self) -> &str {
        &self.name
    }

    fn deduplicates(&self) -> bool {
        false
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let mut line = message.one_line();
        line.push('\n');
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let written = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
        written.map(|()| Receipt::default()).map_err(|error| {
            SendError::retry(
                &self.name,
                None,
                format!("the line cannot be written: {}", error.kind()),
                "see where the output goes",
            )
        })
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("name", &self.name).finish_non_exhaustive()
    }
}
