//! What an experiment came to: the types of `result.json`, how the file is written and read, and its schema.

pub(crate) mod experiment;
pub(crate) mod json;
pub(crate) mod schema;
pub(crate) mod spread;
pub(crate) mod strictness;
pub(crate) mod validity;
