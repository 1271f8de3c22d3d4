//! Vectors as text: integers separated by blanks or commas.

/// Reads a vector, or says what is wrong with it.
pub fn vector(text: &str, dimension: usize) -> Result<Vec<i16>, String> {
    let mut components = Vec::with_capacity(dimension);
    for part in text.split(',') {
        let before = components.len();
        for word in part.split_whitespace() {
            let component = word.parse().map_err(|_| {
                let (least, most) = (i16::MIN, i16::MAX);
                let number = components.len() + 1;
                let word = word.escape_debug();
                format!("component {number} is '{word}'; allowed: integers from {least} to {most}")
            })?;
            components.push(component);
        }
        if components.len() == before {
            return Err(format!("component {} is missing", before + 1));
        }
    }
    if components.len() != dimension {
        let count = components.len();
        return Err(format!("{count} components; allowed: {dimension}"));
    }
    Ok(components)
}

/// A line that `vector` reads.
pub fn line(components: &[i16]) -> String {
    let words: Vec<String> = components.iter().map(i16::to_string).collect();
    words.join(" ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_commas_separate() {
        for text in ["1 -2 3", "1,-2,3", " 1 ,\t-2 , +3 \r", "1 -2,3"] {
            assert_eq!(vector(text, 3), Ok(vec![1, -2, 3]), "{text}");
        }
        assert_eq!(vector("-32768,32767", 2), Ok(vec![i16::MIN, i16::MAX]));
    }

    #[test]
    fn lines_are_read_back() {
        let components = [0, -1, i16::MIN, i16::MAX];
        assert_eq!(vector(&line(&components), 4), Ok(components.to_vec()));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message) in [
            ("1 2", "2 components; allowed: 3"),
            ("1 2 3 4", "4 components; allowed: 3"),
            (
                "1,2,32768",
                "component 3 is '32768'; allowed: integers from -32768",
            ),
            ("1 two 3", "component 2 is 'two'"),
            ("1.5 2 3", "component 1 is '1.5'"),
            ("1,,3", "component 2 is missing"),
            ("1,2,3,", "component 4 is missing"),
            ("", "component 1 is missing"),
        ] {
            let fault = vector(text, 3).unwrap_err();
            assert!(fault.contains(message), "{text}: {fault}");
        }
    }
}
