//! A: judge samples, learn thresholds, sum up health.
pub mod strategy;
