//! Importers, as a table.

mod toy;
