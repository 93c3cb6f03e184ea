//! What a request asks for: query parameters, pages and bodies, each refused with its name when it cannot be used.
//!
//! A page's token names the last row that was given, not a position: rows that arrive or go in between shift nothing.

use crate::http::problem::Problem;
use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::BytesRejection;
use axum::http::Uri;
use homeostat::series::{Selector, SeriesName};
use serde_json::{Map, Value};

/// Rows of a list when nothing is said, and the most there are at once.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Selectors one request may carry.
const SELECTORS_MAX: usize = 32;

/// The query's parameters, all of them known.
#[derive(Debug)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// An unknown parameter is refused: a filter that is misspelt must not give everything.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Params, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::bad_request(format!("the query cannot be read: {error}")))?;
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(Params(pairs)),
            Some((name, _)) if name == "match[]" && known.contains(&"page") => Err(Problem::bad_request(
                "`match[]` selects rows by their series, and those here have none; leave it out",
            )),
            Some((name, _)) if known.is_empty() => {
                Err(Problem::bad_request(format!("`{name}`: nothing can be asked for here; leave it out")))
            }
            Some((name, _)) => {
                Err(Problem::bad_request(format!("there is no parameter `{name}`; known are {}", known.join(", "))))
            }
        }
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (Some(_), Some(_)) => Err(Problem::bad_request(format!("`{name}` is given twice; give it once"))),
            (one, _) => Ok(one),
        }
    }

    /// A whole number, at least `least`.
    pub fn number(&self, name: &str, least: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        match text.parse() {
            Ok(number) if number >= least => Ok(Some(number)),
            _ => Err(Problem::bad_request(format!("`{name}`: `{text}` is not a whole number of at least {least}"))),
        }
    }

    pub fn series(&self, name: &str) -> Result<Option<SeriesName>, Problem> {
        self.one(name)?
            .map(|text| SeriesName::parse(text).map_err(|error| Problem::bad_request(format!("`{name}`: {error}"))))
            .transpose()
    }
}

/// Which part of a list is wanted.
#[derive(Debug)]
pub struct Page {
    pub limit: usize,
    /// Where the last page ended.
    pub from: Option<Token>,
    selectors: Vec<Selector>,
}

impl Page {
    /// Parameters that every list about series knows.
    pub const PARAMS: [&'static str; 3] = ["limit", "page", "match[]"];

    /// Parameters of lists whose rows are about no series: a selector would give none of them, which says nothing.
    pub const PARAMS_WITHOUT_SERIES: [&'static str; 2] = ["limit", "page"];

    pub fn read(params: &Params, list: List) -> Result<Page, Problem> {
        let limit = params.number("limit", 1)?.map_or(LIMIT, |limit| limit.min(LIMIT_MAX as u64) as usize);
        let from = match params.one("page")? {
            None | Some("") => None,
            Some(text) => Some(Token::parse(text, list).ok_or_else(|| {
                Problem::bad_request("`page` is not a token that this list gave; leave it out to begin at the start")
            })?),
        };
        let selectors = params
            .all("match[]")
            .map(|text| Selector::parse(text).map_err(|error| Problem::bad_request(format!("`match[]`: {error}"))))
            .collect::<Result<Vec<_>, _>>()?;
        if selectors.len() > SELECTORS_MAX {
            return Err(Problem::bad_request(format!("`match[]` is given more than {SELECTORS_MAX} times")));
        }
        Ok(Page { limit, from, selectors })
    }

    /// Whether a row about this series is wanted. With several selectors one has to match.
    pub fn wants(&self, series: Option<&SeriesName>) -> bool {
        self.selectors.is_empty()
            || series.is_some_and(|series| self.selectors.iter().any(|selector| selector.matches(series)))
    }

    /// The series after which the page begins, for lists in order of series.
    pub fn after_series(&self) -> Option<&str> {
        match &self.from {
            Some(Token::Series(name)) => Some(name),
            Some(Token::Number(..)) | None => None,
        }
    }

    /// The number under which the page begins, for lists with the newest first.
    pub fn before(&self) -> Option<u64> {
        match &self.from {
            Some(Token::Number(_, number)) => Some(*number),
            Some(Token::Series(_)) | None => None,
        }
    }
}

/// The lists, as far as their tokens differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    BySeries,
    Signals,
    Actions,
    Events,
    Transitions,
    Optimizations,
    Proposals,
    Rollouts,
    Verdicts,
    Audit,
}

impl List {
    const fn letter(self) -> char {
        match self {
            List::BySeries => 'n',
            List::Signals => 's',
            List::Actions => 'a',
            List::Events => 'e',
            List::Transitions => 't',
            List::Optimizations => 'o',
            List::Proposals => 'p',
            List::Rollouts => 'r',
            List::Verdicts => 'v',
            List::Audit => 'u',
        }
    }
}

/// Where a page ended. Its text is nobody's business but ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    Series(String),
    Number(List, u64),
}

impl Token {
    fn parse(text: &str, list: List) -> Option<Token> {
        let rest = text.strip_prefix(list.letter())?;
        match list {
            List::BySeries => {
                let bytes = rest.as_bytes();
                if bytes.len() % 2 != 0 {
                    return None;
                }
                let digit = |at: usize| char::from(bytes[at]).to_digit(16);
                let bytes: Option<Vec<u8>> =
                    (0..bytes.len()).step_by(2).map(|at| Some((digit(at)? * 16 + digit(at + 1)?) as u8)).collect();
                String::from_utf8(bytes?).ok().map(Token::Series)
            }
            List::Signals
            | List::Actions
            | List::Events
            | List::Transitions
            | List::Optimizations
            | List::Proposals
            | List::Rollouts
            | List::Verdicts
            | List::Audit => u64::from_str_radix(rest, 16).ok().map(|number| Token::Number(list, number)),
        }
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Series(name) => {
                write!(f, "{}", List::BySeries.letter())?;
                name.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Token::Number(list, number) => write!(f, "{}{number:x}", list.letter()),
        }
    }
}

