//! All memory as bytes, in parts: one for what is general, one per shard, one for histograms. MessagePack with names, so that a later version
//! can read what an earlier one wrote.

use super::{Knowledge, Series};
use crate::analyze::strategy::Methods;
use crate::config::Config;
use crate::side_by_side::side_by_side;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Version of the form; an engine reads its own and earlier ones.
pub const SNAPSHOT_VERSION: u16 = 1;

/// The part without which there is no memory: all that belongs to no one series.
pub const GENERAL: &str = "general";
const SHARD: &str = "shard/";
const HISTOGRAMS: &str = "histograms";

/// Series in one part at most, which are some tens of megabytes where their windows are full.
const PART: usize = 4_096;

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

impl Knowledge {
    /// Names and bytes of all parts.
    pub fn snapshot(&self) -> Vec<(String, Vec<u8>)> {
        let mut parts = Vec::new();
        let all = self.snapshot_parts(|name, body| {
            parts.push((name, body));
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(()) = all;
        parts
    }

    /// Hands on one part after the other, so that no more of them is there at once than threads work on them; ends with the first error
    /// of `each`.
    pub fn snapshot_parts<E>(&self, mut each: impl FnMut(String, Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        each(GENERAL.to_owned(), encode(&self.general))?;
        let mut by_shard: Vec<Vec<&Series>> = vec![Vec::new(); self.shards.len()];
        for (name, id) in &self.names {
            let series = self.get(*id).unwrap_or_else(|| panic!("{name} is listed, so it is held"));
            by_shard[usize::from(id.shard)].push(series);
        }
        let parts = by_shard.iter().enumerate().flat_map(|(shard, series)| {
            let some = series.chunks(PART).enumerate().skip(1);
            let further = some.map(move |(part, some)| (format!("{SHARD}{shard}/{part}"), some));
            std::iter::once((format!("{SHARD}{shard}"), &series[..series.len().min(PART)])).chain(further)
        });
        let parts: Vec<(String, &[&Series])> = parts.collect();
        for some in parts.chunks(self.threads()) {
            let encoded = side_by_side(some, some.len(), &mut (), |(_, series), ()| encode(series));
            for ((name, _), body) in some.iter().zip(encoded) {
                each(name.clone(), body)?;
            }
        }
        each(HISTOGRAMS.to_owned(), encode(&self.histograms.memory()))
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
        let of_series: Vec<&(String, Vec<u8>)> = parts.iter().filter(|(name, _)| name.starts_with(SHARD)).collect();
        for some in of_series.chunks(DECODED_AT_ONCE) {
            let decoded =
                side_by_side(some, some.len(), &mut (), |(name, bytes), ()| decode::<Vec<Series>>(name, bytes));
            for series in decoded {
                for series in series? {
                    if !knowledge.names.contains_key(series.name()) {
                        knowledge.insert(series);
                    }
                }
            }
        }
        if let Some((name, bytes)) = parts.iter().find(|(name, _)| name == HISTOGRAMS) {
            knowledge.histograms.remember(decode(name, bytes)?);
        }
        let config = knowledge.config.clone();
        knowledge.reconfigure(config);
        Ok(knowledge)
    }
}

fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(&Out { version: SNAPSHOT_VERSION, body })
        .expect("memory is plain data, and a Vec takes any length")
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str, bytes: &[u8]) -> Result<T, SnapshotError> {
    let damaged =
        |error: rmp_serde::decode::Error| SnapshotError::Damaged { part: part.to_owned(), reason: error.to_string() };
    let Version { version } = rmp_serde::from_slice(bytes).map_err(damaged)?;
    if version > SNAPSHOT_VERSION {
        return Err(SnapshotError::Newer { found: version });
    }
    let In { body } = rmp_serde::from_slice(bytes).map_err(damaged)?;
    Ok(body)
}
