//! Rule files as people keep them: Prometheus' own, PrometheusRule manifests, several documents in one, values of charts.
//!
//! Every rule is read by itself: what is wrong with one is said with its line, and the rest goes on.

use super::place::{ForPlace, for_place};
use super::scalar::Places;
use super::yaml::{Entry, NodeId, Scalar, Value, Yaml};
use granit_parser::ScalarStyle;
use homeostat::time::Span;
use std::collections::HashMap;
use std::fmt;

/// Levels below which `groups` is looked for, and merges are followed.
const DEPTH_MAX: usize = 12;

/// One file, or what a server said of one.
#[derive(Debug)]
pub struct RuleFile {
    /// As it was given; of a live server the file's name there.
    pub name: String,
    /// Empty where it was not read from a file.
    pub text: String,
    pub groups: Vec<Group>,
    pub problems: Vec<Problem>,
}

/// What could not be read, in words that tell what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Counts from 1.
    pub line: usize,
    /// The rule, where it has a name.
    pub rule: Option<String>,
    pub problem: String,
}

/// A group's limit as it is told: 0 or less is none.
pub fn limit_of(told: i64) -> Option<usize> {
    usize::try_from(told).ok().filter(|limit| *limit > 0)
}

#[derive(Debug)]
pub struct Group {
    pub name: String,
    /// None: the server's own.
    pub interval: Option<Span>,
    /// With more alerts a rule's evaluation fails. None: any number.
    pub limit: Option<usize>,
    pub rules: Vec<Rule>,
}

#[derive(Debug)]
pub struct Rule {
    pub line: usize,
    pub kind: RuleKind,
    pub name: Field,
    pub expr: Field,
    pub hold: Span,
    /// Where another `for` is to be written.
    pub hold_place: Result<ForPlace, Fixed>,
    pub keep_firing_for: Span,
    pub labels: Vec<(String, Field)>,
    pub annotations: Vec<(String, Field)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleKind {
    Alert,
    Record,
}

/// A text of a rule, and where it stands.
#[derive(Clone, Debug)]
pub struct Field {
    pub text: String,
    pub line: usize,
    pub places: Result<Places, Fixed>,
}

/// Why a text cannot be changed where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fixed {
    /// A server said it.
    Live,
    /// Several rules read it from one place.
    Shared {
        anchor: String,
        line: usize,
        rules: usize,
    },
    /// Written in a way that is not mapped to bytes.
    Style {
        style: &'static str,
        line: usize,
    },
    /// The whole rule stands elsewhere.
    Alias {
        line: usize,
    },
    Template {
        line: usize,
    },
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fixed::Live => f.write_str("it was read from a server; give the file it stands in"),
            Fixed::Shared { anchor, line, rules } => {
                let anchor = if anchor.is_empty() { String::new() } else { format!(" (`&{anchor}`)") };
                write!(f, "it stands in line {line}{anchor} for {rules} rules; write it out for each of them")
            }
            Fixed::Style { style, line } => {
                write!(f, "the {style} in line {line} cannot be changed in part; write it as a block after `|`")
            }
            Fixed::Alias { line } => write!(f, "the rule is an alias of the one in line {line}; write it out"),
            Fixed::Template { line } => {
                write!(f, "line {line} is filled in by a template; give the file that comes of it")
            }
        }
    }
}

impl Field {
    /// The file's bytes of a part of the text.
    pub fn span(&self, part: std::ops::Range<usize>) -> Result<std::ops::Range<usize>, Fixed> {
        let places = self.places.as_ref().map_err(Clone::clone)?;
        places.span(part).ok_or(Fixed::Style { style: "line that is folded or escaped", line: self.line })
    }
}

impl Rule {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(own, _)| own == name).map(|(_, field)| field.text.as_str())
    }
}

impl RuleFile {
    /// Reads what can be read.
    pub fn parse(name: &str, text: String) -> RuleFile {
        let mut file =
            RuleFile { name: name.to_owned(), text: String::new(), groups: Vec::new(), problems: Vec::new() };
        let template = template_line(&text);
        match (Yaml::parse(&text), template) {
            (_, Some(line)) => {
                let what = "the file is a template; render it (helm template, for one), and give what comes of it";
                file.problem(line, None, what);
            }
            (Err(wrong), None) => match loose_template_line(&text) {
                Some(line) => {
                    let what = "the file looks like a template; render it, and give what comes of it";
                    file.problem(line, None, what);
                }
                None => file.problem(wrong.line, None, wrong.problem),
            },
            (Ok(yaml), None) => {
                let mut reader = Reader { yaml: &yaml, text: &text, file: &mut file, used: HashMap::new() };
                reader.all();
            }
        }
        file.text = text;
        file
    }

