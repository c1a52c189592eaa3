//! The outline of a resource in a template: its type, its policies, and the text of each property.

/// A resource as it is written: the attributes of a resource are indented by 4, its properties by 6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its name in the template.
    pub name: &'static str,
    pub(crate) lines: Vec<&'static str>,
}

impl Block {
    /// What is written after a key, indent included, on its line.
    pub(crate) fn value(&self, key: &str) -> Option<&'static str> {
        self.lines.iter().find_map(|line| line.strip_prefix(key)).map(str::trim)
    }

    pub(crate) fn is(&self, key: &str, value: &str) -> bool {
        self.value(key) == Some(value)
    }

    /// Whether it outlives its stack.
    pub(crate) fn is_kept(&self) -> bool {
        self.is("    DeletionPolicy: ", "Retain")
    }

    /// The text of a property, over all its lines.
    pub(crate) fn property(&self, name: &str) -> Option<String> {
        let start = format!("      {name}:");
        self.entries().into_iter().find(|entry| entry.starts_with(&start))
    }

    /// Its text, cut before each attribute and each property. Comments and empty lines are left out: they stand before what they are about.
    pub(crate) fn entries(&self) -> Vec<String> {
        let mut entries: Vec<String> = Vec::new();
        for line in self.lines.iter().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
            let indent = line.len() - line.trim_start().len();
            match entries.last_mut() {
                Some(entry) if indent > 6 || line.trim_start().starts_with('-') => entry.push_str(line),
                _ => entries.push((*line).to_owned()),
            }
            if let Some(entry) = entries.last_mut() {
                entry.push('\n');
            }
        }
        entries
    }
}
