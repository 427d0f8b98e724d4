//! The whole way on real services: a topic of a real broker, rows in the real engine of ClickHouse, state in a real S3, and blows on
//! each of them. Whatever comes, the rows are those of the oracle, each once, and the ledger balances.

mod balance;
mod feed;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod outage;
mod rounds;
mod stage;
mod together;
mod two;
