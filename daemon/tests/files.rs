//! Files as sources of a running daemon: paths that can never be read, files that come later, and pipes.

mod common;

use common::{Daemon, folder, read, run, wait_until, write};
use std::fmt::Write as _;

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
    daemon.stop();
    let said = read(&folder, "err");
    assert_eq!(
        said.matches("is not there yet; it is waited for").count(),
        1,
        "one line, however long it takes: {said}"
    );
    assert!(said.contains("is there now"), "{said}");
}
