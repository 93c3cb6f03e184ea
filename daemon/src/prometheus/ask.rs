//! One question to a Prometheus: sent in its turn, sent again where that may help, and what is said when it does not.

use super::answer::{self, Unread};
use super::{Client, QueryError};
use std::io::Read;
use std::time::Duration;
use ureq::http::Response;

/// How often a question is asked at most.
const TRIES: u32 = 5;

/// Before it is asked again: the first wait, which doubles each time, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Who asks to be left alone for longer is not waited for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// A longer query goes in the body: addresses have limits on their way. Shorter ones do not, as some let only reads pass.
const ADDRESS_LEN_MAX: usize = 1800;

/// A question: what stands behind `/api/v1/`, its parameters, and the expression it is about.
pub struct Question<'a> {
    pub path: &'a str,
    pub parameters: Vec<(&'static str, String)>,
    pub expr: &'a str,
    /// Whether less can be asked instead, when it is too much or takes too long.
    pub divisible: bool,
}

/// How a question ended that was not answered.
#[derive(Debug)]
pub enum Unanswered {
    /// Less of it may be answered.
    TooMuch(String),
    Failed(QueryError),
}

/// What became of one try.
enum Tried {
    Again { why: String, after: Option<Duration> },
    TooMuch(String),
    TooSlow(String),
    Failed(QueryError),
}

impl Client {
    /// Asks until there is an answer that `read` takes, or asking on has no sense. How long each wait is depends on the
    /// client's seed and the question.
    pub(super) fn ask<T>(
        &self,
        question: &Question<'_>,
        read: impl Fn(&mut dyn Read) -> Result<T, Unread>,
    ) -> Result<T, Unanswered> {
        let mut tries = 0;
        loop {
            tries += 1;
            let tried = match self.once(question, &read, tries > 1) {
                Ok(answer) => return Ok(answer),
                Err(tried) => tried,
            };
            let (why, after) = match tried {
                Tried::Failed(error) => {
                    self.cost.failed();
                    return Err(Unanswered::Failed(error));
                }
                Tried::TooMuch(why) => return Err(Unanswered::TooMuch(why)),
                Tried::TooSlow(why) if question.divisible => return Err(Unanswered::TooMuch(why)),
                Tried::TooSlow(why) => (why, None),
                Tried::Again { why, after } => (why, after),
            };
            if tries == TRIES || after.is_some_and(|after| after > RETRY_AFTER_MAX) {
                self.cost.failed();
                let (url, query) = (self.endpoint.url.clone(), shown(question.expr));
                return Err(Unanswered::Failed(QueryError::NoAnswer { url, query, tries, why }));
            }
            self.clock.sleep(after.unwrap_or_else(|| self.backoff(question, tries)));
        }
    }

