//! What the binary runs: one command, to its exit code. The wiring of the long-running ones stands here, each in one function.

use crate::adaptors::host;
use crate::allocator;
use crate::cli::arguments::{Arguments, Command};
use crate::cli::output::tell;
use crate::cli::{CliError, Exit};
use crate::executor::worker::{self, WorkerError};
use crate::operator;
use crate::telemetry;
use clap::Parser;
use clap::error::ErrorKind;
use std::process::ExitCode;

/// Reads the command line and carries it out.
pub fn main() -> ExitCode {
    if let Some(ended) = host::run_if_asked() {
        return ended;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error).into(),
    };
    telemetry::start(verbosity(&arguments), arguments.output.log_format);
    if !matches!(arguments.command, Command::Executor(_)) {
        allocator::tune();
    }
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(crate::cli::run(arguments));
            // A thread that writes to somebody who does not read would be waited for without end.
            runtime.shutdown_timeout(crate::cli::limits::LOG_LAST_WORDS);
            telemetry::flush();
            exit.into()
        }
        Err(error) => {
            tell(format_args!("error: cannot start the threads of this process\n  because: {error}"));
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

/// What serves others says what it does; what a person runs is silent unless asked.
fn verbosity(arguments: &Arguments) -> u8 {
    let serves = match &arguments.command {
        Command::Operator(_) => true,
        Command::Executor(options) => !options.exit_with_stream,
        _ => false,
    };
    arguments.output.verbose.saturating_add(u8::from(serves))
}

/// Runs the operator until it is told to end.
pub(crate) async fn operator(options: operator::Options) -> Result<Exit, CliError> {
    operator::run(options).await?;
    Ok(Exit::Done)
}

/// What a panic says may be a secret. It is part of the attempt's result, with the secrets taken out; here only its place is told.
fn say_no_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

/// Runs an executor until it is told to end.
pub(crate) async fn executor(options: worker::Options) -> Result<Exit, CliError> {
    let child = options.exit_with_stream;
    say_no_panics();
    host::supervise_programs(options.lock.as_deref().map(worker::programs_lock));
    // As a task, so that it stays on the thread that reads its stream: from the main thread each message would take two switches.
    let work = tokio::spawn(worker::run(options)).await;
    match work.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
        // The owner was killed, or stopped at once: whoever started it knows, and nobody else reads what a child says.
        Err(error @ WorkerError::OwnerGone { .. }) if child => {
            tracing::info!(%error, "ends with its owner");
            Ok(Exit::Infrastructure)
        }
        done => done.map(|()| Exit::Done).map_err(CliError::from),
    }
}
