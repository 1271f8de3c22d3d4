//! Why a command could not do its work.

use std::fmt;
use std::process::ExitCode;

#[derive(Debug)]
pub enum Failure {
    /// Wrong arguments. Exit status 2.
    Usage(String),
    /// A device or file, or what is in it. Exit status 3.
    Device(String),
}

impl Failure {
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub fn device(what: &str, error: &dyn fmt::Display) -> Self {
        Self::Device(format!("{what}: {error}"))
    }

    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Device(_) => ExitCode::from(3),
        }
    }
}

impl From<vexfs_ffi::Error> for Failure {
    fn from(error: vexfs_ffi::Error) -> Self {
        Self::Device(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Usage(message) => write!(to, "{message}\nTry: vexctl --help"),
            Self::Device(message) => to.write_str(message),
        }
    }
}