    /// Half of the wait is for certain, the rest by chance, so that those who failed together do not come back together.
    fn backoff(&self, question: &Question<'_>, tries: u32) -> Duration {
        let longest = FIRST_WAIT.saturating_mul(1 << (tries - 1).min(16)).min(LONGEST_WAIT);
        let text = format!("{}\0{:?}\0{tries}", question.path, question.parameters);
        let chance = xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), self.seed) as f64 / u64::MAX as f64;
        longest.mul_f64(0.5 + chance / 2.0)
    }

    fn once<T>(
        &self,
        question: &Question<'_>,
        read: impl Fn(&mut dyn Read) -> Result<T, Unread>,
        again: bool,
    ) -> Result<T, Tried> {
        let (turn, waited) = self.gate.enter(&*self.clock);
        self.cost.waited(waited);
        let answer = self.send(question);
        // What is read is query time as well: the server holds it all until we have it.
        let done = match answer {
            Ok(mut response) if response.status().is_success() => {
                let length = response.body_mut().with_config().limit(answer::BYTES_MAX + 2);
                read(&mut length.reader()).map_err(|unread| self.unread(question, unread))
            }
            Ok(response) => Err(self.status(question, response)),
            Err(tried) => Err(tried),
        };
        self.cost.query(turn.lasted(), again);
        done
    }

    fn send(&self, question: &Question<'_>) -> Result<Response<ureq::Body>, Tried> {
        let sent = self.endpoint.sent().map_err(|problem| Tried::Failed(QueryError::Secret(problem)))?;
        let address = self.endpoint.address(question.path);
        let length: usize = question.parameters.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let answer = if length <= ADDRESS_LEN_MAX {
            let mut request = self.agent.get(address);
            for (name, value) in &question.parameters {
                request = request.query(*name, value);
            }
            for (name, value) in sent {
                request = request.header(name, value);
            }
            request.call()
        } else {
            let mut request = self.agent.post(address);
            for (name, value) in sent {
                request = request.header(name, value);
            }
            request.send_form(question.parameters.iter().map(|(name, value)| (*name, value.as_str())))
        };
        answer.map_err(|error| match error {
            ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
                Tried::Again { why: "nobody took the connection".to_owned(), after: None }
            }
            ureq::Error::Timeout(_) => Tried::TooSlow(self.too_slow()),
            ureq::Error::Io(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::HostNotFound
            | ureq::Error::Protocol(_)
            | ureq::Error::BodyStalled => Tried::Again { why: error.to_string(), after: None },
            // A certificate that is not trusted is none the next time either.
            error => Tried::Failed(QueryError::Unreachable { url: self.endpoint.url.clone(), why: error.to_string() }),
        })
    }

    fn too_slow(&self) -> String {
        format!("it took longer than {}", self.budget.timeout)
    }

    fn unread(&self, question: &Question<'_>, unread: Unread) -> Tried {
        match unread {
            Unread::TooMuch(why) => Tried::TooMuch(why),
            Unread::TimedOut => Tried::TooSlow(self.too_slow()),
            Unread::Cut(why) => Tried::Again { why, after: None },
            Unread::Error { kind, text } => self.refused(question, &kind, text),
            Unread::Wrong(why) => Tried::Failed(QueryError::NotUnderstood {
                url: self.endpoint.url.clone(),
                query: shown(question.expr),
                why,
            }),
        }
    }

    /// An error of a query, by what the server calls it.
    fn refused(&self, question: &Question<'_>, kind: &str, text: String) -> Tried {
        let said = text.to_ascii_lowercase();
        let too_much = ["too many", "exceed", "limit", "more than"].iter().any(|word| said.contains(word));
        match kind {
            // What is wrong with the expression itself may hold any of these words.
            "bad_data" | "not_found" => {}
            "timeout" | "canceled" => return Tried::TooSlow(text),
            "too_many_requests" | "unavailable" | "internal" => return Tried::Again { why: text, after: None },
            _ if too_much => return Tried::TooMuch(text),
            _ => {}
        }
        let (url, query) = (self.endpoint.url.clone(), shown(question.expr));
        Tried::Failed(QueryError::Refused { url, query, reason: text })
    }

    /// What an answer that is no success means.
    fn status(&self, question: &Question<'_>, mut response: Response<ureq::Body>) -> Tried {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let after = header("retry-after").and_then(|after| wait_of(&after, header("date").as_deref()));
        let location = header("location").unwrap_or_else(|| "another address".to_owned());
        let (kind, text) = answer::failure(response.body_mut().as_reader());
        let why = match text.as_str() {
            "" => format!("status {status}"),
            text => format!("status {status}: {text}"),
        };
        let url = self.endpoint.url.clone();
        match (status, kind.as_str()) {
            (300..=399, _) => Tried::Failed(QueryError::NotThere { url, why: format!("it sends on to {location}") }),
            (401 | 403, _) => Tried::Failed(QueryError::Denied { url, why }),
            (404 | 405 | 410 | 501, _) => Tried::Failed(QueryError::NotThere { url, why }),
            (400, "") => self.refused(question, "bad_data", why),
            (413 | 422, "") => self.refused(question, "", why),
            // An error inside of the query is one whatever the status.
            (400 | 413 | 422, _) | (_, "execution" | "bad_data") => self.refused(question, &kind, text),
            (408 | 504, _) | (_, "timeout" | "canceled") => Tried::TooSlow(why),
            (429 | 500..=599, _) => Tried::Again { why, after },
            _ => Tried::Failed(QueryError::NotThere { url, why }),
        }
    }
}

/// How long `Retry-After` asks to wait: seconds, or a time, which is taken against the answer's own `Date`.
fn wait_of(after: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = after.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = |text: &str| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok();
    let wait = at(after)?.as_second().saturating_sub(at(date?)?.as_second());
    Some(Duration::from_secs(u64::try_from(wait).unwrap_or(0)))
}

/// An expression as a message has it: on one line, and not longer than helps.
pub fn shown(expr: &str) -> String {
    let line = expr.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "");
    match line.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
