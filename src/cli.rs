//! cli

pub mod generate;
