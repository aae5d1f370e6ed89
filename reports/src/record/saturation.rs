//! How much of its limit each bucket had in use when, of those that were turned away.
//!
//! A limit of a hundred thousand keys has as many buckets, and those that never come near their limit are of no interest. So a
//! bucket is followed from the first rejection on, and only the first thousand of them are: what that takes depends on
//! neither keys nor requests.

use std::cmp::Reverse;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::heatmap::column_s;

/// Buckets that are followed.
const FOLLOWED: usize = 1_000;

/// Buckets that are told one by one, those that rejected most.
const TOLD: usize = 10;

/// At most so many columns.
const COLUMNS: u64 = 600;

/// The buckets of one limit.
#[derive(Debug)]
pub(crate) struct Saturation {
    /// What a bucket admits at one instant after a rest.
    allowance: u32,
    column_s: u32,
    columns: usize,
    /// By bucket, its place among the followed; [`NOBODY`] of those that are not.
    places: Vec<u16>,
    followed: Vec<Followed>,
}

const NOBODY: u16 = u16::MAX;

#[derive(Debug)]
struct Followed {
    bucket: u32,
    rejected: u64,
    /// By column, the most in use, percent.
    percent: Vec<u8>,
}

impl Saturation {
    pub(crate) fn new(allowance: u32, buckets: u32, duration: Duration) -> Self {
        let column_s = column_s(duration, COLUMNS);
        let columns = (duration.as_secs_f64() / f64::from(column_s)).ceil() as usize;
        let places = Vec::with_capacity(buckets as usize);
        Self { allowance: allowance.max(1), column_s, columns, places, followed: Vec::new() }
    }

    /// A bucket let somebody through who left it so much.
    pub(crate) fn on_admitted(&mut self, bucket: u32, at: Duration, remaining: u32) {
        let Some(place) = self.place(bucket) else { return };
        let used = u64::from(self.allowance - remaining.min(self.allowance));
        self.note(place, at, (used * 100 / u64::from(self.allowance)) as u8);
    }

    /// A bucket turned somebody away.
    pub(crate) fn on_rejected(&mut self, bucket: u32, at: Duration) {
        let place = self.place(bucket).or_else(|| self.follow(bucket));
        if let Some(place) = place {
            self.followed[place].rejected += 1;
            self.note(place, at, 100);
        }
    }

    fn place(&self, bucket: u32) -> Option<usize> {
        self.places.get(bucket as usize).filter(|place| **place != NOBODY).map(|place| usize::from(*place))
    }

    fn follow(&mut self, bucket: u32) -> Option<usize> {
        let place = self.followed.len();
        if place == FOLLOWED {
            return None;
        }
        if self.places.len() <= bucket as usize {
            self.places.resize(bucket as usize + 1, NOBODY);
        }
        self.places[bucket as usize] = place as u16;
        self.followed.push(Followed { bucket, rejected: 0, percent: vec![0; self.columns] });
        Some(place)
    }

    fn note(&mut self, place: usize, at: Duration, percent: u8) {
        let column = (at.as_secs() / u64::from(self.column_s)) as usize;
        if let Some(most) = self.followed[place].percent.get_mut(column) {
            *most = percent.max(*most);
        }
    }

    /// What is told of them; `None` where nobody was turned away.
    pub(crate) fn into_result(mut self, name: impl Fn(u32) -> BucketName) -> Option<SaturationResult> {
        if self.followed.is_empty() {
            return None;
        }
        // Of equals the one that was turned away first.
        self.followed.sort_by_key(|followed| Reverse(followed.rejected));
        let others = self.followed.split_off(self.followed.len().min(TOLD));
        let told = self.followed.into_iter().map(|followed| {
            let BucketName { name, owner } = name(followed.bucket);
            BucketSaturation { name, owner, rejected: followed.rejected, percent: followed.percent }
        });
        let count = others.len() as u64;
        let mean = |column: usize| {
            let sum: u64 = others.iter().map(|followed| u64::from(followed.percent[column])).sum();
            (sum / count) as u8
        };
        Some(SaturationResult {
            column_s: self.column_s,
            buckets: told.collect(),
            others: (count > 0).then(|| OtherBuckets {
                buckets: count,
                rejected: others.iter().map(|followed| followed.rejected).sum(),
                mean_percent: (0..self.columns).map(mean).collect(),
            }),
        })
    }
}

