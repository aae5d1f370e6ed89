//! What an experiment came to: the types of `result.json`, how the file is written and read, and its schema.

pub(crate) mod agreement;
pub(crate) mod expectation;
pub(crate) mod experiment;
pub(crate) mod harm;
pub(crate) mod json;
pub(crate) mod of_run;
pub(crate) mod praise;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod spread;
pub(crate) mod strictness;
pub(crate) mod validity;
