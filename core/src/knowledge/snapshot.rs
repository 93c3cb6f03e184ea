//! All memory as bytes, in parts: one for what is general, one per shard, one for histograms. MessagePack with names, so that a later version
//! can read what an earlier one wrote.

use super::{Knowledge, Series};
use crate::analyze::strategy::Methods;
use crate::config::Config;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Version of the form; an engine reads its own and earlier ones.
pub const SNAPSHOT_VERSION: u16 = 1;

/// The part without which there is no memory: all that belongs to no one series.
pub const GENERAL: &str = "general";
const SHARD: &str = "shard/";
const HISTOGRAMS: &str = "histograms";

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
        let mut parts = vec![(GENERAL.to_owned(), encode(&self.general))];
        let mut by_shard: Vec<Vec<&Series>> = vec![Vec::new(); self.shards.len()];
        for (name, id) in &self.names {
            let series = self.get(*id).unwrap_or_else(|| panic!("{name} is listed, so it is held"));
            by_shard[usize::from(id.shard)].push(series);
        }
        parts.extend(by_shard.iter().enumerate().map(|(at, series)| (format!("{SHARD}{at}"), encode(series))));
        parts.push((HISTOGRAMS.to_owned(), encode(&self.histograms.memory())));
        parts
    }

    /// Memory as it was when the snapshot was made. The number of shards may be another one now; the configuration too.
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
        for (name, bytes) in parts.iter().filter(|(name, _)| name.starts_with(SHARD)) {
            let series: Vec<Series> = decode(name, bytes)?;
            for series in series {
                knowledge.insert(series);
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
