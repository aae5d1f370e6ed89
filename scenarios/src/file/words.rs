//! Names in messages: the nearest to a misspelt one, lists of names, and how a key stands in a path.

/// The name that a misspelt one most likely stands for, if any is near.
pub(crate) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // The distance takes time in the square of the length, and nobody misspells that much.
    if wrong.len() > 64 {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let scored = names.into_iter().filter(|name| name.len() <= 64).map(|name| {
        let known = name.to_lowercase();
        // Two letters that changed places are one slip, and much of a short word.
        let slips = strsim::osa_distance(&wrong, &known);
        let is_one_slip = slips == 1 && wrong.chars().count() >= 3;
        let likeness = strsim::jaro_winkler(&wrong, &known);
        (if is_one_slip { likeness.max(ONE_SLIP) } else { likeness }, name)
    });
    let (likeness, name) = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (likeness > 0.8).then_some(name)
}

/// How alike a word and a misspelt one are at least.
const ONE_SLIP: f64 = 0.81;

/// The way out for a misspelt name: the nearest one, else what there is.
pub(super) fn way_out(wrong: &str, names: &[&str], otherwise: impl FnOnce() -> String) -> String {
    match nearest(wrong, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise(),
    }
}

/// All names that a wrong one could be, for a way out.
pub(super) fn all(what: &str, names: &[&str]) -> String {
    match names {
        [] => format!("there is no {what}"),
        [only] => format!("the only {what} is `{only}`"),
        _ => format!("the {what}s are {}", list(names)),
    }
}

/// `a`, `b` and `c`, each quoted as code; of many, the first ones.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n &'n str>) -> String {
    let mut names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.len() > MOST_LISTED {
        let more = names.len() - MOST_LISTED;
        names.truncate(MOST_LISTED);
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// More names than the measures, the longest list of the format, are not read.
const MOST_LISTED: usize = 22;

/// A name as tables and charts can show it.
pub(super) fn checked_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        Err("a name cannot be empty".to_owned())
    } else if name.len() > LONGEST_NAME {
        Err(format!("a name has at most {LONGEST_NAME} bytes, found {}", name.len()))
    } else if name.contains(char::is_control) {
        Err("a name has no control characters".to_owned())
    } else {
        Ok(())
    }
}

/// In bytes; room for a long path of a route.
pub(super) const LONGEST_NAME: usize = 250;

/// A key as it stands in a path: quoted where TOML needs quotes.
pub(crate) fn display_key(key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { key.to_owned() } else { format!("{key:?}") }
}
