#![allow(dead_code)] // The parts stand before what calls them.

mod config;
mod driver;
mod http;
mod log;
mod source;
mod store;
mod telemetry;
mod view;

fn main() {}
