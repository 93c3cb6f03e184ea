//! A random rule, with what it looks at.

use crate::series::{Series, select};
use crate::{Chance, EVALUATIONS};
use homeostat::replay::data::{self, Lookup};
use homeostat::replay::{By, Formula, Group, Labels, Matching, Op, Range, Rule, Track};
use homeostat::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

pub struct Case {
    pub rule: Rule,
    pub literals: Vec<f64>,
    pub leaf_texts: Vec<String>,
    pub leaves: Vec<Range>,
    pub series: Vec<Series>,
    pub samples: i64,
    pub step: i64,
    /// Where the expression is not written from the formula.
    expression: Option<String>,
}

impl Case {
    pub fn random(number: usize, samples: i64, step: i64, chance: &mut Chance) -> Case {
        let metrics = ["x", "y", "z"].map(|letter| format!("c{number}_{letter}"));
        let count = (EVALUATIONS as i64 * step / samples) as usize + 1;
        let mut series = Vec::new();
        for metric in &metrics {
            // Not always told apart by the same labels.
            let sets: &[&str] = match chance.below(4) {
                0 => &["i=a", "i=b"],
                1 => &["i=a j=1", "i=a j=2", "i=b j=1", "i=b j=2"],
                2 => &["i=a k=v", "i=b k=w", "i=c k=v"],
                _ => &["", "i=a j=1", "i=b j=2"],
            };
            for set in sets.iter().filter(|_| chance.below(6) > 0).collect::<Vec<_>>() {
                let pairs = set.split_whitespace().filter_map(|pair| pair.split_once('='));
                let labels = Labels::new(pairs.chain([("__name__", metric.as_str())]));
                series.push(Series::random(labels, samples, count, chance));
            }
        }
        let mut maker = Maker {
            chance,
            metrics,
            series: &series,
            step,
            literals: Vec::new(),
            texts: Vec::new(),
            leaves: Vec::new(),
        };
        let formula = maker.whole();
        let Maker { literals, texts, leaves, .. } = maker;
        let rule = Rule {
            alert: format!("C{number}"),
            labels: labels_of_rule(chance),
            formula,
            for_ms: chance.one_of(&[0, 0, 60_000, 120_000, 300_000, 90_000, 47_000]),
            keep_firing_for_ms: chance.one_of(&[0, 0, 0, 60_000, 180_000, 200_000]),
            limit: chance.one_of(&[None, None, None, Some(1), Some(2), Some(3)]),
            interval_ms: step * 1000,
        };
        Case { rule, literals, leaf_texts: texts, leaves, series, samples, step, expression: None }
    }

    /// A rule that looks its thresholds up, some of which are there some of the time.
    pub fn lookup(number: usize, samples: i64, step: i64, chance: &mut Chance) -> Case {
        let (metric, alert) = (format!("c{number}_x"), format!("C{number}"));
        let count = (EVALUATIONS as i64 * step / samples) as usize + 1;
        let op = chance.one_of(&[Op::Greater, Op::GreaterEqual, Op::Less, Op::LessEqual]);
        let by: Vec<String> =
            chance.one_of(&[vec![], vec!["i"], vec!["i", "j"]]).into_iter().map(str::to_owned).collect();
        let lookup = Lookup::new(alert.as_str(), op, by.iter().cloned()).expect("an upper or a lower bound");
        let mut series = Vec::new();
        for set in [[("i", "a"), ("j", "1")], [("i", "a"), ("j", "2")], [("i", "b"), ("j", "1")]] {
            let labels = Labels::new(set.into_iter().chain([("__name__", metric.as_str())]));
            series.push(Series::random(labels, samples, count, chance));
        }
        let mut keys: Vec<Labels> =
            series.iter().map(|series| series.labels.filter(|name| by.iter().any(|by| by == name))).collect();
        keys.dedup();
        let direction = lookup.direction().as_str();
        for key in keys.into_iter().filter(|_| chance.happens(70)).collect::<Vec<_>>() {
            let labels = key.with("__name__", data::METRIC).with("rule", &alert).with("direction", direction);
            series.push(Series::random(labels, samples, count, chance));
        }
        let of = |metric: &str| select(&series, &[metric.to_owned()], step, EVALUATIONS);
        let leaves = vec![of(&metric), of(data::METRIC)];
        let literal = chance.below(8) as f64;
        let formula = lookup.formula(Formula::Leaf(0), Formula::Literal(0), Formula::Leaf(1));
        let rule = Rule {
            alert,
            labels: labels_of_rule(chance),
            formula,
            for_ms: chance.one_of(&[0, 60_000, 120_000]),
            keep_firing_for_ms: 0,
            limit: None,
            interval_ms: step * 1000,
        };
        let expression = Some(lookup.promql(&metric, &literal.to_string()));
        Case { rule, literals: vec![literal], leaf_texts: Vec::new(), leaves, series, samples, step, expression }
    }

