//! connect
pub mod generate;
