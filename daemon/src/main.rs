//! The binary: what it is called with, and what it leaves with.

mod cli;
mod config;
mod driver;
mod http;
mod log;
mod source;
mod store;
mod telemetry;
mod view;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
