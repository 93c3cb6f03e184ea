//! Rule files of a folder on this machine, as people publish them: `RULES_FOLDER=… cargo test -p homeostatd -- --ignored
//! collections --nocapture`. With `RULES_LIST=FILE` what was found of each rule is written there, a line of JSON each.

use super::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// What is seen of a rule before and after another one was changed.
fn seen(file: &RuleFile) -> Vec<(String, String, Span)> {
    file.rules().map(|rule| (rule.name.text.clone(), rule.expr.text.clone(), rule.hold)).collect()
}

#[test]
#[ignore = "needs RULES_FOLDER, a folder of rule files"]
fn collections_are_read_judged_and_changed_in_the_bytes_meant_alone() {
    let Ok(folder) = std::env::var("RULES_FOLDER") else { return };
    let mut list = std::env::var("RULES_LIST").ok().map(|path| std::fs::File::create(path).expect("RULES_LIST"));
    let mut paths = Vec::new();
    files(Path::new(&folder), &mut paths);
    paths.sort();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |what: &str| *counts.entry(what.to_owned()).or_default() += 1;
    for path in paths {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        count("files");
        let file = RuleFile::parse(&path.to_string_lossy(), text);
        if file.rules().next().is_none() {
            let why = file.problems.first().map_or("without rules".to_owned(), |one| one.problem.clone());
            count(&format!("files without rules: {}", why.split([';', ':', '`']).next().unwrap_or_default()));
            continue;
        }
        count("files read");
        exercise(&file.text);
        for problem in &file.problems {
            println!("{}:{}: {}", path.display(), problem.line, problem.problem);
            count("problems beside rules");
        }
        let before = seen(&file);
        for (at, rule) in file.rules().enumerate() {
            if rule.kind == RuleKind::Record {
                count("recording rules");
                continue;
            }
            count("alerts");
            let mut told = serde_json::json!({ "file": file.name, "line": rule.line, "alert": rule.name.text, "expr": rule.expr.text });
            match analyse(&rule.expr.text) {
                Err(reason) => {
                    count(&format!("left alone: {}", reason.word()));
                    told["verdict"] = reason.to_string().into();
                }
                Ok(analysis) => match &analysis.tuned {
                    Err(reason) => {
                        count(&format!("left alone: {}", reason.word()));
                        told["verdict"] = reason.word().into();
                    }
                    Ok(tuned) => {
                        count("to tune");
                        count(&format!("to tune: {} literals", tuned.len()));
                        let parts: Vec<_> = tuned.iter().map(|at| &analysis.comparisons[*at]).collect();
                        told["verdict"] = parts
                            .iter()
                            .map(|one| {
                                format!(
                                    "{:?} {:?}: {}",
                                    one.measure.unit,
                                    one.measure.clamp,
                                    &rule.expr.text[one.literal.span.clone()]
                                )
                            })
                            .collect::<Vec<_>>()
                            .into();
                        count(&format!("unit {:?}", parts[0].measure.unit));
                        let said =
                            Said { literal: parts[0].literal.value, unit: parts[0].measure.unit, hold: rule.hold };
                        let names = in_name(&rule.name.text, &said).len();
                        let texts: Vec<String> = rule
                            .annotations
                            .iter()
                            .flat_map(|(_, field)| {
                                in_text(&field.text, &said).into_iter().map(|one| {
                                    let text = &field.text;
                                    let from =
                                        text[..one.span.start].char_indices().rev().nth(14).map_or(0, |(at, _)| at);
                                    let to = text[one.span.end..]
                                        .char_indices()
                                        .nth(9)
                                        .map_or(text.len(), |(at, _)| one.span.end + at);
                                    text[from..to].to_owned()
                                })
                            })
                            .collect();
                        if names + texts.len() > 0 {
                            count("to tune, repeated in texts");
                        }
                        told["texts"] = texts.into();
                        told["names"] = names.into();
                        let first = parts[0].literal.span.clone();
                        match rule.expr.span(first.clone()) {
                            Err(fixed) => {
                                count("fixed");
                                println!("{}:{}: {}: {fixed}", path.display(), rule.line, rule.name.text);
                            }
                            Ok(span) => {
                                let new = spell(&rule.expr.text[first.clone()], parts[0].literal.value * 1.5 + 0.25).0;
                                let after = apply(&file, &[Edit { span, text: new.clone() }]).expect("a change");
                                let mut wanted = before.clone();
                                wanted[at].1.replace_range(first, &new);
                                assert_eq!(
                                    seen(&RuleFile::parse("", after)),
                                    wanted,
                                    "{}:{}",
                                    path.display(),
                                    rule.line
                                );
                                count("literals changed");
                            }
                        }
                        match &rule.hold_place {
                            Err(_) => count("for fixed"),
                            Ok(place) => {
                                let text = format!("{}77m{}", place.before, place.after);
                                let after = apply(&file, &[Edit { span: place.span.clone(), text }]).expect("a change");
                                let mut wanted = before.clone();
                                wanted[at].2 = Span::minutes(77);
                                assert_eq!(
                                    seen(&RuleFile::parse("", after)),
                                    wanted,
                                    "{}:{}",
                                    path.display(),
                                    rule.line
                                );
                                count("fors changed");
                            }
                        }
                    }
                },
            }
            if let Some(list) = &mut list {
                writeln!(list, "{told}").expect("RULES_LIST");
            }
        }
    }
    for (what, count) in counts {
        println!("{count:6}  {what}");
    }
}