    /// One whose text could not be had.
    pub fn unread(name: &str, line: usize, problem: String) -> RuleFile {
        let problem = Problem { line, rule: None, problem };
        RuleFile { name: name.to_owned(), text: String::new(), groups: Vec::new(), problems: vec![problem] }
    }

    fn problem(&mut self, line: usize, rule: Option<&str>, problem: impl Into<String>) {
        self.problems.push(Problem { line, rule: rule.map(str::to_owned), problem: problem.into() });
    }

    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }
}

/// The line of what no rule file and no template of an annotation holds: it is filled in by Helm, Jinja or ERB.
fn template_line(text: &str) -> Option<usize> {
    const MARKS: [&str; 9] =
        [".Values.", ".Release.", ".Chart.", "{{`", "{{ `", "{%", "<%", "{{ include ", "{{- include "];
    text.lines()
        .position(|line| !line.trim_start().starts_with('#') && MARKS.iter().any(|mark| line.contains(mark)))
        .map(|at| at + 1)
}

/// The same of a text that is no YAML, where any braces may be the cause.
fn loose_template_line(text: &str) -> Option<usize> {
    let marked = |line: &str| {
        let line = line.trim_start().trim_start_matches("- ");
        line.starts_with("{{") || line.split_once(": ").is_some_and(|(_, value)| value.trim_start().starts_with("{{"))
    };
    text.lines().position(marked).map(|at| at + 1)
}

/// A key with its value, and the section it was merged from.
#[derive(Clone, Copy)]
struct Said {
    entry: Entry,
    /// The anchor it was inherited through.
    from: Option<NodeId>,
}

struct Reader<'a> {
    yaml: &'a Yaml,
    text: &'a str,
    file: &'a mut RuleFile,
    /// How many rules read the text that begins at a byte.
    used: HashMap<usize, usize>,
}

