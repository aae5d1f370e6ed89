//! The JSON Schema of `result.json`, for whoever reads results with something else than Tuesday.
//!
//! It is derived from the types that write the file, so it cannot promise what the file does not hold. It is kept in
//! the repository as `reports/result.schema.json`: a change of the format is then seen where it is reviewed.

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::transform_subschemas};

use crate::result::experiment::{ExperimentResult, VERSION};

/// The JSON Schema (draft 2020-12) of what [`to_json`](crate::to_json) writes, laid out, ending with a line feed.
///
/// It allows fields that it does not name, as a reader has to: within a [`VERSION`] fields are added.
pub fn result_schema() -> String {
    schema_of::<ExperimentResult>("result.json", VERSION)
}

/// The schema of a file with a `version` of which this is the one.
pub(crate) fn schema_of<T: JsonSchema>(file: &str, version: u32) -> String {
    let settings = SchemaSettings::draft2020_12().with_transform(in_plain_words).for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), format!("{file} of Tuesday, format version {version}").into());
    if let Some(described) =
        schema.pointer_mut("/properties/version").and_then(|version| version.as_object_mut())
    {
        described.insert("const".to_owned(), version.into());
    }
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

/// Descriptions are written for the documentation of the crate; a reader of the schema has neither its links nor its
/// width.
fn in_plain_words(schema: &mut Schema) {
    if let Some(description) = schema.get("description").and_then(|description| description.as_str()) {
        let plain = description.replace("[`", "`").replace("`]", "`").replace('\n', " ");
        schema.insert("description".to_owned(), plain.into());
    }
    transform_subschemas(&mut in_plain_words, schema);
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{env, fs};

    use serde_json::Value as Json;

    use super::*;
    use crate::result::json::to_json;
    use crate::testing;

    /// What in the document does not satisfy the schema.
    pub(crate) fn errors(schema: &str, json: &str) -> Vec<String> {
        let schema: Json = serde_json::from_str(schema).unwrap();
        jsonschema::meta::validate(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let json: Json = serde_json::from_str(json).unwrap();
        validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    /// Panics if the schema kept in that file of the crate is another.
    pub(crate) fn assert_kept(file: &str, schema: &str) {
        let kept = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        if env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(&kept, schema).unwrap();
        }
        assert!(
            fs::read_to_string(&kept).unwrap_or_default() == schema,
            "{kept} is not what the code says any more. If the change of a schema only adds (see json.rs), run\n\
             UPDATE_SCHEMA=1 cargo test -p reports schema\n\
             and commit the file; if it does not, the format needs a new version."
        );
    }

    /// As [`assert_kept`], and that what is written of each of these satisfies the schema and is read back as it was.
    pub(crate) fn assert_kept_and_met<T>(file: &str, schema: &str, all: &[T], json: impl Fn(&T) -> String)
    where
        T: serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        assert_kept(file, schema);
        for one in all {
            let json = json(one);
            assert_eq!(errors(schema, &json), [""; 0]);
            assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *one);
        }
    }

    #[test]
    fn the_kept_schema_is_that_of_the_types() {
        assert_kept("result.schema.json", &result_schema());
    }

    #[test]
    fn what_is_written_satisfies_the_schema() {
        for result in [
            testing::window_boundary(),
            testing::three_seeds(),
            testing::hostile(),
            testing::nothing_happened(),
            testing::every_value(),
        ] {
            assert_eq!(errors(&result_schema(), &to_json(&result)), [""; 0]);
        }
    }

    #[test]
    fn what_is_no_result_does_not_satisfy_it() {
        let good = to_json(&testing::window_boundary());
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"engine\": \"virtual\"", "\"engine\": \"steam\""),
            ("\"expectations\"", "\"hopes\""),
            ("\"served\": ", "\"servd\": "),
            ("\"offered\": 14004", "\"offered\": -1"),
            ("\"count\": 2000}", "\"parsec\": 2000}"),
        ] {
            assert!(good.contains(from), "{from}");
            assert_ne!(errors(&result_schema(), &good.replacen(from, to, 1)), [""; 0], "{to}");
        }
    }

    #[test]
    fn fields_of_a_later_tuesday_are_allowed() {
        let later = to_json(&testing::window_boundary()).replacen("\"seed\"", "\"weather\": {}, \"seed\"", 1);
        assert_eq!(errors(&result_schema(), &later), [""; 0]);
    }
}
