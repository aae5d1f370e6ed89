//! Commands that can be pasted into a shell.

use std::borrow::Cow;

/// The argument as a shell takes it for one word and for nothing else.
pub(super) fn shell_word(argument: &str) -> Cow<'_, str> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "._=-/%:,+@".contains(character);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return Cow::Borrowed(argument);
    }
    Cow::Owned(format!("'{}'", argument.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_each_argument_as_it_is() {
        for (argument, word) in [
            ("nine-oh-two", "nine-oh-two"),
            ("gateway.timeout=1s..30s:500ms", "gateway.timeout=1s..30s:500ms"),
            ("timeout+retry-budget,b", "timeout+retry-budget,b"),
            ("my file.toml", "'my file.toml'"),
            ("routes.\"/a\".timeout=1s", "'routes.\"/a\".timeout=1s'"),
            ("it's $(rm -r ~); `x`", "'it'\\''s $(rm -r ~); `x`'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(argument), word);
        }
    }
}