impl Reader<'_> {
    fn all(&mut self) {
        let mut lists = Vec::new();
        for document in self.yaml.documents.clone() {
            self.find_groups(document, 0, &mut lists);
        }
        if lists.is_empty() {
            let what = "there are no alert rules in it: no `groups` with `rules`";
            self.file.problem(1, None, what);
        }
        // First what is used how often, then what may be changed.
        for list in &lists {
            for group in self.yaml.list(*list).unwrap_or_default() {
                for rule in self.yaml.get(*group, "rules").and_then(|rules| self.yaml.list(rules)).unwrap_or_default() {
                    for one in self.said(*rule, None, 0) {
                        self.count(one.entry.value, 0);
                    }
                }
            }
        }
        for list in lists {
            for group in self.yaml.list(list).unwrap_or_default() {
                self.group(*group);
            }
        }
    }

    /// Notes that one more rule reads this text, or these texts.
    fn count(&mut self, id: NodeId, depth: usize) {
        if let Some(scalar) = self.yaml.scalar(id) {
            *self.used.entry(scalar.raw.start).or_default() += 1;
        } else if depth < 2 {
            for one in self.said(id, None, 0) {
                self.count(one.entry.value, depth + 1);
            }
        }
    }

    /// Lists of groups, wherever they stand: at the top, under `spec`, in the items of a list, in the values of a chart.
    fn find_groups(&mut self, id: NodeId, depth: usize, found: &mut Vec<NodeId>) {
        // What an alias stands for is found where it stands.
        if depth > DEPTH_MAX || matches!(self.yaml.node(id).value, Value::Alias(_)) {
            return;
        }
        if let Some(items) = self.yaml.list(id) {
            for item in items {
                self.find_groups(*item, depth + 1, found);
            }
            return;
        }
        for entry in self.yaml.entries(id).unwrap_or_default() {
            let is_groups = self.yaml.text(entry.key) == Some("groups")
                && self.yaml.list(entry.value).is_some_and(|groups| {
                    groups.is_empty() || groups.iter().any(|group| self.yaml.get(*group, "rules").is_some())
                });
            if is_groups {
                found.push(entry.value);
            } else if let Some(text) = self.yaml.text(entry.value) {
                if text.contains("\ngroups:") || text.starts_with("groups:") {
                    let what = "rules that are a text in another file are not read; give them as a file of their own";
                    self.file.problem(self.yaml.node(entry.value).line, None, what);
                }
            } else {
                self.find_groups(entry.value, depth + 1, found);
            }
        }
    }

    fn group(&mut self, id: NodeId) {
        let yaml = self.yaml;
        let line = yaml.node(id).line;
        if yaml.entries(id).is_none() {
            return self.file.problem(line, None, "a group is a section with `name` and `rules`");
        }
        let name = yaml.get(id, "name").and_then(|name| yaml.text(name)).unwrap_or_default().to_owned();
        let interval = yaml.get(id, "interval").filter(|value| !yaml.is_null(*value));
        let interval = match interval.map(|value| (value, duration(yaml.text(value).unwrap_or_default()))) {
            None => None,
            Some((_, Ok(interval))) => Some(interval).filter(|interval| *interval > Span::ZERO),
            Some((value, Err(problem))) => {
                self.file.problem(yaml.node(value).line, None, format!("`interval`: {problem}"));
                None
            }
        };
        let limit = yaml.get(id, "limit").filter(|value| !yaml.is_null(*value));
        let limit = limit.and_then(|value| match yaml.text(value).unwrap_or_default().trim().parse::<i64>() {
            Ok(limit) => limit_of(limit),
            Err(_) => {
                self.file.problem(yaml.node(value).line, None, "`limit`: a whole number is wanted");
                None
            }
        });
        let mut group = Group { name, interval, limit, rules: Vec::new() };
        if let Some(rules) = yaml.get(id, "rules").filter(|rules| !yaml.is_null(*rules)) {
            match yaml.list(rules) {
                Some(rules) => group.rules = rules.iter().filter_map(|rule| self.rule(*rule)).collect(),
                None => self.file.problem(yaml.node(rules).line, None, "`rules` is a list"),
            }
        }
        self.file.groups.push(group);
    }

    /// Keys of a rule, its own before those that it inherits.
    fn said(&self, id: NodeId, from: Option<NodeId>, depth: usize) -> Vec<Said> {
        let mut said = Vec::new();
        if depth >= DEPTH_MAX {
            return said;
        }
        let target = self.yaml.target(id);
        let from = if target == id { from } else { Some(target) };
        let mut merged = Vec::new();
        for entry in self.yaml.entries(target).unwrap_or_default() {
            match self.yaml.text(entry.key) {
                Some("<<") => match self.yaml.list(entry.value) {
                    Some(items) => merged.extend(items.iter().copied()),
                    None => merged.push(entry.value),
                },
                _ => said.push(Said { entry: *entry, from }),
            }
        }
        for section in merged {
            said.extend(self.said(section, from, depth + 1));
        }
        said
    }

    fn rule(&mut self, id: NodeId) -> Option<Rule> {
        let yaml = self.yaml;
        let line = yaml.node(id).line;
        if yaml.entries(id).is_none() {
            self.file.problem(line, None, "a rule is a section with `alert` (or `record`) and `expr`");
            return None;
        }
        let said = self.said(id, None, 0);
        let alert = value_of(yaml, &said, "alert").filter(|(id, _)| !yaml.is_null(*id));
        let record = value_of(yaml, &said, "record").filter(|(id, _)| !yaml.is_null(*id));
        let (kind, name) = match (alert, record) {
            (Some(alert), None) => (RuleKind::Alert, alert),
            (None, Some(record)) => (RuleKind::Record, record),
            (Some(_), Some(_)) => {
                self.file.problem(line, None, "a rule has either `alert` or `record`, not both");
                return None;
            }
            (None, None) => {
                self.file.problem(line, None, "the rule has neither `alert` nor `record`");
                return None;
            }
        };
        let shown = yaml.text(name.0).map(str::to_owned);
        let refuse = |file: &mut RuleFile, line: usize, problem: String| -> Option<Rule> {
            file.problem(line, shown.as_deref(), problem);
            None
        };
        if let Some((key, line)) = twice(yaml, yaml.target(id)) {
            return refuse(self.file, line, format!("`{key}` stands twice in the rule; keep one of the two"));
        }
        let Some(name) = self.field(name) else { return refuse(self.file, line, "its name is not a text".into()) };
        let expr = value_of(yaml, &said, "expr").filter(|(id, _)| !yaml.is_null(*id));
        let Some(expr_at) = expr else { return refuse(self.file, line, "the rule has no `expr`".into()) };
        let Some(mut expr) = self.field(expr_at) else {
            let node = yaml.node(expr_at.0);
            if self.text[node.span.start..].starts_with("{{") {
                let fixed = Fixed::Template { line: node.line };
                return refuse(self.file, node.line, format!("`expr` cannot be read: {fixed}"));
            }
            return refuse(self.file, yaml.node(expr_at.0).line, "`expr` is not a text".into());
        };
        if let Some(at) = ["{{", "{%", "<%", "${"].iter().find_map(|mark| expr.text.find(mark)) {
            let line = expr.line_of(self.text, at);
            expr.places = Err(Fixed::Template { line });
        }
        let mut spans = [Span::ZERO; 2];
        for (span, key) in spans.iter_mut().zip(["for", "keep_firing_for"]) {
            if let Some((id, _)) = value_of(yaml, &said, key).filter(|(id, _)| !yaml.is_null(*id)) {
                match duration(yaml.text(id).unwrap_or_default()) {
                    Ok(found) => *span = found,
                    Err(problem) => return refuse(self.file, yaml.node(id).line, format!("`{key}`: {problem}")),
                }
            }
        }
        let hold_at = value_of(yaml, &said, "for");
        let hold_field = hold_at.filter(|(id, _)| !yaml.is_null(*id)).and_then(|at| self.field(at));
        let hold_place = match (&hold_field, yaml.target(id) == id) {
            (Some(Field { places: Err(fixed), .. }), _) => Err(fixed.clone()),
            (None, false) => Err(Fixed::Alias { line: yaml.node(yaml.target(id)).line }),
            // Who inherits from this rule would inherit the new `for` as well.
            (None, true) if yaml.node(id).aliases > 0 => Err(Fixed::Shared {
                anchor: yaml.node(id).anchor.clone().unwrap_or_default(),
                line,
                rules: yaml.node(id).aliases + 1,
            }),
            _ => for_place(yaml, self.text, id, hold_at.map(|(id, _)| id)),
        };
        let texts = |reader: &Self, key: &str| -> Vec<(String, Field)> {
            let section = value_of(yaml, &said, key).map(|(id, from)| (reader.said(id, from, 0), id));
            let mut seen: Vec<(String, Field)> = Vec::new();
            for one in section.map(|(said, _)| said).unwrap_or_default() {
                let name = yaml.text(one.entry.key).unwrap_or_default();
                if !seen.iter().any(|(known, _)| known == name)
                    && let Some(field) = reader.field((one.entry.value, one.from))
                {
                    seen.push((name.to_owned(), field));
                }
            }
            seen
        };
        let (labels, annotations) = (texts(self, "labels"), texts(self, "annotations"));
        Some(Rule {
            line,
            kind,
            name,
            expr,
            hold: spans[0],
            hold_place,
            keep_firing_for: spans[1],
            labels,
            annotations,
        })
    }

    /// A text with where it stands; None: not a text.
    fn field(&self, (id, from): (NodeId, Option<NodeId>)) -> Option<Field> {
        let target = self.yaml.target(id);
        let scalar = self.yaml.scalar(target)?;
        let node = self.yaml.node(target);
        let inherited = from.or((target != id).then_some(target));
        let users = self.used.get(&scalar.raw.start).copied().unwrap_or(0);
        let shared = users > 1 || users == 1 && node.aliases > 1;
        let places = if shared {
            let anchored = inherited.map_or(node, |anchor| self.yaml.node(anchor));
            let anchor = anchored.anchor.clone().unwrap_or_default();
            Err(Fixed::Shared { anchor, line: node.line, rules: users.max(2) })
        } else {
            let style = style_name(scalar);
            Places::of(self.text, scalar).ok_or(Fixed::Style { style, line: node.line })
        };
        Some(Field { text: scalar.text.clone(), line: node.line, places })
    }
}

