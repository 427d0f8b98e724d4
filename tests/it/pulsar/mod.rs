//! Reading from a real broker: what the broker, its operator and other clients do, and the rows that must come of it.

mod admin;
mod broker;
mod changes;
mod clients;
mod faults;
mod follower;
mod input;
mod reading;
mod rounds;
mod sender;
mod setup;
mod topic;
