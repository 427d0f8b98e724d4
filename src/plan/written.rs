//! dataflow.toml as it is written.
