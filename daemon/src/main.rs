//! The program: one binary for the daemon and every command.

mod access;
mod alertmanager;
mod calendar;
mod cli;
mod config;
mod driver;
#[cfg(test)]
mod fuzz;
mod http;
mod log;
mod page;
mod prometheus;
mod recall;
mod receive;
mod recurring;
mod remote_write;
mod rules;
mod source;
mod store;
mod telemetry;
mod view;
mod webhook;

/// Many small allocations that live as long as a series does: this one keeps them together.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
