//! What the binary runs: one command, to its exit code. The wiring of the long-running ones stands here, each in one function.

use crate::cli::arguments::Arguments;
use crate::cli::{CliError, Exit};
use crate::executor::worker;
use crate::telemetry::{self, LogFormat};
use clap::Parser;
use clap::error::ErrorKind;
use std::process::ExitCode;

/// Reads the command line and carries it out.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error).into(),
    };
    telemetry::start(arguments.output.verbose, LogFormat::Text);
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(crate::cli::run(arguments)).into(),
        Err(error) => {
            eprintln!("error: cannot start the threads of this process\n  because: {error}");
            Exit::Infrastructure.into()
        }
    }
}

/// Prints help to stdout, what is wrong to stderr. Not with `clap`'s own code for wrong usage, 2: that is what a dry run says of changes.
fn usage(error: &clap::Error) -> Exit {
    let printed = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion if printed.is_ok() => Exit::Done,
        _ => Exit::Usage,
    }
}

/// Runs an executor until it is told to end.
pub(crate) async fn executor(options: worker::Options) -> Result<Exit, CliError> {
    worker::run(options).await?;
    Ok(Exit::Done)
}
