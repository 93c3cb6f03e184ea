//! Which targets there are: those of the configuration, and those of files that others write.
//!
//! Files are as Prometheus' file_sd has them: a list of groups, each with targets and labels. One that cannot be read leaves
//! what it said before in force; one that is gone takes its targets with it.

use super::{LOOK, Scheme, ScrapeSource, TARGETS_MAX};
use homeostat::time::{Span, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A list of targets that is longer is none, in bytes.
const FILE_LEN_MAX: u64 = 16 << 20;

/// Files that one pattern may stand for.
const FILES_MAX: usize = 1000;

/// A target: what is asked, and the labels of its series beside `job`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    pub url: String,
    pub labels: BTreeMap<String, String>,
}

pub struct Discovery {
    patterns: Vec<PathBuf>,
    scheme: Scheme,
    path: String,
    labels: BTreeMap<String, String>,
    configured: Vec<String>,
    files: BTreeMap<PathBuf, Listed>,
    /// What is wrong with files, as it was told.
    problems: BTreeMap<PathBuf, String>,
    targets: BTreeSet<Place>,
    look_every: Span,
    next_look: Timestamp,
}

/// A file as it was read last.
#[derive(Default)]
struct Listed {
    hash: Option<u64>,
    groups: Vec<Group>,
    /// What is wrong with what it says now.
    problem: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Group {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Discovery {
    pub fn new(source: &ScrapeSource) -> Discovery {
        Discovery {
            patterns: source.target_files.clone(),
            scheme: source.scheme,
            path: source.metrics_path.clone(),
            labels: source.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect(),
            configured: source.targets.clone(),
            files: BTreeMap::new(),
            problems: BTreeMap::new(),
            targets: BTreeSet::new(),
            look_every: source.interval.min(LOOK),
            next_look: Timestamp::EPOCH,
        }
    }

    /// When the files are looked at next; without any that is never again.
    pub fn next_look(&self) -> Timestamp {
        self.next_look
    }

    /// Whether there is one target, and always will be.
    pub fn is_single(&self) -> bool {
        self.patterns.is_empty() && self.targets.len() == 1
    }

    pub fn targets(&self) -> &BTreeSet<Place> {
        &self.targets
    }

    /// Reads what changed. Problems are told once, until they change.
    pub fn look(&mut self, now: Timestamp) -> Vec<String> {
        self.next_look = match self.patterns.is_empty() {
            true => Timestamp::from_millis(i64::MAX),
            false => now + self.look_every,
        };
        let mut problems = BTreeMap::new();
        let mut found = BTreeSet::new();
        for pattern in &self.patterns {
            match matching(pattern) {
                Ok(files) => found.extend(files),
                Err(problem) => {
                    // Of a folder that cannot be read nobody knows what has gone from it.
                    if is_many(pattern) {
                        found.extend(self.files.keys().filter(|file| file.parent() == pattern.parent()).cloned());
                    }
                    problems.insert(pattern.clone(), problem);
                }
            }
        }
        self.files.retain(|file, _| found.contains(file));
        for file in found {
            if let Err(problem) = self.files.entry(file.clone()).or_default().read(&file) {
                problems.insert(file, problem);
            }
        }
        let news = problems.iter().filter(|(path, problem)| self.problems.get(*path) != Some(problem));
        let mut told: Vec<String> = news.map(|(path, problem)| format!("{}: {problem}", path.display())).collect();
        self.problems = problems;
        told.extend(self.gather());
        told
    }

    /// Puts all targets together; what cannot be one is told.
    fn gather(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        let mut targets = BTreeSet::new();
        let configured = Group { targets: self.configured.clone(), labels: BTreeMap::new() };
        let listed = self.files.values().flat_map(|listed| &listed.groups);
        for group in std::iter::once(&configured).chain(listed) {
            let scheme = match group.labels.get("__scheme__").map(String::as_str) {
                Some("https") => Scheme::Https,
                Some("http") => Scheme::Http,
                _ => self.scheme,
            };
            let path = group.labels.get("__metrics_path__").unwrap_or(&self.path);
            for target in &group.targets {
                let (url, instance) = match address(target, scheme, path) {
                    Ok(found) => found,
                    Err(problem) => {
                        told.push(problem);
                        continue;
                    }
                };
                let mut labels = self.labels.clone();
                labels.extend(group.labels.iter().filter(|(name, _)| !name.starts_with("__")).map(own));
                labels.entry("instance".to_owned()).or_insert(instance);
                if targets.len() < TARGETS_MAX {
                    targets.insert(Place { url, labels });
                } else {
                    told.push(format!("{target} is left out: there are {TARGETS_MAX} targets already"));
                }
            }
        }
        // The same again is no news.
        let news = self.targets != targets;
        self.targets = targets;
        if news {
            told.truncate(10)
        } else {
            told.clear()
        }
        told
    }
}

fn own((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

impl Listed {
    /// Reads the file again when it changed.
    fn read(&mut self, file: &Path) -> Result<(), String> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(file).map_err(|error| format!("cannot be read: {error}"))?;
        opened.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
        if bytes.len() as u64 > FILE_LEN_MAX {
            return Err(format!(
                "has over {FILE_LEN_MAX} bytes, which is no list of targets; what it said before stays"
            ));
        }
        let hash = xxhash_rust::xxh3::xxh3_64(&bytes);
        if self.hash == Some(hash) {
            return self.problem.clone().map_or(Ok(()), Err);
        }
        self.hash = Some(hash);
        let read = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()).and_then(|text| groups(&text));
        let example = r#"[{"targets": ["a:9100"], "labels": {}}]"#;
        self.problem = match read {
            Ok(groups) => {
                self.groups = groups;
                None
            }
            Err(problem) => Some(format!("no list of targets like {example} ({problem}); what it said before stays")),
        };
        self.problem.clone().map_or(Ok(()), Err)
    }
}

/// JSON is YAML, too.
fn groups(text: &str) -> Result<Vec<Group>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    if text.trim_start().starts_with('[')
        && let Ok(groups) = serde_json::from_str(text)
    {
        return Ok(groups);
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: 16, max_documents: 1, max_anchors: 100, max_aliases: 100 },
    };
    let groups: Option<Vec<Group>> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    Ok(groups.unwrap_or_default())
}

