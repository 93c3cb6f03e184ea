//! What is kept beside events and memory: what receivers were told, and verdicts on alerts that nobody here may know.

use super::{Store, StoreError, error};
use homeostat::time::Timestamp;
use rusqlite::{OptionalExtension, params};

impl Store {
    /// Keeps something under a name, or forgets it; durable when it returns.
    pub fn keep(&mut self, name: &str, body: Option<&[u8]>) -> Result<(), StoreError> {
        let done = match body {
            Some(body) => {
                let text = "insert into kept values (?1, ?2) on conflict (name) do update set body = excluded.body";
                self.connection.execute(text, params![name, body])
            }
            None => self.connection.execute("delete from kept where name = ?1", [name]),
        };
        done.map(|_| ()).map_err(|source| error(&self.path, source))
    }

    /// What was kept under a name.
    pub fn kept(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let text = "select body from kept where name = ?1";
        let found = self.connection.query_row(text, [name], |row| row.get(0)).optional();
        found.map_err(|source| error(&self.path, source))
    }

    /// The names that begin so and have something kept under them, in order.
    pub fn kept_names(&self, start: &str) -> Result<Vec<String>, StoreError> {
        let sql = |source: rusqlite::Error| error(&self.path, source);
        let mut select = self.connection.prepare("select name from kept order by name").map_err(sql)?;
        let names = select.query_map([], |row| row.get::<_, String>(0)).map_err(sql)?;
        let names = names.collect::<Result<Vec<_>, _>>().map_err(sql)?;
        Ok(names.into_iter().filter(|name| name.starts_with(start)).collect())
    }

    /// Keeps a record of the audit; durable when it returns.
    pub fn keep_audit(&mut self, at: Timestamp, body: &str) -> Result<(), StoreError> {
        let text = "insert into audit (at, body) values (?1, ?2)";
        let done = self.connection.execute(text, params![at.millis(), body]);
        done.map(|_| ()).map_err(|source| error(&self.path, source))
    }

    /// Records of the audit with their numbers, newest first: those under `before`, of whom is named, at most `limit`.
    pub fn audit(
        &self,
        before: Option<u64>,
        who: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let text = "select id, body from audit
                    where id < ?1 and (?2 is null or json_extract(body, '$.who') = ?2) order by id desc limit ?3";
        self.newest(text, before, who, limit)
    }

    /// Removes records older than `oldest`, and those over `rows_max`.
    pub(super) fn prune_audit(&mut self, oldest: Timestamp, rows_max: u64) -> Result<(), StoreError> {
        let text = "delete from audit
                    where at < ?1 or id <= (select id from audit order by id desc limit 1 offset ?2)";
        let done = self.connection.execute(text, params![oldest.millis(), rows_max as i64]);
        done.map(|_| ()).map_err(|source| error(&self.path, source))
    }

    /// Whether a verdict was kept under this name.
    pub fn has_verdict(&self, name: &str) -> Result<bool, StoreError> {
        let text = "select exists (select 1 from verdicts where name = ?1)";
        self.connection.query_row(text, [name], |row| row.get(0)).map_err(|source| error(&self.path, source))
    }

    /// Keeps a verdict, once under a name, and the latest `most` of all; durable when it returns.
    pub fn keep_verdict(&mut self, name: &str, at: Timestamp, body: &str, most: u64) -> Result<(), StoreError> {
        let path = self.path.clone();
        let sql = |source: rusqlite::Error| error(&path, source);
        let transaction = self.connection.transaction().map_err(sql)?;
        let text = "insert or ignore into verdicts (name, at, body) values (?1, ?2, ?3)";
        transaction.execute(text, params![name, at.millis(), body]).map_err(sql)?;
        let text = "delete from verdicts where id <= (select id from verdicts order by id desc limit 1 offset ?1)";
        transaction.execute(text, [most as i64]).map_err(sql)?;
        transaction.commit().map_err(sql)
    }

    /// Verdicts with their numbers, newest first: those under `before`, of the alert named, at most `limit`.
    pub fn verdicts(
        &self,
        before: Option<u64>,
        alert: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let text = "select id, body from verdicts
                    where id < ?1 and (?2 is null or json_extract(body, '$.alert') = ?2) order by id desc limit ?3";
        self.newest(text, before, alert, limit)
    }

    /// Numbers and bodies: `text` asks for those under a number, of a name where one is given, and for how many.
    fn newest(
        &self,
        text: &str,
        before: Option<u64>,
        of: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let sql = |source: rusqlite::Error| error(&self.path, source);
        let mut select = self.connection.prepare_cached(text).map_err(sql)?;
        let before = before.unwrap_or(u64::MAX).min(i64::MAX as u64) as i64;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?));
        let rows = select.query_map(params![before, of, limit as i64], row).map_err(sql)?;
        rows.collect::<Result<Vec<_>, _>>().map_err(sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_is_kept_as_long_as_events_are() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(dir.path()).expect("a new store");
        for n in 1..=6 {
            let body = format!(r#"{{"who":"{}"}}"#, if n % 2 == 0 { "token ci" } else { "user ann" });
            store.keep_audit(Timestamp::from_secs(n), &body).expect("room");
        }
        let numbers = |store: &Store, before, who, limit| -> Vec<u64> {
            store.audit(before, who, limit).expect("readable").into_iter().map(|(id, _)| id).collect()
        };
        assert_eq!(numbers(&store, None, None, 4), [6, 5, 4, 3]);
        assert_eq!(numbers(&store, Some(6), Some("token ci"), 4), [4, 2]);
        store.prune(Timestamp::from_secs(3), 1000).expect("writable");
        assert_eq!(numbers(&store, None, None, 10), [6, 5, 4, 3], "by age");
        store.prune(Timestamp::from_secs(3), 2).expect("writable");
        drop(store);
        let mut store = Store::open(dir.path()).expect("the same store");
        assert_eq!(numbers(&store, None, None, 10), [6, 5], "by number");
        store.prune(Timestamp::from_secs(30), 2).expect("writable");
        store.keep_audit(Timestamp::from_secs(31), "{}").expect("room");
        assert_eq!(numbers(&store, None, None, 10), [7], "no number comes twice");
    }

    #[test]
    fn what_is_kept_is_there_after_opening_again_and_verdicts_are_kept_once_and_the_latest_of_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(dir.path()).expect("a new store");
        store.keep("page/a", Some(b"one")).expect("room");
        store.keep("page/b", Some(b"two")).expect("room");
        store.keep("page/a", Some(b"three")).expect("room");
        store.keep("page/b", None).expect("room");
        for n in [1, 2, 2, 3, 4] {
            let body = format!(r#"{{"alert":"{}"}}"#, if n % 2 == 0 { "even" } else { "odd" });
            store.keep_verdict(&n.to_string(), Timestamp::from_secs(n), &body, 3).expect("room");
        }
        drop(store);
        let store = Store::open(dir.path()).expect("the same store");
        assert_eq!(store.kept("page/a").expect("readable").as_deref(), Some(&b"three"[..]));
        assert_eq!(
            (store.kept("page/b").expect("readable"), store.kept_names("page/").expect("readable").len()),
            (None, 1)
        );
        assert!(store.has_verdict("4").expect("readable") && !store.has_verdict("1").expect("readable"));
        let all = store.verdicts(None, None, 10).expect("readable");
        assert_eq!(all.len(), 3, "{all:?}");
        let odd = store.verdicts(Some(all[0].0), Some("odd"), 10).expect("readable");
        assert_eq!(odd.len(), 1, "{odd:?}");
    }
}
