//! Attributes: a name, and a value of any kind, as text.

use super::{Bad, Labels, names};
use crate::receive::proto::{Message, Wrong};
use homeostat::series::NAME_LEN_MAX;
use serde_json::{Map, Value as Json, json};

/// Values within values are read so deep; what lies deeper is left out.
const DEPTH_MAX: usize = 8;

/// Lists and maps are read so far; what comes after as many values within values is left out.
const PARTS_MAX: usize = 1024;

/// Text that is longer than a series may be is refused before it is copied.
pub fn text(message: Message<'_>, field: &str) -> Result<String, Bad> {
    let len = message.bytes().len();
    if len > NAME_LEN_MAX {
        return Err(Bad::Point(format!("{field} has {len} bytes; a whole series may have {NAME_LEN_MAX}")));
    }
    let text = std::str::from_utf8(message.bytes());
    text.map(str::to_owned).map_err(|_| Bad::Point(format!("{field} is not UTF-8")))
}

/// Whether an attribute is one of these, by its key alone.
pub fn is_called(mut pair: Message<'_>, names: &[&str]) -> Result<bool, Bad> {
    let mut called = false;
    while let Some((field, part)) = pair.next()? {
        if field == 1 {
            let key = part.message()?.bytes();
            called = names.iter().any(|name| name.as_bytes() == key);
        }
    }
    Ok(called)
}

/// `key = 1, value = 2`, as they are.
pub fn attribute(mut pair: Message<'_>) -> Result<(String, String), Bad> {
    let (mut name, mut value) = (String::new(), Json::Null);
    while let Some((field, part)) = pair.next()? {
        match field {
            1 => name = text(part.message()?, "attributes.key")?,
            2 => value = any(part.message()?, 0, &mut 0)?,
            _ => {}
        }
    }
    Ok((name, plain(value)))
}

/// The same as a label. Two that become one name share it, as in Prometheus; what is empty is none.
pub fn label(pair: Message<'_>, labels: &mut Labels) -> Result<(), Bad> {
    let (name, value) = attribute(pair)?;
    let name = names::label(&name);
    if name.is_empty() || value.is_empty() {
        return Ok(());
    }
    match labels.get_mut(&name) {
        Some(before) => before.extend([";", &value]),
        None => _ = labels.insert(name, value),
    }
    Ok(())
}

fn plain(value: Json) -> String {
    match value {
        Json::String(text) => text,
        Json::Null => String::new(),
        value => value.to_string(),
    }
}

/// `string_value = 1, bool_value = 2, int_value = 3, double_value = 4, array_value = 5 { values = 1 }, kvlist_value = 6 { values = 1 },
/// bytes_value = 7`
fn any(mut value: Message<'_>, depth: usize, parts_read: &mut usize) -> Result<Json, Bad> {
    let mut read = Json::Null;
    while let Some((field, part)) = value.next()? {
        read = match field {
            1 => Json::String(text(part.message()?, "attributes.value")?),
            2 => Json::Bool(part.varint()? != 0),
            3 => json!(part.varint()? as i64),
            4 => double(part.double()?),
            5 if depth < DEPTH_MAX => {
                let (mut list, mut parts) = (Vec::new(), part.message()?);
                while let Some((field, part)) = parts.next()? {
                    if field == 1 && enough(parts_read) {
                        list.push(any(part.message()?, depth + 1, parts_read)?);
                    }
                }
                Json::Array(list)
            }
            6 if depth < DEPTH_MAX => {
                let (mut map, mut parts) = (Map::new(), part.message()?);
                while let Some((field, part)) = parts.next()? {
                    if field == 1 && enough(parts_read) {
                        let (name, value) = entry(part.message()?, depth + 1, parts_read)?;
                        map.insert(name, value);
                    }
                }
                Json::Object(map)
            }
            7 => {
                let bytes = part.message()?.bytes();
                Json::String(base64(&bytes[..bytes.len().min(NAME_LEN_MAX)]))
            }
            _ => read,
        };
    }
    Ok(read)
}

fn enough(parts_read: &mut usize) -> bool {
    *parts_read += 1;
    *parts_read <= PARTS_MAX
}

fn entry(mut pair: Message<'_>, depth: usize, parts_read: &mut usize) -> Result<(String, Json), Bad> {
    let (mut name, mut value) = (String::new(), Json::Null);
    while let Some((field, part)) = pair.next()? {
        match field {
            1 => name = text(part.message()?, "attributes.key")?,
            2 => value = any(part.message()?, depth, parts_read)?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// JSON has no infinities; a whole number is written without a point.
fn double(value: f64) -> Json {
    match value.fract() == 0.0 && value.abs() < 1e15 {
        true => json!(value as i64),
        false if value.is_finite() => json!(value),
        false => Json::String(value.to_string()),
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let at = bits >> (18 - 6 * digit) & 63;
            text.push(if digit > three.len() { '=' } else { char::from(DIGITS[at as usize]) });
        }
    }
    text
}

impl From<Wrong> for super::No {
    fn from(wrong: Wrong) -> super::No {
        let place = "ExportMetricsServiceRequest".to_owned();
        super::No::NotRead(crate::receive::remote_write::NotRead::Malformed { place, problem: wrong.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_rfc_4648_has_them() {
        for (bytes, wanted) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), wanted);
        }
    }
}
