//! Circuit breakers, of the gateway and of services alike.

use std::num::NonZeroU32;

use gateway::{BreakerConfig, BreakerConfigError, HalfOpen};

use super::diagnostic::Problem;
use super::reader::{Fields, Positive, Share};
use super::retry::named_or;

/// The table `breaker` among the fields of whoever stands behind it; absent or `false` is none. What it leaves out is
/// as [`BreakerConfig::RECOMMENDED`] has it.
pub(super) fn read_breaker(fields: &mut Fields<'_>) -> Option<BreakerConfig> {
    fields.optional_table("breaker").and_then(read_fields)
}

pub(super) const STYLES: [&str; 3] = ["single-probe", "trickle", "reopen-to-all"];

/// Whether a breaker with that half-open style has that key.
pub(super) fn half_open_has(style: &str, key: &str) -> bool {
    match key {
        "successes_to_close" => style != "trickle",
        "calls" => style == "trickle",
        _ => true,
    }
}

fn read_fields(mut fields: Fields<'_>) -> Option<BreakerConfig> {
    let context = fields.context();
    let window =
        fields.optional::<Positive>("window").map_or(BreakerConfig::RECOMMENDED.window(), |window| window.0);
    let threshold = fields.optional::<Share>("error_threshold");
    let threshold = threshold.map_or(BreakerConfig::RECOMMENDED.error_threshold(), |share| share.0);
    let min_requests = fields.optional("min_requests").unwrap_or(BreakerConfig::RECOMMENDED.min_requests());
    let slow_call = fields.optional::<Positive>("slow_call");
    let interval = fields.optional::<Positive>("probe_interval");
    let interval = interval.map_or(BreakerConfig::RECOMMENDED.probe_interval(), |interval| interval.0);
    let style = named_or(&mut fields, "half_open", &STYLES, "single-probe");
    let successes_to_close = fields.optional::<NonZeroU32>("successes_to_close");
    let calls = fields.optional::<NonZeroU32>("calls");
    for key in ["successes_to_close", "calls"] {
        if let (Some(surplus), Some(style)) = (fields.entry(key), style)
            && !half_open_has(style, key)
        {
            let message = format!("`{}` has no meaning with `{style}`", fields.path_of(key));
            context.push(Problem::error(surplus.key_span.clone(), message));
        }
    }
    let successes_to_close = successes_to_close.unwrap_or(const { NonZeroU32::new(3).unwrap() });
    let half_open = match style.unwrap_or_default() {
        "trickle" => HalfOpen::Trickle { calls: calls.unwrap_or(const { NonZeroU32::new(10).unwrap() }) },
        "reopen-to-all" => HalfOpen::ReopenToAll { successes_to_close },
        _ => HalfOpen::SingleProbe { successes_to_close },
    };
    let (span, path) = (fields.span_of("error_threshold"), fields.path().to_owned());
    fields.finish();
    let build = || -> Result<BreakerConfig, BreakerConfigError> {
        let config =
            BreakerConfig::new(window, threshold, min_requests)?.with_half_open(interval, half_open)?;
        match slow_call {
            Some(Positive(slow_call)) => config.with_slow_call(slow_call),
            None => Ok(config),
        }
    };
    // The times are above zero as they are read: what can be wrong is the threshold.
    build().map_err(|error| context.push(Problem::error(span, format!("`{path}`: {error}")))).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{first_problem, world_with};
    use super::*;

    #[test]
    fn what_is_left_out_is_as_recommended() {
        let breakers = |more: &str| {
            let policies = world_with(more).gateway.upstreams;
            policies.iter().map(|policy| policy.breaker).collect::<Vec<_>>()
        };
        let recommended = Some(BreakerConfig::RECOMMENDED);
        assert_eq!(breakers("gateway.breaker = {}"), [recommended; 3]);
        assert_eq!(breakers("gateway.breaker = false"), [None; 3]);
        // One of its own replaces the general one whole.
        let own = "[gateway]\nbreaker = { window = '10s', min_requests = 5 }\n\
                   upstreams.payments.breaker = { slow_call = '2s' }\nupstreams.stock.breaker = false";
        let general = BreakerConfig::new(Duration::from_secs(10), 0.5, 5).unwrap();
        let slow = BreakerConfig::RECOMMENDED.with_slow_call(Duration::from_secs(2)).unwrap();
        assert_eq!(breakers(own), [Some(general), Some(slow), None]);
    }

    #[test]
    fn each_style_has_what_belongs_to_it() {
        let number = |number| NonZeroU32::new(number).unwrap();
        for (fields, half_open) in [
            ("successes_to_close = 5", HalfOpen::SingleProbe { successes_to_close: number(5) }),
            ("half_open = 'single-probe'", HalfOpen::SingleProbe { successes_to_close: number(3) }),
            ("half_open = 'trickle'", HalfOpen::Trickle { calls: number(10) }),
            ("half_open = 'trickle', calls = 4", HalfOpen::Trickle { calls: number(4) }),
            ("half_open = 'reopen-to-all'", HalfOpen::ReopenToAll { successes_to_close: number(3) }),
        ] {
            let world = world_with(&format!("gateway.breaker = {{ {fields} }}"));
            assert_eq!(world.gateway.upstreams[0].breaker.unwrap().half_open(), half_open, "{fields}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (fields, message, place) in [
            ("windw = '1s'", "`gateway.breaker` has no field `windw`", "windw"),
            ("window = '0s'", "`gateway.breaker.window`: expected more than zero", "'0s'"),
            (
                "error_threshold = '0%'",
                "`gateway.breaker`: error_threshold must be above 0% and at most 100%",
                "'0%'",
            ),
            (
                "error_threshold = 0.5",
                "`gateway.breaker.error_threshold`: expected a percentage such as \"50%\", found a float",
                "0.5",
            ),
            (
                "half_open = 'tricle', calls = 3",
                "`gateway.breaker.half_open`: there is no `tricle`",
                "'tricle'",
            ),
            ("calls = 3", "`gateway.breaker.calls` has no meaning with `single-probe`", "calls"),
            (
                "half_open = 'trickle', successes_to_close = 3",
                "`gateway.breaker.successes_to_close` has no meaning with `trickle`",
                "successes_to_close",
            ),
            (
                "successes_to_close = 0",
                "`gateway.breaker.successes_to_close`: expected a whole number of at least 1, found 0",
                "0",
            ),
        ] {
            let problem = first_problem(&format!("gateway.breaker = {{ {fields} }}"));
            assert_eq!(problem, (message.to_owned(), place.to_owned()), "{fields}");
        }
        let (message, _) = first_problem("gateway.upstreams.paymnts.breaker = false");
        assert_eq!(message, "`gateway.upstreams`: there is no upstream `paymnts`");
    }
}
