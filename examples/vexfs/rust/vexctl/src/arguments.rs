//! Options and the device on the command line.

use crate::failure::Failure;

/// What a command was given: options with their values, flags, and one device.
#[derive(Debug, Default)]
pub struct Arguments {
    values: Vec<(String, String)>,
    flags: Vec<String>,
    pub device: String,
}

impl Arguments {
    /// `options` take a value (`--name VALUE` or `--name=VALUE`), `flags` do not.
    pub fn parse(words: &[String], options: &[&str], flags: &[&str]) -> Result<Self, Failure> {
        let mut arguments = Self::default();
        let mut words = words.iter();
        let mut only_names = false;
        while let Some(word) = words.next() {
            if only_names || !word.starts_with('-') {
                if !arguments.device.is_empty() {
                    return Err(Failure::usage(format!(
                        "one device is allowed, found '{}' and '{word}'",
                        arguments.device
                    )));
                }
                arguments.device = word.clone();
            } else if word == "--" {
                only_names = true;
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
        if arguments.device.is_empty() {
            return Err(Failure::usage("the device is missing"));
        }
        Ok(arguments)
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

    pub fn number<T: std::str::FromStr>(&self, option: &str) -> Result<Option<T>, Failure> {
        self.value(option)
            .map(|text| {
                text.parse().map_err(|_| {
                    Failure::usage(format!("{option} {text}: not a number in its range"))
                })
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, Failure> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Arguments::parse(&words, &["--blocks"], &["--repair"])
    }

    #[test]
    fn options_flags_and_device() {
        let arguments = parse(&["--blocks=7", "--repair", "/dev/x", "--blocks", "8"]).unwrap();
        assert_eq!(arguments.device, "/dev/x");
        assert_eq!(arguments.number::<u64>("--blocks").unwrap(), Some(8));
        assert!(arguments.has("--repair"));
        assert_eq!(parse(&["--", "--blocks"]).unwrap().device, "--blocks");
    }

    #[test]
    fn mistakes_are_named() {
        for (words, message) in [
            (&["--no", "x"][..], "unknown option '--no'"),
            (&[], "device is missing"),
            (&["a", "b"], "'a' and 'b'"),
            (&["a", "--blocks"], "--blocks needs a value"),
        ] {
            let failure = parse(words).unwrap_err().to_string();
            assert!(failure.contains(message), "{failure}");
        }
        let arguments = parse(&["a", "--blocks", "many"]).unwrap();
        assert!(arguments.number::<u64>("--blocks").is_err());
    }
}
