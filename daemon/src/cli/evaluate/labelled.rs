//! Labelled files, and what a detector says of their rows: ours as it judges them, another one as it wrote it down.

use super::super::Failed;
use super::super::detect::Judges;
use super::super::offline::BadRows;
use crate::source::file::{FileError, Line, Rows};
use homeostat::analyze::strategy::Methods;
use homeostat::config::Config;
use homeostat::monitor::Judged;
use homeostat::time::{Span, Timestamp};
use std::path::{Path, PathBuf};

/// Who says something of the rows.
pub enum Source {
    /// The engine, as in `detect`.
    Ours,
    /// A file with a row for each.
    Theirs(PathBuf),
}

/// One series of a file.
#[derive(Default)]
pub struct Series {
    /// The file's, and the series' where it names one.
    pub name: String,
    pub labels: Vec<bool>,
    /// NaN where a row did not parse.
    pub values: Vec<f64>,
    /// The median from row to row.
    pub interval: Span,
    pub score: Vec<f64>,
    pub alert_score: Option<Vec<f64>>,
    pub alert: Option<Vec<bool>>,
    /// Rows at its start that do not count; none: as many as a file's.
    pub probation: Option<usize>,
}

/// What is said of one row.
#[derive(Clone, Copy)]
struct Said {
    /// The row that it is said of, where that is written.
    at: Option<Timestamp>,
    score: f64,
    alert_score: Option<f64>,
    alert: Option<bool>,
}

/// One row of a labelled file.
struct Labelled {
    series: usize,
    at: Option<Timestamp>,
    value: f64,
    label: bool,
}

/// The series of a file; none when it has no rows.
pub fn series_of(
    path: &Path,
    source: &Source,
    config: &Config,
    methods: &dyn Fn() -> Methods,
) -> Result<Vec<Series>, Failed> {
    let mut judges = Judges::new(config, methods);
    let mut read = Read { rows: Vec::new(), said: Vec::new(), names: Vec::new() };
    let judges = match source {
        Source::Ours => Some(&mut judges),
        Source::Theirs(_) => None,
    };
    read.labelled(path, judges)?;
    if let Source::Theirs(scores) = source {
        read.said = theirs(scores)?;
        check_rows(&read, path, scores)?;
    }
    read.series(path)
}

/// What was said row by row is of those rows: as many, and of the same times where they are written.
fn check_rows(read: &Read, path: &Path, scores: &Path) -> Result<(), Failed> {
    let wanted = format!("a row for each of {} is needed, in the same order", path.display());
    let scores = scores.display();
    if read.said.len() != read.rows.len() {
        let (said, rows) = (read.said.len(), read.rows.len());
        return Err(Failed::World(format!("{scores} has {said} rows where {rows} are labelled; {wanted}")));
    }
    let times =
        read.rows.iter().zip(&read.said).enumerate().filter_map(|(row, (is, said))| Some((row, is.at?, said.at?)));
    match times.into_iter().find(|(_, is, said)| is != said) {
        None => Ok(()),
        Some((row, is, said)) => {
            Err(Failed::World(format!("{scores} row {}: of {said}, the labelled one is of {is}; {wanted}", row + 1)))
        }
    }
}

struct Read {
    rows: Vec<Labelled>,
    said: Vec<Said>,
    /// Of the series, by their number.
    names: Vec<String>,
}

impl Read {
    fn labelled(&mut self, path: &Path, mut judges: Option<&mut Judges<'_>>) -> Result<(), Failed> {
        let world = |error: FileError| Failed::World(error.to_string());
        let mut rows = Rows::open(path).map_err(world)?;
        let mut bad = BadRows::new(path);
        while let Some(line) = rows.next_line().map_err(world)? {
            // A row that did not parse is said nothing of, and belongs to the series of the row before.
            let (number, series, at, value, judged) = match line {
                Line::Row(row) => {
                    if row.series == self.names.len() {
                        self.names.push(row.name.to_string());
                    }
                    let judged = judges.as_mut().map(|judges| judges.judge(&row)).unwrap_or_default();
                    (row.line, row.series, Some(row.at), row.value, judged)
                }
                Line::Bad(error) => {
                    bad.tell(&error);
                    (error.line, self.rows.last().map_or(0, |row| row.series), None, f64::NAN, Judged::default())
                }
            };
            if !rows.has_labels() {
                return Err(Failed::World(format!(
                    "{}: no column is called label; name one in the first line, like timestamp,value,label, with 1 in \
                     the rows that a person would want to know of and 0 in the others",
                    path.display()
                )));
            }
            let text = rows.label().unwrap_or_default();
            let label = match text.trim().parse::<f64>() {
                Ok(label) if label == 0.0 || label == 1.0 => label == 1.0,
                // A torn row has no label either, which was told.
                _ if at.is_none() => false,
                _ => {
                    let path = path.display();
                    return Err(Failed::World(format!("{path} line {number}: the label `{text}` is neither 0 nor 1")));
                }
            };
            self.rows.push(Labelled { series, at, value, label });
            let Judged { score, alert_score, alert, .. } = judged;
            self.said.push(Said { at, score, alert_score: Some(alert_score), alert: Some(alert) });
        }
        let rows = self.rows.len() as u64;
        let bad = bad.sum_up(rows);
        if let Some(judges) = judges {
            judges.sum_up(path, rows, bad);
        }
        Ok(())
    }

