//! Whose a bucket of a rate limit is, in words.

use crate::record::saturation::{BucketOwner, BucketSaturation};
use crate::result::run::{PopulationResult, RunResult};
use crate::words::text;

/// Whose a bucket is, by the name of its population where that is known, and else the bucket's own name. An address says
/// nothing to a reader: addresses are dealt out to the populations in the order of the file.
pub(crate) fn bucket_label(run: &RunResult, bucket: &BucketSaturation) -> String {
    if let Some(label) = owned(bucket) {
        return label;
    }
    let key_of = |population: &PopulationResult| {
        let number = bucket.name.strip_prefix(population.name.as_str())?.strip_prefix('-')?;
        let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| format!("{}, key {number}", text::name(&population.name)))
    };
    run.populations.iter().find_map(key_of).unwrap_or_else(|| text::name(&bucket.name))
}

/// A bucket by its population; `None` where the result does not tell one.
pub(crate) fn owned(bucket: &BucketSaturation) -> Option<String> {
    let BucketOwner { population, address } = bucket.owner.as_ref()?;
    let population = text::name(population);
    Some(match address {
        Some(address) => format!("{population}, address {address}"),
        None => population,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn bucket(name: &str, owner: Option<(&str, Option<u32>)>) -> BucketSaturation {
        let owner =
            owner.map(|(population, address)| BucketOwner { population: population.to_owned(), address });
        BucketSaturation { name: name.to_owned(), owner, rejected: 1, percent: vec![100] }
    }

    #[test]
    fn a_bucket_goes_by_the_name_of_its_population() {
        let run = testing::window_boundary().variants[0].runs[0].clone();
        let label = |name: &str, owner| bucket_label(&run, &bucket(name, owner));
        // By the key, which begins with its population.
        let by_name = ["partner-0", "partner-x", "partner-", "127.1.3.234", "everyone-else-12"];
        assert_eq!(
            by_name.map(|name| label(name, None)),
            ["partner, key 0", "partner-x", "partner-", "127.1.3.234", "everyone-else, key 12"]
        );
        // By the owner that the result tells.
        assert_eq!(label("127.1.0.4", Some(("partner", Some(3)))), "partner, address 3");
        assert_eq!(label("anonymous at 127.1.0.1", Some(("partner", None))), "partner");
    }
}
