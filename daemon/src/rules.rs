//! Alert rules that people already have: read from files and live servers, understood, and changed in place.

mod compare;
mod expr;
mod file;
mod judge;
mod place;
mod reason;
mod scalar;
#[cfg(test)]
mod tests;
mod yaml;
