//! Reading from a real broker: what the broker, its operator and other clients do, and the rows that must come of it.

mod admin;
mod broker;
mod changes;
mod clients;
mod double;
mod faults;
mod follower;
mod frozen;
mod generated;
mod input;
mod issuer;
mod reading;
mod rounds;
mod secure;
mod sender;
mod setup;
mod source;
mod swelling;
mod topic;
