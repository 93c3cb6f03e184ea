//! `homeostat thresholds import`: thresholds from a file into a running daemon, each row by itself.

use super::super::client::{Daemon, text};
use super::super::output::Out;
use super::super::{Done, Failed};
use crate::config::tree::{Node, Tree};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A larger file is not read, in bytes.
const FILE_LEN_MAX: u64 = 64 << 20;

/// A YAML file of more values is not read.
const YAML_NODES_MAX: usize = 4_000_000;

/// Rows that are sent at once, and the bytes of them: the daemon takes 500 and a megabyte.
const ROWS_AT_ONCE: usize = 250;
const BYTES_AT_ONCE: usize = 512 << 10;

/// What is refused and told one by one; a file of another kind has millions.
const REFUSED_TOLD: usize = 20;

/// What a row is read for. Numbers first.
const NUMBERS: [&str; 6] = ["lower", "upper", "alert_lower", "alert_upper", "sensitivity", "confidence"];
const TEXTS: [&str; 3] = ["series", "reasoning", "rhythm"];

#[derive(clap::Args)]
pub struct ImportArgs {
    /// What `thresholds export` or `learn` printed; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How the file is written [default: by its name, else by its first character]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<ImportFormat>,
    /// Exit with 1 when a row is refused
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum ImportFormat {
    Json,
    Yaml,
    Csv,
}

/// A row of the file: where it begins, counted from 1, and what the daemon is to be asked, or why it cannot be.
#[derive(Debug)]
struct Item {
    line: u64,
    row: Result<Map<String, Value>, String>,
}

pub fn import(args: &ImportArgs, out: &Out) -> Result<Done, Failed> {
    let text = read(&args.file)?;
    let format = args.format.unwrap_or_else(|| guessed(&args.file, &text));
    let items = items(&text, format).map_err(|problem| Failed::Use(format!("{}: {problem}", args.file.display())))?;
    if items.is_empty() {
        return Err(Failed::Use(format!("{} holds no thresholds", args.file.display())));
    }
    let mut sums = Sums::default();
    let mut first_line: BTreeMap<String, u64> = BTreeMap::new();
    let (mut lines, mut rows, mut bytes) = (Vec::new(), Vec::new(), 0);
    let client = args.daemon.connect()?;
    let send = |lines: &mut Vec<u64>, rows: &mut Vec<Value>, sums: &mut Sums| -> Result<(), Failed> {
        if rows.is_empty() {
            return Ok(());
        }
        let answer = client.post("thresholds", &json!({ "data": rows }), None)?;
        sums.add(answer.get("data").unwrap_or(&Value::Null), lines);
        lines.clear();
        rows.clear();
        Ok(())
    };
    for Item { line, row } in items {
        let row = row.and_then(|row| {
            let series = row.get("series").and_then(Value::as_str).unwrap_or_default().to_owned();
            match first_line.insert(series, line) {
                Some(before) => Err(format!("the series was on line {before} before")),
                None => Ok(row),
            }
        });
        match row {
            Err(reason) => sums.refused.push(Refused { line, series: String::new(), reason }),
            Ok(row) => {
                let row = Value::Object(row);
                bytes += row.to_string().len();
                lines.push(line);
                rows.push(row);
                if rows.len() == ROWS_AT_ONCE || bytes >= BYTES_AT_ONCE {
                    send(&mut lines, &mut rows, &mut sums)?;
                    bytes = 0;
                }
            }
        }
    }
    send(&mut lines, &mut rows, &mut sums)?;
    sums.tell(args, out)
}

struct Refused {
    line: u64,
    series: String,
    reason: String,
}

#[derive(Default)]
struct Sums {
    imported: u64,
    unchanged: u64,
    left_out: u64,
    refused: Vec<Refused>,
}

impl Sums {
    /// An answer of the daemon about rows that stand on these lines.
    fn add(&mut self, answer: &Value, lines: &[u64]) {
        let count = |field: &str| answer.get(field).and_then(Value::as_u64).unwrap_or(0);
        self.imported += count("imported");
        self.unchanged += count("unchanged");
        self.left_out += count("left_out");
        for refused in answer.get("refused").and_then(Value::as_array).into_iter().flatten() {
            let row = refused.get("row").and_then(Value::as_u64).unwrap_or(0) as usize;
            let line = row.checked_sub(1).and_then(|at| lines.get(at)).copied().unwrap_or(0);
            let series = refused.get("series").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.refused.push(Refused { line, series, reason: text(refused, "reason") });
        }
    }

