//! Lists the page's files (`ui/`) for `src/http/assets.rs`, so that a new file is served without being named twice.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=ui");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("ui");
    let mut files = Vec::new();
    if root.is_dir() {
        collect(&root, &mut files)?;
    }
    let mut names: Vec<(String, PathBuf)> = files
        .into_iter()
        .map(|file| {
            let below = file.strip_prefix(&root).expect("found below it");
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            (parts.join("/"), file)
        })
        .collect();
    names.sort();
    let mut text = String::from("&[\n");
    for (name, file) in names {
        let mut hash = DefaultHasher::new();
        hash.write(&fs::read(&file)?);
        let tag = format!("\"{:016x}\"", hash.finish());
        let file = file.to_string_lossy().into_owned();
        writeln!(text, "    Asset {{ path: {name:?}, body: include_bytes!({file:?}), tag: {tag:?} }},")
            .expect("text takes text");
    }
    text.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("assets.rs");
    fs::write(out, text)
}

/// Every file below a folder; hidden ones are none of the page's.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => collect(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}
