use crate::{ExperimentResult, VariantResult, text};

/// A setting in which the variants differ.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) key: String,
    /// One per variant.
    pub(crate) values: Vec<String>,
}

/// The settings that are not the same under all variants, in the order in which they first occur.
pub(crate) fn differences(result: &ExperimentResult) -> Vec<Difference> {
    differences_of(&result.variants.iter().collect::<Vec<_>>())
}

/// The settings that are not the same under these variants, in the order in which they first occur.
pub(crate) fn differences_of(variants: &[&VariantResult]) -> Vec<Difference> {
    let value = |variant: &VariantResult, key: &str| {
        let setting = variant.settings.iter().find(|setting| setting.key == key);
        setting.map_or_else(|| "–".to_owned(), |setting| text::line(&setting.value))
    };
    let mut keys: Vec<&str> = Vec::new();
    for setting in variants.iter().flat_map(|variant| &variant.settings) {
        if !keys.contains(&setting.key.as_str()) {
            keys.push(&setting.key);
        }
    }
    keys.into_iter()
        .map(|key| Difference {
            key: text::line(key),
            values: variants.iter().map(|variant| value(variant, key)).collect(),
        })
        .filter(|difference| difference.values.windows(2).any(|pair| pair[0] != pair[1]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn only_settings_that_differ_are_shown() {
        let differences = differences(&testing::window_boundary());
        let keys: Vec<&str> = differences.iter().map(|difference| difference.key.as_str()).collect();
        assert_eq!(keys, ["gateway.rate_limit.per_key"]);
        assert_eq!(differences[0].values[1], "token-bucket, 1000 per 1m, burst 100");
    }
}