    fn tell(mut self, args: &ImportArgs, out: &Out) -> Result<Done, Failed> {
        self.refused.sort_by_key(|refused| refused.line);
        let path = args.file.display();
        for Refused { line, series, reason } in self.refused.iter().take(REFUSED_TOLD) {
            let of = if series.is_empty() { String::new() } else { format!(" {series}:") };
            eprintln!("{path}: line {line}:{of} {reason}");
        }
        let untold = self.refused.len().saturating_sub(REFUSED_TOLD);
        if untold > 0 {
            eprintln!("{path}: … and {untold} more");
        }
        let (imported, unchanged, left_out) = (self.imported, self.unchanged, self.left_out);
        let refused = self.refused.len();
        if out.is_json() {
            let rows: Vec<Value> = self
                .refused
                .iter()
                .map(|one| json!({ "line": one.line, "series": one.series, "reason": one.reason }))
                .collect();
            out.data(&json!({ "imported": imported, "unchanged": unchanged, "left_out": left_out, "refused": rows }))?;
        } else {
            let idle = if left_out > 0 { format!("{left_out} left out (not active), ") } else { String::new() };
            out.text(&format!(
                "{imported} thresholds imported, {unchanged} stood there already, {idle}{refused} refused"
            ))?;
        }
        if imported + unchanged == 0 {
            return Err(Failed::Use(format!("no threshold of {path} could be used")));
        }
        Ok(if args.strict && refused > 0 { Done::WithFindings } else { Done::Quietly })
    }
}

fn read(path: &Path) -> Result<String, Failed> {
    let failed = |error: std::io::Error| Failed::World(format!("cannot read {}: {error}", path.display()));
    let input: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).map_err(failed)?),
    };
    let mut bytes = Vec::new();
    input.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(Failed::Use(format!("{} is over {FILE_LEN_MAX} bytes: is it the right file?", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| Failed::Use(format!("{} is not UTF-8", path.display())))
}

fn guessed(path: &Path, text: &str) -> ImportFormat {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => ImportFormat::Json,
        Some("yaml" | "yml") => ImportFormat::Yaml,
        Some("csv") => ImportFormat::Csv,
        _ if text.trim_start().starts_with(['{', '[']) => ImportFormat::Json,
        _ if text.lines().next().is_some_and(|line| line.split(',').any(|name| name.trim() == "series")) => {
            ImportFormat::Csv
        }
        _ => ImportFormat::Yaml,
    }
}

fn items(text: &str, format: ImportFormat) -> Result<Vec<Item>, String> {
    match format {
        ImportFormat::Json => from_json(text),
        ImportFormat::Yaml => from_yaml(text),
        ImportFormat::Csv => from_csv(text),
    }
}

/// What of a row is sent: the daemon learns nothing from the rest.
fn picked(fields: &Map<String, Value>) -> Map<String, Value> {
    let known = |name: &&str| fields.contains_key(*name);
    let names = NUMBERS.iter().chain(&TEXTS).chain(&["active"]).copied().filter(known);
    names.map(|name| (name.to_owned(), fields[name].clone())).collect()
}

fn from_json(text: &str) -> Result<Vec<Item>, String> {
    #[derive(Deserialize)]
    struct Under<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let wrong = |error: serde_json::Error| format!("not the JSON of thresholds: {error}");
    let rows: Vec<&RawValue> = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text).map_err(wrong)?,
        false => serde_json::from_str::<Under>(text).map_err(wrong)?.data,
    };
    // Rows come in the order of the text: one walk over it counts the lines.
    let (mut line, mut counted) = (1, 0);
    let mut items = Vec::with_capacity(rows.len());
    for raw in rows {
        let at = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len());
        line += text.as_bytes()[counted..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        counted = at;
        let row = match serde_json::from_str::<Value>(raw.get()) {
            Ok(Value::Object(fields)) => Ok(picked(&fields)),
            Ok(_) => Err("not an object".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        items.push(Item { line, row });
    }
    Ok(items)
}

fn from_yaml(text: &str) -> Result<Vec<Item>, String> {
    let node = Node::parse_within(text, YAML_NODES_MAX).map_err(|error| match error.place {
        Some((line, column)) => format!("line {line}, column {column}: {}", error.problem),
        None => error.problem,
    })?;
    let list = match node.tree {
        Tree::List(list) => list,
        Tree::Map(entries) => {
            match entries.into_iter().find(|entry| entry.key == "data").map(|entry| entry.node.tree) {
                Some(Tree::List(list)) => list,
                _ => return Err("there is no list under `data`".to_owned()),
            }
        }
        Tree::Scalar(_) => return Err("neither a list nor a section with `data`".to_owned()),
    };
    let item = |node: Node| {
        let row = match Value::from(node.tree) {
            Value::Object(fields) => Ok(picked(&fields)),
            _ => Err("not a section".to_owned()),
        };
        Item { line: node.line, row }
    };
    Ok(list.into_iter().map(item).collect())
}

fn from_csv(text: &str) -> Result<Vec<Item>, String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let names: Vec<String> =
        reader.headers().map_err(|error| error.to_string())?.iter().map(str::to_ascii_lowercase).collect();
    if !names.iter().any(|name| name == "series") {
        return Err(
            "line 1: no column is called series; the first row names the columns, like series,lower,upper".into()
        );
    }
    let mut items = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(items),
            Ok(true) => {
                let line = record.position().map_or(line, |start| {
                    // The reader counts from before empty lines, which are no rows.
                    let rest = &text.as_bytes()[(start.byte() as usize).min(text.len())..];
                    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
                    start.line() + empty.filter(|byte| **byte == b'\n').count() as u64
                });
                items.push(Item { line, row: csv_row(&names, &record) });
            }
            Err(error) => return Err(format!("line {line}: {error}")),
        }
    }
}