impl Field {
    /// The line of a byte of the text, as near as it is known.
    pub fn line_of(&self, file: &str, at: usize) -> usize {
        match self.places.as_ref().ok().and_then(|places| places.near(at)) {
            Some(place) => 1 + file.as_bytes()[..place.min(file.len())].iter().filter(|byte| **byte == b'\n').count(),
            None => self.line,
        }
    }
}

fn style_name(scalar: &Scalar) -> &'static str {
    match scalar.style {
        ScalarStyle::Plain => "text",
        ScalarStyle::SingleQuoted => "text in single quotes",
        ScalarStyle::DoubleQuoted => "text in double quotes",
        ScalarStyle::Literal => "block after `|`",
        ScalarStyle::Folded => "block after `>`",
    }
}

fn value_of(yaml: &Yaml, said: &[Said], key: &str) -> Option<(NodeId, Option<NodeId>)> {
    let found = said.iter().find(|said| yaml.text(said.entry.key) == Some(key))?;
    Some((found.entry.value, found.from))
}

/// A key that stands twice in a section or the sections below it, and its second line.
fn twice(yaml: &Yaml, id: NodeId) -> Option<(String, usize)> {
    let mut seen = Vec::new();
    for entry in yaml.entries(id)? {
        let key = yaml.text(entry.key).unwrap_or_default();
        if seen.contains(&key) && key != "<<" {
            return Some((key.to_owned(), yaml.node(entry.key).line));
        }
        seen.push(key);
        let below = matches!(yaml.node(entry.value).value, Value::Map { .. }).then_some(entry.value);
        if let Some(found) = below.and_then(|below| twice(yaml, below)) {
            return Some(found);
        }
    }
    None
}

/// A duration as Prometheus reads one.
pub fn duration(text: &str) -> Result<Span, String> {
    Span::parse(text)
        .map_err(|_| format!("`{}` is no duration; give one like 5m", text.chars().take(40).collect::<String>()))
}
