//! Every scenario gives the transcript that lies beside it. `UPDATE=1 cargo test -p homeostat-sim` rewrites them: read the
//! difference, it is what changed.

use homeostat_sim::{Report, run_named, scenarios};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn run(name: &str) -> Report {
    run_named(name, &mut |_| {}).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_file_in_the_folder_comes_along() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let known: BTreeSet<String> = scenarios().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, known, "a scenario is a file and a name in lib.rs");
}

/// All at once, two at a time: each is a thread of its own and the machine has few.
#[test]
fn every_transcript_is_as_kept() {
    let update = std::env::var_os("UPDATE").is_some();
    let names: Vec<&str> = scenarios().iter().map(|(name, _)| *name).collect();
    let (front, back) = names.split_at(names.len() / 2);
    let run_all = |names: &[&'static str]| names.iter().map(|name| (*name, run(name).text())).collect::<Vec<_>>();
    let texts = std::thread::scope(|scope| {
        let other = scope.spawn(|| run_all(back));
        let mut texts = run_all(front);
        texts.extend(other.join().expect("a scenario runs to its end"));
        texts
    });
    let mut differing = Vec::new();
    for (name, text) in texts {
        let path = folder().join(format!("{name}.txt"));
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if kept == text {
            continue;
        }
        if update {
            std::fs::write(&path, text).unwrap();
            continue;
        }
        let line = kept.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or(kept.lines().count().min(text.lines().count()));
        let at = |text: &str| text.lines().nth(line).unwrap_or("(ends here)").to_owned();
        differing.push(format!("{name}.txt, line {}:\n  kept {}\n  now  {}", line + 1, at(&kept), at(&text)));
    }
    assert!(differing.is_empty(), "run with UPDATE=1 and read the difference\n{}", differing.join("\n"));
}
