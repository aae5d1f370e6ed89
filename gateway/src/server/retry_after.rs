//! How long an answer asks its caller to wait.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// The field of AWS's services that names milliseconds; their SDKs go by it since 10 November 2026.
const AMZ_RETRY_AFTER: &str = "x-amz-retry-after";

/// The wait that an answer asks for: `x-amz-retry-after` in milliseconds, or else `Retry-After` in seconds (RFC 9110, 10.2.3).
/// `None` where there is neither, or where the field names a date: the date is of a clock that need not be the scenario's.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let millis = headers.get(AMZ_RETRY_AFTER).and_then(|value| number(value.to_str().ok()?));
    let seconds = || headers.get(RETRY_AFTER).and_then(|value| number(value.to_str().ok()?));
    millis.map(Duration::from_millis).or_else(|| seconds().map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_answer_asks_for_seconds_and_one_of_aws_for_milliseconds() {
        for (seconds, millis, wait) in [
            (None, None, None),
            (Some("3"), None, Some(3_000)),
            (Some(" 3 "), None, Some(3_000)),
            (Some("3"), Some("250"), Some(250)),
            (Some("3"), Some("soon"), Some(3_000)),
            (Some("Wed, 21 Oct 2026 07:28:00 GMT"), None, None),
            (Some("-1"), None, None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("retry-after", seconds), (AMZ_RETRY_AFTER, millis)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(retry_after(&headers), wait.map(Duration::from_millis), "{seconds:?} {millis:?}");
        }
    }
}