fn csv_row(names: &[String], record: &csv::StringRecord) -> Result<Map<String, Value>, String> {
    if record.len() != names.len() {
        return Err(format!("{} fields, the first row names {}", record.len(), names.len()));
    }
    let mut row = Map::new();
    for (name, field) in names.iter().zip(record).filter(|(_, field)| !field.is_empty()) {
        let value = match name.as_str() {
            name if TEXTS.contains(&name) => Value::from(field),
            name if NUMBERS.contains(&name) => {
                let number = field.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                Value::Number(number.ok_or_else(|| format!("`{name}`: `{}` is no finite number", short(field)))?)
            }
            "active" => {
                Value::Bool(field.parse().map_err(|_| format!("`active`: `{}` is not true or false", short(field)))?)
            }
            _ => continue,
        };
        row.insert(name.clone(), value);
    }
    Ok(row)
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, format: ImportFormat) -> Vec<(u64, Value)> {
        let items = items(text, format).expect(text);
        items.into_iter().map(|item| (item.line, item.row.map_or_else(Value::from, Value::Object))).collect()
    }

    #[test]
    fn rows_are_known_by_their_line_in_every_format() {
        let wanted = |first: u64, second: u64| {
            [
                (first, json!({"series": "up{a=\"1\"}", "upper": 9.5})),
                (second, json!({"series": "down", "lower": -1.5})),
            ]
        };
        let json = r#"{
 "data": [
  {"series": "up{a=\"1\"}", "upper": 9.5, "strategy": "iqr"},

  {"series": "down",
   "lower": -1.5}
 ],
 "next": null
}"#;
        assert_eq!(told(json, ImportFormat::Json), wanted(3, 5));
        let list = "[{\"series\":\"up{a=\\\"1\\\"}\",\"upper\":9.5},\n{\"series\":\"down\",\"lower\":-1.5}]";
        assert_eq!(told(list, ImportFormat::Json), wanted(1, 2));
        let yaml = r#"
data:
- series: 'up{a="1"}'
  upper: 9.5
  supporting: {count: 5}
- series: down
  lower: -1.5
"#;
        assert_eq!(told(yaml, ImportFormat::Yaml), wanted(3, 6));
        let csv = "Series,lower,upper,count\n\"up{a=\"\"1\"\"}\",,9.5,7\n\ndown,-1.5,,7\n";
        assert_eq!(told(csv, ImportFormat::Csv), wanted(2, 4));
    }

    #[test]
    fn what_cannot_be_a_row_says_why_and_the_rest_is_used() {
        let csv = "series,upper,active\na,much,true\nb,1\nc,inf,true\nd,1,perhaps\ne,1,true\n";
        let reasons = told(csv, ImportFormat::Csv);
        for ((line, said), wanted) in reasons.iter().zip(["`much` is no", "2 fields", "`inf` is no", "`perhaps`", "e"])
        {
            assert!(said.to_string().contains(wanted), "{line}: {said}");
        }
        assert_eq!(told("[1, {}]", ImportFormat::Json), [(1, json!("not an object")), (1, json!({}))]);
        assert_eq!(told("- 1\n- {}\n", ImportFormat::Yaml), [(1, json!("not a section")), (2, json!({}))]);
    }

    #[test]
    fn files_of_another_kind_are_refused_quickly() {
        let deep = "[".repeat(1_000_000);
        let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\ndata: [*b,*b,*b,*b,*b,*b,*b,*b]\n";
        for (text, format) in [
            (deep.as_str(), ImportFormat::Json),
            (&deep, ImportFormat::Yaml),
            ("{}", ImportFormat::Json),
            ("{\"data\": 5}", ImportFormat::Json),
            ("just text", ImportFormat::Yaml),
            ("a: 1", ImportFormat::Yaml),
            ("timestamp,value\n1,2\n", ImportFormat::Csv),
            ("", ImportFormat::Csv),
        ] {
            assert!(items(text, format).is_err(), "{format:?} {}", &text[..text.len().min(40)]);
        }
        assert!(items(laughs, ImportFormat::Yaml).is_ok_and(|rows| rows.iter().all(|item| item.row.is_err())));
    }
}
