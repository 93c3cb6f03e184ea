//! Answers that were paid for, kept on disk.
//!
//! Whoever tunes a rule asks for the same month again and again, each time by a new process: what is kept in memory would be
//! of no use to them, and a daemon that is killed in the middle of a backfill would begin anew. Only whole pieces are kept, and only
//! what lies an hour back: late samples and rules that record have settled by then. Their number is bounded by bytes,
//! the oldest go first. A file is written beside its place and moved there; one that is damaged is no error, but asked again.
//!
//! A name is a hash of 128 bits of all that an answer depends on. A file holds, little-endian: the number of series; per series its
//! labels as JSON (length first), the number of values and each value's place; all values; and a hash of everything before it.

use super::answer::{Grid, Matrix, Points};
use homeostat::replay::Labels;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// All files together, in bytes.
const BYTES_MAX: u64 = 512 << 20;

/// Looked through for what to remove after so many bytes were written, at first and from then on.
const LOOK_AFTER: u64 = BYTES_MAX / 16;

/// First bytes of a file; another form of it has others.
const MAGIC: &[u8; 8] = b"hsqry\0\0\x01";

pub struct Cache {
    folder: PathBuf,
    bytes_max: u64,
    written: AtomicU64,
    counter: AtomicU64,
}

impl Cache {
    /// Kept in `folder`, which is made. None where it cannot be: then everything is asked.
    pub fn open(folder: &Path) -> Option<Cache> {
        Cache::bounded(folder, BYTES_MAX)
    }

    fn bounded(folder: &Path, bytes_max: u64) -> Option<Cache> {
        use std::os::unix::fs::DirBuilderExt;
        // What is measured may be nobody else's business.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).ok()?;
        Some(Cache {
            folder: folder.to_owned(),
            bytes_max,
            written: AtomicU64::new(bytes_max),
            counter: AtomicU64::new(0),
        })
    }

