//! Changes to a file by bytes: everything beside them stays as it is, to the last byte.

use super::file::{Rule, RuleFile};
use similar::TextDiff;
use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of the file, and what is written in their place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    pub span: Range<usize>,
    pub text: String,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    #[error("two changes of {0} meet in line {1}; make one of them by hand")]
    Overlap(String, usize),
    #[error("{0} would no longer say the same of its other rules; that is a mistake of ours, and nothing was written")]
    Garbled(String),
    #[error("{} is a link to {}; give that file instead", path.display(), to.display())]
    Link { path: PathBuf, to: PathBuf },
    #[error("{} is no file", .0.display())]
    NoFile(PathBuf),
    #[error("{} was changed by someone else meanwhile; run it again", .0.display())]
    Changed(PathBuf),
    #[error("cannot write {}: {error}", path.display())]
    World { path: PathBuf, error: io::Error },
}

/// The file's text with all changes made.
pub fn apply(file: &RuleFile, edits: &[Edit]) -> Result<String, NotWritten> {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    edits.dedup();
    let count = edits.len();
    let (mut text, mut at) = (String::with_capacity(file.text.len() + 64), 0);
    for edit in edits {
        let kept = file.text.get(at..edit.span.start).filter(|_| file.text.is_char_boundary(edit.span.end));
        let Some(kept) = kept else {
            let line = 1 + file.text.as_bytes()[..edit.span.start.min(file.text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            return Err(NotWritten::Overlap(file.name.clone(), line));
        };
        text.push_str(kept);
        text.push_str(&edit.text);
        at = edit.span.end;
    }
    text.push_str(&file.text[at..]);
    let after = RuleFile::parse(&file.name, text);
    let same_rules = after.rules().count() == file.rules().count() && after.problems.len() == file.problems.len();
    let says = |rule: &Rule| -> Vec<String> {
        let texts = rule.labels.iter().chain(&rule.annotations).map(|(_, field)| field.text.clone());
        [rule.name.text.clone(), rule.expr.text.clone(), rule.hold.to_string()].into_iter().chain(texts).collect()
    };
    let changed = after.rules().zip(file.rules()).filter(|(after, before)| says(after) != says(before)).count();
    if !same_rules || changed > count {
        return Err(NotWritten::Garbled(file.name.clone()));
    }
    Ok(after.text)
}

/// A unified diff that `patch -p1` takes; empty where nothing changed.
pub fn diff(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let name = name.trim_start_matches("./").trim_start_matches('/');
    // A name with a space in it ends at a tab.
    let end = if name.contains(' ') { "\t" } else { "" };
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{name}{end}"), &format!("b/{name}{end}"))
        .to_string()
}

/// Puts `after` in the file's place, whole or not at all; its permissions stay.
pub fn write(path: &Path, before: &str, after: &str) -> Result<(), NotWritten> {
    let world = |error: io::Error| NotWritten::World { path: path.to_owned(), error };
    let meta = fs::symlink_metadata(path).map_err(world)?;
    if meta.is_symlink() {
        let to = fs::canonicalize(path).map_err(world)?;
        return Err(NotWritten::Link { path: path.to_owned(), to });
    }
    if !meta.is_file() {
        return Err(NotWritten::NoFile(path.to_owned()));
    }
    if fs::read(path).map_err(world)? != before.as_bytes() {
        return Err(NotWritten::Changed(path.to_owned()));
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("rules");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // No pattern of rule files (*.yml) takes it in.
    let temporary = folder.join(format!(".{name}.homeostat-{}", std::process::id()));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.set_permissions(meta.permissions())?;
        file.write_all(after.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // The new name is as durable as the text.
        fs::File::open(folder)?.sync_all()
    })();
    written.map_err(|error| {
        // What is left of an attempt helps nobody; where it cannot be taken away either, the first error says more.
        let _ = fs::remove_file(&temporary);
        world(error)
    })
}
