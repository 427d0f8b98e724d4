//! Reading from a real broker: what the broker, its operator and other clients do, and the rows that must come of it.

mod admin;
mod broker;
mod clients;
mod double;
mod generated;
mod sender;
mod setup;
mod source;
mod topic;
