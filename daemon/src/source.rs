//! Where samples come from. Each source is one file; none of them judges what it reads.

pub mod feed;
pub mod file;
pub mod host;
