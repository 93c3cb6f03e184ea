//! Files as sources of a running daemon: paths that can never be read, files that come later, and pipes.

mod common;

use common::{Daemon, folder, read, run, wait_until, write};
use std::fmt::Write as _;
use std::io::Write as _;

const START: [&str; 7] = ["run", "--config", "c.yaml", "--data", "data", "--listen", "127.0.0.1:0"];

#[test]
fn a_path_that_can_never_be_read_is_a_mistake_of_the_configuration() {
    let folder = folder();
    write(&folder, "file", "");
    for (path, words) in [
        ("nowhere/load.csv", ["the folder nowhere of nowhere/load.csv is not there", "make it"]),
        (".", [". is a folder", "name a file"]),
        ("file/load.csv", ["file/load.csv", "check the path"]),
    ] {
        write(&folder, "c.yaml", &format!("host: {{enabled: false}}\nfiles: [{{path: {path}}}]\n"));
        for args in [&START[..], &["config", "check", "c.yaml"]] {
            let ran = run(&folder, args);
            assert_eq!(ran.code, 2, "{args:?} {path}: {}", ran.err);
            for word in words.iter().chain(&["files[0].path"]) {
                assert!(ran.err.contains(word), "{args:?} {path}: {word}: {}", ran.err);
            }
        }
    }
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    let folder = folder();
    write(&folder, "homeostat.yaml", "host: {enabled: false}\nfiles: [{path: load.csv}]\n");
    let check = run(&folder, &["config", "check", "homeostat.yaml"]);
    assert_eq!(check.code, 0, "{}", check.err);
    assert!(check.err.contains("files[0].path: load.csv is not there yet"), "{}", check.err);

    let daemon = Daemon::go_on(&folder);
    assert!(daemon.names().is_empty());
    let mut text = "timestamp,value\n".to_owned();
    for n in 0..50 {
        writeln!(text, "{},{n}", common::now() - 500 + n * 10).expect("text");
    }
    write(&folder, "load.csv", &text);
    wait_until("its rows", || (daemon.metric("homeostat_rows_total") == 50.0).then_some(()));
    assert_eq!(daemon.names(), ["load"]);
    // Whoever writes it goes on after a pause, and is in the middle of a line at the next.
    let append = |more: &str| {
        let file = std::fs::OpenOptions::new().append(true).open(folder.path().join("load.csv"));
        file.and_then(|mut file| file.write_all(more.as_bytes())).expect("written");
    };
    let at = common::now();
    append(&format!("{},50\n{at},5", at - 1));
    wait_until("the whole row", || (daemon.metric("homeostat_rows_total") == 51.0).then_some(()));
    append("1\n");
    wait_until("the rest", || (daemon.metric("homeostat_rows_total") == 52.0).then_some(()));
    let last = daemon.data("/api/v1/explain?series=load")["last"]["value"].clone();
    assert_eq!(last, 51.0, "never the 5 that it was before its end came");
    daemon.stop();
    let said = read(&folder, "err");
    assert_eq!(
        said.matches("is not there yet; it is waited for").count(),
        1,
        "one line, however long it takes: {said}"
    );
    assert!(said.contains("is there now"), "{said}");
}
