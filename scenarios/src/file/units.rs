//! Quantities as a file writes them: `"28s"`, `"200/s"`, `"50%"`.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::SpanParser;
use simulator::Rate;

/// A duration such as `28s`, `500ms` or `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const EXAMPLES: &str = "such as \"28s\", \"500ms\" or \"1m 30s\"";
    refuse_comma(text)?;
    let parsed: SignedDuration = SpanParser::new()
        .parse_duration(text.trim())
        .map_err(|_| format!("expected a duration {EXAMPLES}"))?;
    if parsed.is_negative() {
        return Err("a duration cannot be negative".to_owned());
    }
    Duration::try_from(parsed).map_err(|_| format!("expected a duration {EXAMPLES}"))
}

/// The parser of durations takes a comma for a decimal point, as ISO 8601 does: `1,500ms` would be a millisecond and a half.
fn refuse_comma(text: &str) -> Result<(), String> {
    if text.contains(',') { Err(COMMA.to_owned()) } else { Ok(()) }
}

/// Why a comma is refused wherever a number stands.
pub(super) const COMMA: &str =
    "a number has no comma, which parts thousands for some and decimals for others: write 1500 or 1.5";

/// A rate such as `200/s`, `16.7/s` or `1000/m`.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    refuse_comma(text)?;
    let malformed = || "expected a rate such as \"200/s\", \"16.7/s\" or \"1000/m\"".to_owned();
    let (events, unit) = text.split_once('/').ok_or_else(malformed)?;
    let (events, unit) = (events.trim(), unit.trim());
    if events.starts_with('-') {
        return Err("a rate cannot be negative".to_owned());
    }
    let unit_nanos: u64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(format!("expected a rate per \"s\", \"m\" or \"h\", found per {unit:?}")),
    };
    let (mantissa, decimals) = decimal(events).ok_or_else(malformed)?;
    let too_fine = || "a rate has at most six decimals and is below a billion".to_owned();
    if decimals > 6 || mantissa / 10u64.pow(decimals) >= 1_000_000_000 {
        return Err(too_fine());
    }
    Rate::new(mantissa, unit_nanos * 10u64.pow(decimals)).map_err(|_| too_fine())
}

/// A rate such as `200/s`, as events per second.
pub(crate) fn per_second(text: &str) -> Result<f64, String> {
    rate(text).map(Rate::per_second)
}

/// A share of a whole such as `50%`, as 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let share = percentage(text)?;
    if share > 1.0 { Err("a share is at most 100%".to_owned()) } else { Ok(share) }
}

/// A percentage such as `50%` or `150%`, as 0.5 or 1.5: of something that it need not be a part of.
pub(super) fn percentage(text: &str) -> Result<f64, String> {
    refuse_comma(text)?;
    let malformed = || "expected a percentage such as \"50%\" or \"0.1%\"".to_owned();
    let percent = text.trim().strip_suffix('%').ok_or_else(malformed)?;
    let (mantissa, decimals) = decimal(percent.trim_end()).ok_or_else(malformed)?;
    Ok(mantissa as f64 / (100 * 10u64.pow(decimals)) as f64)
}

/// A size in bytes such as `512B`, `2KB` (2,000) or `1KiB` (1,024).
pub(super) fn size(text: &str) -> Result<u64, String> {
    refuse_comma(text)?;
    let malformed = || "expected a size such as \"512B\", \"2KB\" or \"1KiB\"".to_owned();
    let text = text.trim();
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let number =
        text.strip_suffix(unit).and_then(|digits| digits.parse::<u64>().ok()).ok_or_else(malformed)?;
    let bytes = match unit.trim_start() {
        "B" => 1,
        "KB" | "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        _ => return Err(malformed()),
    };
    number.checked_mul(bytes).ok_or_else(malformed)
}

/// A plain number such as `166`, `1.5` or `1_000`. A comma is refused: it parts thousands for some and decimals for
/// others.
pub(crate) fn number(text: &str) -> Option<f64> {
    let (mantissa, decimals) = decimal(&text.replace('_', ""))?;
    Some(mantissa as f64 / 10u64.pow(decimals) as f64)
}

/// The digits of a decimal without its point, and how many stood behind the point.
fn decimal(text: &str) -> Option<(u64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let pointless = text.contains('.') && fraction.is_empty();
    if whole.is_empty() || pointless || !digits(whole) || !digits(fraction) || fraction.len() > 12 {
        return None;
    }
    let mantissa = format!("{whole}{fraction}").parse().ok()?;
    Some((mantissa, fraction.len() as u32))
}

/// A duration as a file writes it, in the largest units that tell it exactly: `1m 30s`, `500ms`.
pub(crate) fn write_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let mut parts = Vec::new();
    let mut rest = nanos;
    for (unit, nanos) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        if rest >= nanos {
            parts.push(format!("{}{unit}", rest / nanos));
            rest %= nanos;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("28s", 28_000),
            ("500ms", 500),
            ("1m 30s", 90_000),
            ("1.5s", 1_500),
            ("2h", 7_200_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "28", "fast", "-1s", "1x", "nan", "1e400s", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for millis in [0, 1, 999, 1_000, 90_000, 3_600_000, 5_400_500] {
            let wanted = Duration::from_millis(millis);
            assert_eq!(duration(&write_duration(wanted)), Ok(wanted));
        }
    }

    #[test]
    fn a_comma_is_refused_in_every_quantity() {
        // 1,500 ms are a second and a half to some, and a millisecond and a half to others.
        for text in ["1,500ms", "1,5ms", "10,5s", "1h, 2m", "00:00:01,5"] {
            assert_eq!(duration(text), Err(COMMA.to_owned()), "{text}");
        }
        assert_eq!(rate("16,7/s"), Err(COMMA.to_owned()));
        assert_eq!(share("12,5%"), Err(COMMA.to_owned()));
        assert_eq!(size("1,000B"), Err(COMMA.to_owned()));
        assert_eq!((percentage("150%"), percentage("12.5%")), (Ok(1.5), Ok(0.125)));
    }

    #[test]
    fn rates_are_exact() {
        assert_eq!(rate("200/s"), Ok(Rate::new(200, 1_000_000_000).unwrap()));
        assert_eq!(rate("16.7/s"), Ok(Rate::new(167, 10_000_000_000).unwrap()));
        assert_eq!(rate("1000/m"), Ok(Rate::new(1_000, 60_000_000_000).unwrap()));
        for text in [
            "fast",
            "nan/s",
            "inf/s",
            "1e400/s",
            "-1/s",
            "200",
            "200/x",
            "/s",
            "1./s",
            "99999999999999999999/s",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("2KB", 2_000),
            (" 1 KiB ", 1_024),
            ("3MB", 3_000_000),
            ("1MiB", 1 << 20),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "B", "512", "1.5KB", "-1B", "1GB", "99999999999999999999B", "18446744073709551615KB"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_and_numbers() {
        assert_eq!(share("50%"), Ok(0.5));
        assert_eq!(share("0.1%"), Ok(0.001));
        for text in ["50", "101%", "-1%", "%", "nan%"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert_eq!(number("1_000"), Some(1000.0));
        assert_eq!(number("1.5"), Some(1.5));
        for text in ["1e400", "1,000", "1,5", "-1", "nan"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
