//! What the demo asks: the shipped questions about the demo set, or one question for each file that was given.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// This machine's copy of a well-known long text.
const GPL_3: &str = "/usr/share/common-licenses/GPL-3";
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
    /// Words that must stand in the answer or in one of its quotes.
    pub(super) expect: Option<String>,
}

/// `deploy/demo/questions.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    question: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    text: String,
    document: Option<String>,
    expect: Option<String>,
    #[serde(default)]
    unanswerable: bool,
}

impl Questions {
    /// The demo set and the GPL-3 text.
    pub(super) fn shipped() -> anyhow::Result<Self> {
        let folder = super::demo_set();
        let text = fs::read_to_string(folder.join("questions.toml")).context("the demo set's questions")?;
        let parsed: File = toml::from_str(&text).context("questions.toml")?;
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
            .flatten()
            .map(|entry| entry.path())
            .filter(|p| p.extension().is_some_and(|e| e == "pdf" || e == "md" || e == "html"))
            .collect();
        files.sort();
        let mut answerable = Vec::new();
        let mut unanswerable = None;
        let with_gpl = Path::new(GPL_3).exists();
        if with_gpl {
            files.push(GPL_3.into());
        }
        for entry in parsed.question {
            if entry.unanswerable {
                unanswerable = Some(entry.text);
            } else if with_gpl || entry.document.as_deref() != Some("GPL-3") {
                answerable.push(Question { text: entry.text, expect: entry.expect });
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
            answerable.push(Question { text: format!("What does {name} say?"), expect: None });
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
