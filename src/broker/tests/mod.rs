//! The room over a vault in memory: who is let in, what is admitted and put on record, what is returned. No program is
//! started.

mod admission;
mod attached;
mod driving;
mod ledger;
mod limits;
mod outcomes;
mod sessions;
mod table;
mod unwritten;

use super::testing::{BEGIN, Bench, HOUR, Issued};
