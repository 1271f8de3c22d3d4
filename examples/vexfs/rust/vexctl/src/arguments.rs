//! Options and names on the command line.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::failure::Failure;

/// What a command was given: options with their values, flags, and the rest.
#[derive(Debug, Default)]
pub struct Arguments {
    values: Vec<(String, String)>,
    flags: Vec<String>,
    pub operands: Vec<String>,
}

impl Arguments {
    /// `options` take a value (`--name VALUE` or `--name=VALUE`), `flags` do not. A negative number
    /// is no option.
    pub fn parse(words: &[String], options: &[&str], flags: &[&str]) -> Result<Self, Failure> {
        let mut arguments = Self::default();
        let mut words = words.iter();
        let mut only_operands = false;
        while let Some(word) = words.next() {
            if only_operands || !is_option(word) {
                arguments.operands.push(word.clone());
            } else if word == "--" {
                only_operands = true;
            } else if flags.contains(&word.as_str()) {
                arguments.flags.push(word.clone());
            } else {
                let (name, value) = match word.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (word.as_str(), None),
                };
                if !options.contains(&name) {
                    let allowed = [options, flags].concat().join(", ");
                    let allowed = if allowed.is_empty() {
                        "none".into()
                    } else {
                        allowed
                    };
                    return Err(Failure::usage(format!(
                        "unknown option '{name}'; allowed: {allowed}"
                    )));
                }
                let value = value
                    .or_else(|| words.next().cloned())
                    .ok_or_else(|| Failure::usage(format!("{name} needs a value")))?;
                arguments.values.push((name.to_owned(), value));
            }
        }
        Ok(arguments)
    }

    /// The only operand; `what` names it in an error.
    pub fn only(&self, what: &str) -> Result<&str, Failure> {
        match &self.operands[..] {
            [] => Err(Failure::usage(format!("the {what} is missing"))),
            [one] => Ok(one),
            [one, two, ..] => Err(Failure::usage(format!(
                "one {what} is allowed, found '{one}' and '{two}'"
            ))),
        }
    }

    /// The first operand, and those that follow it: at least one.
    pub fn first_and_rest(&self, what: &str, rest: &str) -> Result<(&str, &[String]), Failure> {
        match self.operands.split_first() {
            None => Err(Failure::usage(format!("the {what} is missing"))),
            Some((_, [])) => Err(Failure::usage(format!("the {rest} is missing"))),
            Some((first, others)) => Ok((first, others)),
        }
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// The value of an option; the last one wins.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.values
            .iter()
            .rev()
            .find(|(name, _)| name == option)
            .map(|(_, value)| value.as_str())
    }

    pub fn number<T: FromStr>(&self, option: &str) -> Result<Option<T>, Failure> {
        self.value(option)
            .map(|text| {
                text.parse().map_err(|_| {
                    Failure::usage(format!("{option} {text}: not a number in its range"))
                })
            })
            .transpose()
    }

    pub fn number_in<T>(
        &self,
        option: &str,
        allowed: RangeInclusive<T>,
    ) -> Result<Option<T>, Failure>
    where
        T: FromStr + PartialOrd + Display,
    {
        let text = match self.value(option) {
            Some(text) => text,
            None => return Ok(None),
        };
        match text.parse() {
            Ok(number) if allowed.contains(&number) => Ok(Some(number)),
            _ => Err(Failure::usage(format!(
                "{option} {text}; allowed: {} to {}",
                allowed.start(),
                allowed.end()
            ))),
        }
    }
}

fn is_option(word: &str) -> bool {
    match word.strip_prefix('-') {
        Some(rest) => !rest.starts_with(|first: char| first.is_ascii_digit()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, Failure> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Arguments::parse(&words, &["--blocks"], &["--repair"])
    }

    fn message<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn options_flags_and_operands() {
        let arguments = parse(&["--blocks=7", "--repair", "/dev/x", "--blocks", "8"]).unwrap();
        assert_eq!(arguments.only("device").unwrap(), "/dev/x");
        assert_eq!(arguments.number::<u64>("--blocks").unwrap(), Some(8));
        assert!(arguments.has("--repair"));
        assert_eq!(parse(&["--", "--blocks"]).unwrap().operands, ["--blocks"]);
    }

    #[test]
    fn negative_numbers_are_operands() {
        let arguments = parse(&["file", "-1,2", "-3"]).unwrap();
        let (file, vectors) = arguments.first_and_rest("file", "vector").unwrap();
        assert_eq!(file, "file");
        assert_eq!(vectors, ["-1,2", "-3"]);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(message(parse(&["--no", "x"])).contains("unknown option '--no'"));
        assert!(message(parse(&["a", "--blocks"])).contains("--blocks needs a value"));
        assert!(message(parse(&[]).unwrap().only("device")).contains("device is missing"));
        assert!(message(parse(&["a", "b"]).unwrap().only("device")).contains("'a' and 'b'"));
        let one = parse(&["a"]).unwrap();
        assert!(message(one.first_and_rest("file", "id")).contains("id is missing"));
        let arguments = parse(&["a", "--blocks", "many"]).unwrap();
        assert!(arguments.number::<u64>("--blocks").is_err());
        let refusal = message(arguments.number_in("--blocks", 1..=9));
        assert!(
            refusal.contains("--blocks many; allowed: 1 to 9"),
            "{refusal}"
        );
        let arguments = parse(&["--blocks", "9"]).unwrap();
        assert_eq!(arguments.number_in("--blocks", 1..=9).unwrap(), Some(9));
        assert!(arguments.number_in("--blocks", 1..=8).is_err());
    }
}