    /// Where commands keep what they asked: `$XDG_CACHE_HOME/homeostat`, else `~/.cache/homeostat`; none without a home.
    pub fn of_user() -> Option<Cache> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
        Cache::open(&cache.join("homeostat/queries"))
    }

    /// The name of what was asked of `identity`.
    pub fn key(identity: &str, expr: &str, grid: Grid) -> u128 {
        let Grid { start, step, steps } = grid;
        xxh3_128(format!("{identity}\0{expr}\0{}\0{step}\0{steps}", start.millis()).as_bytes())
    }

    fn path(&self, key: u128) -> PathBuf {
        self.folder.join(format!("{key:032x}"))
    }

    pub fn get(&self, key: u128, grid: Grid) -> Option<Matrix> {
        let path = self.path(key);
        let bytes = fs::read(&path).ok()?;
        let matrix = decode(&bytes, grid);
        if matrix.is_none() {
            let _ = fs::remove_file(path);
        }
        matrix
    }

    /// Keeps an answer. What cannot be written is asked again another time.
    pub fn put(&self, key: u128, matrix: &Matrix) {
        let Some(bytes) = encode(matrix) else { return };
        let unique = self.counter.fetch_add(1, Ordering::Relaxed);
        let beside = self.folder.join(format!("{key:032x}.{}.{unique}.tmp", std::process::id()));
        let written = write_new(&beside, &bytes).and_then(|()| fs::rename(&beside, self.path(key)));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
            return;
        }
        let so_far = self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        if so_far >= LOOK_AFTER.min(self.bytes_max) {
            self.written.store(0, Ordering::Relaxed);
            self.prune();
        }
    }

    /// Removes the oldest files until all together are within the limit, and what others left half written a day ago.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let now = SystemTime::UNIX_EPOCH;
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((about.modified().unwrap_or(now), about.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files {
            if total <= self.bytes_max {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total -= len;
            }
        }
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// None: it has too many series or values for the form, which cannot come out of an answer.
fn encode(matrix: &Matrix) -> Option<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    let number = |bytes: &mut Vec<u8>, number: usize| -> Option<()> {
        bytes.extend(u32::try_from(number).ok()?.to_le_bytes());
        Some(())
    };
    bytes.extend(matrix.histograms.to_le_bytes());
    number(&mut bytes, matrix.points.len())?;
    for points in &matrix.points {
        let labels = serde_json::to_vec(&points.labels).ok()?;
        number(&mut bytes, labels.len())?;
        bytes.extend(labels);
        number(&mut bytes, points.values.len())?;
        for (place, value) in &points.values {
            bytes.extend(u16::try_from(*place).ok()?.to_le_bytes());
            bytes.extend(value.to_bits().to_le_bytes());
        }
    }
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    Some(bytes)
}

fn decode(bytes: &[u8], grid: Grid) -> Option<Matrix> {
    let (body, hash) = bytes.split_last_chunk::<8>()?;
    if xxh3_64(body).to_le_bytes() != *hash {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC)?;
    let histograms = u64::from_le_bytes(take(&mut rest)?);
    let count = u32::from_le_bytes(take(&mut rest)?);
    let mut matrix = Matrix { histograms, ..Matrix::default() };
    for _ in 0..count {
        let len = u32::from_le_bytes(take(&mut rest)?) as usize;
        let labels: Labels = serde_json::from_slice(rest.get(..len)?).ok()?;
        rest = &rest[len..];
        let len = u32::from_le_bytes(take(&mut rest)?) as usize;
        let mut values = Vec::with_capacity(len.min(grid.steps as usize));
        for _ in 0..len {
            let place = u32::from(u16::from_le_bytes(take(&mut rest)?));
            let value = f64::from_bits(u64::from_le_bytes(take(&mut rest)?));
            if place >= grid.steps || values.last().is_some_and(|(before, _)| *before >= place) {
                return None;
            }
            values.push((place, value));
        }
        matrix.samples += len as u64;
        matrix.points.push(Points { labels, values });
    }
    rest.is_empty().then_some(matrix)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat::time::Timestamp;

    const GRID: Grid = Grid { start: Timestamp::EPOCH, step: 1000, steps: 16 };

    fn matrix(level: f64) -> Matrix {
        let points = |zone: &str, values| Points { labels: Labels::new([("zone", zone)]), values };
        let points = vec![points("a", vec![(0, level), (15, f64::INFINITY)]), points("b", vec![(3, -0.0)])];
        Matrix { points, samples: 3, histograms: 1, warnings: Vec::new() }
    }

    #[test]
    fn what_was_kept_comes_back_and_a_damaged_file_does_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&dir.path().join("deep/er")).expect("made");
        let key = Cache::key("http://a", "up", GRID);
        assert_eq!(cache.get(key, GRID), None);
        cache.put(key, &matrix(1.5));
        assert_eq!(cache.get(key, GRID), Some(matrix(1.5)));
        assert_ne!(key, Cache::key("http://b", "up", GRID), "another server's");
        assert_ne!(key, Cache::key("http://a", "up", Grid { step: 2000, ..GRID }), "another step's");
        let whole = fs::read(cache.path(key)).expect("there");
        for damage in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[damage] ^= 1;
            assert_eq!(decode(&bytes, GRID), None, "byte {damage}");
            assert_eq!(decode(&whole[..damage], GRID), None, "cut at {damage}");
        }
        fs::write(cache.path(key), b"rubbish").expect("written");
        assert_eq!(cache.get(key, GRID), None);
        assert!(!cache.path(key).exists(), "it is removed");
    }

    #[test]
    fn files_together_stay_within_their_limit_and_the_oldest_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let one = encode(&matrix(0.0)).expect("small").len() as u64;
        let cache = Cache::bounded(dir.path(), 3 * one).expect("made");
        let put = |key: u128| {
            cache.put(key, &matrix(key as f64));
            let file = fs::File::options().write(true).open(cache.path(key)).expect("there");
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(key as u64)).expect("set");
        };
        for key in 1..=9 {
            put(key);
        }
        cache.prune();
        let held: Vec<bool> = (1..=9).map(|key| cache.get(key, GRID).is_some()).collect();
        assert_eq!(held, [false, false, false, false, false, false, true, true, true]);
    }
}
