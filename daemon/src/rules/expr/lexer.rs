//! PromQL cut into tokens that know their bytes, so that a number can be changed without touching anything beside it.

use std::ops::Range;

/// What a token is; numbers and texts with their value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    Number(f64),
    /// `5m`, in seconds.
    Duration(f64),
    Text(String),
    /// A metric, a label, a function or a keyword: where it stands says which.
    Word,
    /// An operator or a bracket.
    Sign(&'static str),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Spanned {
    pub token: Token,
    pub span: Range<usize>,
}

/// Why an expression is not PromQL, and the byte where that shows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{problem}")]
pub struct NotPromql {
    pub at: usize,
    pub problem: String,
}

impl NotPromql {
    pub(super) fn new(at: usize, problem: impl Into<String>) -> NotPromql {
        NotPromql { at, problem: problem.into() }
    }
}

/// Longer ones first.
const SIGNS: [&str; 25] = [
    "==", "!=", "=~", "!~", ">=", "<=", ">", "<", "=", "+", "-", "*", "/", "%", "^", "(", ")", "{", "}", "[", "]", ",",
    ":", "@", "!",
];

/// Units of durations, in seconds; `ms` before `m`.
const UNITS: [(&str, f64); 7] =
    [("ms", 0.001), ("y", 31_536_000.0), ("w", 604_800.0), ("d", 86_400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];

/// All tokens in order; comments and white space are none.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, NotPromql> {
    let mut tokens = Vec::new();
    let (mut at, mut brackets) = (0, 0_usize);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let numeric = first.is_ascii_digit() || first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
        let (token, len) = if numeric {
            number(rest).map_err(|problem| NotPromql::new(at, problem))?
        } else if matches!(first, '"' | '\'' | '`') {
            quoted(rest, first).map_err(|(inside, problem)| NotPromql::new(at + inside, problem))?
        } else if word_begins(first) || first == ':' && brackets == 0 {
            let len = rest.find(|c: char| !word_goes_on(c) && (c != ':' || brackets > 0)).unwrap_or(rest.len());
            (Token::Word, len)
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            match sign {
                "[" => brackets += 1,
                "]" => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            (Token::Sign(sign), sign.len())
        } else if rest.starts_with("$") {
            return Err(NotPromql::new(at, "`$` begins a variable of a template; put its value in"));
        } else {
            return Err(NotPromql::new(at, format!("`{}` has no meaning here", first.escape_debug())));
        };
        tokens.push(Spanned { token, span: at..at + len });
        at += len;
    }
    Ok(tokens)
}

fn word_begins(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn word_goes_on(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A number or a duration at the beginning of `text`, with its length.
fn number(text: &str) -> Result<(Token, usize), String> {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let len = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
        let value =
            u64::from_str_radix(&hex[..len], 16).map_err(|_| "a hexadecimal number without digits or too long")?;
        return ends(text, len + 2).map(|len| (Token::Number(value as f64), len));
    }
    let mut len = digits(0);
    let whole = len > 0;
    if text[len..].starts_with('.') {
        len += 1 + digits(len + 1);
    }
    if text[len..].starts_with(['e', 'E']) {
        let sign = usize::from(text[len + 1..].starts_with(['+', '-']));
        let exponent = digits(len + 1 + sign);
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    } else if whole && text[len..].starts_with(|c: char| c.is_ascii_alphabetic()) {
        return duration(text);
    }
    let value = text[..len].parse::<f64>().map_err(|_| format!("`{}` is no number", &text[..len]))?;
    ends(text, len).map(|len| (Token::Number(value), len))
}

/// A number must not run into a word.
fn ends(text: &str, len: usize) -> Result<usize, String> {
    match text[len..].chars().next() {
        Some(next) if word_goes_on(next) => {
            let end = text.find(|c: char| !word_goes_on(c) && c != '.').unwrap_or(text.len());
            Err(format!("`{}` is neither a number nor a duration", &text[..end.min(40)]))
        }
        _ => Ok(len),
    }
}

fn duration(text: &str) -> Result<(Token, usize), String> {
    let (mut at, mut seconds) = (0, 0.0);
    loop {
        let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
        let unit = UNITS.into_iter().find(|(unit, _)| text[at + digits..].starts_with(unit));
        match (digits, unit) {
            (0, _) => return ends(text, at).map(|len| (Token::Duration(seconds), len)),
            (_, None) => return ends(text, at + digits).map(|len| (Token::Duration(seconds), len)),
            (_, Some((unit, each))) => {
                seconds += text[at..at + digits].parse::<f64>().map_err(|error| error.to_string())? * each;
                at += digits + unit.len();
            }
        }
    }
}

/// A text in quotes at the beginning of `text`, with its length; the error with the byte inside.
fn quoted(text: &str, quote: char) -> Result<(Token, usize), (usize, String)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok((Token::Text(value), at + 1)),
            '\\' if quote != '`' => {
                let escape = chars.next().ok_or((at, "the text ends in a backslash".to_owned()))?.1;
                value.push(match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'v' => '\x0b',
                    '\\' | '"' | '\'' => escape,
                    'x' => code(&mut chars, 2, 16, "").ok_or_else(|| not_an_escape(at, escape))?,
                    'u' => code(&mut chars, 4, 16, "").ok_or_else(|| not_an_escape(at, escape))?,
                    'U' => code(&mut chars, 8, 16, "").ok_or_else(|| not_an_escape(at, escape))?,
                    '0'..='7' => code(&mut chars, 2, 8, escape.encode_utf8(&mut [0; 4]))
                        .ok_or_else(|| not_an_escape(at, escape))?,
                    _ => return Err(not_an_escape(at, escape)),
                });
            }
            '\n' if quote != '`' => return Err((at, "a text in quotes ends on its line".to_owned())),
            _ => value.push(c),
        }
    }
    Err((0, "the quote that begins here does not end".to_owned()))
}

fn not_an_escape(at: usize, escape: char) -> (usize, String) {
    (at, format!("`\\{}` means nothing in a text; write `\\\\` for one backslash", escape.escape_debug()))
}

fn code(chars: &mut impl Iterator<Item = (usize, char)>, len: usize, radix: u32, before: &str) -> Option<char> {
    let mut digits = before.to_owned();
    digits.extend(chars.take(len).map(|(_, c)| c));
    if digits.len() != len + before.len() {
        return None;
    }
    char::from_u32(u32::from_str_radix(&digits, radix).ok()?)
}
