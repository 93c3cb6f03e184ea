#![allow(dead_code)] // The parts stand before what calls them.

mod config;
mod driver;
mod log;
mod source;
mod store;

fn main() {}
