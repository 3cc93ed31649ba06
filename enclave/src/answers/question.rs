//! What is asked, by whom, of which assistant, from which documents.

use cloister_models::Role;
use cloister_protocol::ids::{OrgId, WorkspaceId};

use crate::retrieval::Filter;

/// A question with everything that is needed to answer it. Whoever makes one has authorized the caller.
#[derive(Debug, Clone)]
pub struct Question {
    /// The organisation.
    pub org: OrgId,
    /// The workspace whose documents are searched.
    pub workspace: WorkspaceId,
    /// The assistant's name.
    pub assistant_name: String,
    /// What the assistant is for.
    pub assistant_purpose: String,
    /// The documents that may be seen: those of the assistant, narrowed by the question.
    pub documents: Filter,
    /// The question.
    pub text: String,
    /// Earlier turns, oldest first.
    pub turns: Vec<(Role, String)>,
    /// How the model draws.
    pub sampling: Sampling,
    /// Names the conversation for the reuse of attention state.
    pub prefix_key: Option<[u8; 16]>,
}

/// How a model draws the tokens of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// The most tokens; never more than the appliance's own limit.
    pub max_tokens: Option<usize>,
    /// 0 takes the likeliest token always.
    pub temperature: f32,
    /// The share of probability to draw from.
    pub top_p: f32,
    /// Same seed, same answer.
    pub seed: u32,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

impl Default for Sampling {
    /// Sober: an answer from documents should be the likeliest one.
    fn default() -> Self {
        Self { max_tokens: None, temperature: 0.2, top_p: 0.9, seed: 0, stop: Vec::new() }
    }
}

/// Turns that are remembered of a conversation.
pub const TURNS: usize = 6;
/// A question of fewer telling words than this leans on the one before it.
const LEANING_WORDS: usize = 3;

impl Question {
    /// What to search for: the question, with the one before it if it is too short to stand alone ("and on Sundays?").
    #[must_use]
    pub fn search_text(&self) -> String {
        let telling = crate::retrieval::terms::query_terms(&self.text).len();
        let before = self.turns.iter().rev().find(|(role, _)| *role == Role::User);
        match before {
            Some((_, before)) if telling < LEANING_WORDS => format!("{before}\n{}", self.text),
            _ => self.text.clone(),
        }
    }
}
