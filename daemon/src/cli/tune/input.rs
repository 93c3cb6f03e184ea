//! What is given on the command line: rule files and folders of them, verdicts; and what the server says of its groups.

use super::Failed;
use crate::prometheus::LiveRules;
use crate::rules::file::RuleFile;
use homeostat::feedback::Verdict;
use homeostat::replay::Labels;
use homeostat::replay::score::Said;
use homeostat::time::{Span, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More is no rule file.
const FILE_LEN_MAX: u64 = 16 << 20;
/// Nor a list of what people said.
const VERDICTS_LEN_MAX: u64 = 256 << 20;

/// Folders may be so deep, and hold so many rule files.
const DEPTH_MAX: usize = 16;
const FILES_MAX: usize = 20_000;

/// What Prometheus does when nothing is said.
const INTERVAL: Span = Span::minutes(1);

/// Reads all of them. What is wrong inside a file is among its problems; one that was named and is not there is an error.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<RuleFile>, Failed> {
    let mut found = Vec::new();
    for path in paths {
        let meta =
            std::fs::metadata(path).map_err(|error| Failed::Use(format!("cannot read {}: {error}", path.display())))?;
        if meta.is_dir() {
            let before = found.len();
            collect(path, 0, &mut found)?;
            if found.len() == before {
                return Err(Failed::Use(format!("there is no *.yml, *.yaml or *.rules in {}", path.display())));
            }
        } else {
            found.push(path.clone());
        }
    }
    found.dedup();
    Ok(found.iter().map(|path| read(path)).collect())
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failed> {
    let failed = |error: std::io::Error| Failed::World(format!("cannot read {}: {error}", folder.display()));
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // What is hidden is someone's own; what mounts of Kubernetes hide is seen through links beside it.
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if depth < DEPTH_MAX && !path.is_symlink() {
                collect(&path, depth + 1, found)?;
            }
        } else if matches!(path.extension().and_then(|ending| ending.to_str()), Some("yml" | "yaml" | "rules")) {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            return Err(Failed::Use(format!(
                "over {FILES_MAX} files in {}; name the folders of rules",
                folder.display()
            )));
        }
    }
    Ok(())
}

fn read(path: &Path) -> RuleFile {
    let name = path.to_string_lossy();
    match text(path, FILE_LEN_MAX) {
        Ok(text) => RuleFile::parse(&name, text),
        Err(NotText { line, problem }) => RuleFile::unread(&name, line, problem),
    }
}

/// Why a file gave no text.
struct NotText {
    line: usize,
    problem: String,
}

fn text(path: &Path, len_max: u64) -> Result<String, NotText> {
    let failed = |error: std::io::Error| NotText { line: 1, problem: format!("cannot be read: {error}") };
    let from: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).map_err(failed)?),
    };
    let mut bytes = Vec::new();
    from.take(len_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > len_max {
        return Err(NotText { line: 1, problem: format!("over {len_max} bytes: is it the right file?") });
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        NotText { line, problem: "not UTF-8; save the file as UTF-8".to_owned() }
    })
}

/// What people said of pages, a line each; a line that cannot be read is an error, since it would be missed.
pub(super) fn verdicts(path: &Path) -> Result<Vec<Said>, Failed> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        alert: String,
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// As times are everywhere: a text, or Unix seconds.
        at: serde_json::Value,
        verdict: Verdict,
        /// What `homeostat verdicts export` says beside, and what people do.
        #[serde(rename = "weight")]
        _weight: Option<IgnoredAny>,
        #[serde(rename = "source")]
        _source: Option<IgnoredAny>,
        #[serde(rename = "comment")]
        _comment: Option<IgnoredAny>,
    }
    let text = text(path, VERDICTS_LEN_MAX)
        .map_err(|NotText { line, problem }| Failed::Use(format!("{}:{line}: {problem}", path.display())))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let said = |(at, line): (usize, &str)| {
        let wrong = |problem: String| {
            let wanted = r#"{"alert": "DiskFull", "labels": {"instance": "a"}, "at": "2026-01-31T12:00:00Z", "verdict": "false"}"#;
            Failed::Use(format!("{}:{}: {problem}; a line is like {wanted}", path.display(), at + 1))
        };
        let line: Line = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let at = match &line.at {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let when = Timestamp::parse(&at).map_err(|error| wrong(format!("at: {error}")))?;
        Ok(Said { alert: line.alert, labels: Labels::new(line.labels), at: when, verdict: line.verdict })
    };
    lines.map(said).collect()
}

/// How often groups are evaluated that do not say so themselves.
pub(super) struct Intervals {
    by_name: BTreeMap<String, Span>,
}

impl Intervals {
    /// By what a server says of its groups.
    pub fn new(live: Option<&LiveRules>) -> Intervals {
        let groups = live.map(|live| live.groups.as_slice()).unwrap_or_default();
        let told = |interval: f64| {
            (0.001..=86_400.0).contains(&interval).then(|| Span::from_millis((interval * 1000.0) as u64))
        };
        let by_name = groups.iter().filter_map(|group| Some((group.name.clone(), told(group.interval)?))).collect();
        Intervals { by_name }
    }

    /// Of the group of that name; without one of that name on the server, once a minute.
    pub fn of(&self, group: &str) -> Span {
        self.by_name.get(group).copied().unwrap_or(INTERVAL)
    }
}
