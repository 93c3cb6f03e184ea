//! All memory as bytes, in parts: one for what is general, one for histograms, the rest some series each. A later version can read what
//! an earlier one wrote ([`crate::shaped`]; before, MessagePack with names); packed by snappy.

use super::series::SharedSettings;
use super::{Knowledge, Series, Shard};
use crate::analyze::strategy::Methods;
use crate::config::Config;
use crate::shaped;
use crate::side_by_side::side_by_side;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Version of the form; an engine reads its own and earlier ones. In the second the packed body was MessagePack, and in the first, which
/// is written where the third is no way, it was not packed.
pub const SNAPSHOT_VERSION: u16 = 3;
const NOT_SHAPED: u16 = 2;
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

/// Where the parts of a snapshot are read from, by several threads at once.
pub trait Parts: Sync {
    /// The names of those there are, each once.
    fn names(&self) -> Vec<String>;

    /// The bytes of one, or why they are not what was written.
    fn read(&self, part: &str) -> Result<Cow<'_, [u8]>, String>;
}

/// Of those of one name the first counts.
impl Parts for &[(String, Vec<u8>)] {
    fn names(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        self.iter().filter(|(name, _)| seen.insert(name.as_str())).map(|(name, _)| name.clone()).collect()
    }

    fn read(&self, part: &str) -> Result<Cow<'_, [u8]>, String> {
        let found = self.iter().find(|(name, _)| name == part);
        found.map(|(_, bytes)| Cow::Borrowed(bytes.as_slice())).ok_or_else(|| "there is none".to_owned())
    }
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
        parts: &dyn Parts,
        now: Timestamp,
    ) -> Result<Knowledge, SnapshotError> {
        let names = parts.names();
        let has = |part: &str| names.iter().any(|name| name == part);
        if !has(GENERAL) {
            return Err(SnapshotError::Incomplete);
        }
        let mut knowledge = Knowledge::new(config, methods, shards, now);
        knowledge.general = decode(parts, GENERAL)?;
        knowledge.hold(parts, &names)?;
        knowledge.hand_out_changes();
        if has(HISTOGRAMS) {
            knowledge.histograms.remember(decode(parts, HISTOGRAMS)?);
        }
        knowledge.follow_config();
        Ok(knowledge)
    }

    /// Holds the series of all parts.
    fn hold(&mut self, parts: &dyn Parts, names: &[String]) -> Result<(), SnapshotError> {
        let of_series: Vec<&String> = names.iter().filter(|name| holds_series(name)).collect();
        let Knowledge { general, config, methods, .. } = &*self;
        let mut settings = SharedSettings::default();
        let decoded = side_by_side(&of_series, DECODED_AT_ONCE, &mut settings, |part, settings| {
            let mut series: Vec<Box<Series>> = decode(parts, part)?;
            for series in &mut series {
                series.hold_once();
                series.refresh(settings.of(series.name(), config), methods);
                series.set_weights(&general.fleet);
                series.set_share(general.share_of(series, config));
            }
            series.sort_by(|one, other| one.name().cmp(other.name()));
            Ok(series.into_iter().map(|series| (series.name().clone(), series)).collect::<Vec<_>>())
        });
        let decoded = decoded.into_iter().collect::<Result<Vec<_>, SnapshotError>>()?;
        let mut named = Vec::with_capacity(decoded.iter().map(Vec::len).sum());
        named.extend(decoded.into_iter().flatten());
        // Of those of one name the first stays: the order of equals is kept.
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        named.dedup_by(|(later, _), (first, _)| later == first);
        self.names = named.into_iter().map(|(name, series)| (name, self.place(series))).collect();
        Ok(())
    }
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
    let packed = shaped::to_bytes(body).ok().and_then(|bytes| snap::raw::Encoder::new().compress_vec(&bytes).ok());
    let written = match packed {
        Some(packed) => {
            let body = serde_bytes::Bytes::new(&packed);
            rmp_serde::to_vec_named(&Out { version: SNAPSHOT_VERSION, body: &body })
        }
        // Over four gigabytes, which snappy takes no more of, or more shapes than a table holds.
        None => rmp_serde::to_vec_named(&Out { version: NOT_PACKED, body }),
    };
    written.expect("memory is plain data, and a Vec takes any length")
}

/// Snappy makes no more than 64 bytes of three: what claims to become more than so many of each is no part.
const UNPACKED_MAX: usize = 22;

fn decode<T: for<'de> Deserialize<'de>>(parts: &dyn Parts, part: &str) -> Result<T, SnapshotError> {
    let damaged =
        |error: &dyn std::error::Error| SnapshotError::Damaged { part: part.to_owned(), reason: error.to_string() };
    let bytes = &*parts.read(part).map_err(|reason| SnapshotError::Damaged { part: part.to_owned(), reason })?;
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
    match version {
        NOT_SHAPED => rmp_serde::from_slice(&plain).map_err(|error| damaged(&error)),
        _ => shaped::from_bytes(&plain).map_err(|error| damaged(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::monitor::Sample;
    use crate::series::SeriesName;

    /// An earlier version printed a label without a name with nothing before `=`: such a series and those beside it are read.
    #[test]
    fn a_label_without_a_name_is_read_as_it_was_printed_once() {
        let at = Timestamp::from_secs(1_700_000_000);
        let mut engine = Engine::new(Config::default(), at);
        let names = [r#"up{""="1"}"#, "load"].map(|text| SeriesName::parse(text).expect("a name"));
        for name in &names {
            let series = engine.intern(name, None, at).expect("room");
            let _ = engine.observe(&[Sample { series, at, value: 1.0 }], at);
        }
        let mut parts = engine.snapshot();
        for (part, bytes) in parts.iter_mut().filter(|(part, _)| holds_series(part)) {
            let Packed { body } = rmp_serde::from_slice(bytes).expect(part);
            let mut plain = snap::raw::Decoder::new().decompress_vec(body).expect(part);
            // As long as it, so that nothing else moves.
            let (now, then) = (br#"up{""="1"}"#, br#"up_2{="1"}"#);
            let found: Vec<usize> = (0..plain.len()).filter(|at| plain[*at..].starts_with(now)).collect();
            found.iter().for_each(|at| plain[*at..*at + then.len()].copy_from_slice(then));
            assert!(!found.is_empty(), "{part}");
            let packed = snap::raw::Encoder::new().compress_vec(&plain).expect("packed");
            let body = serde_bytes::Bytes::new(&packed);
            *bytes = rmp_serde::to_vec_named(&Out { version: SNAPSHOT_VERSION, body: &body }).expect("written");
        }
        let restored = Engine::restore(Config::default(), Methods::built_in(), 1, &parts, at).expect("it is read");
        let held: Vec<&str> = restored.knowledge().series().map(|series| series.name().as_str()).collect();
        assert_eq!(held, ["load", r#"up_2{""="1"}"#]);
        assert!(restored.knowledge().series().all(|series| series.window().len() == 1));
    }
}
