//! How sure a comparison is to be, and how much worse something may be, as the command line has it.

use reports::{Allowed, GaugeUnit, Margin, Threshold, compared_measures};

use crate::file;

/// A value of `--fail-on-regression`.
#[derive(Clone, Debug)]
pub(super) struct Ask(pub(super) Allowed);

/// A percentage from 50% to 99.99%.
pub(super) fn confidence(text: &str) -> Result<f64, String> {
    let share = file::parse_share(text).ok().filter(|share| (0.5..=0.9999).contains(share));
    share.ok_or_else(|| "a percentage from 50% to 99.99%, such as 95%".to_owned())
}

/// `goodput=2%,latency.p99=50ms`; nothing is no worse in any measure.
pub(super) fn ask(text: &str) -> Result<Ask, String> {
    if text.trim().is_empty() {
        return Ok(Ask(Allowed::Nothing));
    }
    let thresholds = parts(text).into_iter().map(threshold);
    Ok(Ask(Allowed::By(thresholds.collect::<Result<_, _>>()?)))
}

/// The text between commas outside of quotes: the path of a route may have one.
fn parts(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let parts = text.split(move |character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    });
    parts.collect()
}

fn threshold(text: &str) -> Result<Threshold, String> {
    let (measure, by) = text
        .rsplit_once('=')
        .map(|(measure, by)| (measure.trim(), by.trim()))
        .filter(|(measure, by)| !measure.is_empty() && !by.is_empty())
        .ok_or_else(|| format!("`{text}` is no threshold; one reads `goodput=2%` or `latency.p99=50ms`"))?;
    let name = measure.split(['.', '(']).next().unwrap_or_default();
    // What the faults did to a population or route, which is measured of nobody else.
    let told = if name == "hurt" {
        GaugeUnit::Share
    } else {
        let known = compared_measures().find(|(known, _)| *known == name);
        known.map(|(_, told)| told).ok_or_else(|| unknown(name))?
    };
    if let Ok(share) = file::parse_share(by) {
        return Ok(Threshold { measure: measure.to_owned(), by: Margin::Share(share) });
    }
    let (amount, expected) = match told {
        GaugeUnit::Share => (None, "a percentage such as 2%"),
        GaugeUnit::Us => (
            file::parse_duration(by).ok().map(|time| time.as_secs_f64() * 1e6),
            "a percentage or a duration, such as 10% or 50ms",
        ),
        GaugeUnit::PerS => (file::parse_rate(by).ok(), "a percentage or a rate, such as 2% or 5/s"),
        GaugeUnit::Count | GaugeUnit::Ratio => {
            (file::parse_number(by), "a percentage or a number, such as 10% or 0.5")
        }
    };
    let amount = amount.ok_or_else(|| format!("`{text}`: expected {expected}"))?;
    Ok(Threshold { measure: measure.to_owned(), by: Margin::Absolute(amount) })
}

fn unknown(name: &str) -> String {
    let mut names: Vec<&str> = compared_measures().map(|(name, _)| name).collect();
    names.dedup();
    match file::nearest(name, names.iter().copied()) {
        Some(near) => format!("there is no measure `{name}`; did you mean `{near}`?"),
        None => format!("there is no measure `{name}`; there are {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_told_in_the_units_of_their_measures() {
        let Ask(allowed) =
            ask("goodput=2%, latency.p99=50ms,goodput(routes.\"/a,b\")=5/s,amplification=0.5").unwrap();
        let by = |measure: &str, by| Threshold { measure: measure.to_owned(), by };
        assert_eq!(
            allowed,
            Allowed::By(vec![
                by("goodput", Margin::Share(0.02)),
                by("latency.p99", Margin::Absolute(50_000.0)),
                by("goodput(routes.\"/a,b\")", Margin::Absolute(5.0)),
                by("amplification", Margin::Absolute(0.5)),
            ])
        );
        assert_eq!(ask("").unwrap().0, Allowed::Nothing);
        assert!(confidence("95%").is_ok());
        for wrong in ["95", "100%", "20%", "x"] {
            assert!(confidence(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_threshold_says_what_is() {
        for (wrong, said) in [
            ("goodput", "`goodput` is no threshold; one reads `goodput=2%` or `latency.p99=50ms`"),
            ("goodptu=2%", "there is no measure `goodptu`; did you mean `goodput`?"),
            (
                "latency.p99=5/s",
                "`latency.p99=5/s`: expected a percentage or a duration, such as 10% or 50ms",
            ),
            ("blast_radius=1", "`blast_radius=1`: expected a percentage such as 2%"),
        ] {
            assert_eq!(ask(wrong).unwrap_err(), said);
        }
    }
}