    /// The expression.
    pub fn text(&self) -> String {
        if let Some(text) = &self.expression {
            return text.clone();
        }
        self.rule.formula.promql(&self.leaf_texts, &self.literals).to_string()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { alert, labels, for_ms, keep_firing_for_ms, limit, .. } = &self.rule;
        writeln!(f, "{alert}: {}", self.text())?;
        writeln!(
            f,
            "for {for_ms} ms, keep_firing_for {keep_firing_for_ms} ms, limit {limit:?}, labels {labels:?}, every {} s",
            self.step
        )?;
        self.series.iter().try_for_each(|series| writeln!(f, "{} {}", series.name(), series.values_text()))
    }
}

fn labels_of_rule(chance: &mut Chance) -> BTreeMap<String, String> {
    let all = [
        ("severity", "page"),
        ("i", ""),
        ("j", "all"),
        ("who", "{{ $labels.i }}/{{$labels.j}}"),
        ("k", "{{ .Labels.k }}"),
    ];
    let some = all.into_iter().filter(|_| chance.happens(15));
    some.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Makes formulas, and fetches what they look at.
struct Maker<'a> {
    chance: &'a mut Chance,
    metrics: [String; 3],
    series: &'a [Series],
    step: i64,
    literals: Vec<f64>,
    texts: Vec<String>,
    leaves: Vec<Range>,
}

const COMPARISONS: [Op; 6] = [Op::Greater, Op::GreaterEqual, Op::Less, Op::LessEqual, Op::Equal, Op::NotEqual];
const ARITHMETIC: [Op; 7] = [Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Mod, Op::Pow, Op::Atan2];