/// What a bucket is called, and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketName {
    /// The key, address, claim or route.
    pub name: String,
    /// The population that the bucket belongs to; `None` where the name begins with the population's name, where several
    /// populations share the bucket, and where a bucket is of no client.
    pub owner: Option<BucketOwner>,
}

impl From<String> for BucketName {
    fn from(name: String) -> Self {
        Self { name, owner: None }
    }
}

/// The population whose clients alone a bucket counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BucketOwner {
    /// The population's name.
    pub population: String,
    /// Which of the population's addresses the bucket is of, counted from 0; `None` of a population with a single address, and of
    /// a bucket that is of no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u32>,
}

/// How much of its limit buckets had in use, of those that rejected anything: 0 before the first rejection and while nobody
/// asks them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SaturationResult {
    /// How long a point of the series below stands for, seconds of scenario time.
    pub column_s: u32,
    /// The ten that rejected most, the most first.
    pub buckets: Vec<BucketSaturation>,
    /// The rest of the first thousand that rejected anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<OtherBuckets>,
}

/// One bucket over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BucketSaturation {
    /// The key, address or route.
    pub name: String,
    /// The population that the bucket belongs to, where the name does not begin with it; `None` where several populations share
    /// the bucket, where a bucket is of no client, and in results of a version that did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<BucketOwner>,
    /// Attempts that it rejected.
    pub rejected: u64,
    /// The most of its limit (of its burst, where it has one) in use in each column, percent.
    pub percent: Vec<u8>,
}

/// Several buckets together over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OtherBuckets {
    /// How many.
    pub buckets: u64,
    /// Attempts that they rejected.
    pub rejected: u64,
    /// The mean over them of what they had in use in each column, percent.
    pub mean_percent: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_bucket_is_followed_from_its_first_rejection_on() {
        let mut saturation = Saturation::new(4, 8, s(4));
        saturation.on_admitted(7, s(0), 1);
        saturation.on_rejected(7, s(1));
        saturation.on_admitted(7, s(2), 3);
        saturation.on_admitted(7, s(2), 2);
        saturation.on_admitted(8, s(2), 0);
        let result = saturation.into_result(|bucket| format!("key {bucket}").into()).unwrap();
        assert_eq!((result.column_s, result.others), (1, None));
        let bucket = BucketSaturation {
            name: "key 7".to_owned(),
            owner: None,
            rejected: 1,
            percent: vec![0, 100, 50, 0],
        };
        assert_eq!(result.buckets, [bucket]);
        assert_eq!(Saturation::new(4, 8, s(4)).into_result(|_| BucketName::default()), None);
    }

    #[test]
    fn ten_are_told_and_the_others_together_and_no_more_than_a_thousand() {
        let mut saturation = Saturation::new(1, 0, s(2));
        for bucket in 0..3_000 {
            saturation.on_rejected(bucket, s(0));
        }
        for bucket in [900, 2_900] {
            saturation.on_rejected(bucket, s(1));
        }
        let result = saturation.into_result(|bucket| bucket.to_string().into()).unwrap();
        let names: Vec<&str> = result.buckets.iter().map(|bucket| bucket.name.as_str()).collect();
        assert_eq!(names, ["900", "0", "1", "2", "3", "4", "5", "6", "7", "8"]);
        let others = OtherBuckets { buckets: 990, rejected: 990, mean_percent: vec![100, 0] };
        assert_eq!(result.others, Some(others));
    }
}
