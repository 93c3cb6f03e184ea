//! All memory as bytes, in parts: one for what is general, one for histograms, the rest some series each. MessagePack with names, so that
//! a later version can read what an earlier one wrote; packed by snappy, since the names of many series' fields are most of it.

use super::{Knowledge, Series, Shard};
use crate::analyze::strategy::Methods;
use crate::config::Config;
use crate::side_by_side::side_by_side;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::thread::ScopedJoinHandle;

/// Version of the form; an engine reads its own and earlier ones. In the first a body was not packed.
pub const SNAPSHOT_VERSION: u16 = 2;
const NOT_PACKED: u16 = 1;

/// The part without which there is no memory: all that belongs to no one series.
pub const GENERAL: &str = "general";
const SERIES: &str = "series/";
const HISTOGRAMS: &str = "histograms";

/// Series in one part at most, which are some tens of megabytes where their windows are full.
const PART: usize = 4_096;

/// About so many bytes of series that changed before they were handed out may be held; over it they are handed out at once.
const HELD_MAX: u64 = 64 << 20;

/// Parts that are taken apart at once, each on a thread.
const DECODED_AT_ONCE: usize = 4;

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error(
        "the snapshot was written by a newer version (form {found}, this one reads up to {SNAPSHOT_VERSION}): use that version"
    )]
    Newer { found: u16 },
    #[error("part `{part}` of the snapshot is damaged: {reason}")]
    Damaged { part: String, reason: String },
    #[error("the snapshot has no part `{GENERAL}`")]
    Incomplete,
}

#[derive(Serialize)]
struct Out<'a, T> {
    version: u16,
    body: &'a T,
}

#[derive(Deserialize)]
struct Version {
    version: u16,
}

#[derive(Deserialize)]
struct In<T> {
    body: T,
}

#[derive(Deserialize)]
struct Packed<'a> {
    #[serde(with = "serde_bytes")]
    body: &'a [u8],
}

impl Knowledge {
    /// Names and bytes of all parts.
    pub fn snapshot(&self) -> Vec<(String, Vec<u8>)> {
        let series: Vec<&Series> = self.series().collect();
        let encoded = encode_parts(&series, PART, self.threads);
        let series = encoded.into_iter().enumerate().map(|(part, body)| (format!("{SERIES}{part}"), body));
        self.general_parts().into_iter().chain(series).collect()
    }

    /// What belongs to no one series.
    fn general_parts(&self) -> Vec<(String, Vec<u8>)> {
        let histograms = encode(&self.histograms.memory());
        vec![(GENERAL.to_owned(), encode(&self.general)), (HISTOGRAMS.to_owned(), histograms)]
    }

    pub(crate) fn begin_snapshot(&mut self) -> Vec<(String, Vec<u8>)> {
        self.shards.iter_mut().for_each(Shard::begin_snapshot);
        self.handed_out = 0;
        self.general_parts()
    }

    pub(crate) fn snapshot_more(&mut self, bytes: u64) -> Vec<(String, Vec<u8>)> {
        let held: u64 = self.shards.iter().map(Shard::bytes_before).sum();
        let mut left = bytes.max(held.saturating_sub(HELD_MAX));
        let mut series = Vec::new();
        self.shards.iter_mut().for_each(|shard| shard.hand_out_before(&mut left, &mut series));
        self.shards.iter_mut().for_each(|shard| shard.hand_out(&mut left, &mut series));
        let encoded = encode_parts(&series, series.len().div_ceil(self.threads).min(PART), self.threads);
        let first = self.handed_out;
        self.handed_out += encoded.len();
        (first..).zip(encoded).map(|(part, body)| (format!("{SERIES}{part}"), body)).collect()
    }

    pub(crate) fn end_snapshot(&mut self) {
        self.shards.iter_mut().for_each(Shard::end_snapshot);
    }