impl Maker<'_> {
    /// One to three comparisons, with guards.
    fn whole(&mut self) -> Formula {
        let mut formula = self.comparison();
        while self.chance.happens(45) {
            let op = self.chance.one_of(&[Op::And, Op::And, Op::Or, Op::Unless]);
            let other = match self.chance.below(4) {
                0 | 1 => self.comparison(),
                2 => self.leaf(),
                _ => self.guard(),
            };
            let matching = Matching { by: self.by(), ..Matching::default() };
            let (left, right) = if self.chance.happens(25) { (other, formula) } else { (formula, other) };
            formula = Formula::matched(op, matching, left, right);
        }
        // A scalar alone fires whatever it is, so it is not without interest.
        match self.chance.below(60) {
            0 => bool_of(self.chance.one_of(&COMPARISONS), self.scalar(), self.scalar()),
            1 => Formula::Negate(Box::new(formula)),
            _ => formula,
        }
    }

    fn comparison(&mut self) -> Formula {
        let op = self.chance.one_of(&COMPARISONS);
        let (left, right) = match self.chance.below(10) {
            0..6 => (self.vector(), self.scalar()),
            6..8 => (self.scalar(), self.vector()),
            _ => {
                let right = self.scaled();
                let compared = Formula::matched(op, self.matching(), self.vector(), right);
                return compared;
            }
        };
        match self.chance.below(10) {
            // `bool` alone fires for all; compared once more it is a comparison again.
            0 => bool_of(op, left, right),
            1 | 2 => Formula::binary(Op::Equal, bool_of(op, left, right), Formula::Number(1.0)),
            // Chained.
            3 => Formula::binary(self.chance.one_of(&COMPARISONS), Formula::binary(op, left, right), self.scalar()),
            _ => Formula::binary(op, left, right),
        }
    }

    fn vector(&mut self) -> Formula {
        match self.chance.below(10) {
            0..5 => self.leaf(),
            5 => Formula::Negate(Box::new(self.leaf())),
            6 => Formula::binary(self.chance.one_of(&ARITHMETIC), self.leaf(), self.number()),
            7 => Formula::binary(self.chance.one_of(&ARITHMETIC), self.number(), self.leaf()),
            _ => Formula::matched(self.chance.one_of(&ARITHMETIC), self.matching(), self.leaf(), self.leaf()),
        }
    }

    /// A vector that a literal is part of.
    fn scaled(&mut self) -> Formula {
        Formula::binary(Op::Mul, self.literal(), self.leaf())
    }

    fn scalar(&mut self) -> Formula {
        match self.chance.below(12) {
            0 => Formula::binary(Op::Mul, self.literal(), self.number()),
            1 => Formula::binary(Op::Div, self.literal(), Formula::Number(2.0)),
            2 => Formula::Negate(Box::new(self.literal())),
            3 => Formula::binary(Op::Sub, self.number(), self.literal()),
            4 => Formula::binary(Op::Add, self.scalar_leaf(), self.literal()),
            _ => self.literal(),
        }
    }

    fn number(&mut self) -> Formula {
        Formula::Number(self.chance.one_of(&[1.0, 2.0, 3.0, 0.5, -1.0, 0.0, 100.0]))
    }

    fn literal(&mut self) -> Formula {
        self.literals.push(self.chance.one_of(&[0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 5.0, 6.0, 7.5, -2.0, 1e9]));
        Formula::Literal(self.literals.len() - 1)
    }

    fn by(&mut self) -> By {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match self.chance.below(8) {
            0..3 => By::default(),
            3 | 4 => By::On(names(&["i"])),
            5 => By::On(names(self.chance.one_of(&[&[][..], &["i", "j"], &["k"], &["__name__"]]))),
            6 => By::Ignoring(names(&["j", "k"])),
            _ => By::Ignoring(names(&["i"])),
        }
    }

    fn matching(&mut self) -> Matching {
        let by = self.by();
        let lent = self.chance.one_of(&[Vec::new(), vec!["k".to_owned()], vec!["j".to_owned(), "__name__".to_owned()]]);
        // What is compared by must not be lent, and a group without any label to match by is lost when Prometheus 2.42
        // prints a rule's expression.
        let (By::On(names) | By::Ignoring(names)) = &by;
        let free = match &by {
            By::On(names) => lent.iter().all(|name| !names.contains(name)),
            By::Ignoring(names) => !names.is_empty(),
        };
        let group = match self.chance.below(6) {
            0 if free && !names.is_empty() => Group::Left(lent),
            1 if free && !names.is_empty() => Group::Right(lent),
            _ => Group::OneToOne,
        };
        Matching { by, group }
    }

    /// A selector, sometimes of two metrics.
    fn leaf(&mut self) -> Formula {
        let first = self.chance.below(3);
        let mut metrics = vec![self.metrics[first].clone()];
        let mut text = metrics[0].clone();
        if self.chance.happens(8) {
            metrics.push(self.metrics[(first + 1) % 3].clone());
            text = format!("{{__name__=~\"{}\"}}", metrics.join("|"));
        }
        let range = select(self.series, &metrics, self.step, EVALUATIONS);
        Formula::Leaf(self.add(text, range))
    }

    /// What a guard is fetched as: a comparison that has no literal of ours.
    fn guard(&mut self) -> Formula {
        let metric = self.chance.one_of(&self.metrics);
        let mut range = select(self.series, std::slice::from_ref(&metric), self.step, EVALUATIONS);
        for value in range.tracks.iter_mut().flat_map(|track| &mut track.values) {
            *value = value.filter(|value| *value > 1.0);
        }
        Formula::Leaf(self.add(format!("{metric} > 1"), range))
    }

    fn scalar_leaf(&mut self) -> Formula {
        let (text, value): (String, Box<dyn Fn(usize) -> f64>) = match self.chance.below(2) {
            0 => {
                let step = self.step;
                ("time() / 600".to_owned(), Box::new(move |k| (k as i64 * step) as f64 / 600.0))
            }
            _ => {
                let metric = self.chance.one_of(&self.metrics);
                let range = select(self.series, std::slice::from_ref(&metric), self.step, EVALUATIONS);
                let value = move |k: usize| {
                    let there: Vec<f64> = range.tracks.iter().filter_map(|track| track.values[k]).collect();
                    if let [one] = there.as_slice() { *one } else { f64::NAN }
                };
                (format!("scalar({metric})"), Box::new(value))
            }
        };
        let values = (0..EVALUATIONS).map(|k| Some(value(k))).collect();
        let tracks = vec![Track { labels: Labels::default(), values }];
        let range = Range { start: Timestamp::EPOCH, step: self.step * 1000, steps: EVALUATIONS, tracks };
        Formula::ScalarLeaf(self.add(text, range))
    }

    fn add(&mut self, text: String, range: Range) -> usize {
        self.texts.push(text);
        self.leaves.push(range);
        self.texts.len() - 1
    }
}

fn bool_of(op: Op, left: Formula, right: Formula) -> Formula {
    let (left, right) = (Box::new(left), Box::new(right));
    Formula::Binary { op, bool: true, matching: Matching::default(), left, right }
}
