//! Segments of samples, read again.

use super::{BODY_MAX, BUFFER_KEPT, DIFFERENCES, FORM, HEAD, KINDS, MAGIC, Named, RECORD_HEAD, sum};
use crate::store::{StoreError, io_error};
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use homeostat::varint::{self, unzigzag};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Samples that were taken in together.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its segment: ids of another one say nothing of it.
    pub segment: u64,
    /// The number of the last event that was decided before it.
    pub seq: u64,
    pub now: Timestamp,
    pub named: Vec<Named>,
    /// The series' id within the segment, when, how much.
    pub samples: Vec<(u64, Timestamp, f64)>,
}

/// What a reading of the segments came to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recalled {
    pub entries: u64,
    pub samples: u64,
    /// What of a segment could not be read: the file, from which byte on, and how many bytes.
    pub lost: Vec<(PathBuf, u64, u64)>,
}

/// Hands on what stands in the segments from a number on, in the order it was taken in.
pub fn recall(store_dir: &Path, from: u64, mut each: impl FnMut(Entry)) -> Result<Recalled, StoreError> {
    let dir = store_dir.join("samples");
    let mut recalled = Recalled::default();
    if !dir.exists() {
        return Ok(recalled);
    }
    for (number, path) in segments(&dir)?.into_iter().filter(|(number, _)| *number >= from) {
        let io = |error| io_error(&path, error);
        let file = File::open(&path).map_err(io)?;
        let whole = file.metadata().map_err(io)?.len();
        let mut from = BufReader::with_capacity(BUFFER_KEPT, file);
        let mut head = [0; HEAD];
        let ours = filled(&mut from, &mut head).map_err(io)? && &head[..8] == MAGIC;
        let form = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        if ours && form > FORM {
            return Err(StoreError::Newer { path, found: form });
        }
        let (mut read, mut body) = (0, Vec::new());
        if ours && (1..=FORM).contains(&form) {
            read = HEAD as u64;
            // One record at a time: a segment may be larger than the memory there is.
            while next_record(&mut from, whole - read, &mut body).map_err(io)?
                && let Some(entry) = decode(&body, number)
            {
                read += (RECORD_HEAD + body.len()) as u64;
                recalled.entries += 1;
                recalled.samples += entry.samples.len() as u64;
                each(entry);
            }
        }
        if read < whole {
            recalled.lost.push((path, read, whole - read));
        }
    }
    Ok(recalled)
}

/// Reads the body of the next record, of which no more than `left` bytes can be there; false: there is none that is whole and is
/// what was written.
pub(in crate::store) fn next_record(from: &mut impl Read, left: u64, body: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut head = [0; RECORD_HEAD];
    if !filled(from, &mut head)? {
        return Ok(false);
    }
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if length > BODY_MAX || (RECORD_HEAD + length) as u64 > left {
        return Ok(false);
    }
    body.resize(length, 0);
    Ok(filled(from, body)? && sum(body).to_le_bytes() == head[4..])
}

/// Whether there were as many bytes.
pub(in crate::store) fn filled(from: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

pub(in crate::store) fn decode(body: &[u8], segment: u64) -> Option<Entry> {
    let mut left = body;
    let seq = u64::from_le_bytes(take(&mut left)?);
    let now = i64::from_le_bytes(take(&mut left)?);
    let names = u32::from_le_bytes(take(&mut left)?);
    let count = u32::from_le_bytes(take(&mut left)?) as usize;
    let [width] = take(&mut left)?;
    let mut named = Vec::new();
    for _ in 0..names {
        let id = u64::from_le_bytes(take(&mut left)?);
        let [kind] = take(&mut left)?;
        let length = u16::from_le_bytes(take(&mut left)?);
        let (text, after) = left.split_at_checked(usize::from(length))?;
        left = after;
        let series = SeriesName::parse(std::str::from_utf8(text).ok()?).ok()?;
        let declared = usize::from(kind).checked_sub(1).and_then(|at| KINDS.get(at)).copied();
        named.push(Named { id, series, declared });
    }
    if width == DIFFERENCES {
        let samples = differences(left, count, now)?;
        return Some(Entry { segment, seq, now: Timestamp::from_millis(now), named, samples });
    }
    let each = 16 + usize::from(width);
    if !matches!(width, 4 | 8) || count.checked_mul(each)? != left.len() {
        return None;
    }
    let (ids, left) = left.split_at(8 * count);
    let (times, values) = left.split_at(usize::from(width) * count);
    let at = |n: usize| -> Option<i64> {
        match width {
            4 => Some(now.wrapping_add(i64::from(i32::from_le_bytes(times[4 * n..4 * n + 4].try_into().ok()?)))),
            _ => Some(i64::from_le_bytes(times[8 * n..8 * n + 8].try_into().ok()?)),
        }
    };
    let sample = |n: usize| {
        let eight = |bytes: &[u8]| bytes[8 * n..8 * n + 8].try_into().ok();
        let (id, value) = (u64::from_le_bytes(eight(ids)?), f64::from_le_bytes(eight(values)?));
        Some((id, Timestamp::from_millis(at(n)?), value))
    };
    let samples = (0..count).map(sample).collect::<Option<Vec<_>>>()?;
    Some(Entry { segment, seq, now: Timestamp::from_millis(now), named, samples })
}

/// Samples whose ids and times stand as differences.
fn differences(mut left: &[u8], count: usize, now: i64) -> Option<Vec<(u64, Timestamp, f64)>> {
    // An id, a time and a value have ten bytes at least.
    let mut samples = Vec::with_capacity(count.min(left.len() / 10));
    let mut before = 0_u32;
    for _ in 0..count {
        let id = u32::try_from(i64::from(before).checked_add(unzigzag(varint::take(&mut left)?))?).ok()?;
        samples.push((u64::from(id), Timestamp::EPOCH, 0.0));
        before = id.wrapping_add(1);
    }
    let mut before = now;
    for (_, at, _) in &mut samples {
        before = before.wrapping_add(unzigzag(varint::take(&mut left)?));
        *at = Timestamp::from_millis(before);
    }
    let (values, rest) = left.as_chunks::<8>();
    if values.len() != count || !rest.is_empty() {
        return None;
    }
    samples.iter_mut().zip(values).for_each(|((.., value), eight)| *value = f64::from_le_bytes(*eight));
    Some(samples)
}

fn take<const N: usize>(left: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = left.split_first_chunk()?;
    *left = rest;
    Some(*taken)
}

/// The segments that are there, in order. Other files are nobody's business.
pub(in crate::store) fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| io_error(dir, error))? {
        let path = entry.map_err(|error| io_error(dir, error))?.path();
        let number = path.extension().filter(|end| *end == "log").and(path.file_stem()).and_then(|stem| stem.to_str());
        if let Some(number) = number.and_then(|stem| stem.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}
