//! What is known of senders, without a daemon around it.

use super::*;
use crate::receive::batch::Batch;
use homeostat::config::Config;
use std::net::Ipv4Addr;

/// A request of 1.0, with one sample for each series.
fn request(series: &[&[(&str, &str)]], now: Timestamp) -> Batch {
    let labels = series.iter().map(|labels| (labels[0].1, labels[1..].to_vec(), 1.0)).collect::<Vec<_>>();
    let message = crate::remote_write::message(&labels, now);
    let body = snap::raw::Encoder::new().compress_vec(&message).expect("packed");
    let mut batch = Batch::default();
    crate::receive::remote_write::decode(&body, crate::receive::remote_write::Version::One, 1 << 20, 7, &mut batch)
        .expect("whole");
    batch
}

struct World {
    engine: Engine,
    table: Table,
    settings: Receive,
    failovers: u64,
}

fn world(series_max: usize, settings: Receive) -> World {
    let mut config = Config::default();
    config.limits.series_max = series_max;
    World { engine: Engine::new(config, at(0)), table: Table::default(), settings, failovers: 0 }
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

fn from(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, n).into()
}

impl World {
    /// What each series is taken for: its name, nothing for a standby, or why it is refused. The samples are taken in.
    fn take(&mut self, series: &[&[(&str, &str)]], sender: u8, secs: i64) -> Vec<Result<String, (Why, String)>> {
        let now = at(secs);
        let batch = request(series, now);
        let mut all = Vec::new();
        for told in batch.series() {
            let World { engine, table, settings, failovers } = self;
            let found = table.find(&told, engine, settings, from(sender), now, failovers);
            all.push(match found {
                Ok(Some(id)) => {
                    let observed = engine.observe(&[Sample { series: id, at: now, value: 1.0 }], now);
                    assert_eq!(observed.fates.of(Fate::Admitted), 1);
                    Ok(engine.knowledge().get(id).expect("held").name().to_string())
                }
                Ok(None) => Ok("standby".to_owned()),
                Err(Refusal { why, message }) => Err((why, message)),
            });
        }
        all
    }
}

#[test]
fn replicas_of_a_cluster_give_one_series_and_one_of_them_at_a_time() {
    let settings = Receive { replica_labels: vec!["__replica__".to_owned()], ..Receive::default() };
    let mut world = world(100, settings);
    let of = |cluster: &'static str, replica: &'static str| {
        [("__name__", "up"), ("__replica__", replica), ("cluster", cluster), ("job", "a")]
    };
    let mut send = |cluster, replica, secs| {
        let taken = world.take(&[&of(cluster, replica)], 1, secs).remove(0).expect("taken");
        (taken, world.failovers)
    };
    let eu = r#"up{cluster="eu",job="a"}"#.to_owned();
    assert_eq!(send("eu", "a", 0), (eu.clone(), 0));
    assert_eq!(send("eu", "b", 1), ("standby".to_owned(), 0));
    assert_eq!(send("us", "b", 1), (r#"up{cluster="us",job="a"}"#.to_owned(), 0));
    assert_eq!(send("eu", "a", 30), (eu.clone(), 0));
    assert_eq!(send("eu", "b", 90), ("standby".to_owned(), 0), "a minute has just passed");
    assert_eq!(send("eu", "b", 91), (eu.clone(), 1), "and now it takes over");
    assert_eq!(send("eu", "a", 92), ("standby".to_owned(), 1));
    assert_eq!(world.engine.knowledge().series_count(), 2, "one series for each cluster");
    // Who has no such label is no replica.
    assert_eq!(world.take(&[&[("__name__", "up"), ("cluster", "eu"), ("job", "a")]], 1, 93), [Ok(eu)]);
}

#[test]
fn who_brings_too_many_series_is_refused_with_the_label_that_explodes_and_others_are_not() {
    let mut world = world(1000, Receive { series_per_sender_max: Some(20), ..Receive::default() });
    let user = |n: usize| format!("user-{n}");
    for n in 0..20 {
        let taken = world.take(&[&[("__name__", "logins"), ("user", &user(n)), ("zone", "eu")]], 1, 0);
        assert!(taken[0].is_ok(), "{taken:?}");
    }
    let (why, message) = world.take(&[&[("__name__", "logins"), ("user", "one-more"), ("zone", "eu")]], 1, 1)[0]
        .clone()
        .expect_err("one too many");
    assert_eq!(why, Why::SenderFull);
    assert!(
        message.contains("20 series") && message.contains("`user` has the most values (20, like `user-9`)"),
        "{message}"
    );
    let known = world.take(&[&[("__name__", "logins"), ("user", "user-3"), ("zone", "eu")]], 1, 2);
    assert!(known[0].is_ok(), "what it brought before is taken");
    let other = world.take(&[&[("__name__", "logins"), ("user", "one-more"), ("zone", "eu")]], 2, 2);
    assert!(other[0].is_ok(), "another sender has room");
    assert!(world.take(&[&[("__name__", "logins"), ("user", "one-more"), ("zone", "eu")]], 1, 3)[0].is_ok());
}

#[test]
fn a_full_memory_is_told_with_the_label_that_has_the_most_values() {
    let mut world = world(30, Receive::default());
    for n in 0..30 {
        assert!(world.take(&[&[("__name__", "m"), ("id", &format!("{n}"))]], 1, 0)[0].is_ok());
    }
    let (why, message) = world.take(&[&[("__name__", "m"), ("id", "x")]], 1, 1)[0].clone().expect_err("no room");
    assert_eq!(why, Why::NoRoom);
    assert!(message.contains("limits.series_max") && message.contains("`id` has the most values (30"), "{message}");
    // One that is idle gives way: the table does not lead to what took its place.
    let later = 6 * 60;
    assert_eq!(world.take(&[&[("__name__", "m"), ("id", "new")]], 1, later), [Ok(r#"m{id="new"}"#.to_owned())]);
    for n in 0..29 {
        let name = format!("m{{id=\"{n}\"}}");
        assert_eq!(world.take(&[&[("__name__", "m"), ("id", &format!("{n}"))]], 1, later + 1 + n), [Ok(name)]);
    }
}

#[test]
fn what_is_known_of_senders_is_bounded_whatever_they_send() {
    let mut world = world(10, Receive::default());
    for n in 0..3000_i64 {
        // Each series gives way to the next: only the table could grow.
        let secs = n * 400;
        world.table.make_room(&world.engine, 10);
        assert!(world.take(&[&[("__name__", &format!("m{n}"))]], (n % 200) as u8, secs)[0].is_ok());
        assert!(world.table.entries.len() <= 4 * 10 + 1024 + 1);
    }
    assert_eq!(world.table.senders.len(), 200);
}
