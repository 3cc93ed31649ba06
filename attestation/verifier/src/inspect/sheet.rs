//! Names, values and what they mean, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::report::printable;

/// Fields in the order in which they are shown.
#[derive(Default)]
pub(super) struct Sheet(Vec<Field>);

struct Field {
    name: String,
    value: Value,
    meaning: Option<String>,
}

impl Sheet {
    /// Adds a field that speaks for itself.
    pub(super) fn put(&mut self, name: impl Into<String>, value: impl Serialize) {
        self.0.push(Field { name: name.into(), value: json!(value), meaning: None });
    }

    /// Adds bytes.
    pub(super) fn bytes(&mut self, name: impl Into<String>, bytes: &[u8]) {
        self.put(name, hex::encode(bytes));
    }

    /// Adds a field that has to be explained.
    pub(super) fn explain(&mut self, name: impl Into<String>, value: impl Serialize, meaning: impl Into<String>) {
        self.0.push(Field { name: name.into(), value: json!(value), meaning: Some(meaning.into()) });
    }

    /// Adds the fields of something inside.
    pub(super) fn nest(&mut self, prefix: &str, inner: Self) {
        self.0.extend(inner.0.into_iter().map(|field| Field { name: format!("{prefix}.{}", field.name), ..field }));
    }

    /// One line per field, the explanation below it.
    pub(super) fn to_text(&self) -> String {
        let width = self.0.iter().map(|field| field.name.len()).max().unwrap_or_default();
        let mut text = String::new();
        for field in &self.0 {
            // These texts are anybody's: nothing in them may steer a terminal.
            let value = field.value.as_str().map_or_else(|| printable(&field.value.to_string()), printable);
            let _ = writeln!(text, "{:<width$}  {value}", printable(&field.name));
            if let Some(meaning) = &field.meaning {
                let _ = writeln!(text, "{:<width$}  = {}", "", printable(meaning));
            }
        }
        text
    }

    /// An object by name; an explained field is an object of value and meaning.
    pub(super) fn to_json(&self) -> Value {
        let entry = |field: &Field| {
            let value = match &field.meaning {
                None => field.value.clone(),
                Some(meaning) => json!({ "value": field.value, "meaning": meaning }),
            };
            (field.name.clone(), value)
        };
        self.0.iter().map(entry).collect::<Map<_, _>>().into()
    }
}

/// A sentence for each thing that is so, the others left out.
pub(super) fn sentences(facts: &[(bool, &str)]) -> String {
    let held: Vec<&str> = facts.iter().filter(|(holds, _)| *holds).map(|(_, text)| *text).collect();
    if held.is_empty() { "nothing notable".to_owned() } else { held.join("; ") }
}