/// A page of rows, and where the next one begins when there is one.
#[derive(Debug)]
pub struct Rows<T> {
    pub rows: Vec<T>,
    pub next: Option<Token>,
}

/// The first `limit` of `rows`, each with the token that says where it stands.
pub fn take<T>(limit: usize, rows: impl Iterator<Item = (T, Token)>) -> Rows<T> {
    let mut taken = Rows { rows: Vec::new(), next: None };
    let mut last = None;
    for (row, token) in rows {
        if taken.rows.len() == limit {
            taken.next = last;
            break;
        }
        taken.rows.push(row);
        last = Some(token);
    }
    taken
}

/// A body that is a JSON object with known fields.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    pub fn read(body: Result<Bytes, BytesRejection>, known: &[&str]) -> Result<Fields, Problem> {
        let body = body.map_err(|error| Problem::new(error.status(), format!("the body cannot be used: {error}")))?;
        let value: Value = serde_json::from_slice(&body)
            .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
        let Value::Object(fields) = value else {
            return Err(Problem::bad_request(format!("the body is not a JSON object with {}", known.join(", "))));
        };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(Fields(fields)),
            Some(name) => Err(Problem::field(name, format!("there is no such field; known are {}", known.join(", ")))),
        }
    }

    /// What is there; null is the same as nothing.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub fn required(&self, name: &str, wanted: &str) -> Result<&Value, Problem> {
        self.get(name).ok_or_else(|| Problem::field(name, format!("is missing; give {wanted}")))
    }

    pub fn text(&self, name: &str, wanted: &str) -> Result<&str, Problem> {
        self.required(name, wanted)?.as_str().ok_or_else(|| Problem::field(name, format!("is not text; give {wanted}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Result<Params, Problem> {
        Params::read(&format!("/x?{query}").parse().expect("a target"), &["limit", "page", "match[]", "loop"])
    }

    #[test]
    fn selectors_come_repeated_and_percent_encoded() {
        let params = params("match%5B%5D=up%7Bjob%3D%22a%22%7D&match[]=load&limit=5").expect("known parameters");
        let page = Page::read(&params, List::BySeries).expect("usable");
        let name = |text: &str| SeriesName::parse(text).expect(text);
        assert_eq!(page.limit, 5);
        assert!(page.wants(Some(&name(r#"up{job="a"}"#))) && page.wants(Some(&name("load"))));
        assert!(!page.wants(Some(&name("up"))) && !page.wants(None));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        for query in
            ["lop=x", "limit=0", "limit=-1", "limit=many", "limit=1&limit=2", "page=zz", "page=n6", "match[]=a{"]
        {
            let problem = params(query).and_then(|params| Page::read(&params, List::BySeries)).expect_err(query);
            assert_eq!(problem.status.as_u16(), 400, "{query}");
            let name = query.split('=').next().expect("a name");
            assert!(problem.detail.contains(name), "{query}: {}", problem.detail);
        }
        let most = params("limit=5000").and_then(|params| Page::read(&params, List::BySeries)).expect("brought down");
        assert_eq!(most.limit, LIMIT_MAX);
    }

    #[test]
    fn tokens_come_back_and_belong_to_their_list() {
        for token in [Token::Series(r#"up{job="é"}"#.to_owned()), Token::Number(List::Signals, 42)] {
            let list = match &token {
                Token::Series(_) => List::BySeries,
                Token::Number(list, _) => *list,
            };
            assert_eq!(Token::parse(&token.to_string(), list), Some(token.clone()));
            assert_eq!(Token::parse(&token.to_string(), List::Events), None);
        }
    }

    #[test]
    fn pages_join_without_gap_or_repetition_while_new_rows_arrive() {
        let (mut newest, mut seen, mut from) = (25_u64, Vec::new(), None);
        loop {
            let below = from.unwrap_or(u64::MAX);
            let rows = (1..=newest).rev().filter(|n| *n < below).map(|n| (n, Token::Number(List::Signals, n)));
            let page = take(10, rows);
            seen.extend(page.rows);
            newest += 7;
            match page.next {
                Some(Token::Number(_, number)) => from = Some(number),
                _ => break,
            }
        }
        assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());
        assert!(take(3, (0..3).map(|n| (n, Token::Number(List::Events, n)))).next.is_none(), "a full last page ends");
    }

    #[test]
    fn a_bodys_field_is_named_when_it_cannot_be_used() {
        let read = |text: &'static str| Fields::read(Ok(Bytes::from_static(text.as_bytes())), &["series", "at"]);
        assert_eq!(read("{").expect_err("no JSON").status.as_u16(), 400);
        assert_eq!(read("[1]").expect_err("no object").status.as_u16(), 400);
        let unknown = read(r#"{"seris":"a"}"#).expect_err("misspelt");
        assert_eq!((unknown.status.as_u16(), unknown.detail.contains("seris")), (422, true));
        let fields = read(r#"{"series":1,"at":null}"#).expect("an object");
        assert!(fields.get("at").is_none());
        assert!(fields.text("series", "a name").expect_err("a number").detail.contains("`series`"));
    }
}