/// What is asked of a target, and its `instance`: HOST:PORT.
pub fn address(target: &str, scheme: Scheme, path: &str) -> Result<(String, String), String> {
    let wrong =
        || format!("`{}` is no target like localhost:9100, or http://localhost:9100/metrics", target.escape_debug());
    if target.split('/').nth(2).or(Some(target)).is_some_and(|authority| authority.contains('@')) {
        return Err("leave the name and the password out of a target; give username and password_file".to_owned());
    }
    let url = match target.contains("://") {
        true if target.starts_with("http://") || target.starts_with("https://") => target.to_owned(),
        true => return Err(wrong()),
        false if target.contains('/') => return Err(wrong()),
        false => format!("{}://{target}{path}", scheme.as_str()),
    };
    let uri: ureq::http::Uri = url.parse().map_err(|_| wrong())?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    Ok((url, format!("{host}:{port}")))
}

/// Whether a pattern is one: at most one `*`, in its last part.
pub fn check_pattern(pattern: &Path) -> Result<(), String> {
    let folder = pattern.parent().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
    let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.is_empty() || folder.contains('*') || name.matches('*').count() > 1 {
        return Err(format!("`{}` is no file, or files like /etc/targets/*.json", pattern.display()));
    }
    Ok(())
}

/// Whether a pattern stands for several files.
fn is_many(pattern: &Path) -> bool {
    pattern.file_name().is_some_and(|name| name.to_string_lossy().contains('*'))
}

/// Files that a pattern stands for, which are there.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else {
        return match pattern.exists() {
            true => Ok(vec![pattern.to_owned()]),
            false => Err("is not there; it is read when it comes".to_owned()),
        };
    };
    let folder = pattern.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).map_err(|error| format!("its folder cannot be read: {error}"))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|file| {
            file.len() >= before.len() + after.len()
                && file.starts_with(before)
                && file.ends_with(after)
                && !file.starts_with('.')
        })
        .map(|file| folder.join(file))
        .collect();
    files.sort();
    files.truncate(FILES_MAX);
    Ok(files)
}
