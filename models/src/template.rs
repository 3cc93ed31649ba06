//! How a conversation is written for a model.
//!
//! Templates are ours, one per format, chosen by the catalogue; a template in a model file is never run. The result
//! is a list of parts, so that only our own markers become control tokens: a message that contains `<|im_end|>` is
//! text like any other and cannot end its turn.

use serde::Deserialize;

/// Who says something in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions of the product.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A prompt format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// `role: text` lines, for models without chat markers.
    #[default]
    Plain,
    /// `<|im_start|>role … <|im_end|>`, as Qwen and others were trained with.
    Chatml,
}

/// A piece of a rendered conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A marker of the template: one control token.
    Marker(&'static str),
    /// Text: never read as control tokens.
    Text(String),
}

impl Template {
    /// Writes a conversation so that the assistant's next turn is to follow.
    pub(crate) fn render(self, messages: &[(Role, String)]) -> Vec<Part> {
        match self {
            Self::Plain => plain(messages),
            Self::Chatml => chatml(messages),
        }
    }
}

fn plain(messages: &[(Role, String)]) -> Vec<Part> {
    let mut text = String::new();
    for (role, content) in messages {
        text.push_str(&format!("{}: {content}\n", role.name()));
    }
    text.push_str("assistant:");
    vec![Part::Text(text)]
}

fn chatml(messages: &[(Role, String)]) -> Vec<Part> {
    let mut parts = Vec::new();
    for (role, content) in messages {
        parts.push(Part::Marker("<|im_start|>"));
        parts.push(Part::Text(format!("{}\n{content}", role.name())));
        parts.push(Part::Marker("<|im_end|>"));
        parts.push(Part::Text("\n".to_owned()));
    }
    parts.push(Part::Marker("<|im_start|>"));
    parts.push(Part::Text("assistant\n".to_owned()));
    parts
}