    /// Row by row to its series.
    fn series(self, path: &Path) -> Result<Vec<Series>, Failed> {
        let stem = path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into());
        let count = if self.rows.is_empty() { 0 } else { self.names.len() };
        let said_by_all = |has: fn(&Said) -> bool| self.said.iter().all(has);
        let (has_alert_score, has_alert) =
            (said_by_all(|said| said.alert_score.is_some()), said_by_all(|said| said.alert.is_some()));
        let mut list: Vec<Series> = (0..count)
            .map(|number| Series {
                name: if count == 1 { stem.clone() } else { format!("{stem}/{}", self.names[number]) },
                alert_score: has_alert_score.then(Vec::new),
                alert: has_alert.then(Vec::new),
                ..Series::default()
            })
            .collect();
        let mut times: Vec<Vec<Timestamp>> = vec![Vec::new(); count];
        for (row, said) in self.rows.iter().zip(&self.said) {
            let Some(series) = list.get_mut(row.series) else { continue };
            series.labels.push(row.label);
            series.values.push(row.value);
            series.score.push(said.score);
            if let (Some(scores), Some(score)) = (&mut series.alert_score, said.alert_score) {
                scores.push(score);
            }
            if let (Some(alerts), Some(alert)) = (&mut series.alert, said.alert) {
                alerts.push(alert);
            }
            times[row.series].extend(row.at);
        }
        for (series, times) in list.iter_mut().zip(&times) {
            series.interval = interval(times).ok_or_else(|| {
                let (path, name) = (path.display(), &series.name);
                Failed::World(format!(
                    "{path}: {name} has no two rows in the order of time; nothing can be counted per week"
                ))
            })?;
        }
        Ok(list)
    }
}

/// The median from row to row; duplicates and steps back are none.
fn interval(times: &[Timestamp]) -> Option<Span> {
    let mut steps: Vec<Span> =
        times.windows(2).map(|two| two[1].since(two[0])).filter(|step| *step > Span::ZERO).collect();
    let middle = steps.len() / 2;
    (!steps.is_empty()).then(|| *steps.select_nth_unstable(middle).1)
}

/// What another detector wrote: CSV with `score` (or `anomaly_score`), perhaps `alert_score` and `alert`.
fn theirs(path: &Path) -> Result<Vec<Said>, Failed> {
    let failed = |what: String| Failed::World(format!("{}: {what}", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let heads = reader.headers().map_err(|error| failed(error.to_string()))?.clone();
    let column = |wanted: &str| heads.iter().position(|head| head.trim().eq_ignore_ascii_case(wanted));
    let score = column("score").or_else(|| column("anomaly_score")).ok_or_else(|| {
        failed(
            "no column is called score; write one row for each row of the labelled file, with timestamp,value,score"
                .into(),
        )
    })?;
    let (at, alert_score, alert) = (column("timestamp"), column("alert_score"), column("alert"));
    let mut said = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| failed(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        // An empty field is how a score is written that is not a number.
        let number = |column: usize| match record.get(column).unwrap_or_default().trim() {
            "" => Ok(f64::NAN),
            text => text.parse().map_err(|_| failed(format!("line {line}: `{text}` is not a number"))),
        };
        said.push(Said {
            at: at.and_then(|at| Timestamp::parse(record.get(at)?).ok()),
            score: number(score)?,
            alert_score: alert_score.map(number).transpose()?,
            alert: alert.map(number).transpose()?.map(|alert| alert >= 0.5),
        });
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_median_step_forward() {
        let at = |secs: &[i64]| interval(&secs.iter().map(|secs| Timestamp::from_secs(*secs)).collect::<Vec<_>>());
        assert_eq!(at(&[0, 60, 60, 120, 90, 3600, 3660]), Some(Span::from_secs(60)));
        assert_eq!(at(&[5, 5, 4]), None);
        assert_eq!(at(&[]), None);
    }
}
