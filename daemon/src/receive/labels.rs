//! What a series is called, from labels as they were sent. Each that cannot be is refused by what is wrong with it.

use super::Why;
use super::batch::{LabelsWrong, Told};
use homeostat::series::{NAME_LEN_MAX, NameError, SeriesName};

/// Labels of one series; its text would not hold more.
pub const LABELS_MAX: usize = 2048;

/// The label that holds the metric's name.
const METRIC: &str = "__name__";

/// A label is shown this far in a message, in characters.
const SHOWN: usize = 60;

/// What a series is called, and who sent it where replicas send the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Called {
    pub name: SeriesName,
    /// Which of the replicas that watch the same, and what they watch.
    pub replica: Option<Replica>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Replica {
    /// Values of the labels that say what is watched, in the order of the configuration.
    pub cluster: Vec<String>,
    /// Values of the labels that tell replicas apart; those that are there.
    pub replica: Vec<String>,
}

/// Why something of a request is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub why: Why,
    pub message: String,
}

impl From<LabelsWrong> for Refusal {
    fn from(wrong: LabelsWrong) -> Refusal {
        Refusal { why: Why::Labels, message: format!("labels: {wrong}") }
    }
}

fn refuse(message: String) -> Refusal {
    Refusal { why: Why::Labels, message }
}

/// As a message has it: without control characters, and not longer than a line. Quotes and backslashes stand as people write them.
pub fn shown(text: &str) -> String {
    let plain = text.chars().take(SHOWN).fold(String::new(), |mut plain, c| {
        match c {
            '"' | '\'' | '\\' => plain.push(c),
            c => plain.extend(c.escape_debug()),
        }
        plain
    });
    if text.chars().nth(SHOWN).is_some() { format!("{plain}…") } else { plain }
}

/// Checks the labels of a series, and takes those apart that tell replicas apart and say what they watch.
pub fn called(told: &Told<'_>, replica_labels: &[String], cluster_labels: &[String]) -> Result<Called, Refusal> {
    let mut labels: Vec<(&str, &str)> = Vec::new();
    let mut bytes = 0;
    told.labels(|name, value| -> Result<(), Refusal> {
        let n = labels.len();
        bytes += name.len() + value.len();
        // Before anything is made of them: one long symbol may be named by thousands of labels. Single ones are told below.
        if bytes > 2 * NAME_LEN_MAX && name.len().max(value.len()) <= NAME_LEN_MAX {
            return Err(refuse(format!(
                "labels: the first {} have {bytes} bytes; a whole series may have {NAME_LEN_MAX}",
                n + 1
            )));
        }
        let name_text = std::str::from_utf8(name).map_err(|_| refuse(format!("labels[{n}].name is not UTF-8")))?;
        let value = std::str::from_utf8(value)
            .map_err(|_| refuse(format!("labels[{n}].value, of `{}`, is not UTF-8", shown(name_text))))?;
        let name = name_text;
        if name.is_empty() {
            return Err(refuse(format!("labels[{n}].name is empty")));
        }
        for (what, len) in [("name", name.len()), ("value", value.len())] {
            if len > NAME_LEN_MAX {
                let label = shown(name);
                return Err(refuse(format!(
                    "labels[{n}].{what}, of `{label}`, has {len} bytes; a whole series may have {NAME_LEN_MAX}"
                )));
            }
        }
        if value.is_empty() {
            return Err(refuse(format!("labels[{n}].value, of `{}`, is empty; leave the label out", shown(name))));
        }
        if let Some((before, _)) = labels.last() {
            let (label, last) = (shown(name), shown(before));
            match name.cmp(before) {
                std::cmp::Ordering::Equal => return Err(refuse(format!("labels[{n}].name: `{label}` comes twice"))),
                std::cmp::Ordering::Less => {
                    return Err(refuse(format!(
                        "labels[{n}].name: `{label}` stands behind `{last}`; labels are sorted"
                    )));
                }
                std::cmp::Ordering::Greater => {}
            }
        }
        if n == LABELS_MAX {
            return Err(refuse(format!("labels: it has over {LABELS_MAX}")));
        }
        labels.push((name, value));
        Ok(())
    })?;
    let value = |wanted: &str| labels.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let metric = value(METRIC).ok_or_else(|| refuse(format!("labels: there is no `{METRIC}`")))?;
    let replica: Vec<String> =
        replica_labels.iter().filter_map(|label| Some(format!("{label}={}", value(label)?))).collect();
    let replica = (!replica.is_empty()).then(|| Replica {
        cluster: cluster_labels.iter().map(|label| value(label).unwrap_or_default().to_owned()).collect(),
        replica,
    });
    let others = labels.iter().filter(|(name, _)| *name != METRIC && !replica_labels.iter().any(|label| label == name));
    let others = others.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match SeriesName::new(metric, others) {
        Ok(name) => Ok(Called { name, replica }),
        Err(error @ NameError::TooLong { .. }) => {
            let longest = labels.iter().max_by_key(|(name, value)| name.len() + value.len());
            let longest = longest.map_or("", |(name, _)| *name);
            Err(refuse(format!("labels: {error}; the longest is `{}`", shown(longest))))
        }
        Err(error) => Err(refuse(format!("labels: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_shown_as_people_write_it_and_never_breaks_a_line() {
        assert_eq!(shown(r#"up{job="a \"b\"",path="C:\\it's"}"#), r#"up{job="a \"b\"",path="C:\\it's"}"#);
        assert_eq!(shown("a\nb\u{1b}[0m\u{202e}"), r"a\nb\u{1b}[0m\u{202e}");
        assert_eq!(shown(&"x".repeat(61)), format!("{}…", "x".repeat(60)));
    }
}
