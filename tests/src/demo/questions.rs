//! What the demo asks: the shipped questions about the demo set, or one question for each file that was given.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// Asked of files that nobody wrote questions for; no document answers it.
const NOBODY_KNOWS: &str = "What did the lighthouse keeper of Tristan da Cunha have for breakfast on 4 May 1893?";

/// Files and what to ask about them.
#[derive(Debug)]
pub(super) struct Questions {
    files: Vec<PathBuf>,
    answerable: Vec<Question>,
    unanswerable: String,
}

/// A question that the documents answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) text: String,
    /// The file that the answer must cite.
    pub(super) file: Option<String>,
    /// Words that must stand in the answer or in one of its quotes.
    pub(super) phrase: Option<String>,
}

/// `deploy/demo/questions.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    documents: Vec<PathBuf>,
    question: Vec<Entry>,
}

/// One without a document has no answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    text: String,
    document: Option<String>,
    phrase: Option<String>,
}

impl Questions {
    /// The demo set and the GPL-3 text.
    pub(super) fn shipped() -> anyhow::Result<Self> {
        let folder = super::demo_set();
        let text = fs::read_to_string(folder.join("questions.toml")).context("the demo set's questions")?;
        let parsed: File = toml::from_str(&text).context("questions.toml")?;
        // An absolute path stays what it is: this machine's copy of a licence, which not every machine has.
        let files: Vec<PathBuf> = parsed.documents.iter().map(|d| folder.join(d)).filter(|p| p.exists()).collect();
        let is_there = |name: &str| files.iter().any(|f| f.file_name().is_some_and(|n| n == name));
        let mut answerable = Vec::new();
        let mut unanswerable = None;
        for entry in parsed.question {
            match entry.document {
                None => unanswerable = Some(entry.text),
                Some(file) if is_there(&file) => {
                    answerable.push(Question { text: entry.text, file: Some(file), phrase: entry.phrase });
                }
                Some(_) => (),
            }
        }
        let unanswerable = unanswerable.context("one question without an answer")?;
        Ok(Self { files, answerable, unanswerable })
    }

    /// One question about each file: its own longest heading or name.
    pub(super) fn about(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut answerable = Vec::new();
        for file in files {
            ensure!(file.is_file(), "{} is not a file", file.display());
            let name = file.file_stem().unwrap_or_default().to_string_lossy().replace(['-', '_', '.'], " ");
            answerable.push(Question { text: format!("What does {name} say?"), file: None, phrase: None });
        }
        Ok(Self { files: files.to_vec(), answerable, unanswerable: NOBODY_KNOWS.to_owned() })
    }

    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub(super) fn answerable(&self) -> &[Question] {
        &self.answerable
    }

    pub(super) fn unanswerable(&self) -> &str {
        &self.unanswerable
    }
}