    /// Memory as it was when the snapshot was made. The number of shards may be another one now; the configuration too. A series that
    /// is in two parts is as the first has it.
    pub(crate) fn from_snapshot(
        config: Config,
        methods: Arc<Methods>,
        shards: usize,
        parts: &[(String, Vec<u8>)],
        now: Timestamp,
    ) -> Result<Knowledge, SnapshotError> {
        let (_, bytes) = parts.iter().find(|(name, _)| name == GENERAL).ok_or(SnapshotError::Incomplete)?;
        let mut knowledge = Knowledge::new(config, methods, shards, now);
        knowledge.general = decode(GENERAL, bytes)?;
        let of_series: Vec<&(String, Vec<u8>)> = parts.iter().filter(|(name, _)| holds_series(name)).collect();
        // Some are taken apart while those before them are put in their places.
        let mut some = of_series.chunks(DECODED_AT_ONCE);
        let mut decoded = some.next().map_or(Vec::new(), decode_series);
        while !decoded.is_empty() {
            decoded = std::thread::scope(|scope| {
                let next = some.next().map(|some| scope.spawn(|| decode_series(some)));
                for series in decoded {
                    knowledge.hold(series?);
                }
                match next.map(ScopedJoinHandle::join) {
                    Some(Ok(next)) => Ok(next),
                    Some(Err(panic)) => std::panic::resume_unwind(panic),
                    None => Ok(Vec::new()),
                }
            })?;
        }
        knowledge.hand_out_changes();
        if let Some((name, bytes)) = parts.iter().find(|(name, _)| name == HISTOGRAMS) {
            knowledge.histograms.remember(decode(name, bytes)?);
        }
        let config = knowledge.config.clone();
        knowledge.reconfigure(config);
        Ok(knowledge)
    }

    fn hold(&mut self, series: Vec<Series>) {
        for series in series {
            if !self.names.contains_key(series.name()) {
                self.insert(series);
            }
        }
    }
}

type Decoded = Result<Vec<Series>, SnapshotError>;

fn decode_series(parts: &[&(String, Vec<u8>)]) -> Vec<Decoded> {
    side_by_side(parts, parts.len(), &mut (), |(name, bytes), ()| {
        let mut series: Vec<Series> = decode(name, bytes)?;
        series.iter_mut().for_each(Series::hold_once);
        Ok(series)
    })
}

/// Whether a part of this name holds series; an earlier version made one per shard.
pub fn holds_series(part: &str) -> bool {
    part.starts_with(SERIES) || part.starts_with("shard/")
}

/// Series in parts of so many, encoded side by side.
fn encode_parts<T: Serialize + Sync>(series: &[T], each: usize, threads: usize) -> Vec<Vec<u8>> {
    let parts: Vec<&[T]> = series.chunks(each.max(1)).collect();
    side_by_side(&parts, threads, &mut (), |part, ()| encode(part))
}

fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    let bytes = rmp_serde::to_vec_named(body).expect("memory is plain data, and a Vec takes any length");
    match snap::raw::Encoder::new().compress_vec(&bytes) {
        Ok(packed) => {
            let body = serde_bytes::Bytes::new(&packed);
            rmp_serde::to_vec_named(&Out { version: SNAPSHOT_VERSION, body: &body }).expect("a number and bytes")
        }
        // Over four gigabytes, which snappy takes no more of.
        Err(_) => rmp_serde::to_vec_named(&Out { version: NOT_PACKED, body }).expect("it was plain data before"),
    }
}

/// Snappy makes no more than 64 bytes of three: what claims to become more than so many of each is no part.
const UNPACKED_MAX: usize = 22;

fn decode<T: for<'de> Deserialize<'de>>(part: &str, bytes: &[u8]) -> Result<T, SnapshotError> {
    let damaged =
        |error: &dyn std::error::Error| SnapshotError::Damaged { part: part.to_owned(), reason: error.to_string() };
    let Version { version } = rmp_serde::from_slice(bytes).map_err(|error| damaged(&error))?;
    if version > SNAPSHOT_VERSION {
        return Err(SnapshotError::Newer { found: version });
    }
    if version == NOT_PACKED {
        let In { body } = rmp_serde::from_slice(bytes).map_err(|error| damaged(&error))?;
        return Ok(body);
    }
    let Packed { body } = rmp_serde::from_slice(bytes).map_err(|error| damaged(&error))?;
    let len = snap::raw::decompress_len(body).map_err(|error| damaged(&error))?;
    if len > body.len() * UNPACKED_MAX {
        let reason = format!("{len} bytes are not made of {}", body.len());
        return Err(SnapshotError::Damaged { part: part.to_owned(), reason });
    }
    let plain = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| damaged(&error))?;
    rmp_serde::from_slice(&plain).map_err(|error| damaged(&error))
}
